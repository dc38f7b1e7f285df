"""Codec and discriminator with an optimizer each, under mmengine's runner."""
import pytest
import torch
from conftest import Probe, make_runner, with_val
from torch import nn
from two_processes import run_in_two_processes

from mmhmc.codecs import MeanScaleHyperprior
from mmhmc.engine import (AlternatingOptimWrapperConstructor, AutocastHook,
                          EntropyTableHook, FiniteLossHook, RandomStateHook,
                          RateLossHook)
from mmhmc.losses import FeatureLoss
from mmhmc.models import GenerativeCodecModel
from mmhmc.structures import CodingCondition

OPTIM_WRAPPER = dict(
    constructor='mmhmc.AlternatingOptimWrapperConstructor',
    optimizer=dict(type='Adam', lr=1e-3),
    clip_grad=dict(max_norm=1.),
    discriminator=dict(clip_grad=None))


def test_a_model_may_name_its_optimizer_by_the_former_name():

    class Players(nn.Module):
        codec, discriminator = nn.Linear(1, 1), nn.Linear(1, 1)
        turn = 'discriminator'

    wrapper = AlternatingOptimWrapperConstructor(
        dict(optimizer=dict(type='SGD', lr=1.)))(
            Players())
    before = Players.discriminator.bias.item()
    with pytest.warns(FutureWarning, match='active_optimizer'):
        with wrapper.optim_context(Players()):
            loss = Players.discriminator(torch.ones(1)).sum()
    wrapper.update_params(loss)
    assert Players.discriminator.bias.item() == before - 1
    with pytest.warns(FutureWarning, match='active_optimizer'):
        assert model_of(MeanScaleHyperprior(8, 8)).turn == 'generator'


class VariableRate(MeanScaleHyperprior):
    """Notes what it is asked for."""

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = []

    def check_images(self, x, condition):
        super().check_images(x, None)
        self.asked.append(condition)


def model_of(codec):
    return GenerativeCodecModel(
        codec,
        perceptual=FeatureLoss((4, 4)),
        discriminator=dict(
            type='mmhmc.PatchDiscriminator',
            context_channels=2,
            hidden_channels=(4, 4, 4, 4)),
        condition=dict(quality=1),
        quality_range=(1, 3),
        lmbda_rate=(3., 2., 1.))


def run(model, folder, hooks=(), **kwargs):
    """Two epochs of two batches; what is left of the runner."""
    settings = dict(
        optim_wrapper=dict(OPTIM_WRAPPER), default_hooks=dict(checkpoint=None))
    runner = make_runner(model, folder, hooks, **{**settings, **kwargs})
    runner.train()
    return runner


def parameters_of(model):
    return {n: p.detach().clone() for n, p in model.named_parameters()}


# What is built.


def test_both_parts_get_the_common_settings_unless_they_have_their_own():
    cfg = dict(
        optimizer=dict(type='Adam', lr=1e-3, weight_decay=0.1),
        clip_grad=dict(max_norm=1.),
        discriminator=dict(
            optimizer=dict(type='SGD', lr=1e-2), clip_grad=None))
    model = model_of(VariableRate(8, 8))
    wrapper = AlternatingOptimWrapperConstructor(cfg,
                                                 dict(bias_decay_mult=0.))(
                                                     model)
    codec, judge = wrapper['generator'], wrapper['discriminator']
    decays = {group['weight_decay'] for group in codec.optimizer.param_groups}
    assert decays == {0., 0.1}
    assert isinstance(judge.optimizer, torch.optim.SGD)
    assert codec.clip_grad_kwargs == dict(max_norm=1.)
    assert judge.clip_grad_kwargs is None
    assert wrapper.get_lr()['discriminator.lr'] == [1e-2]
    for part, name in ((codec, 'codec'), (judge, 'discriminator')):
        ours = {
            id(p)
            for group in part.optimizer.param_groups
            for p in group['params']
        }
        assert ours <= {id(p) for p in model.get_submodule(name).parameters()}
        assert ours >= {
            id(p)
            for p in model.get_submodule(name).parameters() if p.requires_grad
        }
    # The config can be used again.
    assert set(cfg) == {'optimizer', 'clip_grad', 'discriminator'}


