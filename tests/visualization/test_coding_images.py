"""What coding did to an image, as images."""
import numpy as np
import pytest

from mmhmc.visualization import draw_bits, draw_error


def test_error_is_eight_times_as_large_without_overflow():
    image = np.full((2, 3, 3), 10, np.uint8)
    other = image.copy()
    other[0, 0] = [13, 5, 255]
    error = draw_error(image, other)
    assert error.dtype == np.uint8
    assert error[0, 0].tolist() == [24, 40, 255]
    assert not error[1].any()


def test_images_of_two_sizes_have_no_error():
    with pytest.raises(ValueError, match='must have one shape'):
        draw_error(
            np.zeros((2, 3, 3), np.uint8), np.zeros((3, 2, 3), np.uint8))


def test_bits_are_brightest_where_most_are_and_padding_is_cut_off():
    bits = np.array([[0., 1.], [0.5, 9.]])
    drawn = draw_bits(bits, (4, 8), (8, 8))
    assert drawn.shape == (4, 8, 3) and drawn.dtype == np.uint8
    assert (drawn[:, :4] == drawn[0, 0]).all()
    assert (drawn[:, 4:] == drawn[0, 4]).all()
    assert drawn[0, 4].sum() > drawn[0, 0].sum()
    whole = draw_bits(bits, (8, 8), (8, 8))
    assert whole[7, 7].sum() > whole[0, 7].sum() > whole[0, 0].sum()


def test_image_without_bits_is_black():
    drawn = draw_bits(np.zeros((1, 1)), (2, 2), (2, 2))
    assert drawn.max() < 10
