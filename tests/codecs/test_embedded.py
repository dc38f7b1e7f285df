"""Layers of any codec with a Gaussian conditional."""
import copy
import pickle
from dataclasses import replace

import pytest
import torch
from conftest import CODECS, smooth_images, tiny_codec

from mmhmc.bitstream import Bitstream, BitstreamError
from mmhmc.codecs import build_codec
from mmhmc.codecs.latent_search import LatentSearch

OTHERS = ('FactorizedPrior', 'LayeredGenerative', 'ScaleHyperpriorVBR',
          'MeanScaleHyperpriorVBR', 'JointAutoregressiveVBR')
NAMES = [name for name in CODECS if name not in OTHERS]
#: Those whose latent is coded in one step.
ONE_STEP = ('ScaleHyperprior', 'MeanScaleHyperprior')
#: Scales on either side of a level, in all of them.
BY_SCALE = dict(levels=[92, 118], factors=[9, 5, 3])
LAYERS = dict(two=[3], three=[3, 3], by_scale=[BY_SCALE])

every_codec = pytest.mark.parametrize('name', NAMES)
every_number = pytest.mark.parametrize('kind', LAYERS)


@pytest.fixture(scope='module')
def plain():
    """One of each, with one layer; not to be changed."""
    torch.manual_seed(0)
    return {name: tiny_codec(name) for name in NAMES}


def layered(codec, layers):
    """The same codec, in layers."""
    codec = copy.deepcopy(codec)
    codec.layers = layers
    return codec


@every_codec
@every_number
def test_each_number_of_layers_decodes(plain, name, kind):
    codec, x = layered(plain[name], LAYERS[kind]), smooth_images(1, 64, 40)
    stream, = codec.compress(x)
    count = len(LAYERS[kind]) + 1
    assert list(stream.streams) == ['z', *(f'y{j}' for j in range(count))]
    data = stream.to_bytes()
    errors = []
    for layers in range(1, count + 1):
        end = sum(stream.layer_bytes[:layers])
        cut = Bitstream.from_bytes(data[:end])
        x_hat = codec.decompress([cut])
        assert torch.equal(x_hat, codec.decompress([stream], layers=layers))
        assert x_hat.shape == x.shape
        errors.append(codec.read(cut))
    for one, other in zip(errors, errors[1:]):
        assert not torch.equal(one, other)


@every_codec
@every_number
def test_what_is_read_is_what_evaluation_gives(plain, name, kind):
    codec, x = layered(plain[name], LAYERS[kind]), smooth_images(1, 64, 128)
    with torch.no_grad():
        output = codec.encode_latents(x)
    stream, = codec.compress(x)
    assert len(output.y_layers) == len(LAYERS[kind])
    for layers, y_hat in enumerate([*output.y_layers, output.y_hat], 1):
        assert torch.equal(codec.read(stream.keep_layers(layers)), y_hat)


@pytest.mark.parametrize('name', ONE_STEP)
@every_number
def test_all_layers_are_the_latent_of_one_layer(plain, name, kind):
    codec, x = layered(plain[name], LAYERS[kind]), smooth_images(1, 100, 70)
    stream, = codec.compress(x)
    alone, = plain[name].compress(x)
    assert torch.equal(codec.read(stream), plain[name].read(alone))
    # A longer header, and the states of a coder for each layer.
    count = len(LAYERS[kind]) + 1
    assert stream.num_bytes <= alone.num_bytes + 20 * count


@every_codec
def test_each_layer_is_closer_to_the_latent(plain, name):
    codec, x = layered(plain[name], [3, 3]), smooth_images(1, 64, 128)
    with torch.no_grad():
        output = codec.encode_latents(x)
    first, second = ((latent - output.y_hat).square().mean()
                     for latent in output.y_layers)
    assert first > 2 * second > 0


@every_codec
@pytest.mark.parametrize('kind', ['two'])
def test_real_bits_of_each_layer_match_estimated_bits(plain, name, kind):
    codec, x = layered(plain[name], LAYERS[kind]), smooth_images(1, 256, 256)
    with torch.no_grad():
        likelihoods = codec.encode_latents(x).likelihoods
    stream, = codec.compress(x)
    bits = {key: -p.log2().sum().item() for key, p in likelihoods.items()}
    assert bits.keys() == stream.streams.keys()
    for key, payload in stream.streams.items():
        assert abs(8 * len(payload) - bits[key]) <= \
            0.01 * bits[key] + 8 * 24, key
    assert bits['y1'] > 1000


@pytest.mark.parametrize('name',
                         [name for name in NAMES if name not in ONE_STEP])
