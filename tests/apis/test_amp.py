import torch
from conftest import CODECS, make_runner
from mmengine.config import Config
from mmengine.registry import HOOKS, MODELS

from mmhmc.apis.training import _use_amp

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
