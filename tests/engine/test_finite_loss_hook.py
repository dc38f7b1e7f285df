import copy
from types import SimpleNamespace

import pytest
import torch
from conftest import MockTaskModel, Probe, make_runner
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from torch import nn
from traced_ops import TracedOps

from mmhmc.engine import FiniteLossHook
from mmhmc.engine.alternating_optim_wrapper import AlternatingOptimWrapper
from mmhmc.engine.hooks import finite_loss_hook


def poisoned(steps, where='loss'):
    """A model whose loss, or gradient, is NaN in some steps."""
    model, count = MockTaskModel(), iter(range(100))

    def poison(module, args, kwargs, losses):
        if next(count) not in steps:
            return losses
        loss = losses['loss_task']
        if where == 'loss':
            return dict(loss_task=loss * torch.nan)
        if where == 'detached':
            return dict(loss_task=torch.tensor(torch.nan))
        loss.register_hook(lambda gradient: gradient * torch.nan)
        return dict(loss_task=loss)

    model.register_forward_hook(poison, with_kwargs=True)
    return model


def weights(runner):
    return torch.cat([p.detach().flatten() for p in runner.model.parameters()])


def run(model, work_dir, hook, **kwargs):
    """Weights after every iteration."""
    probe = Probe(weights)
    make_runner(model, work_dir, [hook, probe], **kwargs).train()
    return probe.seen


@pytest.mark.parametrize('where', ['loss', 'gradient', 'detached'])
def test_step_that_is_not_finite_is_skipped_and_counted(tmp_path, where):
    hook = FiniteLossHook()
    before, skipped, after, last = run(poisoned({1}, where), tmp_path, hook)
    assert hook.skipped == 1
    assert torch.equal(before, skipped)
    assert not torch.equal(skipped, after) and not torch.equal(after, last)
    assert last.isfinite().all()


def test_amp_without_a_scaler_is_looked_after(tmp_path, monkeypatch):
    # As with bfloat16; mmengine asks for a GPU, which this does not need.
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available',
                        lambda: True)
    hook = FiniteLossHook()
    wrapper = dict(
        type='AmpOptimWrapper',
        dtype='bfloat16',
        loss_scale=dict(enabled=False),
        optimizer=dict(type='SGD', lr=1e-3))
    before, skipped, after, _ = run(
        poisoned({1}, 'gradient'), tmp_path, hook, optim_wrapper=wrapper)
    assert hook.skipped == 1
    assert torch.equal(before, skipped)
    assert not torch.equal(skipped, after) and after.isfinite().all()


def test_without_the_hook_the_weights_are_lost(tmp_path):
    probe = Probe(weights)
    make_runner(poisoned({1}), tmp_path, [probe]).train()
    assert probe.seen[-1].isnan().all()


@pytest.mark.parametrize('where', ['loss', 'gradient'])
def test_training_stops_after_too_many_in_a_row(tmp_path, where):
    hook, model = FiniteLossHook(max_consecutive=3), poisoned({1, 2, 3}, where)
    with pytest.raises(RuntimeError, match='3 steps in a row were not finite'):
        run(model, tmp_path, hook, max_epochs=5)
    assert hook.skipped == 3
    assert all(p.isfinite().all() for p in model.parameters())


def test_training_goes_on_when_they_are_not_in_a_row(tmp_path):
    hook = FiniteLossHook(max_consecutive=2)
    assert run(poisoned({0, 2}), tmp_path, hook)[-1].isfinite().all()
    assert hook.skipped == 2


@pytest.mark.parametrize('where', ['loss', 'gradient'])
def test_sum_of_gradients_is_not_poisoned(tmp_path, where):
    hook = FiniteLossHook()
    settings = dict(optimizer=dict(type='SGD', lr=1e-3), accumulative_counts=2)
    seen = run(
        poisoned({1}, where),
        tmp_path,
        hook,
        optim_wrapper=settings,
        max_epochs=3)
    assert hook.skipped == 1
    assert seen[-1].isfinite().all()
    assert not torch.equal(seen[0], seen[-1])


