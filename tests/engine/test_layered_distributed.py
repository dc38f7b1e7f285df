"""A layered codec and its discriminator on two processes."""
import os
import warnings
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
from conftest import CODECS, PREPROCESSOR, Probe, make_runner

from mmhmc.losses import FeatureLoss
from mmhmc.models import LayeredCodecModel


def model_of():
    return LayeredCodecModel(
        dict(type='mmhmc.LayeredGenerative', **CODECS['LayeredGenerative']),
        perceptual=FeatureLoss((4, )),
        discriminator=dict(
            type='mmhmc.TwoScaleDiscriminator',
            context_channels=2,
            hidden_channels=(4, 4)),
        data_preprocessor=PREPROCESSOR,
        adversarial_begin=1)


def worker(rank, folder):
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), WORLD_SIZE='2', LOCAL_RANK=str(rank))
    dist.init_process_group(
        'gloo',
        init_method=f'file://{folder}/rendezvous',
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60))
    torch.manual_seed(rank)
    model = model_of()
    seen = Probe(lambda runner: (model.active_optimizer, {
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters()
    }))
    make_runner(
        model,
        folder, [seen],
        max_epochs=1,
        train_dataloader=dict(
            dataset=dict(type='TinyDataset', sizes=[(64, 64)] * 8),
            batch_size=1,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False)),
        optim_wrapper=dict(
            constructor='mmhmc.AlternatingOptimWrapperConstructor',
            optimizer=dict(type='Adam', lr=1e-3)),
        launcher='pytorch',
        cfg=dict(
            model_wrapper_cfg=dict(
                device_ids=None, find_unused_parameters=True))).train()
    torch.save(seen.seen, f'{folder}/rank_{rank}.pth')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """What two processes saw after each of four steps."""
    folder = tmp_path_factory.mktemp('ranks')
    torch.multiprocessing.spawn(worker, (str(folder), ), nprocs=2)
    return [torch.load(folder / f'rank_{rank}.pth') for rank in (0, 1)]


def test_turns_and_parameters_are_equal_on_both_processes(ranks):
    assert len(ranks[0]) == 4
    assert {turn for turn, _ in ranks[0]} == {'generator', 'discriminator'}
    for (turn, one), (other_turn, two) in zip(*ranks, strict=True):
        assert turn == other_turn
        for name, value in one.items():
            assert torch.equal(value, two[name]), name


def test_every_step_moves_one_part(ranks):
    steps = ranks[0]
    for (turn, before), (_, after) in zip(steps, steps[1:]):
        moved = {
            name.split('.')[0]
            for name, value in after.items()
            if not torch.equal(value, before[name])
        }
        assert moved == {
            dict(generator='codec', discriminator='discriminator')[turn]
        }
