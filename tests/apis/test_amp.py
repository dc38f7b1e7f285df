import pytest
import torch
from conftest import (CODECS, MockTaskModel, make_runner, tiny_codec,
                      wrapped_model)
from mmengine.config import Config
from mmengine.registry import HOOKS, MODELS
from torch import nn

from mmhmc.apis.training import _use_amp
from mmhmc.models import LatentFeatures

pytestmark = pytest.mark.usefixtures('bf16')

PROBLEM = dict(
    model=dict(
        type='mmhmc.CodecModel',
        codec=dict(type='mmhmc.FactorizedPrior', **CODECS['FactorizedPrior'])),
    custom_hooks=[dict(type='mmhmc.RateLossHook')])


def test_amp_on_a_cpu_reaches_the_transforms_of_a_codec_alone(tmp_path):
    cfg = Config(PROBLEM)
    _use_amp(cfg, cuda=False)
    model = MODELS.build(cfg.model)
    seen = []
    model.codec.g_a[0].register_forward_hook(
        lambda module, args, output: seen.append(output.dtype))
    hooks = [HOOKS.build(hook) for hook in cfg.custom_hooks]
    make_runner(model, tmp_path, hooks, max_epochs=1).train()
    assert set(seen) == {torch.bfloat16}


def test_amp_on_a_cpu_finds_a_codec_wherever_the_host_has_it(tmp_path):

    class Nested(MockTaskModel):
        """As a detector inside a tracker."""

        def __init__(self):
            super().__init__()
            self.inner = wrapped_model(tiny_codec('FactorizedPrior')).backbone
            self.backbone = nn.Identity()

        def forward(self, inputs, data_samples=None, mode='tensor'):
            scores = self.head(self.inner(inputs)[0]).mean(dim=(1, 2, 3))
            return dict(loss=scores.abs().mean())

    cfg = Config(dict(PROBLEM, model=dict(type='Nested')))
    _use_amp(cfg, cuda=False)
    model = Nested()
    seen = []
    model.inner.codec.g_a[0].register_forward_hook(
        lambda module, args, output: seen.append(output.dtype))
    hooks = [HOOKS.build(hook) for hook in cfg.custom_hooks]
    make_runner(model, tmp_path, hooks, max_epochs=1).train()
    assert set(seen) == {torch.bfloat16}


def test_amp_on_a_cpu_reaches_the_backbone_of_a_bare_host(tmp_path):
    cfg = Config(dict(PROBLEM, model=dict(type='MockTaskModel')))
    _use_amp(cfg, cuda=False)
    model = MockTaskModel()
    seen = []
    first = next(m for m in model.backbone.modules()
                 if isinstance(m, nn.Conv2d))
    first.register_forward_hook(
        lambda module, args, output: seen.append(output.dtype))
    # It has no rate for RateLossHook.
    hooks = [HOOKS.build(hook) for hook in cfg.custom_hooks[1:]]
    make_runner(model, tmp_path, hooks, max_epochs=1).train()
    assert set(seen) == {torch.bfloat16}


def test_outputs_keep_what_they_are_beside_their_precision():
    from mmhmc.engine.hooks.autocast_hook import _plain
    features = LatentFeatures.over([torch.ones(1, 2, 3, 3).bfloat16()],
                                   (48, 40))
    plain = _plain(features)
    assert plain.canvas == (48, 40) and plain[0].dtype == torch.float32
    indices = torch.arange(3)
    assert torch.equal(_plain([indices])[0], indices)
    assert _plain([indices])[0].dtype == torch.int64


@pytest.mark.parametrize('capability, dtype, scaler',
                         [((8, 0), 'bfloat16', dict(enabled=False)),
                          ((7, 0), 'float16', 'dynamic')])
def test_amp_on_a_gpu_is_bfloat16_where_the_gpu_has_it(monkeypatch, capability,
                                                       dtype, scaler):
    monkeypatch.delenv('MMHMC_COMPUTE')
    monkeypatch.setattr(torch.version, 'hip', None)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device: 'Some')
    monkeypatch.setattr(torch.cuda, 'get_device_capability',
                        lambda device: capability)
    cfg = Config(dict(PROBLEM, optim_wrapper=dict(type='OptimWrapper')))
    _use_amp(cfg, cuda=True)
    assert cfg.optim_wrapper == dict(
        type='AmpOptimWrapper', dtype=dtype, loss_scale=scaler)
