import copy

import pytest
import torch
from conftest import Probe, make_runner, tiny_codec, with_val, wrapped_model
from mmengine.hooks import Hook
from mmengine.runner import load_checkpoint
from torch import nn

from mmhmc.adapters import DynamicAdaptation
from mmhmc.codecs import IdentityCodec
from mmhmc.engine import EntropyTableHook, RateLossHook, TrainingStageHook
from mmhmc.engine.parts import PARTS, split_parameters

B_THEN_C = [
    dict(begin=0, trainable=['codec', 'adapter']),
    dict(begin=1, trainable=['adapter'])
]


@pytest.fixture(scope='module')
def codec():
    torch.manual_seed(0)
    return tiny_codec('FactorizedPrior')


@pytest.fixture
def model(codec):
    adapter = DynamicAdaptation(8)
    nn.init.normal_(adapter.layers[-1].weight, std=0.1)
    return wrapped_model(copy.deepcopy(codec), adapter)


class GradientProbe(Hook):
    """Sees in every step which parts have gradients."""

    def __init__(self):
        self.seen = []

    def before_train(self, runner):
        zero_grad = runner.optim_wrapper.zero_grad

        def look_and_zero(**kwargs):
            self.seen.append(has_gradient(runner.model))
            zero_grad(**kwargs)

        runner.optim_wrapper.zero_grad = look_and_zero


def has_gradient(model):
    """For each part whether its parameters have a gradient, all or none."""
    answer = {}
    quantiles = model.backbone.codec.entropy_bottleneck.quantiles
    for part, parameters in split_parameters(model).items():
        answer[part], = {
            p.grad is not None
            for p in parameters if p is not quantiles
        }
    return answer


def only(*parts):
    return {part: part in parts for part in PARTS}


def run(model, work_dir, stages, probe, by_epoch=True, **kwargs):
    hooks = [RateLossHook(), TrainingStageHook(stages, by_epoch), probe]
    make_runner(model, work_dir, hooks, **kwargs).train()
    return probe.seen


def test_stages_switch_by_epoch(model, tmp_path):
    seen = run(model, tmp_path, B_THEN_C, GradientProbe())
    assert seen == 2 * [only('codec', 'adapter')] + 2 * [only('adapter')]


def test_stages_switch_by_iteration(model, tmp_path):
    stages = [
        dict(begin=0, trainable=['host']),
        dict(begin=1, trainable=['codec']),
        dict(begin=3, trainable=['codec', 'adapter', 'host'])
    ]
    seen = run(model, tmp_path, stages, GradientProbe(), by_epoch=False)
    assert seen == [only('host'), only('codec'), only('codec'), only(*PARTS)]


@pytest.mark.parametrize('trainable',
                         [['codec'], ['adapter'], ['host'], ['codec', 'host']])
def test_frozen_parts_stand_still(model, tmp_path, trainable):
    before = copy.deepcopy(model).state_dict()
    run(model, tmp_path, [dict(begin=0, trainable=trainable)], GradientProbe())
    prefixes = dict(codec='backbone.codec.', adapter='backbone.adapter.')
    for key, value in model.state_dict().items():
        part = next(
            (name
             for name, prefix in prefixes.items() if key.startswith(prefix)),
            'host')
        if part not in trainable:
            assert torch.equal(value, before[key]), key
    names = {
        'codec': 'backbone.codec.g_a.0.weight',
        'adapter': 'backbone.adapter.layers.6.weight',
        'host': 'head.weight'
    }
    for part in trainable:
        assert not torch.equal(model.state_dict()[names[part]],
                               before[names[part]]), part


def test_stage_of_the_encoder_leaves_the_rest_of_the_codec(tmp_path):
    codec = tiny_codec('MeanScaleHyperprior')
    model = wrapped_model(codec, None)
    before = copy.deepcopy(codec).state_dict()
    stages = [dict(begin=0, trainable=['encoder'])]
    run(model, tmp_path, stages, Probe(lambda runner: codec.training))
    moved = {
        key.split('.')[0]
        for key, value in codec.state_dict().items()
        if not torch.equal(value, before[key])
    }
    assert moved == {'g_a', 'h_a'}


@pytest.mark.parametrize('validates', [False, True])
def test_frozen_codec_and_adapter_stay_in_evaluation_mode(
        model, tmp_path, validates):

    def modes(runner):
        coder = runner.model.backbone
        return [
            coder.codec.g_a.training, coder.codec.entropy_bottleneck.training,
            coder.adapter.training, runner.model.head.training
        ]

    settings = with_val(['BitrateMetric']) if validates else {}
    stages = [
        dict(begin=0, trainable=['codec', 'host']),
        dict(begin=1, trainable=['adapter', 'host'])
    ]
    hooks = [EntropyTableHook(), RateLossHook(), TrainingStageHook(stages)]
    probe = Probe(modes)
    make_runner(model, tmp_path, [*hooks, probe], **settings).train()
    assert probe.seen == (2 * [[True, True, False, True]] +
                          2 * [[False, False, True, True]])


