"""Training keeps nothing of the steps that are over."""
import gc

import torch
from conftest import CODECS, Probe, make_runner, wrapped_model

from mmhmc.codecs import build_codec
from mmhmc.engine import (AutocastHook, FiniteLossHook, RandomStateHook,
                          RateLossHook)


def held(model):
    """Tensors that live, forward hooks, and batches that wait."""
    gc.collect()
    tensors = sum(isinstance(o, torch.Tensor) for o in gc.get_objects())
    modules = list(model.modules())
    hooks = sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)
    return tensors, hooks, model.backbone._recording


def test_fifty_steps_leave_no_tensors_hooks_or_records_behind(tmp_path):
    codec = build_codec(
        dict(type='mmhmc.ScaleHyperprior', **CODECS['ScaleHyperprior']))
    model = wrapped_model(codec)
    counts = Probe(lambda runner: held(model)
                   if runner.iter % 10 == 9 else None)
    make_runner(
        model,
        tmp_path, [
            RateLossHook(),
            AutocastHook(),
            FiniteLossHook(),
            RandomStateHook(), counts
        ],
        train_cfg=dict(by_epoch=False, max_iters=51),
        default_hooks=dict(checkpoint=None, logger=None),
        train_dataloader=dict(
            dataset=dict(type='TinyDataset'),
            batch_size=1,
            num_workers=0,
            sampler=dict(type='InfiniteSampler'))).train()
    seen = [count for count in counts.seen if count is not None]
    assert len(seen) == 5 and seen[0][1] > 0
    assert set(seen) == {seen[0]}


def test_after_runs_the_model_has_the_hooks_that_it_had(tmp_path):
    codec = build_codec(
        dict(type='mmhmc.ScaleHyperprior', **CODECS['ScaleHyperprior']))
    model = wrapped_model(codec)
    before = held(model)[1]
    for name in ('one', 'two'):
        make_runner(
            model,
            tmp_path / name, [RateLossHook(), AutocastHook()],
            max_epochs=1,
            default_hooks=dict(checkpoint=None)).train()
        assert held(model)[1] == before
