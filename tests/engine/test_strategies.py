"""mmengine's FlexibleRunner, with the strategies that it has."""
from copy import deepcopy

import pytest
import torch
from conftest import (CODECS, Probe, TinyDataset, needs_fsdp_on_cpu,
                      tiny_codec, with_val, wrapped_model)
from mmengine.runner._flexible_runner import FlexibleRunner
from two_processes import run_in_two_processes

from mmhmc.adapters import DynamicAdaptation
from mmhmc.codecs import build_codec
from mmhmc.engine import (EntropyTableHook, FiniteLossHook, RandomStateHook,
                          RateLossHook, TrainingStageHook)

pytestmark = needs_fsdp_on_cpu

NAME = 'ScaleHyperprior'
ON_CPU = dict(
    DDP=dict(
        type='DDPStrategy',
        model_wrapper=dict(
            type='MMDistributedDataParallel',
            broadcast_buffers=False,
            device_ids=None)),
    # With `offload_to_cpu`, which `state_dict_cfg='full'` means, torch 2.11
    # saves memory of a CPU that it has freed.
    FSDP=dict(
        type='FSDPStrategy',
        model_wrapper=dict(type='MMFullyShardedDataParallel', device_id='cpu'),
        state_dict_cfg=dict(
            state_dict_type='FULL_STATE_DICT',
            state_dict_config=dict(type='FullStateDictConfig'),
            optim_state_dict_config=dict(type='FullOptimStateDictConfig'))))


def train(strategy, folder, hooks=()):
    """Logs of two epochs; checkpoints are left in ``folder``."""
    torch.manual_seed(0)
    # A hash of the weights in every stream would lend their memory to numpy,
    # and what is lent FSDP cannot free; on a GPU it is copied.
    model = wrapped_model(
        tiny_codec(NAME), DynamicAdaptation(8), test_cfg=dict(real_bits=False))
    logs = Probe(
        lambda runner: {
            name: float(
                runner.message_hub.get_scalar(f'train/{name}').current())
            for name in ('loss', 'loss_rate')
        })
    tables = Probe(
        lambda runner: {
            k: v.clone()
            for k, v in runner.model.module.backbone.codec.entropy_bottleneck.
            named_buffers()
        },
        when='after_val_epoch')
    FlexibleRunner(
        model,
        work_dir=str(folder),
        experiment_name=f'run_{folder}',
        strategy=deepcopy(ON_CPU[strategy]),
        custom_hooks=[
            RateLossHook(),
            EntropyTableHook(),
            FiniteLossHook(),
            RandomStateHook(), logs, tables, *hooks
        ],
        train_dataloader=dict(
            dataset=TinyDataset(),
            batch_size=1,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True)),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
        randomness=dict(seed=0),
        log_level='ERROR',
        **with_val(['BitrateMetric'])).train()
    return dict(logs=logs.seen, tables=tables.seen)


def worker(rank, folder):
    seen = {name: train(name, f'{folder}/{name}') for name in ON_CPU}
    stages = [
        dict(begin=0, trainable=['adapter']),
        dict(begin=1, trainable=['codec'])
    ]
    for name in ON_CPU:
        train(name, f'{folder}/{name}_stages', [TrainingStageHook(stages)])
    return seen


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Where two processes have trained."""
    folder = tmp_path_factory.mktemp('strategies')
    run_in_two_processes(worker, folder)
    return folder


@pytest.fixture(scope='module')
def ranks(folder):
    """What they saw."""
    return [torch.load(folder / f'rank_{rank}.pth') for rank in (0, 1)]


def weights(folder, epoch):
    """Of a checkpoint, without the wrapper's prefix."""
    state = torch.load(
        folder / f'epoch_{epoch}.pth', weights_only=False)['state_dict']
    return {key.removeprefix('module.'): v for key, v in state.items()}


def codec_in(state):
    codec = build_codec(dict(type=f'mmhmc.{NAME}', **CODECS[NAME]))
    prefix = 'backbone.codec.'
    codec.load_state_dict({
        key.removeprefix(prefix): value
        for key, value in state.items() if key.startswith(prefix)
    })
    return codec


def test_losses_of_the_codec_are_joined_and_learnt_from(ranks, folder):
    for rank in ranks:
        for strategy in ON_CPU:
            assert len(rank[strategy]['logs']) == 4
            for logs in rank[strategy]['logs']:
                assert logs['loss'] > logs['loss_rate'] > 0
    for strategy in ON_CPU:
        one, two = (weights(folder / strategy, epoch) for epoch in (1, 2))
        for part in ('codec.g_a', 'codec.h_s', 'adapter', 'backbone'):
            names = [n for n in one if n.startswith(f'backbone.{part}.')]
            assert any(not torch.equal(one[n], two[n]) for n in names), part


def test_sharded_model_learns_what_the_whole_one_does(folder):
    one, two = (weights(folder / name, 2) for name in ('DDP', 'FSDP'))
    assert one.keys() == two.keys()
    for name, value in one.items():
        if 'entropy_bottleneck' not in name and 'gaussian' not in name:
            torch.testing.assert_close(
                two[name], value, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize('strategy', ON_CPU)
def test_saved_tables_are_those_of_the_saved_weights(folder, strategy):
    codec = codec_in(weights(folder / strategy, 2))
    saved = {k: v.clone() for k, v in codec.state_dict().items()}
    assert saved['entropy_bottleneck._quantized_cdf'].numel()
    codec.update_entropy_tables()
    for key, value in codec.state_dict().items():
        assert torch.equal(value, saved[key]), key


@pytest.mark.parametrize('strategy', ON_CPU)
def test_tables_at_validation_are_equal_on_both_processes(ranks, strategy):
    for one, two in zip(*(rank[strategy]['tables'] for rank in ranks)):
        assert one['_quantized_cdf'].numel()
        for name, value in one.items():
            assert torch.equal(value, two[name]), name


@pytest.mark.parametrize('strategy', ON_CPU)
def test_stages_switch_what_trains(folder, strategy):
    one, two = (
        weights(folder / f'{strategy}_stages', epoch) for epoch in (1, 2))
    changed = {
        name
        for name in one
        if name.endswith('.weight') and not torch.equal(one[name], two[name])
    }
    assert 'backbone.codec.g_a.0.weight' in changed
    assert not any('adapter' in n or 'head' in n for n in changed)
