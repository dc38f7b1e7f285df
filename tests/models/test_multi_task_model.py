"""Several hosts on one trunk."""
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import nn

from mmhmc.models import MultiTaskModel


@MODELS.register_module()
class SummingHost(BaseModel):
    """A host that learns and predicts the mean of its features."""

    def __init__(self, backbone, neck=None, gain=1.):
        super().__init__()
        self.backbone, self.gain = backbone, nn.Parameter(torch.tensor(gain))
        if neck is not None:
            self.neck = neck

    def extract_feat(self, inputs):
        raise AssertionError('The host computed features of its own.')

    def forward(self, inputs, data_samples=None, mode='tensor'):
        raise AssertionError('A task is asked for losses or predictions.')

    def loss(self, inputs, data_samples):
        found = self.gain * self.extract_feat(inputs).mean()
        wanted = torch.stack([
            s.gt_score if 'gt_score' in s else s.wanted for s in data_samples
        ]).mean()
        return dict(loss_sum=(found - wanted).abs(), found=found)

    def predict(self, inputs, data_samples=None):
        means = self.gain * self.extract_feat(inputs).mean((1, 2, 3))
        new = data_samples or [BaseDataElement() for _ in means]
        for sample, mean in zip(new, means):
            sample.set_field(mean[None], 'pred_score')
        return new


@MODELS.register_module()
class Unwilling(nn.Module):

    def __init__(self, backbone):
        super().__init__()


class Trunk(nn.Conv2d):

    def __init__(self):
        super().__init__(3, 4, 1)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


HOST = dict(type='SummingHost', _scope_='mmengine')


def model_of(**kwargs):
    return MultiTaskModel(
        nn.Identity(), Trunk(), **{
            **dict(
                tasks=dict(
                    whole=dict(HOST),
                    part=dict(HOST, neck=nn.AvgPool2d(2), gain=3.)),
                targets=dict(part='numbers'),
                weights=dict(part=0.5)),
            **kwargs
        })


def samples():
    made = []
    for value in (1., 3.):
        sample = BaseDataElement(
            metainfo=dict(numbers=[value], img_shape=(4, 4)))
        sample.set_field(torch.tensor([0.]), 'wanted')
        made.append(sample)
    return made


def test_losses_of_all_tasks_are_named_and_weighed():
    model, x = model_of(), torch.rand(2, 3, 4, 4)
    losses = model(x, samples(), 'loss')
    mean = model.trunk(x).mean()
    torch.testing.assert_close(losses['whole.loss_sum'], mean.abs())
    torch.testing.assert_close(losses['part.loss_sum'],
                               0.5 * (3 * mean - 2).abs())
    torch.testing.assert_close(losses['part.found'], 3 * mean)
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert model.trunk.weight.grad.any()


@MODELS.register_module()
class DenseHost(SummingHost):
    """A host whose head has a loss for each level, as mmdet's dense heads."""

    def loss(self, inputs, data_samples):
        found = self.gain * self.extract_feat(inputs).mean()
        return dict(
            loss_cls=[found, 2 * found],
            loss_nested=[[found], [3 * found]],
            levels=[2, 1])


def test_losses_of_several_levels_are_weighed():
    host = dict(type='DenseHost', _scope_='mmengine')
    tasks = dict(one=host, two=dict(host))
    inputs = torch.rand(2, 3, 8, 8)
    losses = model_of(
        tasks=tasks, targets={}, weights=dict(two=0.5))(inputs, samples(),
                                                        'loss')
    for name in ('loss_cls', 'loss_nested'):
        whole, half = (losses[f'{task}.{name}'] for task in ('one', 'two'))
        flat = [torch.as_tensor(v) for v in _flat(whole)]
        assert flat and [v / 2 for v in flat] == _flat(half)
    assert losses['two.levels'] == [2, 1]


def _flat(value):
    if isinstance(value, list):
        return [one for part in value for one in _flat(part)]
    return [value]


def test_task_without_a_weight_does_not_compute_its_losses():
    model = model_of(weights=dict(part=0.))
    model.tasks['part'].loss = None
    # Not even its targets are needed.
    given = samples()
    for sample in given:
        sample.pop('numbers')
    losses = model(torch.rand(2, 3, 8, 8), given, 'loss')
    assert [name.split('.')[0] for name in losses] == ['whole', 'whole']


def test_features_are_computed_once():
    model, x = model_of(), torch.rand(2, 3, 4, 4)
    for mode in ('tensor', 'loss', 'predict'):
        model.trunk.calls = 0
        model(x, samples(), mode)
        assert model.trunk.calls == 1


def test_predictions_are_told_apart():
    model, x = model_of(), torch.rand(2, 3, 4, 4)
    one, other = model(x, samples(), 'predict')
    assert other.part.gt_score.tolist() == [3.]
    torch.testing.assert_close(other.part.pred_score, 3 * other.pred_score)
    assert one.part.img_shape == (4, 4)


def test_heads_can_be_added_to_a_model_that_knew_nothing_of_them():
    before = model_of(tasks=dict(whole=dict(HOST)), targets={}, weights={})
    after = model_of()
    result = after.load_state_dict(before.state_dict(), strict=False)
    assert not result.unexpected_keys
    assert {k.split('.')[1] for k in result.missing_keys} == {'part'}


def test_missing_target_is_named():
    wrong = [BaseDataElement(metainfo=dict(img_shape=(4, 4)))]
    with pytest.raises(ValueError, match="'numbers' for the task 'part', onl"):
        model_of(tasks=dict(part=dict(HOST)))(torch.rand(1, 3, 4, 4), wrong,
                                              'loss')


@pytest.mark.parametrize('wrong, match', [
    (dict(tasks={}), 'at least one'),
    (dict(weights=dict(other=1.)), r"lacks \['other'\]"),
    (dict(targets=dict(part='part')), 'must have another name'),
    (dict(weights=dict(part=-1.)), 'must not be negative'),
    (dict(tasks=dict(part=dict(HOST, backbone=dict(type='X')))),
     'has a backbone of its own'),
    (dict(tasks=dict(part=dict(type='Unwilling', _scope_='mmengine'))),
     'no `extract_feat`'),
])
def test_tasks_that_cannot_be_are_refused(wrong, match):
    with pytest.raises(ValueError, match=match):
        model_of(**wrong)


def test_unknown_mode_is_refused():
    with pytest.raises(ValueError, match='`mode` must be'):
        model_of()(torch.rand(1, 3, 4, 4), samples(), 'sleep')
