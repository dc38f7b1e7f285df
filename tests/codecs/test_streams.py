"""What every codec refuses, stores and promises about its streams."""
import copy
import threading
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from conftest import CODECS, smooth_images
from torch import nn

from mmhmc.bitstream import Bitstream, BitstreamError
from mmhmc.codecs import build_codec

#: Those whose synthesis has to see an image as a whole.
WHOLE = ('LayeredGenerative', )

every_codec = pytest.mark.parametrize('name', CODECS)


@pytest.fixture(scope='module')
def streams(codecs):
    """Of an image of 64x64, by the name of the codec."""
    torch.manual_seed(0)
    x = smooth_images(1, 64, 64)
    return {name: codec.compress(x)[0] for name, codec in codecs.items()}


@every_codec
def test_stream_of_another_codec_is_refused(codecs, streams, name):
    codec, stream = codecs[name], streams[name]
    with pytest.raises(
            BitstreamError,
            match=f"codec is {name} .'{codec.codec_id}'.; the file is of 'o'"):
        codec.decompress([replace(stream, codec='o')])


def test_codecs_are_told_apart_by_their_identifiers(codecs):
    ids = [codec.codec_id for codec in codecs.values()]
    assert len(set(ids)) == len(ids)


@every_codec
def test_stream_without_its_latents_is_refused(codecs, streams, name):
    with pytest.raises(BitstreamError, match=r'the file is of .* with \[\]'):
        codecs[name].decompress([replace(streams[name], streams={})])


@every_codec
def test_stream_with_empty_payloads_is_refused(codecs, streams, name):
    stream = streams[name]
    empty = {key: b'' for key in stream.streams}
    with pytest.raises(BitstreamError):
        codecs[name].decompress([replace(stream, streams=empty)])


@every_codec
def test_stream_that_was_cut_is_refused_with_the_name_of_what_is_missing(
        codecs, streams, name):
    stream = streams[name]
    if len(stream.streams) > 1:
        with pytest.raises(BitstreamError, match=r"without the streams \['y'"):
            codecs[name].decompress([stream.keep(1)])


@every_codec
def test_stream_of_other_weights_is_refused(codecs, streams, name):
    stream, other = streams[name], copy.deepcopy(codecs[name])
    last = 'entropy_bottleneck' if name == 'FactorizedPrior' else 'h_s'
    with torch.no_grad():
        for parameter in getattr(other, last).parameters():
            parameter.mul_(1.01)
    other.update_entropy_tables()
    with pytest.raises(
            BitstreamError,
            match=f'{name} with the weights .* {stream.weights.hex()}; those '
            f'of this codec are {other.weights_hash().hex()}'):
        other.decompress([stream])


@every_codec
def test_stream_of_another_encoder_or_image_decoder_is_read(
        codecs, streams, name):
    # One stream serves whoever decodes it.
    stream, other = streams[name], copy.deepcopy(codecs[name])
    with torch.no_grad():
        for part in (other.g_a, other.g_s):
            for parameter in part.parameters():
                parameter.mul_(1.01)
    assert torch.equal(other.read(stream), codecs[name].read(stream))


@every_codec
def test_hash_of_weights_follows_them_and_nothing_else(codecs, name):
    codec = copy.deepcopy(codecs[name])
    first = codec.weights_hash()
    assert first == codecs[name].weights_hash() == codec.weights_hash()
    tensors = dict(codec.decoding_tensors())
    assert tensors and not any(
        key.startswith(('g_a', 'g_s', 'h_a')) for key in tensors)
    seen = {first}
    for key, tensor in tensors.items():
        if not tensor.numel():
            continue
        with torch.no_grad():
            tensor.view(-1)[-1:].add_(1)
        seen.add(codec.weights_hash())
    assert len(seen) > len([t for t in tensors.values() if t.numel()]) // 2


@every_codec
def test_stream_with_another_coded_size_is_refused(codecs, name):
    stream, = codecs[name].compress(smooth_images(1, 60, 64))
    with pytest.raises(BitstreamError, match=r'is coded as \(64, 64\) by'):
        codecs[name].decompress([replace(stream, coded_size=(128, 64))])


