"""Streams that decode identically whatever computes the prior."""
import contextlib
import copy
import pickle

import pytest
import torch
from conftest import (CODECS, FLOATING, coded_channels, needs_harmless_compile,
                      scale_biases, scale_networks, smooth_pictures,
                      tiny_codec)
from torch import nn

from mmhmc.bitstream import Bitstream
from mmhmc.codecs import IdentityCodec, build_codec
from mmhmc.functional import extend_edges, padded_size

PORTABLE = tuple(name for name in CODECS if name not in FLOATING)
HYPER = tuple(name for name in PORTABLE if name != 'FactorizedPrior')

every_codec = pytest.mark.parametrize('name', PORTABLE)
every_hyper_codec = pytest.mark.parametrize('name', HYPER)


@pytest.fixture(scope='module')
def ordinary():
    """One of each in evaluation mode with tables; not to be changed."""
    torch.manual_seed(0)
    return {name: tiny_codec(name) for name in PORTABLE}


@pytest.fixture(scope='module')
def codecs(ordinary):
    """The same, portable; not to be changed."""
    torch.manual_seed(1)
    made = copy.deepcopy(ordinary)
    for codec in made.values():
        codec.make_portable(smooth_pictures(2, 100, 130))
    return made


def fresh(name):
    return build_codec(dict(type=f'mmhmc.{name}', **CODECS[name])).eval()


def settings_of(part):
    return f'{part.replace(".", "_")}_fixed_point'


def encoded(codec, x):
    with torch.no_grad():
        return codec.encode_latents(x)


def in_channels_last(codec):
    return copy.deepcopy(codec).to(memory_format=torch.channels_last)


@contextlib.contextmanager
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


#: Ways to compute the same: what to make of the codec, and where to run it.
BACKENDS = dict(
    channels_last=(in_channels_last, contextlib.nullcontext),
    threads=(copy.deepcopy, two_threads),
    without_onednn=(copy.deepcopy,
                    lambda: torch.backends.mkldnn.flags(enabled=False)),
    autocast=(copy.deepcopy, lambda: torch.autocast('cpu', torch.bfloat16)))

# Streams.


@every_codec
@pytest.mark.parametrize('size', [(1, 1), (17, 65), (64, 64), (100, 170)])
def test_what_is_read_is_what_evaluation_gives(codecs, name, size):
    codec, x = codecs[name], smooth_pictures(1, *size)
    target = padded_size(size, codec.downsampling_factor)
    output = encoded(codec, extend_edges(x, [size], target))
    stream, = codec.compress(x)
    stream = Bitstream.from_bytes(stream.to_bytes())
    assert torch.equal(codec.read(stream), output.y_hat)
    assert codec.decompress([stream]).shape == x.shape


@every_codec
@pytest.mark.parametrize('backend', BACKENDS)
def test_stream_decodes_identically_in_another_backend(codecs, name, backend):
    codec, x = codecs[name], smooth_pictures(1, 64, 128)
    stream, = codec.compress(x)
    change, where = BACKENDS[backend]
    with where():
        assert torch.equal(change(codec).read(stream), codec.read(stream))


@every_hyper_codec
@pytest.mark.parametrize('backend', BACKENDS)
def test_tables_of_a_latent_are_the_same_in_another_backend(
        codecs, name, backend):
    # Where it differs, few streams show it: look at the scales themselves.
    codec, (change, where) = codecs[name], BACKENDS[backend]
    z_hat = torch.randint(-9, 10, (1, 8, 5, 6)).float()
    expected = codec.run_prior('h_s', z_hat)
    with where():
        assert torch.equal(change(codec).run_prior('h_s', z_hat), expected)


@every_hyper_codec
def test_picture_of_a_batch_gets_what_it_gets_alone(codecs, name):
    codec = codecs[name]
    with torch.no_grad():
        y = codec.g_a(smooth_pictures(3, 128, 64))
        together = codec.code_latent(y)
        alone = [codec.code_latent(one) for one in y.split(1)]
    assert torch.equal(together.y_hat, torch.cat([a.y_hat for a in alone]))
    assert together.symbols == {} and set(alone[0].symbols) == {'y', 'z'}


