"""Two layers: the first decodes and is analysed alone, the second adds."""
import copy
from dataclasses import replace

import pytest
import torch
from conftest import CODECS, smooth_images, tiny_codec
from torch import nn

from mmhmc.bitstream import Bitstream, BitstreamError
from mmhmc.codecs import LayeredGenerative
from mmhmc.codecs.layers.adaptive_norm import (AdaptiveInstanceNorm,
                                               StyledUpsampling)

NAME = 'LayeredGenerative'
VARIANTS = dict(
    vector=dict(),
    map=dict(texture_stride=32),
    coarse=dict(texture_stride=64),
    concat=dict(fusion='concat'),
    semantic=dict(driver='semantic', texture_stride=32),
    semantic_concat=dict(
        driver='semantic', texture_stride=64, fusion='concat'))


def lively(**kwargs):
    """With a texture that costs bits, and a default that is not zero."""
    codec = tiny_codec(NAME, **kwargs)
    x = smooth_images(1, 128, 128)
    with torch.no_grad():
        last = codec.g_a_texture[-1]
        one, other = codec.g_a_texture(torch.cat((x, 1 - x))).mean((2, 3))
        last.weight.mul_(6 / (one - other).abs().mean())
        last.bias.sub_(codec.g_a_texture(x).mean((0, 2, 3)))
        codec.default_texture.normal_()
    return codec


@pytest.fixture(scope='module')
def codecs():
    """One of each variant; not to be changed."""
    torch.manual_seed(0)
    return {name: lively(**kwargs) for name, kwargs in VARIANTS.items()}


@pytest.fixture
def codec(codecs):
    return codecs['vector']


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('size', [(64, 64), (100, 70)])
def test_every_variant_decodes_to_what_evaluation_gives(codecs, variant, size):
    codec = codecs[variant]
    x = smooth_images(1, *size)
    stream, = codec.compress(x)
    assert list(stream.streams) == ['z', 'y', 't']
    stream = Bitstream.from_bytes(stream.to_bytes())
    x_hat = codec.decompress([stream])
    if size == (64, 64):
        with torch.no_grad():
            output = codec(x)
        assert torch.equal(codec.read(stream), output.y_hat)
        assert torch.equal(x_hat, output.x_hat.clamp(0, 1))
    assert x_hat.shape == x.shape


# Layers of a file.


@pytest.mark.parametrize('variant', VARIANTS)
def test_base_layer_is_the_same_with_and_without_the_enhancement(
        codecs, variant):
    codec = codecs[variant]
    stream, = codec.compress(smooth_images(1, 100, 70))
    whole = stream.to_bytes()
    cut = whole[:len(whole) - len(stream.streams['t'])]
    assert stream.keep(2).to_bytes() == cut != whole
    base = Bitstream.from_bytes(cut)
    y_hat, alone = codec.read(stream), codec.read(base)
    (y_s, y_r), (y_s_alone, y_r_alone) = codec.split(y_hat), codec.split(alone)
    assert torch.equal(y_s, y_s_alone)
    assert torch.equal(y_r_alone,
                       codec.default_texture[:, None, None].expand_as(y_r)[:1])
    assert not torch.equal(y_r, y_r_alone)
    assert not torch.equal(
        codec.decompress([stream]), codec.decompress([base]))
    assert codec.decompress([base]).shape == (1, 3, 100, 70)


def test_codec_of_the_base_layer_alone_writes_the_cut_file(codec):
    base = copy.deepcopy(codec)
    base.base_only = True
    x = smooth_images(1, 64, 64)
    (whole, ), (stream, ) = codec.compress(x), base.compress(x)
    assert stream == whole.keep(2)
    with torch.no_grad():
        output = base(x)
    assert torch.equal(base.read(stream), output.y_hat)
    assert torch.equal(base.decompress([stream]), output.x_hat.clamp(0, 1))
    assert output.likelihoods.keys() == {'z', 'y'}


def test_file_cut_within_a_stream_or_without_its_base_is_refused(codec):
    stream, = codec.compress(smooth_images(1, 64, 64))
    data = stream.to_bytes()
    with pytest.raises(BitstreamError, match='were announced'):
        Bitstream.from_bytes(data[:-1])
    with pytest.raises(BitstreamError, match=r"without the streams \['y'\]"):
        codec.decompress([stream.keep(1)])
    no_base = {'t': stream.streams['t']}
    with pytest.raises(BitstreamError, match=r"streams \['z', 'y', 't'\]"):
        codec.decompress([replace(stream, streams=no_base)])


def test_streams_of_two_files_do_not_make_one(codec):
    x = smooth_images(1, 64, 64)
    one, other = codec.compress([x[0], 1 - x[0]])
    assert one.streams['t'] != other.streams['t']
    with pytest.raises(BitstreamError, match="stream 't'|were announced|foll"):
        Bitstream.from_bytes(one.keep(2).to_bytes() + other.streams['t'])


def test_base_of_another_codec_is_refused(codec):
    other = copy.deepcopy(codec)
    with torch.no_grad():
        other.default_texture.add_(1)
    stream, = codec.compress(smooth_images(1, 64, 64))
    # It is what a cut file decodes to, so it is part of the weights.
    with pytest.raises(BitstreamError, match='with the weights and tables'):
        other.decompress([stream.keep(2)])


def test_both_streams_are_counted(codec):
    x = smooth_images(1, 256, 256)
    stream, = codec.compress(x)
    with torch.no_grad():
        likelihoods = codec.encode_latents(x).likelihoods
    assert likelihoods.keys() == {'z', 'y', 't'}
    assert len(stream.streams['t']) > 4
    lengths = sum(map(len, stream.streams.values()))
    assert 0 < stream.num_bytes - lengths <= 48
    assert len(stream.to_bytes()) == stream.num_bytes


