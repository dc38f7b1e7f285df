"""How often a whole step waits for a GPU, counted on a CPU."""
from types import SimpleNamespace

import pytest
import torch
from conftest import (CODECS, PREPROCESSOR, batch_of, needs_silent_bottleneck,
                      smooth_images, tiny_codec, wrapped_model)
from mmengine.optim import OptimWrapper
from torch import nn
from traced_ops import TracedOps

from mmhmc.adapters import DynamicAdaptation
from mmhmc.codecs import base, mbt2018
from mmhmc.engine import FiniteLossHook, RateLossHook
from mmhmc.losses import FeatureLoss
from mmhmc.models import GenerativeCodecModel

ALIKE, PADDED = [(64, 64)] * 2, [(64, 64), (48, 40)]
#: What FiniteLossHook asks before each step.
VERDICT = {'tolist': 1}


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch):
    """Nothing looks at numbers because a CPU is quick to tell them."""
    monkeypatch.setattr(base, 'reads_without_waiting', lambda x: False)


def step_of(model, batch):
    """A step of the optimizer, with all that is asked of the device."""
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], 1e-4)
    wrapper = OptimWrapper(optimizer, clip_grad=dict(max_norm=1.))
    hook = FiniteLossHook()
    hook.before_train(SimpleNamespace(optim_wrapper=wrapper, logger=None))
    data = model.train().data_preprocessor(batch, training=True)
    with TracedOps() as traced:
        losses = model(**data, mode='loss')
        parsed, _ = model.parse_losses(losses)
        wrapper.update_params(parsed)
    hook.after_train(None)
    return traced


def joint_model(name='MeanScaleHyperprior', **kwargs):
    adapter = DynamicAdaptation(width=2)
    nn.init.normal_(adapter.layers[-1].weight, std=0.1)
    model = wrapped_model(tiny_codec(name), adapter)
    hook = RateLossHook(**kwargs)
    hook.attach(model)
    return model


@needs_silent_bottleneck
@pytest.mark.parametrize('sizes', [ALIKE, PADDED], ids=['alike', 'padded'])
@pytest.mark.parametrize('shown', ['x_hat', 'x_bar'])
def test_joint_step_waits_for_the_verdict_only(sizes, shown):
    model = joint_model(
        perceptual=dict(type='mmhmc.FeatureLoss', widths=(4, )),
        perceptual_of=shown,
        lmbda_rate=2.)
    assert step_of(model, batch_of(*sizes)).waits == VERDICT


@needs_silent_bottleneck
@pytest.mark.parametrize('name', CODECS)
def test_no_codec_waits_in_training(name):
    if name in ('MPA', 'TinyLIC', 'LayeredGenerative'):
        sizes = [(128, 128)] * 2
    else:
        sizes = ALIKE
    assert step_of(joint_model(name), batch_of(*sizes)).waits == VERDICT


@needs_silent_bottleneck
@pytest.mark.parametrize('name', CODECS)
def test_no_frozen_codec_waits_in_training(name, monkeypatch):
    sizes = [(128, 128)] * 2 if name in ('MPA', 'TinyLIC') else ALIKE
    model = joint_model(name).train()
    model.backbone.codec.requires_grad_(False).eval()
    monkeypatch.setattr(model, 'train', lambda: model)
    assert step_of(model, batch_of(*sizes)).waits == VERDICT


@needs_silent_bottleneck
@pytest.mark.parametrize('name', ['JointAutoregressive', 'Cheng2020Anchor'])
def test_frozen_serial_codec_is_not_walked_in_training(name, monkeypatch):
    model = joint_model(name)
    model.backbone.codec.requires_grad_(False)
    model.train()
    model.backbone.codec.eval()
    monkeypatch.setattr(model, 'train', lambda: model)
    monkeypatch.setattr(mbt2018, '_Context', None)
    assert step_of(model, batch_of(*ALIKE)).waits == VERDICT


def test_images_of_one_size_need_no_masks():
    model = joint_model(lmbda_rate=2.)
    masked, whole = (
        step_of(model, batch_of(*sizes)).count for sizes in (PADDED, ALIKE))
    assert whole < masked - 30


def test_sizes_go_to_the_device_once_a_step(monkeypatch):
    copied, tensor = [], torch.tensor

    def copy(values, **kwargs):
        copied.append(values)
        return tensor(values, **kwargs)

    model = joint_model(lmbda_rate=2.)
    monkeypatch.setattr(torch, 'tensor', copy)
    step_of(model, batch_of(*ALIKE))
    before = len(copied)
    step_of(model, batch_of(*PADDED))
    assert copied[before:].count(PADDED) == 1
    # Nothing else is known of a padded batch that could be copied.
    assert len(copied) == 2 * before + 1


def test_kernels_are_not_tried_out_for_every_image(monkeypatch):
    # As `env_cfg.cudnn_benchmark=True` has it, for crops of one size.
    monkeypatch.setattr(torch.backends.cudnn, 'benchmark', True)
    model, seen = joint_model(), []
    model.backbone.codec.g_a.register_forward_pre_hook(
        lambda *args: seen.append(torch.backends.cudnn.benchmark))
    data = model.eval().data_preprocessor(batch_of(*PADDED))
    model(**data, mode='predict')
    assert seen == [False] * 2 and torch.backends.cudnn.benchmark
    step_of(model, batch_of(*ALIKE))
    assert seen[2:] == [True]


@needs_silent_bottleneck
def test_codec_and_discriminator_take_turns_without_a_wait():
    model = GenerativeCodecModel(
        tiny_codec('MeanScaleHyperprior'),
        FeatureLoss((4, )),
        dict(type='mmhmc.PatchDiscriminator', hidden_channels=(4, 4)),
        quality_range=None,
        lmbda_rate=(1., ),
        max_shift=0,
        data_preprocessor=PREPROCESSOR)
    x = smooth_images(2, 64, 64)
    turns = []
    for _ in range(2):
        turns.append(model.active_optimizer)
        with TracedOps() as traced:
            losses = model.train()(x, None, 'loss')
            sum(v for k, v in losses.items() if 'loss' in k).backward()
        assert not traced.waits
    assert turns == ['generator', 'discriminator']
