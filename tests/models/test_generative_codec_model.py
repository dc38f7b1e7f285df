"""The codec learns against a discriminator, each on its own batches."""
import copy

import pytest
import torch
from conftest import CODECS, PREPROCESSOR, batch_of, smooth_images, tiny_codec
from torch import nn

from mmhmc.codecs import MeanScaleHyperprior, build_codec
from mmhmc.engine import AlternatingOptimWrapperConstructor
from mmhmc.losses import FeatureLoss, PatchDiscriminator
from mmhmc.models import GenerativeCodecModel
from mmhmc.structures import CodingCondition

OPTIMIZER = dict(optimizer=dict(type='Adam', lr=1e-3))
DISCRIMINATOR = dict(
    type='mmhmc.PatchDiscriminator',
    context_channels=2,
    hidden_channels=(4, 4, 8, 8))


class VariableRate(MeanScaleHyperprior):
    """Notes what it is asked for."""

    def __init__(self):
        super().__init__(8, 8)
        self.seen = []

    def check_images(self, x, condition):
        super().check_images(x, None)
        self.seen.append(condition)


def model_of(codec=None, **kwargs):
    """Eight qualities; without a codec of its own, one, with tables."""
    settings = dict(
        perceptual=FeatureLoss((4, 4)),
        discriminator=dict(DISCRIMINATOR),
        data_preprocessor=PREPROCESSOR)
    if codec is None:
        codec = tiny_codec('MeanScaleHyperprior')
        settings.update(quality_range=None, lmbda_rate=(1., ))
    return GenerativeCodecModel(codec, **{**settings, **kwargs}).train()


def inputs_of(x):
    """As the data preprocessor would give them."""
    mean, std = (
        torch.tensor(PREPROCESSOR[k]).view(3, 1, 1) / 255
        for k in ('mean', 'std'))
    return (x - mean) / std


def step(model, x):
    """Losses of a batch, and the names of the parameters with gradients."""
    model.zero_grad()
    output = model(inputs_of(x), None, 'loss')
    sum(v for k, v in output.items() if 'loss' in k).backward()
    return output, {
        n
        for n, p in model.named_parameters() if p.grad is not None
    }


# Whose turn it is.


def test_parts_learn_in_turn_and_never_from_the_other_ones_loss():
    model, x = model_of(), smooth_images(2, 64, 64)
    learning = {n for n, p in model.named_parameters() if p.requires_grad}
    for _ in range(2):
        assert model.active_optimizer == 'generator'
        output, touched = step(model, x)
        assert set(output) == {
            'loss_rate', 'loss_distortion', 'loss_perceptual',
            'loss_adversarial', 'bpp', 'psnr'
        }
        assert touched == {n for n in learning if n.startswith('codec.')}
        assert model.active_optimizer == 'discriminator'
        output, touched = step(model, x)
        assert set(output) == {'loss_discriminator', 'discriminator_accuracy'}
        assert touched == {
            n
            for n in learning if n.startswith('discriminator.')
        }
    assert all(p.requires_grad for p in model.discriminator.parameters())


def test_frozen_weights_of_the_discriminator_stay_frozen():
    model, x = model_of(), smooth_images(1, 64, 64)
    frozen = model.discriminator.copies[0].head.weight.requires_grad_(False)
    step(model, x)
    assert not frozen.requires_grad


def test_without_a_discriminator_only_the_codec_learns():
    model, x = model_of(discriminator=None), smooth_images(1, 64, 64)
    for _ in range(3):
        assert model.active_optimizer == 'generator'
        output, touched = step(model, x)
        assert 'loss_adversarial' not in output
        assert all(name.startswith('codec.') for name in touched)


def test_perceptual_loss_can_be_left_out():
    output, _ = step(model_of(perceptual=None), smooth_images(1, 64, 64))
    assert 'loss_perceptual' not in output


def test_optimizers_move_their_own_part_only():
    model = model_of()
    wrapper = AlternatingOptimWrapperConstructor(OPTIMIZER)(model)
    for part, other in (('codec', 'discriminator'), ('discriminator',
                                                     'codec')):
        before = {n: p.clone() for n, p in model.named_parameters()}
        model.train_step(batch_of((64, 64), (64, 64)), wrapper)
        moved = {
            n.split('.')[0]
            for n, p in model.named_parameters()
            if not torch.equal(p, before[n])
        }
        assert moved == {part}


# The objective.


