"""A layered codec and its discriminator on two processes."""
import pytest
import torch
from conftest import CODECS, PREPROCESSOR, Probe, make_runner
from two_processes import run_in_two_processes

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
    return seen.seen


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """What two processes saw after each of four steps."""
    folder = tmp_path_factory.mktemp('ranks')
    return run_in_two_processes(worker, folder)


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
