"""Streams that decode identically whatever computes the prior."""
import contextlib
import copy
import pickle
from dataclasses import replace

import pytest
import torch
from conftest import (CODECS, last_layers, needs_harmless_compile,
                      scale_biases, scale_networks, smooth_images, tiny_codec)
from torch import nn

from mmhmc.bitstream import BitstreamError, former_fingerprint
from mmhmc.codecs import IdentityCodec, build_codec
from mmhmc.structures import CodingCondition

HYPER = tuple(name for name in CODECS if name != 'FactorizedPrior')

every_codec = pytest.mark.parametrize('name', CODECS)
every_hyper_codec = pytest.mark.parametrize('name', HYPER)


@pytest.fixture(scope='module')
def floating(codecs):
    """The same in floating point; not to be changed."""
    made = copy.deepcopy(codecs)
    for name in HYPER:
        made[name].portable = False
    return made


def fresh(name):
    return build_codec(dict(type=f'mmhmc.{name}', **CODECS[name])).eval()


#: Codecs that a former version could make portable, with settings.
FORMER = tuple(
    name for name in HYPER
    if name not in ('DCVCUFIntra', 'MPA', 'MRIC',
                    'TinyLIC') and not name.endswith('VBR'))


def with_settings(codec):
    """A state dict as a former portable codec has it."""
    state = codec.state_dict()
    for part in codec.entropy_networks:
        layers = [
            layer for layer in codec.get_submodule(part).modules()
            if hasattr(layer, 'weight')
        ]
        rows = [[14, 26, 13]] * len(layers) + [[12, 24, 0]]
        key = f'{part.replace(".", "_")}_fixed_point'
        state[key] = torch.tensor(rows, dtype=torch.int32)
    return state


def in_channels_last(codec):
    return copy.deepcopy(codec).to(memory_format=torch.channels_last)


@contextlib.contextmanager
def more_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


#: Ways to compute the same: what to make of the codec, and where to run it.
BACKENDS = dict(
    channels_last=(in_channels_last, contextlib.nullcontext),
    threads=(copy.deepcopy, more_threads),
    without_onednn=(copy.deepcopy,
                    lambda: torch.backends.mkldnn.flags(enabled=False)),
    autocast=(copy.deepcopy, lambda: torch.autocast('cpu', torch.bfloat16)))

# Streams.


@every_codec
def test_stream_decodes_identically_in_another_backend(codecs, name, subtests):
    codec, x = codecs[name], smooth_images(1, 64, 128)
    stream, = codec.compress(x)
    expected = codec.read(stream)
    for backend, (change, where) in BACKENDS.items():
        with subtests.test(backend), where():
            assert torch.equal(change(codec).read(stream), expected)


@every_hyper_codec
def test_stream_between_two_qualities_decodes_identically(
        variable, name, subtests):
    codec, x = variable[name], smooth_images(1, 64, 128)
    stream, = codec.compress(x, CodingCondition(quality=1.7))
    expected = codec.read(stream)
    for backend, (change, where) in BACKENDS.items():
        with subtests.test(backend), where():
            assert torch.equal(change(codec).read(stream), expected)


@every_hyper_codec
def test_tables_of_a_latent_are_the_same_in_another_backend(
        codecs, name, subtests):
    # Where it differs, few streams show it: look at the scales themselves.
    codec = codecs[name]
    channels = codec.entropy_bottleneck.channels
    z_hat = torch.randint(-9, 10, (1, channels, 5, 6)).float()
    controls = dict(quality=4.5) if name == 'MPA' else {}
    with torch.no_grad():
        expected = codec.run_entropy_network('h_s', z_hat, **controls)
        for backend, (change, where) in BACKENDS.items():
            with subtests.test(backend), where():
                found = change(codec).run_entropy_network(
                    'h_s', z_hat, **controls)
                assert torch.equal(found, expected)


@every_hyper_codec
def test_image_of_a_batch_gets_what_it_gets_alone(codecs, name):
    codec = codecs[name]
    quality = dict(quality=8.) if name == 'MPA' else {}
    with torch.no_grad():
        y = codec.g_a(smooth_images(3, 128, 64))
        together = codec.quantise_latent(y, **quality)
        alone = [codec.quantise_latent(one, **quality) for one in y.split(1)]
    assert torch.equal(together.y_hat, torch.cat([a.y_hat for a in alone]))
    assert together.symbols == {} and set(alone[0].symbols) == {'y', 'z'}


