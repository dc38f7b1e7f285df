"""Transforms that begin as a Karhunen-Loeve transform."""
import pytest
import torch
from conftest import smooth_images
from torch import nn

from mmhmc.codecs import (Cheng2020Anchor, Cheng2020Attention, DCVCUFIntra,
                          MeanScaleHyperprior)
from mmhmc.codecs.layers import best_step, init_as_klt


def transforms(*widths):
    """Convolutions of stride 2 and their transposed mirror."""
    channels = (3, *widths)
    pairs = list(zip(channels, widths))
    return (nn.Sequential(*(nn.Conv2d(a, b, 5, 2, 2) for a, b in pairs)),
            nn.Sequential(*(nn.ConvTranspose2d(b, a, 5, 2, 2, 1)
                            for a, b in reversed(pairs))))


@torch.no_grad()
def test_with_all_axes_it_is_orthonormal_and_loses_nothing():
    g_a, g_s = transforms(12, 48)
    x = torch.rand(4, 3, 16, 16)
    init_as_klt(g_a, g_s, x, step=0.5)
    y = g_a(x)
    torch.testing.assert_close(g_s(y), x, atol=1e-5, rtol=0)
    centred = x - x.mean((0, 2, 3), keepdim=True)
    energy = centred.square().sum()
    torch.testing.assert_close((0.5 * y).square().sum(), energy)


@torch.no_grad()
def test_residual_blocks_begin_as_linear_layers():
    """Orthonormal but for GDN and gates, which small signals hardly meet."""
    from compressai.layers import (AttentionBlock, ResidualBlock,
                                   ResidualBlockUpsample,
                                   ResidualBlockWithStride, subpel_conv3x3)
    g_a = nn.Sequential(
        ResidualBlockWithStride(3, 20), ResidualBlock(20, 20),
        nn.Conv2d(20, 48, 3, 2, 1), AttentionBlock(48))
    g_s = nn.Sequential(
        AttentionBlock(48), ResidualBlock(48, 48),
        ResidualBlockUpsample(48, 20), subpel_conv3x3(20, 3, 2))
    x = torch.rand(4, 3, 16, 16)
    init_as_klt(g_a, g_s, x, step=0.1, gain=0.1)
    y = g_a(x)
    torch.testing.assert_close(g_s(y), x, atol=0.02, rtol=0)
    centred = x - x.mean((0, 2, 3), keepdim=True)
    energy = centred.square().sum()
    torch.testing.assert_close(
        (0.1 * y).square().sum(), energy, rtol=0.02, atol=0)


@torch.no_grad()
def test_squares_of_pixels_turn_at_once():
    """With all axes of 8 x 8 and 2 x 2; blocks pass on what they get."""
    codec = DCVCUFIntra(200, 768, 16, num_qualities=3)
    x = torch.rand(2, 3, 32, 32)
    init_as_klt(codec.g_a, codec.g_s, x, step=0.5)
    y = codec.g_a(x)
    torch.testing.assert_close(codec.g_s(y), x, atol=1e-4, rtol=0)
    centred = x - x.mean((0, 2, 3), keepdim=True)
    energy = centred.square().sum()
    torch.testing.assert_close((0.5 * y).square().sum(), energy)


@torch.no_grad()
def test_channels_are_the_first_principal_axes():
    """Uncorrelated, of falling variance; the rest is what is lost."""
    g_a, g_s = transforms(5)
    x = smooth_images(2, 32, 32)
    init_as_klt(g_a, g_s, x, step=1.)
    y = g_a(x).permute(1, 0, 2, 3).flatten(1)
    covariance = y @ y.T
    variance = covariance.diagonal()
    assert (variance.diff() < 0).all()
    assert (covariance - variance.diag()).abs().max() < 1e-4 * variance[0]
    centred = x - x.mean((0, 2, 3), keepdim=True)
    lost = (x - g_s(g_a(x))).square().sum()
    torch.testing.assert_close(
        lost, centred.square().sum() - variance.sum(), rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_more_channels_than_axes_disturb_nothing():
    g_a, g_s = transforms(20, 64)
    x = torch.rand(2, 3, 16, 16)
    init_as_klt(g_a, g_s, x, step=1.)
    assert g_a[0].weight[12:].abs().min() > 0
    torch.testing.assert_close(g_s(g_a(x)), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    'codec_class', [MeanScaleHyperprior, Cheng2020Anchor, Cheng2020Attention])
@torch.no_grad()
def test_codec_with_gdn_begins_with_images(codec_class):
    codec = codec_class(hidden_channels=48, latent_channels=64)
    x = smooth_images(2, 64, 64)
    before = (codec.g_s(codec.g_a(x)) - x).square().mean()
    init_as_klt(codec.g_a, codec.g_s, x, best_step(0.0067))
    after = (codec.g_s(codec.g_a(x).round()) - x).square().mean()
    assert after < 1e-3 < 0.05 * before


def test_best_step_minimises_rate_and_distortion():
    lmbda, count = 0.0067, 7.
    step = torch.tensor(best_step(lmbda), requires_grad=True)
    loss = -count * step.log2() + lmbda * 255**2 * count * step**2 / 36
    loss.backward()
    assert step.grad.abs() < 1e-4 * count / step.item()


def test_other_layers_are_refused():
    g_a, g_s = transforms(12, 48)
    for pair in ((g_a, g_s[:1]), (g_s, g_s),
                 (nn.Sequential(nn.Conv2d(3, 12, 3)), g_s[1:])):
        with pytest.raises(ValueError, match='all of stride 2'):
            init_as_klt(*pair, torch.rand(1, 3, 16, 16), 1.)
