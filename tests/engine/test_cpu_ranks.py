"""What processes without a GPU are told."""
import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config

from mmhmc.engine import cpu_ranks
from mmhmc.engine.cpu_ranks import distribute_on_cpu


@pytest.fixture(autouse=True)
def met(monkeypatch):
    """As if two processes had met, and there was no GPU."""
    monkeypatch.setattr(dist, 'is_initialized', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)


def test_wrapper_asks_for_no_gpu_and_keeps_what_the_config_says():
    cfg = Config(
        dict(
            launcher='pytorch',
            find_unused_parameters=True,
            model_wrapper_cfg=dict(broadcast_buffers=True)))
    distribute_on_cpu(cfg)
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=True,
        find_unused_parameters=True,
        device_ids=None)


@pytest.mark.parametrize('strategy, expected', [
    (dict(type='DDPStrategy'), ('device_ids', None)),
    (dict(type='FSDPStrategy'), ('device_id', 'cpu')),
])
def test_strategies_are_told_too(strategy, expected):
    cfg = Config(
        dict(
            launcher='slurm',
            runner_type='FlexibleRunner',
            strategy={
                **strategy, 'model_wrapper': dict(mine=1)
            }))
    distribute_on_cpu(cfg)
    name, value = expected
    assert cfg.strategy.model_wrapper[name] == value
    assert cfg.strategy.model_wrapper.mine == 1


def test_one_process_alone_needs_no_launcher(monkeypatch):
    monkeypatch.setattr(dist, 'is_initialized', lambda: False)
    monkeypatch.setattr(cpu_ranks, 'join_ranks', cpu_ranks.Ranks)
    cfg = Config(dict(launcher='pytorch'))
    distribute_on_cpu(cfg)
    assert cfg.to_dict() == dict(launcher='none')


@pytest.mark.parametrize('launcher, cuda', [('none', False), ('mpi', False),
                                            ('pytorch', True)])
def test_others_are_left_alone(monkeypatch, launcher, cuda):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    cfg = Config(dict(launcher=launcher))
    distribute_on_cpu(cfg)
    assert cfg.to_dict() == dict(launcher=launcher)
