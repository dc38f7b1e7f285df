"""The machine sees the base of a file, and people all of it."""
import copy

import pytest
import torch
from conftest import (PREPROCESSOR, Probe, TinyBackbone, make_runner,
                      smooth_images, tiny_codec, wrapped_model)

from mmhmc.adapters import DynamicAdaptation, MachineSynthesis
from mmhmc.engine import RateLossHook, TrainingStageHook
from mmhmc.models import CodecBackbone, CodecModel, LatentBackbone

SIZES = [(64, 64), (40, 50)]
COUNTS = dict(MeanScaleHyperprior=2, ELIC=2, LayeredGenerative=2)


@pytest.fixture(scope='module')
def codecs():
    """With two layers; not to be changed."""
    torch.manual_seed(0)
    made = {name: tiny_codec(name) for name in COUNTS}
    made['MeanScaleHyperprior'].layers, made['ELIC'].layers = [3], [5]
    made['LayeredGenerative'].default_texture.data.normal_()
    return made


@pytest.fixture
def codec(codecs):
    return copy.deepcopy(codecs['MeanScaleHyperprior'])


def backbone(codec, **kwargs):
    return CodecBackbone(codec, TinyBackbone(), PREPROCESSOR, **kwargs).eval()


def coded(wrapper, x, sizes=SIZES):
    with wrapper.recording([(x, sizes)]):
        return wrapper.code_images(x, x)


every_codec = pytest.mark.parametrize('name', COUNTS)


@every_codec
def test_files_are_cut_for_everybody(codecs, name):
    x = smooth_images(2, 64, 64)
    base = coded(backbone(codecs[name], test_cfg=dict(layers=1)), x)
    streams = [
        codecs[name].compress(one[None, :, :h, :w])[0]
        for one, (h, w) in zip(x, SIZES)
    ]
    assert base.num_bytes == [s.layer_bytes[0] for s in streams]
    for i, (h, w) in enumerate(SIZES):
        expected = codecs[name].decompress([streams[i]], layers=1)
        assert torch.equal(base.x_hat[i:i + 1, :, :h, :w], expected)
    assert torch.equal(base.x_bar, base.x_hat)
    whole = coded(backbone(codecs[name]), x)
    assert (base.bits < whole.bits).all()
    # Estimates and bytes are of the same layers.
    assert (base.bits / 8 <= torch.tensor(base.num_bytes)).all()


@every_codec
def test_machine_sees_the_base_of_whole_files(codecs, name):
    x = smooth_images(2, 64, 64)
    both = coded(backbone(codecs[name], machine_layers=1), x)
    base = coded(backbone(codecs[name], test_cfg=dict(layers=1)), x)
    whole = coded(backbone(codecs[name]), x)
    assert torch.equal(both.x_hat, whole.x_hat)
    assert torch.equal(both.x_bar, base.x_bar)
    assert both.num_bytes == whole.num_bytes
    assert not torch.equal(base.x_bar, whole.x_bar)


@every_codec
def test_estimates_see_what_files_say(codecs, name):
    x = smooth_images(1, 64, 64)
    kwargs = dict(machine_layers=1)
    real = coded(backbone(codecs[name], **kwargs), x, SIZES[:1])
    estimated = coded(
        backbone(codecs[name], test_cfg=dict(real_bits=False), **kwargs), x,
        SIZES[:1])
    for field in ('x_hat', 'x_bar', 'bits'):
        assert torch.equal(getattr(real, field), getattr(estimated, field))


@every_codec
def test_latent_backbone_shows_the_base(codecs, name):
    x = smooth_images(1, 64, 64)
    for kwargs in (dict(machine_layers=1), dict(test_cfg=dict(layers=1))):
        wrapper = LatentBackbone(codecs[name], PREPROCESSOR, **kwargs).eval()
        seen = coded(wrapper, x, SIZES[:1]).x_bar
        stream, = codecs[name].compress(x)
        assert torch.equal(seen, codecs[name].read(stream.keep_layers(1)))


def test_codec_alone_cuts_its_files(codec):
    x = smooth_images(1, 64, 64)
    model = CodecModel(codec, test_cfg=dict(layers=1)).eval()
    found = coded(model, x, SIZES[:1])
    assert list(found.stream_bytes[0]) == ['z', 'y0']


# Training.


@pytest.mark.parametrize('frozen', [True, False])
@every_codec
def test_training_shows_the_base_and_counts_the_rest(codecs, name, frozen):
    codec = copy.deepcopy(codecs[name]).requires_grad_(not frozen)
    wrapper = backbone(codec, machine_layers=1).train()
    if frozen:
        codec.eval()
    x = smooth_images(2, 64, 64)
    batch = coded(wrapper, x)
    assert batch.rest_bits.shape == batch.bits.shape == (2, )
    assert (0 < batch.rest_bits).all() and (batch.rest_bits < batch.bits).all()
    # People's image is decoded when a loss asks for it.
    assert batch.x_hat is None
    wrapper.decode_images([batch])
    assert batch.x_hat.shape == x.shape
    assert not torch.equal(batch.x_hat, batch.x_bar)
    assert batch.x_hat.requires_grad != frozen


