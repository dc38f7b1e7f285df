import numpy as np
import torch

from mmhmc.functional import to_8_bits, to_pixels


def test_values_are_clamped_and_rounded_to_what_8_bits_hold():
    x = torch.tensor([-1., 0, 0.4 / 255, 0.6 / 255, 0.5, 1, 2])
    expected = torch.tensor([0, 0, 0, 1, 128, 255, 255]) / 255
    torch.testing.assert_close(to_8_bits(x), expected)
    assert to_8_bits(to_8_bits(x)).equal(to_8_bits(x))


def test_pixels_are_those_of_a_file():
    x = 1.2 * torch.rand(3, 5, 7) - 0.1
    pixels = to_pixels(x)
    assert pixels.dtype == np.uint8 and pixels.shape == (5, 7, 3)
    assert pixels.flags.c_contiguous
    again = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    torch.testing.assert_close(again, to_8_bits(x))