@every_hyper_codec
def test_stream_costs_what_that_of_the_ordinary_codec_costs(
        codecs, ordinary, name):
    x = smooth_pictures(1, 256, 256)
    sizes = [
        sum(map(len,
                codec.compress(x)[0].streams.values()))
        for codec in (codecs[name], ordinary[name])
    ]
    assert sizes[1] > 1000
    assert abs(sizes[0] - sizes[1]) <= 0.001 * sizes[1] + 8


@every_hyper_codec
def test_prior_is_made_of_multiples_of_a_power_of_two(codecs, name):
    codec, x = codecs[name], smooth_pictures(1, 64, 64)
    last = [
        part for part in codec.prior_networks
        if part.startswith('entropy_parameters')
    ] or ['h_s']
    bits = max(
        getattr(codec, settings_of(part))[-1, 0].item() for part in last)
    y_hat = encoded(codec, x).y_hat[:, :coded_channels(codec)]
    y_hat = y_hat.double() * 2.0**bits
    assert torch.equal(y_hat, y_hat.round())


@needs_harmless_compile
def test_compiled_codec_gives_the_same(codecs):
    codec, x = codecs['MeanScaleHyperprior'], smooth_pictures(1, 64, 64)
    compiled = torch.compile(copy.deepcopy(codec), backend='eager')
    with torch.no_grad():
        assert torch.equal(compiled(x).y_hat, codec(x).y_hat)


@every_hyper_codec
def test_portable_stream_names_no_device_and_its_own_weights(
        codecs, ordinary, name):
    x = smooth_pictures(1, 64, 64)
    stream, = codecs[name].compress(x)
    other, = ordinary[name].compress(x)
    assert stream.device is None and other.device is not None
    assert stream.weights != other.weights
    for one, another in ((codecs, other), (ordinary, stream)):
        with pytest.raises(ValueError, match='`make_portable` changes what'):
            one[name].read(another)


# Becoming portable.


@every_codec
def test_only_a_codec_with_settings_is_portable(codecs, ordinary, name):
    assert codecs[name].portable
    # Tables alone decide how a factorised prior is decoded.
    assert ordinary[name].portable == (name == 'FactorizedPrior')


@pytest.mark.parametrize('name', FLOATING)
def test_codec_without_an_integer_form_says_so(name):
    codec = tiny_codec(name)
    assert not codec.portable
    with pytest.raises(RuntimeError, match=f'{name} has no integer form'):
        codec.make_portable(smooth_pictures(1, 64, 64))


def test_codec_that_writes_nothing_has_nothing_to_make_portable():
    codec = IdentityCodec().eval()
    assert not codec.portable
    with pytest.raises(RuntimeError, match='IdentityCodec has no integer f'):
        codec.make_portable(torch.rand(1, 3, 8, 8))


@every_codec
def test_making_portable_is_repeatable_and_needs_no_tables(codecs, name):
    x = smooth_pictures(1, 70, 70)
    codec = copy.deepcopy(codecs[name])
    codec.make_portable(x)
    other = fresh(name)
    other.load_state_dict(codec.state_dict())
    other.drop_entropy_tables()
    other.make_portable(x)
    other.update_entropy_tables()
    assert other.compress(x) == codec.compress(x)


@every_hyper_codec
def test_range_is_that_of_all_pictures(ordinary, name):
    x = smooth_pictures(2, 64, 64)
    x[1] *= 50
    codecs = [copy.deepcopy(ordinary[name]) for _ in range(3)]
    for codec, pictures in zip(codecs, (x, x[1:], x[:1])):
        codec.make_portable(pictures)
    key = 'h_s_fixed_point'
    both, loud, quiet = (getattr(codec, key) for codec in codecs)
    assert torch.equal(both, loud.maximum(quiet))
    assert not torch.equal(both, quiet)


@every_codec
def test_training_mode_is_refused(name):
    with pytest.raises(RuntimeError, match=r'call `codec\.eval\(\)` first'):
        fresh(name).train().make_portable(torch.rand(1, 3, 64, 64))


