"""Two processes learn what one learns from their joint batch."""
from itertools import combinations
from unittest import mock

import pytest
import torch
from conftest import (MockTaskModel, Probe, make_runner, tiny_codec, with_val,
                      wrapped_model)
from torch import nn
from two_processes import run_in_two_processes

from mmhmc.adapters import DynamicAdaptation
from mmhmc.engine import (EntropyTableHook, FiniteLossHook, RandomStateHook,
                          RateLossHook, TrainingStageHook)
from mmhmc.engine.hooks.random_state_hook import random_state
from mmhmc.engine.parts import PARTS
from mmhmc.models import CodecModel

SUBSETS = [
    '+'.join(parts) for n in (1, 2, 3) for parts in combinations(PARTS, n)
]
MODES = [*SUBSETS, 'codec alone']
IMAGES = dict(type='TinyDataset', sizes=[(64, 64)] * 8)


class MeanHost(MockTaskModel):
    """Without what one process cannot know of another's images.

    Its loss is a mean over images, and nothing depends on statistics of
    the batch.
    """

    def __init__(self, backbone):
        super().__init__(backbone)
        self.backbone.backbone.norm = nn.GroupNorm(1, 4)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        output = super().forward(inputs, data_samples, mode)
        if mode == 'loss':
            del output['loss_parts']
        return output


def with_steady_noise(quantize):
    """Noise that depends on an image only, not on its place in a batch."""

    def wrapped(self, inputs, mode, means=None):
        if mode != 'noise':
            return quantize(self, inputs, mode, means)
        return inputs + torch.sin(8 * inputs.detach()) / 2

    return wrapped


def gradients(mode, folder, batch_size, **kwargs):
    """What two steps of the optimizer are given, by the parameter's name."""
    from compressai.entropy_models import EntropyModel
    torch.manual_seed(0)
    codec = tiny_codec('ScaleHyperprior')
    hooks = [RateLossHook(), FiniteLossHook()]
    if mode in SUBSETS:
        adapter = DynamicAdaptation(8)
        nn.init.normal_(adapter.layers[-1].weight, std=0.1)
        model = MeanHost(wrapped_model(codec, adapter).backbone)
        stage = dict(begin=0, trainable=mode.split('+'))
        hooks.append(TrainingStageHook([stage]))
    else:
        model = CodecModel(codec)
    runner = make_runner(
        model,
        folder,
        hooks,
        max_epochs=1,
        default_hooks=dict(checkpoint=None),
        train_dataloader=dict(
            dataset=dict(IMAGES),
            batch_size=batch_size,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False)),
        **kwargs)
    steps = []

    def note_gradients(optimizer, args, kwargs):
        steps.append({
            name: p.grad.clone()
            for name, p in model.named_parameters() if p.grad is not None
        })

    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper.optimizer.register_step_pre_hook(note_gradients)
    steady = with_steady_noise(EntropyModel.quantize)
    with mock.patch.object(EntropyModel, 'quantize', steady):
        runner.train()
    return steps


def tables_and_noise(folder, **kwargs):
    """Of a run with validation, as configs have it, and with real noise."""
    torch.manual_seed(0)
    model = CodecModel(tiny_codec('ScaleHyperprior'))
    noise = Probe(lambda runner: random_state(), when='before_train_iter')
    tables = Probe(
        lambda runner: {
            k: v.clone()
            for k, v in model.codec.state_dict().items()
        },
        when='after_val_epoch')
    make_runner(
        model,
        folder,
        [RateLossHook(),
         EntropyTableHook(),
         RandomStateHook(), noise, tables],
        max_epochs=1,
        default_hooks=dict(checkpoint=None),
        **with_val(['BitrateMetric']),
        **kwargs).train()
    return dict(noise=noise.seen[0], tables=tables.seen[0])


def worker(rank, folder):
    settings = dict(
        launcher='pytorch', cfg=dict(model_wrapper_cfg=dict(device_ids=None)))
    seen = {mode: gradients(mode, folder, 2, **settings) for mode in MODES}
    seen.update(tables_and_noise(folder, **settings))
    return seen


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """What the two processes saw."""
    folder = tmp_path_factory.mktemp('joint')
    return run_in_two_processes(worker, folder)


@pytest.mark.parametrize('mode', MODES)
def test_gradients_are_those_of_one_process_with_the_joint_batch(
        ranks, tmp_path, mode):
    expected = gradients(mode, tmp_path, 4)
    assert len(expected) == 2
    for rank in ranks:
        for step, joint in zip(rank[mode], expected, strict=True):
            assert step.keys() == joint.keys() and step
            one, two = (
                torch.cat([g[name].double().flatten() for name in joint])
                for g in (step, joint))
            assert (one - two).abs().max() < 1e-6 * two.norm()


def test_processes_of_one_seed_add_different_noise(ranks):
    one, two = (rank['noise'] for rank in ranks)
    for name in ('python', 'numpy'):
        assert one[name] != two[name]
    assert not torch.equal(one['torch'], two['torch'])


def test_tables_are_equal_on_both_processes(ranks):
    one, two = (rank['tables'] for rank in ranks)
    assert one['entropy_bottleneck._quantized_cdf'].numel()
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(value, two[name]), name