def test_model_without_a_discriminator_has_one_optimizer():
    model = GenerativeCodecModel(
        VariableRate(8, 8), perceptual=None, discriminator=None)
    wrapper = AlternatingOptimWrapperConstructor(
        dict(optimizer=dict(type='Adam', lr=1e-3)))(
            model)
    assert list(wrapper.keys()) == ['generator']


def test_update_outside_of_a_turn_is_refused():
    wrapper = AlternatingOptimWrapperConstructor(
        dict(optimizer=dict(type='Adam', lr=1e-3)))(
            model_of(VariableRate(8, 8)))
    with pytest.raises(RuntimeError, match='run the forward within it'):
        wrapper.update_params(torch.zeros((), requires_grad=True))


# Under a runner.


def test_run_that_is_resumed_equals_one_that_was_not(tmp_path):
    hooks = [RandomStateHook(), FiniteLossHook()]
    saving = dict(checkpoint=dict(type='CheckpointHook', interval=1))
    whole = run(
        model_of(VariableRate(8, 8)), tmp_path, hooks, default_hooks=saving)
    assert whole.model.num_batches == 4
    other = run(
        model_of(VariableRate(8, 8)),
        tmp_path / 'resumed',
        hooks,
        resume=True,
        load_from=str(tmp_path / 'epoch_1.pth'))
    assert other.iter == 4 and other.model.num_batches == 4
    for name, value in parameters_of(whole.model).items():
        assert torch.equal(value, other.model.get_parameter(name)), name


def test_metrics_see_the_fixed_quality(tmp_path):
    codec, looked = VariableRate(8, 8), []
    run(
        model_of(codec), tmp_path, [
            RateLossHook(),
            EntropyTableHook(),
            Probe(
                lambda runner: looked.append(
                    (codec.asked[-1],
                     runner.message_hub.get_scalar('val/rate/bpp').current())),
                when='after_val_epoch')
        ], **with_val(['BitrateMetric', 'PSNRMetric']))
    assert len(looked) == 2
    for condition, bpp in looked:
        assert condition == CodingCondition(quality=1) and bpp > 0


def test_bf16_on_a_cpu_is_that_of_the_autocast_hook(tmp_path, bf16):
    seen = set()
    model = model_of(VariableRate(8, 8))
    model.codec.g_a[0].register_forward_hook(
        lambda *args: seen.add(args[-1].dtype))
    before = parameters_of(model)
    run(model, tmp_path, [AutocastHook(['codec.g_a', 'codec.g_s'])])
    assert seen == {torch.bfloat16}
    for part in ('codec.g_a', 'discriminator'):
        assert any(not torch.equal(p, before[f'{part}.{n}'])
                   for n, p in model.get_submodule(part).named_parameters())


# Several processes.


def worker(rank, folder):
    torch.manual_seed(rank)
    model = model_of(VariableRate(8, 8))
    seen = Probe(lambda runner: dict(
        turn=model.active_optimizer, parameters=parameters_of(model)))
    run(model,
        folder, [seen],
        train_dataloader=dict(
            dataset=dict(type='TinyDataset', sizes=[(64, 64)] * 8),
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False)),
        launcher='pytorch',
        cfg=dict(
            model_wrapper_cfg=dict(
                device_ids=None, find_unused_parameters=True)))
    return seen.seen


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """What two processes saw after each of four steps."""
    folder = tmp_path_factory.mktemp('ranks')
    return run_in_two_processes(worker, folder)


def test_parts_alternate_on_both_processes(ranks):
    for steps in ranks:
        assert [step['turn']
                for step in steps] == ['discriminator', 'generator'] * 2


def test_parameters_are_equal_on_both_processes(ranks):
    for one, two in zip(*ranks, strict=True):
        for name, value in one['parameters'].items():
            assert torch.equal(value, two['parameters'][name]), name


def test_each_step_moves_one_part(ranks):
    steps = [step['parameters'] for step in ranks[0]]
    for k, (before, after) in enumerate(zip(steps, steps[1:])):
        moved = {
            name.split('.')[0]
            for name, value in after.items()
            if not torch.equal(value, before[name])
        }
        assert moved == {('discriminator', 'codec')[k % 2]}