def test_clipping_comes_after_the_check(tmp_path):
    # Clipping by a NaN norm would make every gradient NaN.
    hook = FiniteLossHook()
    settings = dict(
        optimizer=dict(type='SGD', lr=1e-3), clip_grad=dict(max_norm=1.))
    seen = run(
        poisoned({1}, 'gradient'), tmp_path, hook, optim_wrapper=settings)
    assert hook.skipped == 1
    assert seen[-1].isfinite().all()


@pytest.mark.parametrize('clip', [
    None,
    dict(max_norm=0.5),
    dict(max_norm=1e6),
    dict(max_norm=0.1, norm_type=1),
    dict(type='value', clip_value=1e-3)
])
def test_finite_training_is_left_alone(tmp_path, clip):
    settings = dict(
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=1e-3), clip_grad=clip))
    model = MockTaskModel()
    other = MockTaskModel()
    other.load_state_dict(model.state_dict())
    hook = FiniteLossHook()
    hub = MessageHub.get_current_instance
    guarded = run(model, tmp_path / 'guarded', hook, **copy.deepcopy(settings))
    norms = hub().log_scalars.get('train/grad_norm')
    probe = Probe(weights)
    make_runner(other, tmp_path / 'bare', [probe], **settings).train()
    assert hook.skipped == 0
    assert all(map(torch.equal, guarded, probe.seen))
    if clip and 'max_norm' in clip:
        bare = hub().log_scalars['train/grad_norm']
        assert norms is not bare
        assert norms.data[0].tolist() == bare.data[0].tolist()


@pytest.mark.parametrize('clip', [None, dict(max_norm=0.5)])
def test_there_is_one_verdict_for_a_step(tmp_path, monkeypatch, clip):
    model, hook, sent = MockTaskModel(), FiniteLossHook(), []
    monkeypatch.setattr(finite_loss_hook, 'all_reduce',
                        lambda tensor, op: sent.append(tensor.clone()))
    settings = dict(
        optimizer=dict(type='SGD', lr=1e-3),
        clip_grad=clip,
        accumulative_counts=2)
    runner = make_runner(
        model, tmp_path, [hook], optim_wrapper=settings, max_epochs=1)
    runner.train()
    assert len(sent) == len(runner.train_dataloader) // 2
    assert all(one.tolist() == [1, 1] for one in sent)


@pytest.mark.parametrize('clip', [None, dict(max_norm=0.5)])
def test_a_device_is_waited_for_once_in_a_step(clip):
    model, hook = nn.Linear(4, 4), FiniteLossHook()
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    wrapper = OptimWrapper(optimizer, clip_grad=clip)
    hook.before_train(SimpleNamespace(optim_wrapper=wrapper, logger=None))
    with TracedOps() as traced:
        wrapper.update_params(model(torch.ones(2, 4)).sum())
    assert traced.waits == {'tolist': 1}


def test_optimizer_wrapper_is_its_own_again_after_training(tmp_path):
    runner = make_runner(MockTaskModel(), tmp_path, [FiniteLossHook()])
    runner.train()
    assert not {'step', 'update_params'} & set(vars(runner.optim_wrapper))


@pytest.mark.parametrize('count', [0, -1])
def test_impossible_patience_is_refused(count):
    with pytest.raises(ValueError, match=f'must be at least 1, got {count}'):
        FiniteLossHook(count)


class TwoPlayers(MockTaskModel):
    """Its backbone and its head learn in turns; a gradient may be NaN."""

    active_optimizer = 'generator'

    def forward(self, inputs, data_samples=None, mode='tensor'):
        output = super().forward(inputs, data_samples, mode)
        loss = output['loss_task']
        loss.register_hook(lambda gradient: gradient * torch.nan)
        return dict(loss_task=loss)


def test_each_of_several_optimizers_is_guarded(tmp_path):
    model, hook = TwoPlayers(), FiniteLossHook()
    wrapper = AlternatingOptimWrapper(
        generator=OptimWrapper(
            torch.optim.Adam(model.backbone.parameters(), 1e-3)),
        discriminator=OptimWrapper(
            torch.optim.Adam(model.head.parameters(), 1e-3)))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    make_runner(
        model, tmp_path, [hook], optim_wrapper=wrapper, max_epochs=1).train()
    assert hook.skipped == 2
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])
    assert 'step' not in vars(wrapper['generator'])