@every_codec
def test_images_of_several_sizes_are_coded_together(codecs, name):
    codec = codecs[name]
    images = [
        smooth_images(1, *size)[0] for size in ((64, 64), (33, 70), (1, 1))
    ]
    streams = codec.compress(images)
    assert [s.size for s in streams] == [(64, 64), (33, 70), (1, 1)]
    decoded = codec.decompress(streams)
    for image, stream, x_hat in zip(images, streams, decoded):
        assert codec.compress(image[None]) == [stream]
        assert torch.equal(codec.decompress([stream])[0], x_hat)
        assert x_hat.shape == image.shape
    with pytest.raises(ValueError, match='at least one stream'):
        codec.decompress([])
    assert codec.compress([]) == []


@every_codec
def test_all_but_the_payloads_is_at_most_48_bytes(codecs, name):
    stream, = codecs[name].compress(smooth_images(1, 200, 333))
    payload = sum(map(len, stream.streams.values()))
    assert stream.num_bytes - payload <= 48
    assert Bitstream.from_bytes(stream.to_bytes()) == stream


@every_codec
def test_leaving_out_the_rate_changes_nothing_else(codecs, name):
    x = smooth_images(1, 64, 128)
    with torch.no_grad():
        output = codecs[name].encode_latents(x)
        plain = codecs[name].encode_latents(x, with_likelihoods=False)
    assert output.likelihoods and not plain.likelihoods
    assert torch.equal(plain.y_hat, output.y_hat)
    assert plain.symbols.keys() == output.symbols.keys()
    for key, coded in plain.symbols.items():
        assert torch.equal(coded.symbols, output.symbols[key].symbols)
        assert torch.equal(coded.indexes, output.symbols[key].indexes)


@every_codec
def test_latent_that_is_not_sensible_is_refused(codecs, name):
    codec = copy.deepcopy(codecs[name])
    last = [m for m in codec.g_a if isinstance(m, nn.Conv2d)][-1]
    for value in (1e9, float('nan'), float('inf')):
        nn.init.constant_(last.bias, value)
        with pytest.raises(ValueError, match='latent is not sensible'):
            codec.compress(smooth_images(1, 64, 64))


# Tiles and types.


def in_tiles(codec, side):
    codec.tile_size = side
    return codec


@pytest.mark.parametrize('name',
                         [name for name in CODECS if name not in WHOLE])