def test_losses_are_weighed_as_documented():
    x = smooth_images(2, 64, 64)
    weights = dict(
        lmbda_rate=(3., ),
        lmbda_distortion=0.5,
        lmbda_perceptual=2.,
        lmbda_adversarial=7.)
    model = model_of(max_shift=0, **weights).eval()
    with torch.no_grad():
        losses = model(inputs_of(x), None, 'loss')
        output = model.codec(x)
        logits = model.discriminator(output.x_hat, output.y_hat)
    bits = sum(-p.log2().sum() for p in output.likelihoods.values())
    mse = (x - output.x_hat).square().mean()
    expected = dict(
        loss_rate=3 * bits / (2 * 64 * 64),
        loss_distortion=0.5 * 255**2 * mse,
        loss_perceptual=2 * model.perceptual(x, output.x_hat).mean(),
        loss_adversarial=7 * nn.functional.softplus(-logits).mean(),
        bpp=bits / (2 * 64 * 64),
        psnr=-10 * mse.log10())
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            losses[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_published_weights_are_the_defaults():
    model = GenerativeCodecModel(
        VariableRate(), perceptual=FeatureLoss((4, )), discriminator=None)
    table = [0.0018, 0.0035, 0.0067, 0.013, 0.025, 0.0483, 0.0932, 0.18]
    expected = [100 * table[8 - q] for q in range(1, 9)]
    assert model.lmbda_rate == pytest.approx(expected)
    assert (model.lmbda_distortion, model.lmbda_perceptual,
            model.lmbda_adversarial) == (0.01, 4.26, 2.56)
    assert model.quality_range == (1, 8) and model.max_shift == 15


def test_discriminator_fits_codec_and_qualities():
    model = model_of(VariableRate())
    assert len(model.discriminator.copies) == 8
    assert model.discriminator.copies[0].context[0].in_channels == 8
    built = PatchDiscriminator(8, 1, 2, (4, 4, 4, 4))
    assert model_of(discriminator=built).discriminator is built


def test_beta_weighs_realism():
    x = smooth_images(1, 64, 64)
    values = []
    for beta in (2.56, 0.64, 0.):
        torch.manual_seed(0)
        model = model_of(
            tiny_codec('MRIC'),
            condition=dict(beta=0.),
            train_condition=dict(beta=[beta]),
            quality_range=None,
            lmbda_rate=(1., ),
            max_shift=0)
        # So that the image is the same.
        for block in model.codec.g_s:
            for name, shift in block.named_children():
                if name.startswith('shift'):
                    nn.init.zeros_(shift.weight)
        torch.manual_seed(1)
        output, _ = step(model, x)
        values.append((output['loss_perceptual'], output['loss_adversarial'],
                       output['loss_rate']))
    for k in (0, 1):
        torch.testing.assert_close(values[1][k], values[0][k] / 4)
        assert values[2][k] == 0 < values[0][k]
    assert values[0][2] == values[1][2] == values[2][2]


def test_losses_of_the_codec_itself_are_added(monkeypatch):
    model, x = model_of(), smooth_images(1, 64, 64)
    forward = model.codec.forward

    def with_ratio(x, condition):
        output = forward(x, condition)
        output.extra_losses['ratio'] = output.y_hat.mean() * 0 + 5
        return output

    monkeypatch.setattr(model.codec, 'forward', with_ratio)
    assert step(model, x)[0]['loss_ratio'] == 5
    assert 'loss_ratio' not in step(model, x)[0]


# Quality.


def qualities_of(model, count):
    x = smooth_images(1, 64, 64)
    model.codec.seen.clear()
    turns = []
    with torch.no_grad():
        for _ in range(count):
            turns.append(
                (model.active_optimizer, model(inputs_of(x), None, 'loss')))
    return [condition.quality for condition in model.codec.seen], turns


def test_quality_is_drawn_for_each_batch_from_the_whole_range():
    model = model_of(
        VariableRate(),
        quality_range=(3, 5),
        lmbda_rate=(30., 40., 50.),
        perceptual=None)
    qualities, turns = qualities_of(model, 40)
    for start in (0, 1):
        # Those of the codec, and those of the discriminator.
        assert set(qualities[start::2]) == {3, 4, 5}
    for quality, (turn, output) in zip(qualities, turns):
        if turn == 'generator':
            torch.testing.assert_close(output['loss_rate'],
                                       10. * quality * output['bpp'])


def test_discriminator_of_the_quality_learns():
    model = model_of(VariableRate(), perceptual=None)
    x = smooth_images(1, 64, 64)
    for _ in range(4):
        step(model, x)
        _, touched = step(model, x)
        quality = model.codec.seen[-1].quality
        assert {n.split('.')[2] for n in touched} == {str(quality - 1)}


def test_draws_go_on_where_a_state_dict_left_them():
    # Whatever torch's generator does: it differs between processes.
    model = model_of(VariableRate(), perceptual=None)
    first, _ = qualities_of(model, 5)
    other = copy.deepcopy(model)
    other.num_batches = 0
    other.load_state_dict(model.state_dict())
    torch.manual_seed(123)
    expected, _ = qualities_of(model, 9)
    torch.manual_seed(321)
    again, turns = qualities_of(other, 9)
    assert again == expected
    assert turns[0][0] == 'discriminator'
    other.num_batches = 0
    assert qualities_of(other, 5)[0] == first


def test_other_controls_are_kept():
    model = model_of(
        VariableRate(),
        condition=dict(task='mse', quality=8),
        quality_range=(2, 2),
        lmbda_rate=(1., ),
        perceptual=None)
    step(model, smooth_images(1, 64, 64))
    assert model.codec.seen == [CodingCondition(quality=2, task='mse')]


def test_codec_without_qualities_is_asked_for_none():
    codec = VariableRate()
    model = model_of(
        codec, quality_range=None, lmbda_rate=(1., ), perceptual=None)
    step(model, smooth_images(1, 64, 64))
    assert codec.seen == [None]


# Training.


def train_on_one_image(steps, lr, discriminator_lr):
    """Logs of the codec's steps, and of the discriminator's."""
    model = model_of(
        MeanScaleHyperprior(16, 16),
        quality_range=None,
        lmbda_rate=(0.1, ),
        lmbda_distortion=0.002,
        max_shift=3)
    wrapper = AlternatingOptimWrapperConstructor(
        dict(
            optimizer=dict(type='Adam', lr=lr),
            clip_grad=dict(max_norm=1.),
            discriminator=dict(
                optimizer=dict(type='Adam', lr=discriminator_lr))))(
                    model)
    image, = smooth_images(1, 64, 64)
    data = dict(inputs=[(255 * image.flip(0)).byte()])
    logs = [model.train_step(dict(data), wrapper) for _ in range(steps)]
    logs = [{k: float(v) for k, v in log.items()} for log in logs]
    assert all(abs(v) < float('inf') for log in logs for v in log.values())
    return logs[::2], logs[1::2]


def mean(logs, name):
    return sum(log[name] for log in logs) / len(logs)


def test_codec_learns_one_image():
    logs, _ = train_on_one_image(60, 3e-3, 3e-3)
    for name, share in (('loss', 0.4), ('loss_perceptual', 0.9)):
        assert mean(logs[-5:], name) < share * mean(logs[:5], name), name


def test_discriminator_learns_to_know_a_codec_that_stands_still():
    _, logs = train_on_one_image(60, 0., 1e-2)
    assert mean(
        logs[-5:],
        'loss_discriminator') < 0.3 * mean(logs[:5], 'loss_discriminator')
    assert mean(logs[-5:], 'discriminator_accuracy') > 0.95


def test_codec_with_several_rates_trains():
    codec = build_codec(
        dict(type='mmhmc.TinyLIC', **CODECS['TinyLIC'], variable_rate=True))
    model, x = model_of(codec), smooth_images(1, 64, 64)
    for turn in ('codec', 'discriminator'):
        output, touched = step(model, x)
        assert all(value.isfinite() for value in output.values())
        assert {name.split('.')[0] for name in touched} == {turn}


def test_bf16_autocast_trains_both_parts():
    model = model_of()
    wrapper = AlternatingOptimWrapperConstructor(OPTIMIZER)(model)
    seen = []
    for part in (model.codec.g_a[0], model.discriminator.copies[0].head,
                 model.codec.h_s):
        part.register_forward_hook(lambda *args: seen.append(args[-1].dtype))
    for _ in range(4):
        with torch.autocast('cpu', torch.bfloat16):
            data = model.data_preprocessor(batch_of((64, 64), (64, 64)), True)
            with wrapper.optim_context(model):
                losses = model(**data, mode='loss')
        loss, log = model.parse_losses(losses)
        wrapper.update_params(loss)
        assert loss.isfinite() and loss.dtype == torch.float32
    bf16, full = torch.bfloat16, torch.float32
    assert seen == [bf16, full, bf16] * 4
    assert all(p.isfinite().all() for p in model.parameters())


# What is refused.


@pytest.mark.parametrize('arguments, message', [
    (dict(lmbda_rate=(1., 2.)), 'there are 2 for None'),
    (dict(quality_range=(1, 8)), r'there are 1 for \(1, 8\)'),
    (dict(quality_range=(3, 2), lmbda_rate=()), r'are 0 for \(3, 2\)'),
    (dict(lmbda_rate=(-1., )), '`lmbda_rate` weighs .* got -1.0'),
    (dict(lmbda_distortion=float('nan')), '`lmbda_distortion` weighs'),
    (dict(lmbda_perceptual=-2), '`lmbda_perceptual` weighs'),
    (dict(lmbda_adversarial=float('inf')), '`lmbda_adversarial` weighs'),
])
def test_weights_that_make_no_objective_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        model_of(**arguments)


def test_image_that_does_not_fit_the_stride_is_refused():
    with pytest.raises(ValueError, match='multiples of 64'):
        step(model_of(), smooth_images(1, 64, 80))