def test_enhancement_is_predicted_from_itself(plain, name, monkeypatch):
    codec, x = layered(plain[name], [3]), smooth_images(1, 64, 128)
    monkeypatch.setattr(codec, 'portable', False)
    predict, seen = codec.predict_given, []

    def spied(params, y_hat):
        seen.append((params, y_hat, predict(params, y_hat)))
        return seen[-1][-1]

    monkeypatch.setattr(codec, 'predict_given', spied)
    with torch.no_grad():
        output = codec.encode_latents(x)
        (params, y_hat, fine), = seen
        coarse = predict(params, output.y_layers[0])
    assert torch.equal(y_hat, output.y_hat)
    assert not torch.equal(fine[0], coarse[0])
    assert not torch.equal(fine[1], coarse[1])


# The contract of every codec, in layers.


@every_codec
@pytest.mark.parametrize('size', [(1, 1), (131, 3)])
def test_image_of_any_size_is_decoded(plain, name, size):
    codec, x = layered(plain[name], [3]), smooth_images(1, *size)
    stream, = codec.compress(x)
    for layers in (1, 2):
        x_hat = codec.decompress([stream], layers=layers)
        assert x_hat.shape == x.shape
        assert x_hat.min() >= 0 and x_hat.max() <= 1


@every_codec
def test_stream_is_exact_in_channels_last_and_under_autocast(plain, name):
    codec = layered(plain[name], [3]).to(memory_format=torch.channels_last)
    x = smooth_images(1, 64, 128).to(memory_format=torch.channels_last)
    for enabled in (False, True):
        with torch.no_grad(), torch.autocast(
                'cpu', torch.bfloat16, enabled=enabled):
            output = codec.encode_latents(x)
            stream, = codec.compress(x)
            assert torch.equal(codec.read(stream), output.y_hat)
            assert torch.equal(
                codec.read(stream.keep_layers(1)), output.y_layers[0])


@every_codec
def test_image_is_coded_alike_alone_and_in_a_batch(plain, name):
    codec, x = layered(plain[name], [3]), smooth_images(2, 64, 64)
    together = codec.compress(x)
    assert together[1:] == codec.compress(x[1:])
    with torch.no_grad():
        batch = codec.encode_latents(x)
    for one, latent in zip(together, batch.y_hat.split(1)):
        assert torch.equal(codec.read(one), latent)


@every_codec
def test_codec_in_layers_has_the_weights_of_one_in_one_layer(plain, name):
    codec = layered(plain[name], [3])
    assert codec.weights_hash() == plain[name].weights_hash()
    assert codec.state_dict().keys() == plain[name].state_dict().keys()
    for other in (copy.deepcopy(codec), pickle.loads(pickle.dumps(codec))):
        assert other.layers == (3, )
        x = smooth_images(1, 64, 64)
        assert other.compress(x) == codec.compress(x)


@every_codec
def test_stream_in_floating_point_is_read(plain, name):
    codec = layered(plain[name], [3])
    codec.portable = False
    with torch.no_grad():
        output = codec.encode_latents(smooth_images(1, 64, 64))
    stream = codec.write(output, (64, 64))
    assert stream.device is not None
    codec.portable = True
    assert torch.equal(codec.read(stream), output.y_hat)


@every_codec
def test_latent_that_is_searched_is_coded_in_layers(plain, name):
    codec, x = layered(plain[name], [3]), smooth_images(1, 64, 64)
    search = LatentSearch()
    with search.active(), torch.no_grad():
        codec.encode_latents(x)
        search.latents['y'] = search.latents['y'] + 1
        stream, = codec.compress(x)
    assert stream != codec.compress(x)[0]
    assert list(stream.streams) == ['z', 'y0', 'y1']
    assert codec.read(stream).isfinite().all()


def test_tables_are_missed_by_a_codec_in_layers():
    codec = build_codec(
        dict(
            type='mmhmc.MeanScaleHyperprior',
            layers=[3],
            **CODECS['MeanScaleHyperprior'])).eval()
    with pytest.raises(RuntimeError, match='update_entropy_tables'):
        codec.compress(smooth_images(1, 64, 64))


# Other codecs' files.


@pytest.mark.parametrize('name', ONE_STEP + ('ELIC', ))
@pytest.mark.parametrize('layers', [[5, 3], [3, BY_SCALE]])
def test_codec_with_other_layers_or_none_decodes_the_file(plain, name, layers):
    codec, x = layered(plain[name], layers), smooth_images(1, 64, 64)
    stream, = codec.compress(x)
    expected = codec.decompress([stream])
    for other in (plain[name], layered(plain[name], [3])):
        before = other.layers
        assert torch.equal(other.decompress([stream]), expected)
        assert other.layers == before


@pytest.mark.parametrize('name', ONE_STEP + ('ELIC', ))
def test_files_in_one_layer_are_read_by_a_codec_in_layers(plain, name):
    x = smooth_images(1, 64, 64)
    stream, = plain[name].compress(x)
    assert torch.equal(
        layered(plain[name], [3]).read(stream), plain[name].read(stream))


