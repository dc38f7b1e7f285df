"""A run that was stopped and goes on equals one that was not."""
import random

import numpy as np
import pytest
import torch
from conftest import CODECS, Probe, TinyDataset, make_runner, with_val
from mmengine.hooks import CheckpointHook

from mmhmc.codecs import build_codec
from mmhmc.engine import EntropyTableHook, RandomStateHook, RateLossHook
from mmhmc.models import CodecModel


class AugmentedDataset(TinyDataset):
    """Draws from all generators while it loads."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        draws = random.random() + np.random.rand() + torch.rand(1).item()
        item['inputs'] = (item['inputs'] * (draws / 3)).byte()
        return item


def fresh_codec():
    """Without tables, which training does not need."""
    name = 'MeanScaleHyperprior'
    return build_codec(dict(type=f'mmhmc.{name}', **CODECS[name]))


def train(work_dir, length, by_epoch, sampler, num_workers=0, **kwargs):
    """Losses of all steps, and the last checkpoint.

    An epoch has two iterations; a checkpoint is made after every second.
    """
    torch.manual_seed(5)
    losses = Probe(
        lambda runner: runner.message_hub.get_scalar('train/loss').current())
    unit = 'epoch' if by_epoch else 'iter'
    settings = dict(
        train_cfg=dict(by_epoch=by_epoch, **{f'max_{unit}s': length}),
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)),
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', by_epoch=by_epoch, interval=2)),
        train_dataloader=dict(
            dataset=AugmentedDataset(),
            batch_size=2,
            num_workers=num_workers,
            sampler=dict(type=sampler, shuffle=True)))
    make_runner(
        CodecModel(fresh_codec()), work_dir,
        [RateLossHook(), RandomStateHook(), losses], **{
            **settings,
            **kwargs
        }).train()
    checkpoint = torch.load(
        work_dir / f'{unit}_{length}.pth', weights_only=False)
    return losses.seen, checkpoint


def assert_equal(one, two):
    """To the last bit, whatever there is."""
    assert type(one) is type(two)
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            assert_equal(one[key], two[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(two)
        for pair in zip(one, two):
            assert_equal(*pair)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, two)
    else:
        assert one == two


@pytest.mark.parametrize('by_epoch, sampler', [(True, 'DefaultSampler'),
                                               (False, 'InfiniteSampler')])
def test_resumed_run_equals_the_uninterrupted_one(tmp_path, by_epoch, sampler):
    losses, whole = train(tmp_path / 'whole', 4, by_epoch, sampler)
    first, _ = train(tmp_path / 'parts', 2, by_epoch, sampler)
    second, resumed = train(
        tmp_path / 'parts', 4, by_epoch, sampler, resume=True)
    assert first + second == losses and len(set(losses)) == len(losses)
    for name in ('state_dict', 'optimizer', 'random_states'):
        assert_equal(whole[name], resumed[name])


def test_resumed_noise_is_the_same_with_images_from_a_worker(tmp_path):
    settings = dict(by_epoch=False, sampler='InfiniteSampler', num_workers=1)
    plain = dict(
        train_dataloader=dict(
            dataset=TinyDataset(),
            batch_size=2,
            num_workers=1,
            sampler=dict(type='InfiniteSampler', shuffle=True)))
    losses, _ = train(tmp_path / 'whole', 4, **settings, **plain)
    first, _ = train(tmp_path / 'parts', 2, **settings, **plain)
    second, _ = train(tmp_path / 'parts', 4, **settings, **plain, resume=True)
    assert first + second == losses


def test_best_checkpoint_has_the_states_of_its_own_step(tmp_path):
    states = Probe(lambda runner: torch.get_rng_state())
    saver = CheckpointHook(
        by_epoch=False,
        interval=100,
        save_best='rate/bpp',
        rule='less',
        save_last=False)
    make_runner(
        CodecModel(fresh_codec()),
        tmp_path,
        [RateLossHook(),
         EntropyTableHook(),
         RandomStateHook(), states],
        default_hooks=dict(checkpoint=saver),
        **with_val(['BitrateMetric'],
                   train_cfg=dict(by_epoch=False, max_iters=3,
                                  val_interval=1))).train()
    path, = tmp_path.glob('best*.pth')
    checkpoint = torch.load(path, weights_only=False)
    step = checkpoint['meta']['iter']
    assert torch.equal(checkpoint['random_states'][0]['torch'],
                       states.seen[step - 1])
