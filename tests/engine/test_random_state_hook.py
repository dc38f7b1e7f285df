import random

import numpy as np
import pytest
import torch
from conftest import Probe, make_runner, tiny_codec, with_val
from mmengine.hooks import Hook

from mmhmc.engine import EntropyTableHook, RandomStateHook, RateLossHook
from mmhmc.engine.hooks.random_state_hook import random_state, set_random_state
from mmhmc.models import CodecModel


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_state_survives_a_file_that_is_loaded_safely(tmp_path):
    draw()
    torch.save(random_state(), tmp_path / 'state.pth')
    expected = draw()
    draw()
    set_random_state(torch.load(tmp_path / 'state.pth', weights_only=True))
    assert draw() == expected


class Losses(Hook):
    """Notes the losses of every step, and draws in validation."""

    def __init__(self):
        self.seen = []

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None):
        self.seen.append(outputs['loss'].item())

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        draw()


def train(codec, work_dir, max_epochs, hooked=True, validates=False, **kwargs):
    """Losses and last checkpoint."""
    losses = Losses()
    hooks = [RateLossHook(), EntropyTableHook(), losses]
    if hooked:
        hooks.append(RandomStateHook())
    settings = dict(optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)))
    if validates:
        settings.update(with_val(['BitrateMetric']))
    make_runner(
        CodecModel(codec), work_dir, hooks, max_epochs, **settings,
        **kwargs).train()
    return losses.seen, torch.load(
        work_dir / f'epoch_{max_epochs}.pth', weights_only=False)


def codec():
    torch.manual_seed(5)
    return tiny_codec('MeanScaleHyperprior')


@pytest.mark.parametrize('validates', [False, True])
def test_resumed_run_equals_the_uninterrupted_one(tmp_path, validates):
    losses, state = train(codec(), tmp_path / 'whole', 4, validates=validates)
    first, _ = train(codec(), tmp_path / 'parts', 2)
    second, resumed = train(codec(), tmp_path / 'parts', 4, resume=True)
    assert first + second == losses
    assert resumed['state_dict'].keys() == state['state_dict'].keys()
    for key, value in state['state_dict'].items():
        assert torch.equal(resumed['state_dict'][key], value), key
    one, two = (s['optimizer']['state'] for s in (state, resumed))
    assert one.keys() == two.keys() and len(one) > 10
    for index in one:
        for key, value in one[index].items():
            assert torch.equal(two[index][key], value), key


def test_without_the_hook_the_resumed_run_is_another(tmp_path):
    losses, _ = train(codec(), tmp_path / 'whole', 4, hooked=False)
    train(codec(), tmp_path / 'parts', 2, hooked=False)
    second, _ = train(
        codec(), tmp_path / 'parts', 4, hooked=False, resume=True)
    assert second != losses[4:]


def test_weights_alone_do_not_bring_random_states(tmp_path):
    _, checkpoint = train(codec(), tmp_path / 'first', 1)
    losses = []
    for name in ('with', 'without'):
        path = tmp_path / f'{name}.pth'
        torch.save(checkpoint, path)
        losses.append(
            train(codec(), tmp_path / name, 1, load_from=str(path))[0])
        checkpoint.pop('random_states', None)
    assert losses[0] == losses[1]


def test_states_are_those_of_the_last_step(tmp_path):
    probe = Probe(lambda runner: random_state()['torch'])
    make_runner(
        CodecModel(codec()), tmp_path,
        [RateLossHook(), RandomStateHook(), probe]).train()
    for epoch in (1, 2):
        state, = torch.load(
            tmp_path / f'epoch_{epoch}.pth',
            weights_only=False)['random_states']
        assert torch.equal(state['torch'], probe.seen[2 * epoch - 1])