# Factors of channels.


@every_codec
def test_channels_may_have_factors_of_their_own(plain, name):
    factors = [1, 3, 5, 3] * (plain[name].latent_channels // 4)
    codec, x = layered(plain[name], [factors]), smooth_images(1, 64, 128)
    with torch.no_grad():
        output = codec.encode_latents(x)
    stream, = codec.compress(x)
    assert torch.equal(codec.read(stream), output.y_hat)
    base = codec.read(stream.keep_layers(1))
    assert torch.equal(base, output.y_layers[0])
    difference = (base - output.y_hat).abs().amax((0, 2, 3))
    # What has the factor 1 is in the base.
    assert not difference[::4].any()
    assert difference[1::4].any() and difference[2::4].any()
    with pytest.raises(BitstreamError, match='not those of this codec'):
        plain[name].decompress([stream])
    with pytest.raises(BitstreamError, match='not those of this codec'):
        layered(plain[name], [factors[::-1]]).decompress([stream])


# Factors by the scale.


def test_scale_chooses_the_factor(plain):
    codec = layered(plain['MeanScaleHyperprior'],
                    [dict(levels=[118], factors=[1, 5])])
    x = smooth_images(1, 64, 128)
    symbols = plain['MeanScaleHyperprior'].encode_latents(x).symbols['y']
    output = codec.encode_latents(x)
    is_fine = symbols.indexes < 118
    distance = (output.y_layers[0] - output.y_hat).flatten().abs()
    assert not distance[is_fine].any()
    assert distance[~is_fine].any()


def test_levels_and_channels_may_both_have_factors(plain):
    factors = [1, 3, 5, 3] * (plain['ELIC'].latent_channels // 4)
    codec = layered(plain['ELIC'], [BY_SCALE, factors])
    x = smooth_images(1, 64, 64)
    with torch.no_grad():
        output = codec.encode_latents(x)
    stream, = codec.compress(x)
    for layers, y_hat in enumerate([*output.y_layers, output.y_hat], 1):
        assert torch.equal(codec.read(stream.keep_layers(layers)), y_hat)
    with pytest.raises(BitstreamError, match='not those of this codec'):
        plain['ELIC'].decompress([stream])


# Training.


@every_codec
@pytest.mark.parametrize('layers', [[3], [3, 5], [BY_SCALE]])
def test_training_gives_latents_rates_and_gradients_of_all_layers(
        name, layers):
    codec = build_codec(
        dict(type=f'mmhmc.{name}', layers=layers, **CODECS[name]))
    x = smooth_images(2, 64, 64)
    output = codec(x)
    assert len(output.y_layers) == len(layers)
    assert output.likelihoods.keys() == {
        'z', *(f'y{j}' for j in range(len(layers) + 1))
    }
    for likelihoods in output.likelihoods.values():
        assert (likelihoods > 0).all() and (likelihoods <= 1).all()
    base = codec.decode_latents(output.y_layers[0])
    rate = -output.likelihoods['y0'].log2().sum()
    (rate + base.square().sum()).backward(retain_graph=True)
    gradient = codec.g_a[-1].weight.grad if hasattr(
        codec.g_a[-1], 'weight') else next(codec.g_a.parameters()).grad
    assert gradient is not None and gradient.any()


@every_codec
def test_estimate_of_a_frozen_codec_is_close_to_the_stream(plain, name):
    codec, x = layered(plain[name], [3]), smooth_images(2, 64, 128)
    with torch.no_grad():
        estimate, exact = codec.estimate_latents(x), codec.encode_latents(x)
    for one, other in ((estimate.y_layers[0], exact.y_layers[0]),
                       (estimate.y_hat, exact.y_hat)):
        assert one.shape == other.shape
        assert ((one - other).abs() > 0.1).float().mean() < 0.1
    assert not estimate.symbols


def test_base_is_a_mean_of_its_integers_not_a_centre(plain):
    codec = layered(plain['ScaleHyperprior'], [5])
    y_base = codec.encode_latents(smooth_images(1, 64, 128)).y_layers[0]
    distance = (y_base / 5 - (y_base / 5).round()).abs() * 5
    # Means are zero, and probable integers lie towards them.
    assert (distance > 0.05).any()
    assert (y_base.abs() <= 5 * (y_base / 5).round().abs() + 1 / 256).all()


# What is refused.


@pytest.mark.parametrize('layers, match', [
    ([2], 'must be odd integers from 3 to 255'),
    ([3, 4], 'must be odd integers'),
    ([1], 'must be odd integers'),
    ([0], 'must be odd integers'),
    ([-3], 'must be odd integers'),
    ([257], 'must be odd integers'),
    ([3.5], 'must be odd integers'),
    (['3'], 'must be odd integers'),
    (3, '`layers` must be a list'),
    ('33', '`layers` must be a list'),
    ([[1] * 8], 'must be odd integers'),
    ([[3] * 7], '7 factors for the 8 channels'),
    ([[3] * 7 + [2]], 'must be odd integers'),
    ([255, 255], 'multiply to 65025'),
    ([dict(levels=[9], factors=[5, 4])], 'must be odd integers'),
    ([dict(levels=[9], factors=[1, 1])], 'must be odd integers'),
    ([dict(levels=[9], factors=[5])], '1 levels need one factor more'),
    ([dict(levels=[9, 9], factors=[5, 3, 3])], 'must be rising integers'),
    ([dict(levels=[0], factors=[5, 3])], 'must be rising integers'),
    ([dict(levels=[256], factors=[5, 3])], 'must be rising integers'),
    ([dict(levels=[0.5], factors=[5, 3])], 'must be rising integers'),
    ([dict(levels=[], factors=[3])], 'must be rising integers'),
    ([dict(scales=[9], factors=[5, 3])], 'a dict of `levels` and `factors`'),
    ([dict(levels=range(1, 17), factors=[3] * 17)], '16 levels at which'),
    ([255, dict(levels=[9], factors=[1, 255])], 'multiply to 65025'),
])
def test_factors_that_cannot_be_are_refused(layers, match):
    with pytest.raises(ValueError, match=match):
        build_codec(
            dict(
                type='mmhmc.MeanScaleHyperprior',
                layers=layers,
                **CODECS['MeanScaleHyperprior']))


@pytest.mark.parametrize('name', OTHERS)
def test_codec_without_integers_to_split_is_refused(name):
    codec = build_codec(dict(type=f'mmhmc.{name}', **CODECS[name]))
    with pytest.raises(ValueError, match=f'{name} cannot code its latent in'):
        codec.layers = [3]


def test_file_without_its_base_is_refused(plain):
    codec = layered(plain['MeanScaleHyperprior'], [3])
    stream, = codec.compress(smooth_images(1, 64, 64))
    with pytest.raises(BitstreamError, match="cut before stream 'y0'"):
        codec.decompress([stream.keep(1)])
    names = {k: v for k, v in stream.streams.items() if k != 'y0'}
    with pytest.raises(BitstreamError, match='reads the streams'):
        codec.decompress([replace(stream, streams=names)])


def test_enhancement_of_another_image_is_refused(plain):
    codec = layered(plain['MeanScaleHyperprior'], [3])
    x = smooth_images(1, 64, 64)
    one, other = codec.compress([x[0], 1 - x[0]])
    base, rest = one.split(1)
    assert base.join(rest) == one
    with pytest.raises(BitstreamError, match='are of another file'):
        base.join(other.split(1)[1])


@every_codec
def test_damaged_layers_end_in_a_typed_error_or_an_image(plain, name):
    codec = layered(plain[name], [3])
    stream, = codec.compress(smooth_images(1, 64, 64))
    generator = torch.Generator().manual_seed(0)
    refused = 0
    for key in ('y0', 'y1'):
        payload = stream.streams[key]
        for _ in range(30):
            damaged = bytearray(payload)
            at = int(torch.randint(len(payload), (1, ), generator=generator))
            damaged[at] ^= 1 << int(
                torch.randint(8, (1, ), generator=generator))
            if torch.rand(1, generator=generator) < 0.3:
                del damaged[at:]
            wrong = replace(
                stream, streams={
                    **stream.streams, key: bytes(damaged)
                })
            try:
                y_hat = codec.read(wrong)
            except BitstreamError:
                refused += 1
            else:
                assert y_hat.isfinite().all()
    assert refused > 30


def test_every_layer_note_is_read_or_refused(plain):
    codec = layered(plain['MeanScaleHyperprior'], [3])
    stream, = codec.compress(smooth_images(1, 64, 64))
    payload = stream.streams['y0']
    assert payload[:2] == b'\1\3'
    for note in (b'', b'\0', b'\0\1\2\3\4', b'\1', b'\1\2', b'\1\1', b'\2\3\4',
                 b'\2\xff\xff', b'\xff' + b'\3' * 255, b'\2\3\3', b'\1\5',
                 b'\xff', b'\xff\0', b'\xff\1\0\3', b'\xff\1\1\x09\3',
                 b'\xff\1\1\x09\2\3', b'\xff\1\2\x09\x08\3\3\5',
                 b'\xff\2\0\3\1\x09\5\3', b'\xff\1\1\x09\5\7'):
        wrong = replace(
            stream, streams={
                **stream.streams, 'y0': note + payload[2:]
            })
        with pytest.raises(BitstreamError):
            codec.read(wrong)
