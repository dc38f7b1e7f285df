"""What holds for every codec; a codec is a row of the table in conftest."""
import copy
import pickle
import re
from dataclasses import replace

import compressai.models
import pytest
import torch
from conftest import (CODECS, coded_channels, first_layer, last_layers,
                      mean_networks, scale_biases, scale_networks,
                      smooth_images, tiny_codec)
from torch import nn

from mmhmc.bitstream import Bitstream, BitstreamError, encode_symbols
from mmhmc.codecs import build_codec
from mmhmc.functional import count_bits, crop_to, extend_edges, padded_size
from mmhmc.part_weights import load_part
from mmhmc.structures import CodingCondition

SIZES = [(1, 1), (17, 65), (64, 64), (100, 70), (100, 170), (1, 130), (131, 3)]
NETWORKS = dict(
    FactorizedPrior=compressai.models.FactorizedPrior,
    ScaleHyperprior=compressai.models.ScaleHyperprior,
    MeanScaleHyperprior=compressai.models.MeanScaleHyperprior,
    JointAutoregressive=compressai.models.
    JointAutoregressiveHierarchicalPriors,
    Cheng2020Anchor=compressai.models.Cheng2020Anchor,
    Cheng2020Attention=compressai.models.Cheng2020Attention)
#: Those with one gain for all channels, and CompressAI's networks.
GAINED = dict(
    ScaleHyperpriorVBR=compressai.models.ScaleHyperpriorVbr,
    MeanScaleHyperpriorVBR=compressai.models.MeanScaleHyperpriorVbr,
    JointAutoregressiveVBR=compressai.models.
    JointAutoregressiveHierarchicalPriorsVbr)
#: Those that round in training, with a straight-through gradient.
ROUNDING = ('DCVCUFIntra', 'ELIC', 'LayeredGenerative', 'MPA', 'MRIC',
            'TinyLIC', *GAINED)
#: Those with run-time controls.
CONDITIONAL = ('DCVCUFIntra', 'MPA', 'MRIC', *GAINED)
#: Those with a stream beside that of the latent and its hyperprior.
LAYERED = ('LayeredGenerative', )
SERIAL = ('JointAutoregressive', 'Cheng2020Anchor', 'Cheng2020Attention')
#: Those that have several rates, whatever is asked.
VARIABLE = ('DCVCUFIntra', 'MPA', *GAINED)
#: Those where all images of a batch have one quality.
ALIKE = ('MPA', )
HYPER = tuple(name for name in CODECS if name != 'FactorizedPrior')

every_codec = pytest.mark.parametrize('name', CODECS)
every_codec_with_quantiles = pytest.mark.parametrize(
    'name', [name for name in CODECS if name != 'DCVCUFIntra'])
every_hyper_codec = pytest.mark.parametrize('name', HYPER)
every_codec_that_may_vary = pytest.mark.parametrize(
    'name', [name for name in CODECS if name not in VARIABLE])
every_codec_of_compressai = pytest.mark.parametrize('name', NETWORKS)


def fresh(name, **kwargs):
    """As it is built: training mode, no tables."""
    return build_codec(dict(type=f'mmhmc.{name}', **CODECS[name], **kwargs))


def at(quality):
    return CodingCondition(quality=quality)


def network_of(name):
    """CompressAI's own, of the same size."""
    return NETWORKS[name](*CODECS[name].values())


def padded(codec, x):
    size = tuple(x.shape[-2:])
    return extend_edges(x, [size] * len(x),
                        padded_size(size, codec.downsampling_factor))


def objective(output, x):
    rate = sum(-p.log2().sum() for p in output.likelihoods.values())
    return rate / x.numel() + 255**2 * (output.x_hat - x).square().mean()


# Shapes and sizes.


