"""Two processes over gloo, with everything that has to act together."""
import pytest
import torch
from conftest import make_runner, tiny_codec, wrapped_model
from mmengine.hooks import Hook
from torch import nn
from two_processes import run_in_two_processes

from mmhmc.adapters import DynamicAdaptation
from mmhmc.engine import (EntropyTableHook, FiniteLossHook, RandomStateHook,
                          RateLossHook, TrainingStageHook)

STAGES = [
    dict(begin=0, trainable=['codec', 'adapter']),
    dict(begin=1, trainable=['adapter']),
    dict(begin=2, trainable=['adapter', 'host'])
]


class GradientProbe(Hook):
    """Notes what each optimizer step is given."""

    def __init__(self):
        self.steps, self.local = [], []

    def before_train(self, runner):

        def look(optimizer, args, kwargs):
            model = runner.model.module
            self.steps.append({
                name: p.grad.clone()
                for name, p in model.named_parameters() if p.grad is not None
            })
            # Behind a codec at rest the forward is the same each time.
            if not model.backbone.codec.training:
                self.local.append(local_gradient(model, self.data))

        runner.optim_wrapper.optimizer.register_step_pre_hook(look)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.data = data_batch


def local_gradient(model, data):
    """Of this process alone, without DDP."""
    losses = model(**model.data_preprocessor(data, training=True), mode='loss')
    parameters = {
        name: p
        for name, p in model.named_parameters() if p.requires_grad
    }
    gradients = torch.autograd.grad(
        model.parse_losses(losses)[0], list(parameters.values()))
    return dict(zip(parameters, gradients))


def poison_one_step(model, rank):
    """A NaN on one process, in the second step."""
    count = iter(range(100))

    def poison(module, args, kwargs, losses):
        if next(count) == 1 and rank == 1:
            losses['loss_task'] = losses['loss_task'] * torch.nan
        return losses

    model.register_forward_hook(poison, with_kwargs=True)


def worker(rank, folder):
    torch.manual_seed(0)
    adapter = DynamicAdaptation(8)
    nn.init.normal_(adapter.layers[-1].weight, std=0.1)
    model = wrapped_model(tiny_codec('FactorizedPrior'), adapter)
    poison_one_step(model, rank)
    finite, probe = FiniteLossHook(), GradientProbe()
    make_runner(
        model,
        folder,
        [
            RateLossHook(),
            EntropyTableHook(), finite,
            TrainingStageHook(STAGES),
            RandomStateHook(), probe
        ],
        max_epochs=3,
        launcher='pytorch',
        randomness=dict(seed=0, diff_rank_seed=True),
        cfg=dict(
            model_wrapper_cfg=dict(
                type='MMDistributedDataParallel',
                broadcast_buffers=False,
                # mmengine takes every process to have a GPU.
                device_ids=None)),
        train_dataloader=dict(
            dataset=dict(type='TinyDataset', sizes=[(64, 64)] * 8),
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True))).train()
    return dict(
        steps=probe.steps,
        local=probe.local,
        skipped=finite.skipped,
        state=model.state_dict())


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """What the two processes saw."""
    folder = tmp_path_factory.mktemp('ddp')
    return run_in_two_processes(worker, folder)


def names_of(step):
    """Parts that have gradients."""
    return {
        'codec'
        if '.codec.' in name else 'adapter' if '.adapter.' in name else 'host'
        for name in step
    }


def test_each_stage_trains_its_parts_and_waits_for_no_others(ranks):
    # Two steps an epoch, of which one is skipped.
    expected = [{'codec', 'adapter'}] + 2 * [{'adapter'}] + \
        2 * [{'adapter', 'host'}]
    for rank in ranks:
        assert [names_of(step) for step in rank['steps']] == expected


def test_gradients_are_equal_on_both_processes(ranks):
    for one, two in zip(*(rank['steps'] for rank in ranks)):
        assert one.keys() == two.keys()
        for name in one:
            assert torch.equal(one[name], two[name]), name


def test_gradients_are_the_mean_of_those_of_the_processes(ranks):
    assert len(ranks[0]['local']) == 4
    for step, one, two in zip(ranks[0]['steps'][1:],
                              *(rank['local'] for rank in ranks)):
        assert step.keys() == one.keys() == two.keys()
        for name, gradient in step.items():
            torch.testing.assert_close(
                gradient, (one[name] + two[name]) / 2, rtol=1e-4, atol=1e-6)


def test_processes_skip_together(ranks):
    assert [rank['skipped'] for rank in ranks] == [1, 1]


def test_parameters_are_equal_on_both_processes(ranks):
    parameters = ranks[0]['steps'][0].keys() | ranks[0]['steps'][-1].keys()
    assert {'head.bias', 'backbone.codec.g_a.0.weight'} <= parameters
    for name in parameters:
        one, two = (rank['state'][name] for rank in ranks)
        assert torch.equal(one, two), name


def test_checkpoints_have_the_random_states_of_both(ranks, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / 'ddp0'
    for epoch in (1, 3):
        path = folder / f'epoch_{epoch}.pth'
        one, two = torch.load(path, weights_only=False)['random_states']
        assert not torch.equal(one['torch'], two['torch'])
