"""Each term of the objective is the formula by hand."""
import pytest
import torch

from mmhmc.losses.rate_distortion import (bits_per_pixel, codec_losses,
                                          distortion_loss, psnr, rate_loss,
                                          squared_error, with_gradients)
from mmhmc.structures import CodedBatch, CodingCondition


def coded_batch(quality, x_hat=None, **extra_losses):
    """Two images, of 64 and 16 pixels, on a canvas of 8 x 8."""
    bits = torch.tensor([64., 128.], requires_grad=True)
    condition = None if quality is None else CodingCondition(quality=quality)
    x = torch.zeros(2, 3, 8, 8)
    return CodedBatch(
        x,
        x_hat,
        x, [(8, 8), (4, 4)],
        bits, [None] * 2,
        condition=condition,
        extra_losses=extra_losses)


def test_rate_is_weighed_by_the_quality_of_each_batch():
    batches = [coded_batch(1), coded_batch(3.)]
    # 1 and 8 bits per pixel.
    assert rate_loss(batches, [4., 2., 1.]).item() == 4.5 * (4 + 1) / 2
    assert bits_per_pixel(batches).tolist() == [1, 8, 1, 8]


def test_rate_that_the_machine_does_not_see_is_weighed_by_beta():
    batches = [coded_batch(None), coded_batch(None)]
    batches[0].rest_bits = torch.tensor([32., 0.])
    # 0.5 of 1 bit per pixel of the first image.
    assert rate_loss(batches, 2., 0.).item() == 2 * (0.5 + 8 + 1 + 8) / 4
    assert rate_loss(batches, 2., 0.5).item() == 2 * (0.75 + 8 + 1 + 8) / 4
    assert rate_loss(batches, 2.).item() == 2 * 4.5
    assert rate_loss(batches[1:], 2., 0.).item() == 2 * 4.5


@pytest.mark.parametrize('quality', [None, 0, 4, 1.5])
def test_rate_without_a_weight_is_an_error(quality):
    with pytest.raises(ValueError, match='weights for the qualities 1 to 3'):
        rate_loss([coded_batch(quality)], [4., 2., 1.])


def test_distortion_is_of_real_pixels_only():
    x_hat = torch.full((2, 3, 8, 8), 9.)
    x_hat[0], x_hat[1, :, :4, :4] = 0.5, 0.1
    mse = squared_error([coded_batch(None, x_hat)])
    torch.testing.assert_close(mse, torch.tensor([0.25, 0.01]))
    torch.testing.assert_close(
        distortion_loss(mse, 0.01), 0.01 * 255**2 * mse.mean())
    torch.testing.assert_close(psnr(mse), -10 * mse.log10().mean())


def test_batches_without_gradients_count_only_if_none_has_any():
    learning, teacher = coded_batch(None), coded_batch(None)
    teacher.bits = teacher.bits.detach()
    assert with_gradients([teacher, learning]) == [learning]
    assert with_gradients([teacher]) == [teacher]


def test_losses_of_codecs_are_means_of_those_that_learn():
    one, two = (torch.tensor(v, requires_grad=True) for v in (1., 3.))
    batches = [
        coded_batch(None, ratio=one),
        coded_batch(None, ratio=two, other=torch.tensor(4.)),
        coded_batch(None, ratio=torch.tensor(100.))
    ]
    losses = codec_losses(batches)
    assert {
        name: loss.item()
        for name, loss in losses.items()
    } == dict(
        loss_ratio=2., loss_other=4.)