@every_codec
def test_reconstruction_and_likelihoods_have_the_documented_shapes(
        codecs, name):
    codec, x = codecs[name], smooth_images(2, 64, 128)
    with torch.no_grad():
        output = codec(x)
    factor = 16
    assert output.x_hat.shape == x.shape
    m = codec.latent_channels
    assert output.y_hat.shape == (2, m, 64 // factor, 128 // factor)
    shapes = {k: tuple(p.shape) for k, p in output.likelihoods.items()}
    expected = dict(y=(2, coded_channels(codec), 4, 8))
    if name in HYPER:
        expected['z'] = (2, codec.entropy_bottleneck.channels, 1, 2)
    if name in LAYERED:
        expected['t'] = (2, codec.texture_channels, 1, 1)
    assert shapes == expected


@every_codec
def test_likelihoods_lie_between_zero_and_one(codecs, name, subtests):
    codec = copy.deepcopy(codecs[name])
    for training in (True, False):
        output = codec.train(training)(smooth_images(1, 64, 64))
        for key, likelihoods in output.likelihoods.items():
            with subtests.test(key, training=training):
                assert likelihoods.dtype == torch.float32
                assert (likelihoods > 0).all() and (likelihoods <= 1).all()


@every_codec
def test_decoded_image_is_that_of_evaluation_at_any_size(
        codecs, name, subtests):
    codec = codecs[name]
    for size in SIZES:
        with subtests.test(size=size):
            x = smooth_images(2, *size)
            streams = codec.compress(x)
            assert [s.size for s in streams] == [size, size]
            x_hat = codec.decompress(streams)
            assert x_hat.shape == x.shape
            assert x_hat.min() >= 0 and x_hat.max() <= 1
            with torch.no_grad():
                output = codec(padded(codec, x[:1]))
            stream = Bitstream.from_bytes(streams[0].to_bytes())
            assert torch.equal(codec.read(stream), output.y_hat)
            assert torch.equal(
                codec.decompress([stream]),
                crop_to(output.x_hat, size).clamp(0, 1))


# Streams.


def with_another_encoder(codec):
    other = copy.deepcopy(codec)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            if name.split('.')[0] in codec.encoder_parts:
                parameter.mul_(1 + 0.2 * torch.rand_like(parameter))
    return other


@every_codec
def test_files_of_another_encoder_are_read_and_shown_by_the_codec(
        codecs, name):
    codec = codecs[name]
    other, x = with_another_encoder(codec), smooth_images(1, 64, 64)
    stream, = other.compress(x)
    assert stream.to_bytes() != codec.compress(x)[0].to_bytes()
    assert torch.equal(codec.read(stream), other.read(stream))
    assert torch.equal(codec.decompress([stream]), other.decompress([stream]))


@every_codec
def test_stream_is_exact_in_channels_last(codecs, name, subtests):
    # Kernels are chosen by strides; those of 1x1 latents are ambiguous.
    codec = copy.deepcopy(codecs[name]).to(memory_format=torch.channels_last)
    for size in ((64, 64), (64, 128), (128, 192)):
        with subtests.test(size=size):
            x = smooth_images(1, *size).to(memory_format=torch.channels_last)
            with torch.no_grad():
                output = codec(x)
            stream, = codec.compress(x)
            assert torch.equal(codec.read(stream), output.y_hat)


@every_codec
def test_stream_is_exact_under_autocast(codecs, name):
    codec, x = codecs[name], smooth_images(1, 64, 128)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        output = codec(x)
        stream, = codec.compress(x)
        assert torch.equal(codec.read(stream), output.y_hat)


@every_codec
def test_image_is_coded_alike_alone_and_in_a_batch(codecs, name):
    codec, x = codecs[name], smooth_images(3, 64, 64)
    together = codec.compress(x)
    assert together[1:2] == codec.compress(x[1:2])
    assert together[0] != together[1]


@every_codec
def test_real_bits_match_estimated_bits(codecs, name):
    codec, x = codecs[name], smooth_images(1, 256, 256)
    with torch.no_grad():
        likelihoods = codec.encode_latents(x).likelihoods
    stream, = codec.compress(x)
    bits = {key: -p.log2().sum().item() for key, p in likelihoods.items()}
    # Latents that cost nothing would make this easy.
    assert bits['y'] > 4000
    for key, payload in stream.streams.items():
        assert abs(8 * len(payload) - bits[key]) <= \
            0.005 * bits[key] + 8 * 16, key
    total = sum(bits.values())
    assert abs(8 * stream.num_bytes - total) <= 0.01 * total + 8 * 64


@every_hyper_codec
def test_symbols_drawn_from_the_gaussian_model_cost_their_entropy(name):
    codec = tiny_codec(name)
    # Scales that depend on nothing, and means of 0, so that y can be drawn.
    m = coded_channels(codec)
    scales = torch.tensor([0.2, 0.5, 1., 2., 4., 7., 20., 60.] * (m // 8))
    for layer in last_layers(scale_networks(codec) + mean_networks(codec)):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    scales.clamp_(max=codec.gaussian_conditional.scale_table[-1].item())
    biases = scale_biases(codec)
    # Where networks share channels, those of each are the same.
    every = scales.repeat(sum(map(len, biases)) // m)
    for bias, part in zip(biases, every.split([len(b) for b in biases])):
        bias.copy_(part)
    y = scales[:, None, None] * torch.randn(1, m, 32, 32)
    with torch.no_grad():
        output = codec.quantise_latent(y)
    bits = -output.likelihoods['y'].log2().sum().item()
    payload = encode_symbols(output.symbols['y'], codec.entropy_tables()['y'])
    assert bits > 20000
    # No code beats its own model on data drawn from it, but for the luck of
    # the draw.
    assert bits - 16 <= 8 * len(payload) <= 1.0005 * bits + 8 * 32


@pytest.mark.parametrize(
    'name', [name for name in CODECS if name not in ('DCVCUFIntra', *GAINED)])
def test_symbols_drawn_from_the_factorised_model_cost_their_entropy(name):
    codec = tiny_codec(name)
    bottleneck = codec.entropy_bottleneck
    c = bottleneck.channels
    # Inverse of the cumulative: z is continuous, rounding makes symbols.
    with torch.no_grad():
        z = bottleneck._search_target(
            lambda v: bottleneck._logits_cumulative(v, stop_gradient=True),
            torch.rand(c, 1, 32 * 32).logit(), torch.full((c, 1, 1), -1e5),
            torch.full((c, 1, 1), 1e5))
        z = z.view(1, c, 32, 32)
        _, likelihoods = bottleneck(z)
    bits = -likelihoods.log2().sum().item()
    tables = codec.entropy_tables()
    payload = encode_symbols(
        codec.bottleneck_symbols(z), tables['z' if 'z' in tables else 'y'])
    assert bits > 20000
    # The tail of 400 symbols, each at the smallest frequency, costs 0.3 %.
    assert bits - 16 <= 8 * len(payload) <= 1.005 * bits + 8 * 12


@every_codec
def test_rate_counts_pixels_of_the_unpadded_image(codecs, name):
    codec, x = codecs[name], smooth_images(1, 70, 60)
    target = padded_size((70, 60), codec.downsampling_factor)
    with torch.no_grad():
        likelihoods = codec.encode_latents(padded(codec, x)).likelihoods
    everything = count_bits(likelihoods, [target], target)
    # In the latents 70x60 touches 5x4 positions of y, and 2x1 of z.
    by_hand = -likelihoods['y'][..., :5, :4].log2().sum()
    if name in HYPER:
        by_hand = by_hand - likelihoods['z'][..., :2, :1].log2().sum()
    if name in LAYERED:
        by_hand = by_hand - likelihoods['t'].log2().sum()
    bits = count_bits(likelihoods, [(70, 60)], target)
    torch.testing.assert_close(bits, by_hand[None])
    if name in HYPER:
        assert bits < everything


@every_codec
def test_compress_without_tables_is_refused(name):
    codec = fresh(name).eval()
    with pytest.raises(RuntimeError, match='update_entropy_tables'):
        codec.compress(smooth_images(1, 64, 64))


@every_codec
def test_compress_in_training_mode_is_refused(name):
    codec = fresh(name)
    codec.update_entropy_tables()
    with pytest.raises(RuntimeError, match=r'call `codec\.eval\(\)`'):
        codec.compress(smooth_images(1, 64, 64))


# Training.


@every_codec
def test_task_loss_reaches_g_a(name):
    codec = fresh(name)
    codec(smooth_images(2, 64, 64)).x_hat.mean().backward()
    gradients = {key: p.grad for key, p in codec.g_a.named_parameters()}
    silent = [
        key for key, gradient in gradients.items()
        if gradient is None or not gradient.any()
    ]
    # In a tiny attention block all four units of a ReLU may be off.
    assert len(silent) <= len(gradients) // 20, silent


@every_codec
def test_rate_reaches_the_entropy_models(name):
    codec = fresh(name)
    x = smooth_images(2, 64, 64)
    objective(codec(x), x).backward()
    silent = [
        key for key, p in codec.named_parameters()
        if p.requires_grad and p.grad is None
    ]
    assert silent == []


@every_codec_with_quantiles
@pytest.mark.parametrize('frozen', [False, True])
def test_main_loss_never_reaches_the_quantiles(name, frozen):
    codec = fresh(name)
    codec.g_s.requires_grad_(not frozen)
    # They need no gradient; were they to ask, there would be none for them.
    quantiles = codec.entropy_bottleneck.quantiles.requires_grad_()
    x = smooth_images(2, 64, 64)
    objective(codec(x), x).backward()
    assert quantiles.grad is None
    assert all(p.grad is not None for p in codec.g_a.parameters())


@every_codec_with_quantiles
def test_quantiles_never_require_a_gradient(name):
    codec = fresh(name)
    before = codec.entropy_bottleneck.quantiles.clone()
    assert not before.requires_grad
    codec.load_state_dict(fresh(name).state_dict())
    codec.update_entropy_tables()
    for one in (codec, copy.deepcopy(codec),
                pickle.loads(pickle.dumps(codec))):
        assert not one.entropy_bottleneck.quantiles.requires_grad
        assert not torch.equal(one.entropy_bottleneck.quantiles, before)


@pytest.mark.parametrize('name',
                         [name for name in CODECS if name not in ROUNDING])
def test_quantisation_is_noise_while_training_only(codecs, name):
    codec, x = copy.deepcopy(codecs[name]), smooth_images(1, 64, 64)
    with torch.no_grad():
        assert torch.equal(codec(x).y_hat, codec(x).y_hat)
        codec.train()
        one, other = codec(x).y_hat, codec(x).y_hat
        y = codec.g_a(x)
    assert not torch.equal(one, other)
    assert (one - y).abs().max() <= 0.5 + 1e-5


@every_codec
@pytest.mark.parametrize('training', [True, False])
def test_entropy_models_compute_in_float32_under_autocast(
        codecs, name, training):
    codec = copy.deepcopy(codecs[name]).train(training)
    seen = []
    codec.g_a[-1].register_forward_hook(
        lambda *args: seen.append(args[-1].dtype))
    with torch.autocast('cpu', torch.bfloat16):
        output = codec(smooth_images(1, 64, 64))
    assert seen == [torch.bfloat16]
    assert output.x_hat.dtype == output.y_hat.dtype == torch.float32
    for likelihoods in output.likelihoods.values():
        assert likelihoods.dtype == torch.float32
        assert likelihoods.isfinite().all() and (likelihoods > 0).all()


# Weights.


@every_codec
def test_state_dict_round_trip_is_strict_and_keeps_tables(codecs, name):
    codec, x = codecs[name], smooth_images(1, 64, 64)
    state = codec.state_dict()
    other = fresh(name).eval()
    other.load_state_dict(state, strict=True)
    assert other.state_dict().keys() == state.keys()
    for key, value in other.state_dict().items():
        assert torch.equal(value, state[key]), key
    assert other.compress(x) == codec.compress(x)


def respelt(state, spelling):
    """Weights as a version of CompressAI names them."""
    plural = dict(matrix='matrices', bias='biases', factor='factors')
    renamed = {}
    for key, value in state.items():
        found = re.fullmatch(r'(.*bottleneck\.)_?(matri|bias|factor)\D*(\d)',
                             key)
        if found:
            kind = next(k for k in plural if k.startswith(found[2]))
            kind = plural[kind] if '.' in spelling else kind
            key = found[1] + spelling.format(kind, found[3])
        renamed[key] = value
    return renamed


@every_codec
def test_weights_load_in_every_spelling_of_compressai(codecs, name, subtests):
    state = codecs[name].state_dict()
    for spelling in ('_{}{}', '{}.{}', '_{}.{}'):
        with subtests.test(spelling):
            other = fresh(name).eval()
            other.load_state_dict(respelt(state, spelling), strict=True)
            for key, value in other.state_dict().items():
                assert torch.equal(value, state[key]), key


@every_codec
def test_tables_of_another_size_are_replaced(codecs, name):
    state = codecs[name].state_dict()
    other = fresh(name).eval()
    # A wider density has longer tables.
    first_layer(other.entropy_bottleneck, 'matri').data.sub_(2)
    other.update_entropy_tables()
    key = 'entropy_bottleneck._quantized_cdf'
    assert other.state_dict()[key].shape != state[key].shape
    other.load_state_dict(state, strict=True)
    x = smooth_images(1, 64, 64)
    assert other.compress(x) == codecs[name].compress(x)


@every_codec
def test_weights_without_tables_leave_none_behind(codecs, name):
    codec = copy.deepcopy(codecs[name])
    codec.load_state_dict(fresh(name).state_dict(), strict=True)
    with pytest.raises(RuntimeError, match='no entropy tables yet'):
        codec.compress(smooth_images(1, 64, 64))


@every_codec_of_compressai
@pytest.mark.parametrize('updated', [False, True])
def test_compressai_weights_load_with_no_renaming(name, updated):
    network = network_of(name)
    if updated:
        network.update(force=True, update_quantiles=True)
    state = network.state_dict()
    codec = fresh(name).eval()
    codec.load_state_dict(state, strict=True)
    for key, value in codec.state_dict().items():
        assert torch.equal(value, state[key]), key
    if updated:
        x = smooth_images(1, 64, 64)
        assert codec.decompress(codec.compress(x)).shape == x.shape


@pytest.mark.parametrize('name',
                         [name for name in NETWORKS if name not in SERIAL])
def test_eval_forward_equals_compressai(codecs, name):
    codec, x = copy.deepcopy(codecs[name]), smooth_images(2, 64, 128)
    # CompressAI has no integers.
    codec.portable = False
    network = network_of(name).eval()
    network.load_state_dict(codec.state_dict())
    with torch.no_grad():
        output, expected = codec(x), network(x)
    assert torch.equal(output.x_hat, expected['x_hat'])
    assert output.likelihoods.keys() == expected['likelihoods'].keys()
    for key, likelihoods in output.likelihoods.items():
        assert torch.equal(likelihoods, expected['likelihoods'][key])


@every_codec_of_compressai
def test_training_forward_equals_compressai(name):
    codec, network = fresh(name), network_of(name)
    network.load_state_dict(codec.state_dict())
    x = smooth_images(2, 64, 64)
    torch.manual_seed(3)
    output = codec(x)
    torch.manual_seed(3)
    expected = network(x)
    torch.testing.assert_close(output.x_hat, expected['x_hat'])
    for key, likelihoods in output.likelihoods.items():
        torch.testing.assert_close(likelihoods, expected['likelihoods'][key])


@pytest.mark.parametrize('name', GAINED)
@pytest.mark.parametrize('quality', [1, 2, 5, 8, 3.5])
def test_eval_forward_with_one_gain_equals_compressai(codecs, name, quality):
    codec, x = copy.deepcopy(codecs[name]), smooth_images(2, 64, 128)
    codec.portable = False
    varies = codec.varies_hyper_step
    network = GAINED[name](8, 8, **dict(vr_entbttlnck=True) if varies else {})
    weights = {
        key: value
        for key, value in codec.state_dict().items() if '_cdf' not in key
        and '_offset' not in key and 'scale_table' not in key
    }
    nn.Module.load_state_dict(network.eval(), weights, strict=False)
    # CompressAI's index of the rate, or the gain itself.
    rate = dict(s=int(quality) - 1)
    if quality == 3.5:
        rate['inputscale'] = (network.Gain[2] * network.Gain[3]).sqrt()
    with torch.no_grad():
        output, expected = codec(x, at(quality)), network(x, **rate)
    assert not torch.equal(output.y_hat, codec(x).y_hat) or quality == 8
    torch.testing.assert_close(output.x_hat, expected['x_hat'])
    torch.testing.assert_close(output.likelihoods['y'],
                               expected['likelihoods']['y'])
    # CompressAI's forward counts the mass of an interval of 1 whatever the
    # step of z; its tables do not.
    expected = expected['likelihoods']['z']
    if varies:
        step = codec.hyper_step_at(quality).flatten()[0]
        bottleneck = network.entropy_bottleneck
        z = codec.hyper_analysis(codec.g_a(x))
        values = bottleneck(z, qs=step)[0].transpose(0, 1).reshape(8, 1, -1)
        expected = bottleneck._likelihood_variable(values, qs=step)[0]
        expected = bottleneck.likelihood_lower_bound(expected)
        expected = expected.reshape(8, 2, 1, 2).transpose(0, 1)
    torch.testing.assert_close(output.likelihoods['z'], expected)


@pytest.mark.parametrize('name', SERIAL)
def test_wavefronts_give_the_latents_of_the_serial_decoder(codecs, name):
    codec, x = codecs[name], smooth_images(1, 64, 128)
    network = network_of(name).eval()
    network.load_state_dict(codec.state_dict())
    decoded = []
    network.g_s.register_forward_pre_hook(
        lambda module, args: decoded.append(args[0]))
    with torch.no_grad():
        coded = network.compress(x)
        network.decompress(coded['strings'], coded['shape'])
        output = codec.encode_latents(x)
    torch.testing.assert_close(output.y_hat, decoded[0], rtol=1e-5, atol=1e-4)
    # CompressAI rounds scales up, we take the nearest: no more bytes.
    stream, = codec.compress(x)
    assert len(stream.streams['y']) <= len(coded['strings'][0][0]) + 4


# Several rates.


@every_codec
def test_stream_of_any_quality_decodes_to_what_was_coded(
        variable, name, subtests):
    codec, x = variable[name], smooth_images(1, 64, 128)
    for quality in (1, 2.5, 2.99609375, 3):
        with subtests.test(quality=quality):
            with torch.no_grad():
                output = codec(x, at(quality))
            stream, = codec.compress(x, at(quality))
            stream = Bitstream.from_bytes(stream.to_bytes())
            assert stream.quality == quality
            # Whoever reads a file need not know.
            assert torch.equal(codec.read(stream), output.y_hat)
            assert torch.equal(
                codec.decompress([stream]), output.x_hat.clamp(0, 1))


@every_codec
def test_quality_changes_latent_and_image(variable, name):
    codec, x = variable[name], smooth_images(1, 64, 64)
    with torch.no_grad():
        low, high = (codec(x, at(q)) for q in (2, 2.5))
        again = codec.decode_latents(low.y_hat, at(2.5))
    assert not torch.equal(low.y_hat, high.y_hat)
    # With one gain for all channels the latent is without it.
    assert torch.equal(again, low.x_hat) == (name in GAINED)


@pytest.mark.parametrize('name', CODECS)
def test_files_of_other_gains_of_the_encoder_are_read_by_the_codec(
        variable, name):
    codec = variable[name]
    other = with_another_encoder(codec)
    stream, = other.compress(smooth_images(1, 64, 64), at(2))
    assert torch.equal(codec.decompress([stream]), other.decompress([stream]))


@every_codec
def test_without_a_quality_it_is_the_highest(variable, name):
    codec, x = variable[name], smooth_images(1, 64, 64)
    stream, = codec.compress(x)
    assert stream == codec.compress(x, at(codec.num_qualities))[0]
    assert stream.quality == codec.num_qualities


@pytest.mark.parametrize('name',
                         [name for name in CODECS if name not in ALIKE])
def test_images_of_a_batch_have_qualities_of_their_own(variable, name):
    codec, x = variable[name], smooth_images(3, 64, 64)
    qualities = (1, 2.5, 3)
    with torch.no_grad():
        together = codec(x, at(qualities))
        for i, quality in enumerate(qualities):
            alone = codec(x[i:i + 1], at(quality))
            torch.testing.assert_close(
                together.x_hat[i:i + 1], alone.x_hat, rtol=1e-3, atol=1e-3)
            for key, likelihoods in alone.likelihoods.items():
                torch.testing.assert_close(
                    together.likelihoods[key][i:i + 1],
                    likelihoods,
                    rtol=1e-3,
                    atol=1e-6)


@pytest.mark.parametrize('name', ALIKE)
def test_qualities_of_a_batch_are_refused_where_they_must_be_one(
        variable, name):
    with pytest.raises(ValueError, match='takes one `quality` for all'):
        variable[name](smooth_images(2, 64, 64), at((1, 2)))


@pytest.mark.parametrize('name',
                         [name for name in CODECS if name not in ALIKE])
def test_gains_of_qualities_that_are_drawn_learn_and_no_others(variable, name):
    codec, x = copy.deepcopy(variable[name]).train(), smooth_images(2, 64, 64)
    objective(codec(x, at((1, 3))), x).backward()
    tables = {
        key: p
        for key, p in codec.named_parameters()
        if 'gain' in key.lower() or 'gamma_' in key
    }
    assert tables
    for key, table in tables.items():
        learnt = table.grad.reshape(len(table), -1).abs().sum(1) > 0
        expected = [q in (1, 3) for q in range(1, len(table) + 1)]
        assert learnt.tolist() == expected, key


@every_codec_that_may_vary
def test_weights_of_one_rate_load_and_are_every_rate(codecs, name):
    codec, x = codecs[name], smooth_images(1, 64, 128)
    other = fresh(name, variable_rate=True, num_qualities=3).eval()
    other.load_state_dict(codec.state_dict(), strict=True)
    stream, = codec.compress(x)
    for quality in (1, 1.5, 3):
        varied, = other.compress(x, at(quality))
        assert varied.streams == stream.streams
        assert torch.equal(
            other.decompress([varied]), codec.decompress([stream]))


@every_codec_that_may_vary
def test_weights_of_several_rates_are_refused_by_a_codec_of_one(
        variable, name):
    state = variable[name].state_dict()
    match = (r"with 3 qualities: they have '\w+'\. This one has one rate\. "
             'Build it with `variable_rate=True, num_qualities=3`')
    with pytest.raises(RuntimeError, match=match):
        fresh(name).load_state_dict(state, strict=False)
    with pytest.raises(ValueError, match=match):
        load_part(fresh(name), state, 'weights.pth')


@every_codec_that_may_vary
def test_weights_of_another_number_of_rates_are_refused(variable, name):
    other = fresh(name, variable_rate=True, num_qualities=5)
    with pytest.raises(RuntimeError, match='with 3 .* has 5 qualities'):
        other.load_state_dict(variable[name].state_dict(), strict=False)


@every_codec_that_may_vary
def test_codecs_of_one_rate_and_of_several_do_not_read_each_other(
        codecs, variable, name):
    stream, = variable[name].compress(smooth_images(1, 64, 64))
    assert stream.codec == f'{codecs[name].codec_id}-vr'
    with pytest.raises(BitstreamError, match=f"file is of '{stream.codec}'"):
        codecs[name].decompress([stream])


@every_codec
def test_quality_that_does_not_exist_is_refused(variable, name, subtests):
    codec, x = variable[name], smooth_images(1, 64, 64)
    match = f'must be a number from 1 to {codec.num_qualities} for {name}'
    y_hat = torch.zeros(1, codec.latent_channels, 4, 4)
    calls = dict(
        forward=(codec, x),
        encode_latents=(codec.encode_latents, x),
        compress=(codec.compress, x),
        decode_latents=(codec.decode_latents, y_hat))
    for quality in (0, 0.99, 1000.5, -1, float('nan')):
        for call, (refuses, given) in calls.items():
            with subtests.test(call, quality=quality):
                with pytest.raises(ValueError, match=match):
                    refuses(given, at(quality))


@every_codec
def test_file_of_an_impossible_quality_is_refused(variable, name, subtests):
    codec = variable[name]
    stream, = codec.compress(smooth_images(1, 64, 64))
    for quality in (None, 0, 1000):
        with subtests.test(quality=quality), pytest.raises(
                BitstreamError, match='has the qualities 1 to'):
            codec.decompress([replace(stream, quality=quality)])


@every_codec
def test_wrong_number_of_qualities_is_refused(variable, name):
    codec, x = variable[name], smooth_images(3, 64, 64)
    match = 'takes one' if name in ALIKE else 'at one quality'
    with pytest.raises(ValueError, match=match):
        codec.compress(x, at((1, 2, 3)))
    match = 'takes one' if name in ALIKE else '2 values for a batch of 3 im'
    with pytest.raises(ValueError, match=match):
        codec(x, at((1, 2)))


@every_codec
def test_gains_that_are_set_order_the_rates(variable, name):
    codec, x = copy.deepcopy(variable[name]), smooth_images(1, 64, 128)
    count = codec.num_qualities
    codec.set_gains([2.**(4 * i / (count - 1) - 2) for i in range(count)])
    bits = []
    for quality in (1, (1 + count) / 2, count):
        with torch.no_grad():
            likelihoods = codec.encode_latents(x, at(quality)).likelihoods
        bits.append(-likelihoods['y'].log2().sum().item())
    assert bits[0] < bits[1] < bits[2]


@every_codec_that_may_vary
def test_number_of_qualities_is_checked(name):
    with pytest.raises(ValueError, match='one rate; set `variable_rate=True`'):
        fresh(name, num_qualities=4)
    for count in (0, -2, 2.5):
        with pytest.raises(ValueError, match='`num_qualities` must be a pos'):
            fresh(name, variable_rate=True, num_qualities=count)
    assert fresh(name, variable_rate=True).num_qualities == 8


# What is refused.


@every_codec
def test_image_that_is_not_finite_is_refused_at_once(codecs, name, subtests):
    codec, x = codecs[name], smooth_images(2, 64, 64)
    # Before any layer works on it.
    handles = [
        layer.register_forward_pre_hook(lambda *_: pytest.fail('too late'))
        for layer in codec.children()
    ]
    try:
        for value in (float('nan'), float('inf'), -float('inf')):
            x[1, 2, 5, 7] = value
            with subtests.test(value=value):
                for refuses in (codec, codec.encode_latents, codec.compress):
                    with pytest.raises(
                            ValueError, match=r'must be finite; .* \[0, 1\]'):
                        refuses(x)
    finally:
        for handle in handles:
            handle.remove()


@every_codec
def test_absurd_pixels_end_in_a_stream_or_a_typed_error(
        codecs, name, subtests):
    codec, x = codecs[name], smooth_images(1, 64, 64)
    for value in (1e30, -1e30, 1e-42):
        x[0, 0, 5, 7] = value
        with subtests.test(value=value):
            try:
                stream, = codec.compress(x)
            except ValueError as error:
                assert 'latent is not sensible' in str(error)
            else:
                assert codec.decompress([stream]).isfinite().all()


@every_codec
def test_side_that_is_no_multiple_of_the_stride_is_refused(codecs, name):
    factor = codecs[name].downsampling_factor
    for size in ((factor, factor + 8), (factor - 1, factor)):
        with pytest.raises(ValueError, match=f'multiples of {factor}'):
            codecs[name](smooth_images(1, *size))


@every_codec
def test_what_is_no_rgb_batch_is_refused(codecs, name, subtests):
    for shape in ((3, 64, 64), (1, 1, 64, 64), (1, 4, 64, 64), (3, 17, 65),
                  (1, 1, 17, 65), (64, 64)):
        with subtests.test(shape=shape):
            for refuses in (codecs[name], codecs[name].compress):
                with pytest.raises(
                        ValueError, match=r'of shape \(B, 3, H, W\)'):
                    refuses(torch.rand(shape))


@every_codec
def test_image_of_integers_is_refused(codecs, name):
    x = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    for refuses in (codecs[name], codecs[name].compress):
        with pytest.raises(TypeError, match='divide 8-bit images by 255'):
            refuses(x)


@every_codec
def test_weights_that_are_not_finite_end_in_a_typed_error(codecs, name):
    codec = copy.deepcopy(codecs[name])
    codec.g_a[0].state_dict().popitem()[1].fill_(torch.nan)
    with pytest.raises(ValueError, match='latent is not sensible'):
        codec.compress(smooth_images(1, 64, 64))
    first_layer(codec.entropy_bottleneck, 'bias').data[0] = torch.nan
    with pytest.raises(ValueError, match='non-finite'):
        codec.update_entropy_tables()


@every_codec
def test_empty_image_is_refused(codecs, name):
    with pytest.raises(ValueError, match='must be positive'):
        codecs[name].compress(torch.rand(1, 3, 0, 64))


@every_codec
def test_empty_batch_gives_no_stream(codecs, name):
    assert codecs[name].compress(torch.rand(0, 3, 64, 64)) == []


@pytest.mark.parametrize('name',
                         [name for name in CODECS if name not in CONDITIONAL])
def test_condition_is_refused(codecs, name):
    x, condition = smooth_images(1, 64, 64), CodingCondition(quality=2)
    for refuses in (codecs[name], codecs[name].compress):
        with pytest.raises(ValueError, match='no run-time controls'):
            refuses(x, condition)


@every_codec
def test_impossible_channel_count_is_refused(name, subtests):
    for channels in (0, -8, 2.5, None):
        settings = {**CODECS[name], 'hidden_channels': channels}
        with subtests.test(channels=channels), pytest.raises(
                ValueError, match='`hidden_channels` must be a posit'):
            build_codec(dict(type=f'mmhmc.{name}', **settings))
