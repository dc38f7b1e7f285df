"""Run-time controls reach the codec, and training draws some of them."""
import copy

import pytest
import torch
from conftest import PREPROCESSOR, smooth_images, tiny_codec, variable_codec
from torch import nn

from mmhmc.codecs import MeanScaleHyperprior
from mmhmc.models import CodecBackbone, CodecModel, LatentBackbone
from mmhmc.models.condition_choice import ConditionChoice
from mmhmc.structures import CodingCondition


class ControlledCodec(MeanScaleHyperprior):
    """Takes any controls, writes them down, and does nothing else."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = []

    def check_images(self, x, condition):
        super().check_images(x, None)

    def encode_latents(self, x, condition=None, with_likelihoods=True):
        self.seen.append(('encode', condition))
        return super().encode_latents(x, None, with_likelihoods)

    def decode_latents(self, y_hat, condition=None):
        self.seen.append(('decode', condition))
        return super().decode_latents(y_hat)

    def read_latents(self, decoders, coded_size, condition=None):
        self.seen.append(('read', condition))
        return super().read_latents(decoders, coded_size)


@pytest.fixture(scope='module')
def trained():
    torch.manual_seed(0)
    return tiny_codec('MeanScaleHyperprior')


def controlled(trained):
    codec = ControlledCodec(8, 8)
    codec.load_state_dict(trained.state_dict())
    return codec


def models_of(codec, **kwargs):
    yield CodecBackbone(
        copy.deepcopy(codec), nn.Identity(), PREPROCESSOR, **kwargs)
    yield LatentBackbone(
        copy.deepcopy(codec), PREPROCESSOR, dict(image=True), **kwargs)
    yield CodecModel(copy.deepcopy(codec), **kwargs)


def test_evaluation_uses_the_fixed_controls_everywhere(trained):
    fixed = dict(quality=2.501, task='cls', alpha=0.5)
    stored = CodingCondition(quality=2.5, task='cls', alpha=0.5)
    for model in models_of(
            controlled(trained),
            condition=fixed,
            train_condition=dict(quality=[7])):
        model.eval()
        model(smooth_images(1, 64, 64))
        assert [what for what, _ in model.codec.seen
                ] == ['encode', 'read', 'decode']
        # As the file says it.
        assert {condition for _, condition in model.codec.seen} == {stored}


def test_training_draws_some_and_keeps_the_others(trained):
    for model in models_of(
            controlled(trained),
            condition=dict(quality=8, task='cls'),
            train_condition=dict(quality=[1, 2, 3])):
        model.train()
        qualities = set()
        for _ in range(20):
            with model.recording() as records:
                model(smooth_images(1, 64, 64))
            record, = records
            model.decode_images([record])
            conditions = {condition for _, condition in model.codec.seen}
            model.codec.seen.clear()
            assert conditions == {record.condition}
            assert record.condition.task == 'cls'
            qualities.add(record.condition.quality)
        assert qualities == {1, 2, 3}


def test_images_draw_qualities_of_their_own_where_the_codec_can():
    codec = tiny_codec('DCVCUFIntra')
    model = CodecModel(codec, train_condition=dict(quality=[1, 2, 3])).train()
    drawn = set()
    for _ in range(10):
        with model.recording() as records:
            model(smooth_images(4, 64, 64))
        qualities = records[0].condition.quality
        assert len(qualities) == 4
        drawn.add(qualities)
    assert {q for qualities in drawn for q in qualities} == {1, 2, 3}
    assert any(len(set(qualities)) > 1 for qualities in drawn)


def test_without_controls_the_codec_gets_none(trained):
    for model in models_of(controlled(trained)):
        model(smooth_images(1, 64, 64))
        assert {condition for _, condition in model.codec.seen} == {None}


def test_same_seed_draws_the_same():
    choice = ConditionChoice(None, dict(quality=list(range(1, 9))))
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        runs.append([choice(True).quality for _ in range(10)])
    assert runs[0] == runs[1] and len(set(runs[0])) > 1
    assert choice(False) is None


@pytest.mark.parametrize('given, message', [
    (dict(condition=dict(q=1)), r"`condition` has the unknown keys \['q'\]"),
    (dict(train_condition=dict(rate=[1])), '`train_condition` has the unkn'),
    (dict(train_condition=dict(quality=3)), 'must be a list of values'),
    (dict(train_condition=dict(quality=[])), 'must be a list of values'),
    (dict(train_condition=dict(task='cls')), 'must be a list of values'),
])
def test_what_does_not_fit_is_said(given, message):
    with pytest.raises(ValueError, match=message):
        ConditionChoice(**given)


class SeenQualities(nn.Module):
    """An adapter that writes down for which qualities it is called."""

    controls = ('quality', )

    def __init__(self, placement):
        super().__init__()
        self.placement, self.seen = placement, []
        self.in_channels = 8

    def forward(self, t, quality=None):
        self.seen.append(quality)
        return t


@pytest.mark.parametrize('placement', ['image', 'latent'])
def test_adapter_is_told_the_quality_of_each_image(placement):
    adapter = SeenQualities(placement)
    model = CodecBackbone(
        variable_codec('MeanScaleHyperprior'),
        nn.Identity(),
        PREPROCESSOR,
        adapter,
        train_condition=dict(quality=[1, 2, 3]))
    with model.recording() as records:
        model.train()(smooth_images(4, 64, 64))
    assert adapter.seen.pop() == records[0].condition.quality
    model.eval()(smooth_images(1, 64, 64))
    # Without a condition it is the highest.
    assert adapter.seen.pop() == 3
    model.choose_condition.fix(quality=1.5)
    model(smooth_images(1, 64, 64))
    assert adapter.seen == [1.5]


def test_adapter_without_qualities_needs_none():
    model = CodecBackbone(
        variable_codec('MeanScaleHyperprior'), nn.Identity(), PREPROCESSOR,
        dict(type='mmhmc.DynamicAdaptation', width=4))
    assert model.eval()(smooth_images(1, 64, 64)).isfinite().all()


@pytest.mark.parametrize(
    'kwargs, match',
    [(dict(), 'with 3 qualities, and MeanScaleHyperprior has one rate: .*=0`'),
     (dict(variable_rate=True), 'MeanScaleHyperprior has 8: set `num_qualit')])
def test_adapter_of_another_number_of_qualities_is_refused(kwargs, match):
    codec = MeanScaleHyperprior(8, 8, **kwargs)
    adapter = dict(type='mmhmc.DynamicAdaptation', width=4, num_qualities=3)
    with pytest.raises(ValueError, match=match):
        CodecBackbone(codec, nn.Identity(), PREPROCESSOR, adapter)


def test_fixed_controls_are_set_one_by_one():
    choose = ConditionChoice(dict(quality=2, task='cls'))
    choose.fix(quality=3.5)
    assert choose(False) == CodingCondition(quality=3.5, task='cls')
    choose.fix(quality=None, task=None)
    assert choose(False) is None
