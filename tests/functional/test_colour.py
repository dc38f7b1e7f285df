import pytest
import torch
from allpairspy import AllPairs
from conftest import smooth_images

from mmhmc.functional import rgb_to_yuv, yuv_to_rgb

# Red, green, blue, white, black and a mixture, in one row.
COLOURS = torch.tensor([[1., 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0],
                        [0.2, 0.4, 0.6]]).T[None, :, None, :]
SETTINGS = [['bt601', 'bt709'], [True, False], [8, 10]]


def rows(planes):
    return [plane.flatten().tolist() for plane in planes]


# Counted by hand from the weights of the two recommendations: e.g. blue in
# BT.601 is y = 0.114, u = (1 - 0.114) / 1.772 = 0.5,
# v = -0.114 / 1.402 = -0.08131.
def test_bt601_in_full_range_has_the_values_counted_by_hand():
    assert rows(rgb_to_yuv(COLOURS, 'bt601')) == [
        [76, 150, 29, 255, 0, 93],
        [85, 44, 255, 128, 128, 162],
        [255, 21, 107, 128, 128, 98],
    ]


def test_bt709_in_limited_range_has_the_values_counted_by_hand():
    assert rows(rgb_to_yuv(COLOURS, 'bt709', full_range=False)) == [
        [63, 173, 32, 235, 16, 97],
        [102, 42, 240, 128, 128, 156],
        [240, 26, 118, 128, 128, 104],
    ]


def test_ten_bits_have_four_times_the_steps_of_limited_range():
    planes = rgb_to_yuv(COLOURS, 'bt709', full_range=False, bit_depth=10)
    assert [row[3:5] for row in rows(planes)] == [[940, 64], [512, 512],
                                                  [512, 512]]
    planes = rgb_to_yuv(COLOURS, bit_depth=10)
    assert [row[3:5] for row in rows(planes)] == [[1023, 0], [512, 512],
                                                  [512, 512]]


@pytest.mark.parametrize('matrix, full_range, bit_depth, chroma',
                         AllPairs([*SETTINGS, ['444', '422', '420', '400']]))
def test_grey_stays_grey(matrix, full_range, bit_depth, chroma):
    x = torch.rand(2, 1, 6, 8).expand(-1, 3, -1, -1)
    planes = rgb_to_yuv(x, matrix, full_range, bit_depth, chroma)
    for plane in planes[1:]:
        assert (plane == 1 << (bit_depth - 1)).all()
    x_hat = yuv_to_rgb(planes, matrix, full_range, bit_depth)
    assert torch.equal(x_hat[:, :1].expand(-1, 3, -1, -1), x_hat)
    steps = 2**bit_depth - 1 if full_range else 219 * 2**(bit_depth - 8)
    assert (x_hat - x).abs().max() <= 0.5001 / steps


@pytest.mark.parametrize('matrix, full_range, bit_depth', AllPairs(SETTINGS))
def test_round_trip_errs_by_no_more_than_rounding_can(matrix, full_range,
                                                      bit_depth):
    x = torch.rand(1, 3, 40, 40)
    x_hat = yuv_to_rgb(
        rgb_to_yuv(x, matrix, full_range, bit_depth), matrix, full_range,
        bit_depth)
    # Half a step of luma and half a step of chroma, times at most 1.8556.
    steps = 2**bit_depth - 1 if full_range else 219 * 2**(bit_depth - 8)
    assert (x_hat - x).abs().max() <= 0.5 * (1 + 1.8556) / steps
    assert x_hat.dtype == torch.float32


def test_chroma_has_the_size_of_its_format_and_the_mean_of_its_pixels():
    x = smooth_images(1, 6, 8)
    fine = rgb_to_yuv(x, bit_depth=16)
    for chroma, stride in (('422', (1, 2)), ('420', (2, 2))):
        planes = rgb_to_yuv(x, bit_depth=16, chroma=chroma)
        for plane, full in zip(planes[1:], fine[1:]):
            mean = torch.nn.functional.avg_pool2d(full.float(), stride)
            assert plane.shape[-2:] == (6 // stride[0], 4)
            assert (plane - mean).abs().max() <= 1
    planes = rgb_to_yuv(x, chroma='400')
    assert [plane.shape for plane in planes] == [(1, 1, 6, 8)]


def test_subsampled_chroma_of_a_flat_image_comes_back():
    x = torch.tensor([0.2, 0.6, 0.3]).view(1, 3, 1, 1).expand(-1, -1, 8, 8)
    for chroma in ('422', '420'):
        x_hat = yuv_to_rgb(rgb_to_yuv(x, chroma=chroma))
        assert (x_hat - x).abs().max() < 1.5 / 255


def test_what_is_out_of_range_is_clamped():
    x = torch.full((1, 3, 2, 2), 2.)
    assert (rgb_to_yuv(x)[0] == 255).all()
    planes = [torch.full((1, 1, 2, 2), value) for value in (255, 255, 0)]
    x_hat = yuv_to_rgb(planes)
    assert x_hat.min() >= 0 and x_hat.max() <= 1


def test_unknown_settings_are_refused():
    x = torch.rand(1, 3, 4, 5)
    with pytest.raises(ValueError, match="must be one of .'bt601', 'bt709'."):
        rgb_to_yuv(x, matrix='bt2020')
    with pytest.raises(ValueError, match='`chroma` must be one of'):
        rgb_to_yuv(x, chroma='411')
    with pytest.raises(ValueError, match='`bit_depth` must be a whole number'):
        rgb_to_yuv(x, bit_depth=7)
    with pytest.raises(ValueError, match=r'420 chroma it must be a multiple'):
        rgb_to_yuv(x, chroma='420')
    with pytest.raises(ValueError, match=r'of shape \(B, 3, H, W\)'):
        rgb_to_yuv(x[0])
    with pytest.raises(ValueError, match='got 2 planes'):
        yuv_to_rgb(rgb_to_yuv(x)[:2])