@every_codec
def test_pictures_that_show_nothing_are_refused(name):
    codec = fresh(name)
    with pytest.raises(ValueError, match='at least one picture'):
        codec.make_portable(torch.rand(0, 3, 64, 64))
    with pytest.raises(ValueError, match='must be finite'):
        codec.make_portable(torch.full((1, 3, 64, 64), torch.nan))
    with pytest.raises(ValueError, match=r'of shape \(B, 3, H, W\)'):
        codec.make_portable(torch.rand(3, 64, 64))


@every_hyper_codec
def test_failure_leaves_the_codec_ordinary(ordinary, name):
    codec = copy.deepcopy(ordinary[name])
    scale_networks(codec)[-1].append(nn.Tanh())
    with pytest.raises(ValueError, match='Tanh has no integer form'):
        codec.make_portable(smooth_pictures(1, 64, 64))
    assert not codec.portable


# Weights.


@every_hyper_codec
def test_checkpoint_makes_a_codec_portable(codecs, name):
    state, x = codecs[name].state_dict(), smooth_pictures(1, 64, 64)
    other = fresh(name)
    other.load_state_dict(state, strict=True)
    assert other.portable and other.state_dict().keys() == state.keys()
    assert other.compress(x) == codecs[name].compress(x)


@every_hyper_codec
def test_checkpoint_has_nothing_more_but_the_settings(codecs, ordinary, name):
    codec = codecs[name]
    more = codec.state_dict().keys() - ordinary[name].state_dict().keys()
    assert more == {settings_of(part) for part in codec.prior_networks}
    for key in more:
        assert codec.state_dict()[key].numel() < 20


@every_hyper_codec
def test_ordinary_checkpoint_makes_a_codec_ordinary(codecs, ordinary, name):
    other, x = copy.deepcopy(codecs[name]), smooth_pictures(1, 64, 64)
    other.load_state_dict(ordinary[name].state_dict(), strict=True)
    assert not other.portable
    assert other.compress(x) == ordinary[name].compress(x)


@every_hyper_codec
def test_checkpoint_without_a_codec_leaves_it_portable(codecs, name):
    model = nn.ModuleDict(
        dict(codec=copy.deepcopy(codecs[name]), head=nn.Linear(2, 2)))
    model.load_state_dict({'head.weight': torch.zeros(2, 2)}, strict=False)
    assert model.codec.portable
    model.load_state_dict(
        {
            f'codec.{key}': value
            for key, value in fresh(name).state_dict().items()
        },
        strict=False)
    assert not model.codec.portable


@every_codec
def test_copies_and_pickles_write_the_same_streams(codecs, name):
    codec, x = codecs[name], smooth_pictures(1, 64, 64)
    stream, = codec.compress(x)
    for other in (copy.deepcopy(codec), pickle.loads(pickle.dumps(codec))):
        assert other.compress(x) == [stream]
        assert torch.equal(other.read(stream), codec.read(stream))


@every_hyper_codec
def test_integers_follow_the_weights(codecs, name):
    codec, x = copy.deepcopy(codecs[name]), smooth_pictures(1, 64, 64)
    before = codec.compress(x)
    with torch.no_grad():
        for part in codec.prior_networks:
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
    codec, x = copy.deepcopy(codecs[name]), smooth_pictures(1, 64, 64)
    before, = codec.compress(x)
    for bias in scale_biases(codec):
        bias.add_(1)
    codec.eval()
    after, = codec.compress(x)
    assert after.streams['y'] != before.streams['y']


@every_hyper_codec
def test_weights_that_have_outgrown_the_integers_are_refused(codecs, name):
    codec = copy.deepcopy(codecs[name])
    with torch.no_grad():
        codec.h_s[0].weight.mul_(1e9)
    with pytest.raises(RuntimeError, match='Call `make_portable` again'):
        codec.compress(smooth_pictures(1, 64, 64))


@every_codec
def test_training_is_that_of_the_ordinary_codec(codecs, ordinary, name):
    x, results = smooth_pictures(2, 64, 64), []
    for codecs_of in (codecs, ordinary):
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
