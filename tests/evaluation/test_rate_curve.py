import numpy as np
import pytest

from mmhmc.evaluation import RateCurve, lower_is_better


def test_points_are_sorted_by_rate_with_their_labels():
    curve = RateCurve('a', [0.4, 0.1, 0.2], [30, 20, 25], ['x', 'y', 'z'])
    assert curve.bpp.tolist() == [0.1, 0.2, 0.4]
    assert curve.quality.tolist() == [20, 25, 30]
    assert curve.labels == ('y', 'z', 'x')
    assert len(curve) == 3


def test_first_points_are_those_of_lowest_rate():
    curve = RateCurve('a', [0.4, 0.1, 0.2], [30, 20, 25], metric='psnr')
    part = curve.first(2)
    assert part.bpp.tolist() == [0.1, 0.2]
    assert part.metric == 'psnr'
    with pytest.raises(ValueError, match='has 3 points, asked for .* 4'):
        curve.first(4)


@pytest.mark.parametrize('metric, quality, monotone', [
    ('psnr', [20, 25, 30], True),
    ('psnr', [20, 25, 24], False),
    ('psnr', [20, 20, 30], False),
    ('lpips', [0.5, 0.3, 0.2], True),
    ('lpips', [0.2, 0.3, 0.5], False),
])
def test_monotone_means_better_with_every_step_of_rate(metric, quality,
                                                       monotone):
    curve = RateCurve('a', [0.1, 0.2, 0.4], quality, metric=metric)
    assert curve.is_monotone is monotone


def test_equal_rates_are_not_monotone():
    assert not RateCurve('a', [0.1, 0.1], [20, 25]).is_monotone


@pytest.mark.parametrize('bpp, quality, labels', [([], [], []),
                                                  ([1, 2], [3], []),
                                                  ([1, 2], [3, 4], ['x'])])
def test_lengths_that_differ_are_refused(bpp, quality, labels):
    with pytest.raises(ValueError, match='for each of its points'):
        RateCurve('a', bpp, quality, labels)


@pytest.mark.parametrize('bpp, quality', [([0, 1], [1, 2]),
                                          ([1, np.nan], [1, 2]),
                                          ([1, 2], [1, np.inf])])
def test_numbers_that_no_delta_can_use_are_refused(bpp, quality):
    with pytest.raises(ValueError, match='not finite, or a rate'):
        RateCurve('a', bpp, quality)


def test_direction_is_known_with_data_set_and_task_in_front():
    assert lower_is_better('yolox:quality/LPIPS')
    assert not lower_is_better('coco/bbox_mAP')
