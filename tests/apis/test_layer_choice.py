"""Factors of layers that are chosen for a base of a wanted size."""
import numpy as np
import pytest
import torch
from conftest import CODECS, smooth_images, tiny_codec

from mmhmc.apis import choose_layers
from mmhmc.codecs import build_codec


@pytest.fixture(scope='module')
def codec():
    torch.manual_seed(0)
    codec = tiny_codec('MeanScaleHyperprior')
    # Each channel has a scale, and its values have it, too.
    scales = torch.logspace(-0.5, 1.5, 8)
    with torch.no_grad():
        y = codec.g_a(smooth_images(1, 256, 256))
        last = codec.g_a[-1]
        last.bias.sub_(y.mean((0, 2, 3)))
        last.weight.mul_((scales / y.std((0, 2, 3))).view(-1, 1, 1, 1))
        last.bias.mul_(scales / y.std((0, 2, 3)))
        codec.h_a[-1].weight.zero_()
        codec.h_s[-1].weight.mul_(0.01)
        codec.h_s[-1].bias.copy_(torch.cat([scales, 0 * scales]))
    codec.update_entropy_tables()
    return codec


def coded(codec, layers, x):
    """Share of the base in a file, and the squared error of its latent."""
    codec.layers = layers
    stream, = codec.compress(x)
    base, whole = (codec.read(stream.keep_layers(n)) for n in (1, 2))
    codec.layers = ()
    return stream.layer_bytes[0] / stream.num_bytes, \
        (base - whole).square().mean().item()


def test_chosen_factors_lose_less_than_one_factor_of_as_many_bytes(codec):
    x = smooth_images(1, 256, 256)
    shares, errors = zip(*(coded(codec, [k], x) for k in (9, 5, 3)))
    for share in (0.5, 0.6):
        layers = choose_layers(codec, [x], share)
        found, error = coded(codec, layers, x)
        # Both have a header, too, which is no part of the choice.
        assert 0.8 * share < found <= share + 0.03
        assert error < np.interp(found, shares, errors)


def test_codec_keeps_its_layers(codec):
    codec.layers = [5]
    choose_layers(codec, [smooth_images(1, 64, 64)], 0.5)
    assert codec.layers == (5, )
    codec.layers = ()


def test_what_cannot_be_chosen_is_refused(codec):
    x = smooth_images(1, 64, 64)
    for share in (0, 1, -1, float('nan')):
        with pytest.raises(ValueError, match='`base_share` must be'):
            choose_layers(codec, [x], share)
    with pytest.raises(ValueError, match='`images` is empty'):
        choose_layers(codec, [])
    other = build_codec(
        dict(type='mmhmc.FactorizedPrior', **CODECS['FactorizedPrior']))
    with pytest.raises(ValueError, match='cannot code its latent in layers'):
        choose_layers(other.eval(), [x])
    bare = build_codec(
        dict(
            type='mmhmc.MeanScaleHyperprior', **CODECS['MeanScaleHyperprior']))
    with pytest.raises(RuntimeError, match='update_entropy_tables'):
        choose_layers(bare.eval(), [x])
