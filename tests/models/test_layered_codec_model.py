"""Rate, looks and realism of a layered codec."""
import copy

import pytest
import torch
from conftest import (PREPROCESSOR, batch_of, make_runner, smooth_images,
                      tiny_codec)
from torch import nn
from traced_ops import TracedOps

from mmhmc.engine import AlternatingOptimWrapperConstructor
from mmhmc.losses import FeatureLoss, HingeLoss, feature_matching_loss
from mmhmc.models import LayeredCodecModel

DISCRIMINATOR = dict(
    type='mmhmc.TwoScaleDiscriminator',
    context_channels=2,
    hidden_channels=(4, 4, 8))
OPTIMIZER = dict(
    constructor='mmhmc.AlternatingOptimWrapperConstructor',
    optimizer=dict(type='Adam', lr=1e-3))


@pytest.fixture(scope='module')
def codec_state():
    torch.manual_seed(0)
    return tiny_codec('LayeredGenerative')


def model_of(codec, **kwargs):
    settings = dict(
        perceptual=FeatureLoss((4, 4)),
        discriminator=dict(DISCRIMINATOR),
        data_preprocessor=PREPROCESSOR)
    return LayeredCodecModel(codec, **{**settings, **kwargs}).train()


@pytest.fixture
def codec(codec_state):
    return copy.deepcopy(codec_state)


def inputs_of(x):
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


def test_losses_are_weighed_as_documented(codec):
    x = smooth_images(2, 64, 64)
    model = model_of(
        codec,
        lmbda_rate=3.,
        lmbda_l1=5.,
        lmbda_mse=0.5,
        lmbda_perceptual=2.,
        lmbda_adversarial=7.,
        lmbda_matching=11.).eval()
    with torch.no_grad():
        losses = model(inputs_of(x), None, 'loss')
        output = model.codec(x)
        fake, fake_features = model.discriminator.judge(
            output.x_hat, output.y_hat)
        _, real_features = model.discriminator.judge(x, output.y_hat)
    bits = {k: -p.log2().sum() for k, p in output.likelihoods.items()}
    bpp = sum(bits.values()) / (2 * 64 * 64)
    error = x - output.x_hat
    expected = dict(
        loss_rate=3 * bpp,
        loss_l1=5 * 2 * error.abs().mean(),
        loss_distortion=0.5 * 255**2 * error.square().mean(),
        loss_perceptual=2 * model.perceptual(x, output.x_hat).mean(),
        loss_adversarial=-7 * fake.mean(),
        loss_matching=11 * feature_matching_loss(real_features, fake_features),
        bpp=bpp,
        bpp_base=bpp - bits['t'] / (2 * 64 * 64),
        psnr=-10 * error.square().mean().log10())
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            losses[name], value, rtol=1e-4, atol=1e-5, msg=name)


def test_discriminator_sees_the_semantic_layer(codec):
    model = model_of(codec)
    assert model.discriminator.seen_channels == codec.semantic_channels
    assert isinstance(model.adversarial, HingeLoss)


def test_discriminator_joins_after_the_first_batches(codec):
    model, x = model_of(codec, adversarial_begin=3), smooth_images(1, 64, 64)
    turns = []
    for _ in range(6):
        turns.append(model.active_optimizer)
        output, touched = step(model, x)
        adversarial = 'loss_adversarial' in output
        assert adversarial == ('loss_matching' in output)
        assert adversarial == (len(turns) > 3 and turns[-1] == 'generator')
        part = 'discriminator' if turns[-1] == 'discriminator' else 'codec'
        assert {name.split('.')[0] for name in touched} == {part}
    assert turns[:3] == ['generator'] * 3
    assert set(turns[3:]) == {'generator', 'discriminator'}


def test_generator_learns_all_of_the_codec(codec):
    model = model_of(codec)
    _, touched = step(model, smooth_images(2, 64, 64))
    assert touched == {
        f'codec.{n}'
        for n, p in codec.named_parameters() if p.requires_grad
    }


def test_no_gradient_goes_through_originals(codec):
    model, x = model_of(codec), smooth_images(3, 64, 64)
    loss = model(inputs_of(x), None, 'loss')
    parts = [
        loss[f'loss_{n}'] for n in ('adversarial', 'matching', 'perceptual')
    ]
    with TracedOps() as traced:
        torch.autograd.grad(sum(parts), list(codec.g_s.parameters()))
    assert len(traced.convolutions) > 5
    assert set(traced.convolutions) == {3}


def test_originals_and_decoded_images_are_judged_by_the_same_norms(codec):
    model, x = model_of(codec, perceptual=None), smooth_images(2, 64, 64)
    # Norms of fresh weights change with every forward.
    output = model.codec(x)
    output.x_hat = x.clone()
    losses = model._adversarial_losses(x, output)
    assert losses['loss_matching'] == 0


def test_codec_alone_learns_without_a_discriminator(codec):
    model = model_of(codec, discriminator=None)
    for _ in range(3):
        assert model.active_optimizer == 'generator'
        output, _ = step(model, smooth_images(1, 64, 64))
        assert 'loss_adversarial' not in output


def test_losses_of_one_image_fall(codec):
    model = model_of(codec, lmbda_rate=0.1, lmbda_adversarial=0.1)
    wrapper = AlternatingOptimWrapperConstructor(
        dict(optimizer=OPTIMIZER['optimizer']))(
            model)
    batch = batch_of((64, 64))
    history = []
    for _ in range(30):
        logs = model.train_step(batch, wrapper)
        if 'loss_l1' in logs:
            history.append(logs['loss_l1'].item())
    assert min(history[-3:]) < 0.7 * history[0]


def test_discriminator_that_diverges_is_caught(codec, tmp_path):
    model = model_of(codec)
    nn.init.constant_(model.discriminator.scales[0][-1].bias, float('nan'))
    runner = make_runner(
        model,
        tmp_path, [dict(type='mmhmc.FiniteLossHook', max_consecutive=2)],
        optim_wrapper=OPTIMIZER)
    before = {k: v.clone() for k, v in codec.named_parameters()}
    with pytest.raises(RuntimeError, match='2 steps in a row were not finite'):
        runner.train()
    for name, parameter in codec.named_parameters():
        assert torch.equal(parameter, before[name]), name


@pytest.mark.parametrize(
    'name', ['rate', 'l1', 'mse', 'perceptual', 'adversarial', 'matching'])
def test_negative_weight_is_refused(codec, name):
    with pytest.raises(ValueError, match='must be finite and at least 0'):
        model_of(codec, **{f'lmbda_{name}': -1.})