# The synthesis.


@pytest.mark.parametrize('variant', ['vector', 'concat'])
def test_both_layers_reach_the_image(codecs, variant):
    codec = codecs[variant]
    y_hat = torch.randn(1, 12, 4, 4)
    y_hat[:, 8:] = torch.randn(1, 4, 1, 1)
    y_hat.requires_grad_()
    codec.decode_latents(y_hat).square().sum().backward()
    y_s, y_r = codec.split(y_hat.grad)
    assert y_s.abs().amin() > 0 and y_r.abs().amin() > 0


def test_driver_steers_normalisation_and_the_other_layer_is_content(codecs):
    for variant, content, style in (('map', 8, 4), ('semantic', 4, 8)):
        codec = codecs[variant]
        assert codec.g_s[0].in_channels == content
        blocks = [m for m in codec.g_s if isinstance(m, StyledUpsampling)]
        assert {b.fuse1.style.in_channels for b in blocks} == {style}
        assert len(blocks) == 4


def test_adaptive_normalisation_is_scale_and_shift_of_the_normalised():
    layer = AdaptiveInstanceNorm(3, 2)
    x, style = torch.randn(2, 3, 4, 6), torch.randn(2, 2, 1, 1)
    both = nn.functional.leaky_relu(layer.style(style), 0.2)
    mean = x.mean((2, 3), keepdim=True)
    deviation = x.var((2, 3), keepdim=True, correction=0).add(1e-5).sqrt()
    expected = (x - mean) / deviation * (1 + both[:, :3]) + both[:, 3:]
    torch.testing.assert_close(layer(x, style), expected)
    # A map is read where it covers.
    coarse = style.repeat(1, 1, 2, 3)
    torch.testing.assert_close(layer(x, coarse), expected)


def test_image_is_decoded_as_in_a_batch(codec):
    y_hat = codec.encode_latents(smooth_images(2, 64, 64)).y_hat
    together = codec.decode_latents(y_hat)
    for one, alone in zip(together, y_hat.split(1)):
        torch.testing.assert_close(
            codec.decode_latents(alone)[0], one, rtol=1e-4, atol=1e-5)


# Training.


@pytest.mark.parametrize('rate', [0., 1.])
def test_enhancement_is_left_out_at_the_given_rate(rate):
    codec = lively(base_only_rate=rate).train()
    output = codec.encode_latents(smooth_images(3, 64, 64))
    _, y_r = codec.split(output.y_hat)
    default = codec.default_texture[:, None, None].expand_as(y_r)
    assert torch.equal(y_r, default) == (rate == 1)
    assert output.likelihoods['t'].requires_grad


def test_default_and_both_encoders_learn_from_the_image():
    codec = lively(base_only_rate=0.5).train()
    torch.manual_seed(1)
    codec(smooth_images(8, 64, 64)).x_hat.square().sum().backward()
    assert codec.default_texture.grad.abs().amin() > 0
    for part in (codec.g_a, codec.g_a_texture):
        assert all(p.grad.any() for p in part.parameters())


def test_evaluation_never_leaves_out_the_enhancement():
    codec = lively(base_only_rate=1.)
    with torch.no_grad():
        _, y_r = codec.split(
            codec.encode_latents(smooth_images(1, 64, 64)).y_hat)
    assert (y_r.flatten() != codec.default_texture).any()


def test_quantiles_of_the_texture_never_ask_for_a_gradient(codec):
    assert not codec.texture_bottleneck.quantiles.requires_grad


def test_large_image_is_encoded_in_tiles_and_decoded_whole(codec):
    codec = copy.deepcopy(codec)
    x = smooth_images(1, 128, 448)
    seen = []
    for part in (codec.g_a, codec.g_a_texture, codec.g_s[0]):
        part.register_forward_pre_hook(
            lambda module, args: seen.append(args[0].shape[-1]))
    whole, = codec.compress(x)
    assert seen == [448, 448]
    seen.clear()
    codec.tile_size = 64
    stream, = codec.compress(x)
    assert max(seen) == 64 + 2 * 64
    seen.clear()
    codec.decompress([stream])
    assert seen == [448 // 16]
    y_s, y_r = codec.split(codec.read(stream))
    y_s_whole, y_r_whole = codec.split(codec.read(whole))
    assert (y_s - y_s_whole).abs().mean() < 0.01
    assert (y_r - y_r_whole).abs().max() <= 1


# What is refused.


@pytest.mark.parametrize('wrong, match', [
    (dict(driver='both'), "`driver` must be one of .* got 'both'"),
    (dict(fusion='sum'), "`fusion` must be one of .* got 'sum'"),
    (dict(driver='semantic'), 'one vector would be erased'),
    (dict(texture_stride=16), '`texture_stride` must be one of'),
    (dict(hyper_channels=0), '`hyper_channels` must be a positive'),
    (dict(texture_channels=0), '`texture_channels` must be a positive'),
    (dict(semantic_channels=2.5), '`semantic_channels` must be a positive'),
    (dict(texture_widths=(4, 4)), '`texture_widths` must be five positive'),
    (dict(decoder_widths=(4, 4, 4, 4, 0)), '`decoder_widths` must be five'),
    (dict(base_only_rate=1.5), r'must be in \[0, 1\], got 1.5'),
])
def test_layers_that_cannot_be_are_refused(wrong, match):
    with pytest.raises(ValueError, match=match):
        LayeredGenerative(**{**CODECS[NAME], **wrong})
