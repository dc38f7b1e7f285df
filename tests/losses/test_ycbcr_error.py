"""The paper's objective for luma and chroma."""
import math

import pytest
import torch

from mmhmc.functional import image_mse
from mmhmc.functional.colour import rgb_to_ycbcr, ycbcr_to_rgb
from mmhmc.losses import YCbCrError
from mmhmc.losses.rate_distortion import (bits_per_pixel, distortion_loss,
                                          rate_loss, squared_error)
from mmhmc.structures import CodedBatch, CodingCondition

SIZES = [(8, 8), (5, 6)]


def test_it_is_the_formula_of_the_paper_over_three():
    x, x_hat = torch.rand(2, 2, 3, 8, 8).double()
    sizes = [(8, 8)] * 2
    found = YCbCrError()(x, x_hat, sizes)
    squares = (rgb_to_ycbcr(x) - rgb_to_ycbcr(x_hat)).square()
    for i in range(2):
        y, u, v = (squares[i, c].mean().item() for c in range(3))
        rgb = (x[i] - x_hat[i]).square().sum().item() / 64
        paper = 0.8 * 3 * math.exp(
            0.0833 * (10 * math.log(y) + math.log(u) + math.log(v)))
        assert 3 * found[i].item() == pytest.approx(
            paper + 0.2 * rgb, rel=1e-5)


def test_all_of_the_colours_is_the_mean_squared_error():
    x, x_hat = torch.rand(2, 2, 3, 8, 8)
    torch.testing.assert_close(
        YCbCrError(1.)(x, x_hat, SIZES), image_mse(x, x_hat, SIZES))


def test_luma_weighs_more_than_chroma():
    x = torch.full((3, 3, 8, 8), 0.5)
    planes = rgb_to_ycbcr(x) + 0.01
    for i in range(3):
        planes[i, i] += 0.03
    error = YCbCrError(0.)(x, ycbcr_to_rgb(planes), [(8, 8)] * 3)
    assert error[0] > 2 * error[1]
    torch.testing.assert_close(error[1], error[2])


def test_padding_does_not_count():
    x, x_hat = torch.rand(2, 2, 3, 8, 8)
    whole = YCbCrError()(x, x_hat, SIZES)
    alone = YCbCrError()(x[1:, :, :5, :6], x_hat[1:, :, :5, :6], SIZES[1:])
    torch.testing.assert_close(whole[1:], alone)


def test_a_perfect_plane_has_a_finite_gradient():
    x = torch.rand(1, 3, 8, 8)
    x_hat = x.clone().requires_grad_()
    YCbCrError()(x, x_hat, [(8, 8)]).sum().backward()
    assert x_hat.grad.isfinite().all()


def test_weights_of_the_paper_are_ours_for_both_objectives():
    # Theirs: L * (sum of squares of three colours per pixel) + bits per pixel.
    x, x_hat = torch.rand(2, 2, 3, 8, 8)
    batch = CodedBatch(
        x,
        x_hat,
        x_hat, [(8, 8)] * 2,
        torch.tensor([90., 30.]), [None] * 2,
        condition=CodingCondition(quality=(1, 2)))
    paper, bits = [10., 2048.], bits_per_pixel([batch])
    ours = [3 * weight / 255**2 for weight in paper]
    rgb = (x - x_hat).square().sum(dim=(1, 2, 3)) / 64
    for error, theirs in ((image_mse, rgb),
                          (YCbCrError(),
                           3 * YCbCrError()(x, x_hat, batch.sizes))):
        expected = (torch.tensor(paper) * theirs + bits).mean()
        found = rate_loss([batch], 1.) + distortion_loss(
            squared_error([batch], error), torch.tensor(ours))
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('share', [-0.1, 1.5, float('nan')])
def test_impossible_share_is_refused(share):
    with pytest.raises(ValueError, match='`rgb_share` must be in'):
        YCbCrError(share)