@every_hyper_codec
def test_stream_costs_what_that_of_the_floating_codec_costs(
        codecs, floating, name):
    x = smooth_images(1, 256, 256)
    sizes = [
        sum(map(len,
                codec.compress(x)[0].streams.values()))
        for codec in (codecs[name], floating[name])
    ]
    assert sizes[1] > 1000
    assert abs(sizes[0] - sizes[1]) <= 0.001 * sizes[1] + 8


@needs_harmless_compile
def test_compiled_codec_gives_the_same(codecs):
    codec, x = codecs['MeanScaleHyperprior'], smooth_images(1, 64, 64)
    compiled = torch.compile(copy.deepcopy(codec), backend='eager')
    with torch.no_grad():
        assert torch.equal(compiled(x).y_hat, codec(x).y_hat)


# Streams in floating point.


@every_hyper_codec
def test_stream_in_floating_point_names_its_device_and_its_own_weights(
        codecs, floating, name):
    x = smooth_images(1, 64, 64)
    stream, = codecs[name].compress(x)
    other, = floating[name].compress(x)
    assert stream.device is None and other.device is not None
    assert stream.weights != other.weights


@every_hyper_codec
def test_either_codec_reads_the_streams_of_both(codecs, floating, name):
    for one in (codecs[name], floating[name]):
        stream, = one.compress(smooth_images(1, 64, 128))
        for other in (codecs[name], floating[name]):
            assert torch.equal(other.read(stream), one.read(stream))
            # Nothing stays behind.
            assert other.in_integers == other.portable


@every_hyper_codec
def test_stream_in_floating_point_is_refused_under_other_settings(
        codecs, floating, name, subtests):
    stream, = floating[name].compress(smooth_images(1, 64, 64))
    for backend in ('threads', 'without_onednn'):
        for codec in (codecs[name], floating[name]):
            with subtests.test(backend, portable=codec.portable):
                with BACKENDS[backend][1](), pytest.raises(
                        BitstreamError, match='number of threads, mem'):
                    codec.read(stream)


@every_hyper_codec
def test_stream_of_a_version_without_threads_is_read_with_a_warning(
        floating, name):
    codec = floating[name]
    stream, = codec.compress(smooth_images(1, 64, 64))
    weight = next(t for _, t in codec.decoding_tensors() if t.ndim == 4)
    former = replace(stream, device=former_fingerprint(weight))
    with pytest.warns(UserWarning, match='noted no number of threads'):
        assert torch.equal(codec.read(former), codec.read(stream))


def test_factorised_prior_is_portable_without_integers():
    codec = tiny_codec('FactorizedPrior', portable=False)
    assert codec.portable
    stream, = codec.compress(smooth_images(1, 64, 64))
    assert stream.device is None


def test_identity_codec_writes_nothing_that_could_be_portable():
    assert not IdentityCodec().portable


@every_codec
def test_making_portable_is_no_longer_needed(codecs, name):
    codec, x = copy.deepcopy(codecs[name]), smooth_images(1, 64, 64)
    with pytest.warns(DeprecationWarning, match='portable without it'):
        codec.make_portable(x)
    assert codec.compress(x) == codecs[name].compress(x)


@every_hyper_codec
def test_activations_beyond_the_integers_are_told_while_encoding(codecs, name):
    codec, x = copy.deepcopy(codecs[name]), smooth_images(1, 64, 64)
    with torch.no_grad():
        last_layers(scale_networks(codec))[-1].bias.fill_(1e5)
    with pytest.warns(UserWarning, match='times the range of its integers'):
        stream, = codec.compress(x)
    with torch.no_grad():
        expected = codec.encode_latents(x).y_hat
    assert torch.equal(codec.read(stream), expected)


@every_hyper_codec
def test_network_without_an_integer_form_is_named(codecs, name):
    codec = copy.deepcopy(codecs[name])
    scale_networks(codec)[-1].append(nn.Softplus())
    with pytest.raises(ValueError, match='Softplus has no integer form'):
        codec.compress(smooth_images(1, 64, 64))


# Weights.


@every_codec
def test_state_has_weights_and_tables_only(codecs, name):
    state, x = codecs[name].state_dict(), smooth_images(1, 64, 64)
    assert not [key for key in state if 'fixed_point' in key]
    other = fresh(name)
    other.load_state_dict(state, strict=True)
    assert other.compress(x) == codecs[name].compress(x)