def test_frozen_codec_shows_in_training_what_files_say(codec):
    codec.requires_grad_(False)
    wrapper = backbone(codec, machine_layers=1)
    x = smooth_images(1, 64, 64)
    expected = coded(wrapper, x, SIZES[:1])
    wrapper.train()
    codec.eval()
    batch = coded(wrapper, x, SIZES[:1])
    assert (batch.x_bar - expected.x_bar).abs().max() < 1e-3
    torch.testing.assert_close(batch.bits, expected.bits, rtol=0.01, atol=1)


# A synthesis for the machine.


def test_synthesis_of_the_machine_begins_as_that_for_people(codec):
    x = smooth_images(1, 64, 64)
    plain = coded(backbone(codec, machine_layers=1), x, SIZES[:1])
    wrapper = backbone(codec, adapter=MachineSynthesis(), machine_layers=1)
    begun = coded(wrapper, x, SIZES[:1])
    assert torch.equal(begun.x_bar, plain.x_bar)
    with torch.no_grad():
        wrapper.adapter.g_s[-1].bias.add_(0.1)
    learnt = coded(wrapper, x, SIZES[:1])
    assert not torch.equal(learnt.x_bar, plain.x_bar)
    # People's files and images are what they were.
    assert torch.equal(learnt.x_hat, plain.x_hat)
    assert learnt.num_bytes == plain.num_bytes
    wrapper.test_cfg['adapter'] = False
    assert torch.equal(coded(wrapper, x, SIZES[:1]).x_bar, plain.x_bar)


@pytest.mark.parametrize('after', [None, dict(type='mmhmc.DynamicAdaptation')])
def test_synthesis_learns_behind_a_frozen_codec(codec, after):
    codec.requires_grad_(False)
    wrapper = backbone(
        codec, adapter=MachineSynthesis(after), machine_layers=1).train()
    codec.eval()
    batch = coded(wrapper, smooth_images(2, 64, 64))
    batch.x_bar.square().mean().backward()
    assert all(p.grad is not None for p in wrapper.adapter.parameters())
    assert all(p.grad is None for p in codec.parameters())


def test_synthesis_begins_as_the_weights_that_a_codec_gets(codec, tmp_path):
    torch.save(codec.state_dict(), tmp_path / 'codec.pth')
    fresh = dict(
        type='mmhmc.MeanScaleHyperprior',
        hidden_channels=8,
        latent_channels=8,
        layers=[3])
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'codec.pth'))
    adapter = dict(type='mmhmc.MachineSynthesis')
    # A whole model: mmengine watches which parameters there are.
    model = wrapped_model(dict(fresh, init_cfg=init), adapter)
    model.init_weights()
    wrapper = model.backbone
    for name, value in codec.g_s.state_dict().items():
        assert torch.equal(wrapper.adapter.g_s.state_dict()[name], value)
    # A checkpoint of before has no synthesis for the machine.
    model = wrapped_model(fresh, dict(type='mmhmc.MachineSynthesis'))
    state = {
        key: value
        for key, value in wrapped_model(codec).state_dict().items()
    }
    model.load_state_dict(state, strict=False)
    for name, value in codec.g_s.state_dict().items():
        assert torch.equal(model.backbone.adapter.g_s.state_dict()[name],
                           value)


def test_reader_of_the_machine_trains_and_peoples_files_stay(codec, tmp_path):
    x = smooth_images(1, 64, 64)
    before, = codec.compress(x)
    weights = copy.deepcopy(codec.state_dict())
    model = wrapped_model(codec, MachineSynthesis(), machine_layers=1)
    losses = Probe(lambda runner: runner.message_hub.get_scalar(
        'train/loss_task').current())
    hooks = [
        RateLossHook(lmbda_distortion=0., beta=0.5),
        TrainingStageHook([dict(begin=0, trainable=['adapter'])]), losses
    ]
    make_runner(
        model,
        tmp_path,
        hooks,
        max_epochs=12,
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.02))).train()
    assert sum(losses.seen[-4:]) < 0.9 * sum(losses.seen[:4])
    codec.eval()
    for name, value in codec.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert codec.compress(x)[0] == before
    assert any((one != other).any() for one, other in zip(
        model.backbone.adapter.g_s.parameters(), codec.g_s.parameters()))


# What is refused.


@pytest.mark.parametrize('count', [0, 3, -1, 1.5, '1'])
def test_number_of_layers_that_cannot_be_is_refused(codec, count):
    with pytest.raises(ValueError, match='must be from 1 to 2'):
        backbone(codec, machine_layers=count)


def test_cut_after_more_layers_than_there_are_is_refused(codec):
    wrapper = backbone(codec, test_cfg=dict(layers=3))
    with pytest.raises(ValueError, match='`test_cfg.layers` is 3, .* 2 layer'):
        coded(wrapper, smooth_images(1, 64, 64), SIZES[:1])


def test_adapter_behind_a_synthesis_works_on_images():
    with pytest.raises(ValueError, match="got placement='latent'"):
        MachineSynthesis(
            DynamicAdaptation(4, placement='latent', in_channels=8))


def test_codec_without_a_synthesis_is_refused():
    with pytest.raises(ValueError, match='has no `g_s`'):
        backbone(
            dict(type='mmhmc.IdentityCodec'),
            adapter=dict(type='mmhmc.MachineSynthesis'))