def test_frozen_codec_rounds(model, tmp_path):
    # Noise would be drawn anew in each step.
    model.backbone.codec.entropy_bottleneck.register_forward_hook(
        lambda module, args, output: setattr(module, 'last',
                                             (args[0], output[0])))

    def residue(runner):
        y, y_hat = runner.model.backbone.codec.entropy_bottleneck.last
        medians = runner.model.backbone.codec.entropy_bottleneck.quantiles[
            None, :, 0, 1, None, None]
        return (y_hat - medians - (y - medians).round()).abs().max().item()

    noisy, rounded = run(model, tmp_path, B_THEN_C, Probe(residue))[1:3]
    assert noisy > 0.1 and rounded < 1e-4


def test_statistics_of_a_frozen_host_stand_still(model, tmp_path):
    norm = model.backbone.backbone.norm

    def mean(runner):
        return norm.running_mean.clone()

    stages = [
        dict(begin=0, trainable=['codec']),
        dict(begin=1, trainable=['codec', 'host'])
    ]
    model.dropout = nn.Dropout()
    modes = Probe(lambda runner:
                  (norm.training, model.dropout.training, model.head.training))
    means = Probe(mean)
    hooks = [RateLossHook(), TrainingStageHook(stages), modes, means]
    make_runner(model, tmp_path, hooks).train()
    assert not means.seen[1].any()
    assert means.seen[3].any()
    assert modes.seen == 2 * [(False, False, True)] + 2 * [(True, True, True)]


def test_what_the_host_freezes_stays_frozen(model, tmp_path):
    conv = model.backbone.backbone.conv.requires_grad_(False)
    before = conv.weight.clone()
    seen = run(
        model, tmp_path, [
            dict(begin=0, trainable=['codec']),
            dict(begin=1, trainable=['host'])
        ], Probe(lambda runner: [p.requires_grad for p in conv.parameters()]))
    assert seen == [[False, False]] * 4
    assert torch.equal(conv.weight, before)
    assert not model.backbone.codec.entropy_bottleneck.quantiles.requires_grad


def test_frozen_parts_do_not_drift_by_momentum(model, tmp_path):
    probe = Probe(
        lambda runner: runner.model.backbone.codec.g_a[0].weight.clone())
    settings = dict(
        optim_wrapper=dict(
            optimizer=dict(
                type='SGD', lr=1e-3, momentum=0.9, weight_decay=0.1)))
    seen = run(model, tmp_path, B_THEN_C, probe, **settings)
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[1], seen[2]) and torch.equal(seen[2], seen[3])


def test_resumed_run_enters_its_stage(model, tmp_path):
    first = copy.deepcopy(model)
    run(first, tmp_path, B_THEN_C, GradientProbe(), max_epochs=1)
    seen = run(
        model, tmp_path, B_THEN_C, GradientProbe(), max_epochs=3, resume=True)
    assert seen == 4 * [only('adapter')]
    load_checkpoint(first, str(tmp_path / 'epoch_3.pth'), strict=True)


@pytest.mark.parametrize('begins', [[], [1], [0, 0], [0, 3, 2], [-1, 0]])
def test_stages_out_of_order_are_refused(begins):
    with pytest.raises(ValueError, match='`stages` must begin at 0 and rise'):
        TrainingStageHook(
            [dict(begin=begin, trainable=['codec']) for begin in begins])


@pytest.mark.parametrize('trainable', [[], ['codecs'], ['codec', 'neck']])
def test_stage_of_unknown_parts_or_none_is_refused(trainable):
    with pytest.raises(ValueError, match='A stage trains one or more of'):
        TrainingStageHook([dict(begin=0, trainable=trainable)])


@pytest.mark.parametrize('part', ['codec', 'adapter'])
def test_stage_of_a_part_that_is_absent_is_refused(tmp_path, part):
    runner = make_runner(
        wrapped_model(IdentityCodec()), tmp_path,
        [TrainingStageHook([dict(begin=0, trainable=[part])])])
    with pytest.raises(ValueError, match=f'trains the {part}, but this model'):
        runner.train()


def test_adapter_that_would_never_change_anything_is_refused(codec, tmp_path):
    runner = make_runner(
        wrapped_model(codec, DynamicAdaptation(8)), tmp_path,
        [TrainingStageHook([dict(begin=0, trainable=['codec'])])])
    with pytest.raises(ValueError, match='still the identity and no stage'):
        runner.train()


def test_after_training_the_model_trains_as_before(model, tmp_path):
    before = {n: p.requires_grad for n, p in model.named_parameters()}
    run(model, tmp_path, [dict(begin=0, trainable=['codec'])], GradientProbe())
    assert before == {n: p.requires_grad for n, p in model.named_parameters()}