def test_tiles_give_what_the_whole_gives(codecs, name):
    # In float64 a tile that sees too little around it cannot hide.
    codec = copy.deepcopy(codecs[name]).double()
    x = smooth_images(1, 64, 448).double()
    with torch.no_grad():
        y, parts = (
            in_tiles(codec, side).run_transform(codec.g_a, x, Fraction(1, 16))
            for side in (None, 96))
        x_hat, pieces = (
            in_tiles(codec, side).run_transform(codec.g_s, y, Fraction(16))
            for side in (None, 96))
    assert parts.shape == y.shape and pieces.shape == x.shape
    torch.testing.assert_close(parts, y, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(pieces, x_hat, rtol=1e-11, atol=1e-11)


@every_codec
def test_tiles_are_used_for_large_images_outside_training_only(codecs, name):
    codec = in_tiles(copy.deepcopy(codecs[name]), 64)
    seen = []
    codec.g_a.register_forward_pre_hook(
        lambda module, args: seen.append(args[0].shape[-2:]))
    x = smooth_images(1, 64, 192)
    codec(x)
    codec.train()
    with torch.no_grad():
        codec(x)
        assert seen == [(64, 192)] * 2
        codec.eval()
        codec(x)
    radius = codec.receptive_radius
    assert seen[2] == (64, min(192, 64 + radius))
    stream, = codec.compress(x)
    assert codec.decompress([stream]).shape == x.shape
    seen.clear()
    codec.compress(x[..., :128])
    assert seen == [(64, 128)]


@every_codec
def test_memory_decides_what_goes_in_tiles(codecs, name):
    codec = copy.deepcopy(codecs[name])
    seen = []
    codec.g_a.register_forward_pre_hook(
        lambda module, args: seen.append(args[0].shape[-2:]))
    x = smooth_images(1, 64, 192)
    codec.least_tile_size = 64
    codec.tile_memory = codec.bytes_per_pixel * 64 * 192
    with torch.no_grad():
        codec(x)
        whole = name in ('MPA', )
        assert seen == [(64, 192)]
        # A batch takes as much for each of its images.
        codec(x.repeat(2, 1, 1, 1))
        assert seen[1:] == [(64, 192)] if whole else len(seen) > 2
        seen.clear()
        codec.tile_memory -= 1
        codec(x)
    assert seen == [(64, 192)] if whole else len(seen) == 3


def test_tiles_are_as_large_as_memory_lets_them_be(codecs):
    codec = copy.deepcopy(codecs['Cheng2020Attention'])
    side, around = 640, 2 * codec.receptive_radius
    pixels = (side + around)**2 * 5 // 2
    codec.tile_memory = codec.bytes_per_pixel * pixels
    assert codec._tile_for(pixels, 1) is None
    assert codec._tile_for(pixels + 1, 1) == side
    codec.tile_memory -= codec.bytes_per_pixel * 5
    assert codec._tile_for(pixels, 1) == side - 64
    # Smaller ones would mostly compute what lies around them.
    codec.tile_memory = 0
    assert codec._tile_for(10**7, 1) == codec.least_tile_size
    assert codec._tile_for(2 * codec.least_tile_size**2, 1) is None


@pytest.mark.parametrize('name',
                         ['MeanScaleHyperprior', 'Cheng2020Attention', 'ELIC'])
def test_images_of_a_detector_go_whole_and_4k_in_tiles(name):
    codec = build_codec(dict(type=f'mmhmc.{name}'))
    assert codec._tile_for(832 * 1344, 1) is None
    side = codec._tile_for(2160 * 3840, 1) + 2 * codec.receptive_radius
    assert side**2 * codec.bytes_per_pixel <= codec.tile_memory


@every_codec
def test_transforms_compute_in_another_type(codecs, name):
    codec = copy.deepcopy(codecs[name])
    x = smooth_images(1, 64, 128)
    exact = codec.decompress(codec.compress(x))
    codec.transform_dtype = torch.bfloat16
    seen = []
    for part in (codec.g_a, codec.g_s):
        part[-1].register_forward_hook(
            lambda *args: seen.append(args[-1].dtype))
    stream, = codec.compress(x)
    x_hat = codec.decompress([stream])
    assert seen == [torch.bfloat16] * 2
    assert x_hat.dtype == torch.float32
    assert 0 < (x_hat - exact).abs().mean() < 0.05
    # What the tables depend on is not touched: everyone can decode it.
    assert torch.equal(codecs[name].read(stream), codec.read(stream))


def traces(codec):
    """What a forward pass leaves alone: attributes, memory and its layout."""
    attributes = {
        (name, key): id(value)
        for name, module in codec.named_modules()
        for key, value in vars(module).items() if key != '_cache'
    }
    tensors = {
        key: (id(t), t.data_ptr(), t.stride(), t._version, t.requires_grad)
        for key, t in (*codec.named_parameters(), *codec.named_buffers())
    }
    return attributes, tensors


@every_codec
def test_coding_changes_nothing_in_the_codec(codecs, name, subtests):
    x = smooth_images(1, 64, 128)
    for dtype in (None, torch.bfloat16):
        codec = copy.deepcopy(codecs[name])
        codec.transform_dtype = dtype
        with subtests.test(dtype=dtype):
            before = traces(codec)
            with torch.inference_mode():
                codec(x)
                codec.decompress(codec.compress(x))
            assert traces(codec) == before
            # It learns afterwards.
            codec.train()
            codec(smooth_images(2, 64, 64)).x_hat.square().mean().backward()
            assert any(p.grad is not None for p in codec.g_s.parameters())


@every_codec
def test_threads_that_share_a_codec_decode_right(codecs, name):
    codec = copy.deepcopy(codecs[name])
    codec.transform_dtype = torch.bfloat16
    if getattr(codec.g_s[-1], 'bias', None) is not None:
        torch.nn.init.constant_(codec.g_s[-1].bias, 0.5)
    streams = codec.compress(smooth_images(1, 64, 64)) * 10
    right = codec.decompress(streams[:1])
    wrong = []

    def decode():
        for stream in streams:
            x_hat = codec.decompress([stream])
            if not torch.allclose(x_hat, right, atol=0.01):
                wrong.append((x_hat - right).abs().max().item())

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@every_codec
def test_what_chooses_tables_sees_the_memory_format_of_the_decoder(
        codecs, name, subtests):
    # Another format is another rounding, and now and then another table.
    codec, seen = copy.deepcopy(codecs[name]), []
    for part in codec.entropy_networks:
        codec.get_submodule(part).register_forward_pre_hook(
            lambda module, args: seen.append(args[0].is_contiguous()))
    x = smooth_images(1, 64, 128).to(memory_format=torch.channels_last)
    for dtype in (None, torch.bfloat16):
        with subtests.test(dtype=dtype):
            codec.transform_dtype = dtype
            with torch.no_grad():
                output = codec.encode_latents(x)
            assert all(seen)
            assert output.y_hat.is_contiguous()
