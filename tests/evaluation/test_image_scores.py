import numpy as np
import pytest

from mmhmc.evaluation import MeanIoUScore, MeanScore


def test_mean_counts_a_image_as_often_as_it_is_drawn():
    score = MeanScore([30.0, 33.0, 40.0])
    assert score.score(np.array([0, 1, 1])) == 32
    assert score.score(np.arange(3)) == pytest.approx(103 / 3)


def test_mean_refuses_what_is_not_finite():
    with pytest.raises(ValueError, match='not finite'):
        MeanScore([30.0, np.inf])


def test_iou_is_that_of_the_summed_areas():
    intersect = np.array([[4, 0, 0], [0, 3, 0]])
    union = np.array([[8, 2, 0], [0, 4, 0]])
    score = MeanIoUScore(intersect, union)
    assert score.score(np.arange(2)) == pytest.approx(100 *
                                                      np.mean([4 / 8, 3 / 6]))
    assert score.score(np.array([0, 0])) == pytest.approx(25)
    # The second class only, as no other is there.
    assert score.score(np.array([1])) == pytest.approx(75)


def test_iou_of_images_without_a_class_is_no_number():
    assert np.isnan(MeanIoUScore([[0]], [[0]]).score(np.array([0])))


def test_iou_refuses_areas_that_do_not_fit():
    with pytest.raises(ValueError, match=r'got \(1, 2\) and \(2, 2\)'):
        MeanIoUScore(np.ones((1, 2)), np.ones((2, 2)))