@pytest.mark.parametrize('name', FORMER)
def test_checkpoint_of_a_former_portable_codec_keeps_its_settings(
        codecs, name):
    state, x = with_settings(codecs[name]), smooth_images(1, 64, 64)
    former = fresh(name)
    former.load_state_dict(state, strict=True)
    stream, = former.compress(x)
    assert stream.device is None
    assert stream.weights != codecs[name].compress(x)[0].weights
    again = fresh(name)
    again.load_state_dict(former.state_dict(), strict=True)
    assert torch.equal(again.read(stream), former.read(stream))
    # Weights without settings have none.
    again.load_state_dict(codecs[name].state_dict(), strict=True)
    assert again.compress(x) == codecs[name].compress(x)


@pytest.mark.parametrize('name', FORMER)
def test_checkpoint_without_a_codec_leaves_the_settings(codecs, name):
    model = nn.ModuleDict(dict(codec=fresh(name), head=nn.Linear(2, 2)))
    model.codec.load_state_dict(with_settings(codecs[name]))
    before = model.codec.weights_hash()
    model.load_state_dict({'head.weight': torch.zeros(2, 2)}, strict=False)
    assert model.codec.weights_hash() == before


@every_codec
def test_copies_and_pickles_write_the_same_streams(codecs, name):
    codec, x = codecs[name], smooth_images(1, 64, 64)
    stream, = codec.compress(x)
    for other in (copy.deepcopy(codec), pickle.loads(pickle.dumps(codec))):
        assert other.compress(x) == [stream]
        assert torch.equal(other.read(stream), codec.read(stream))


@every_hyper_codec
def test_integers_follow_the_weights(codecs, name):
    codec, x = copy.deepcopy(codecs[name]), smooth_images(1, 64, 64)
    before = codec.compress(x)
    with torch.no_grad():
        for part in codec.entropy_networks:
            for parameter in codec.get_submodule(part).parameters():
                parameter.mul_(1.1)
    after = codec.compress(x)
    assert after[0].streams['y'] != before[0].streams['y']
    other = fresh(name)
    other.load_state_dict(codec.state_dict())
    assert other.compress(x) == after


@every_hyper_codec
def test_integers_follow_weights_swapped_before_evaluation(codecs, name):
    # As mmengine's EMAHook does, which torch does not notice.
    codec, x = copy.deepcopy(codecs[name]), smooth_images(1, 64, 64)
    before, = codec.compress(x)
    for bias in scale_biases(codec):
        bias.add_(1)
    codec.eval()
    after, = codec.compress(x)
    assert after.streams['y'] != before.streams['y']


@pytest.mark.parametrize('name', FORMER)
def test_weights_that_have_outgrown_former_settings_are_refused(codecs, name):
    codec = fresh(name)
    codec.load_state_dict(with_settings(codecs[name]))
    with torch.no_grad():
        codec.h_s[0].weight.mul_(1e9)
    with pytest.raises(RuntimeError, match='the weights have grown since'):
        codec.compress(smooth_images(1, 64, 64))


@every_hyper_codec
def test_gradient_is_that_of_the_floating_network(codecs, floating, name):
    x, found = smooth_images(1, 64, 64), []
    for made in (codecs, floating):
        codec = copy.deepcopy(made[name])
        output = codec.encode_latents(x)
        output.likelihoods['y'].log2().sum().backward()
        found.append({
            key: p.grad
            for key, p in codec.named_parameters() if key.startswith('h_s')
        })
    for key, gradient in found[1].items():
        torch.testing.assert_close(
            found[0][key], gradient, rtol=1e-2, atol=1e-2)


@every_codec
def test_training_is_that_of_the_floating_codec(codecs, floating, name):
    x, results = smooth_images(2, 64, 64), []
    for codecs_of in (codecs, floating):
        codec = copy.deepcopy(codecs_of[name]).train()
        torch.manual_seed(3)
        output = codec(x)
        sum(p.log2().sum() for p in output.likelihoods.values()).backward()
        gradients = {key: p.grad for key, p in codec.named_parameters()}
        results.append((output, gradients))
    (one, grads), (other, expected) = results
    assert torch.equal(one.x_hat, other.x_hat)
    for key, likelihoods in other.likelihoods.items():
        assert torch.equal(one.likelihoods[key], likelihoods)
    for key, gradient in expected.items():
        assert (gradient is None) == (grads[key] is None), key
        if gradient is not None:
            assert torch.equal(grads[key], gradient), key
