import math
import pickle

import pytest
import torch
from conftest import (MockTaskModel, batch_of, make_runner, tiny_codec,
                      wrapped_model)
from torch import nn

from mmhmc.adapters import DynamicAdaptation
from mmhmc.codecs import IdentityCodec
from mmhmc.engine import RateLossHook
from mmhmc.engine.hooks.rate_loss_hook import picture_size
from mmhmc.structures import CodedPicture

SIZES = [(64, 64), (48, 40)]


@pytest.fixture
def model():
    return wrapped_model(tiny_codec('MeanScaleHyperprior'))


def losses_of(model, seed=1):
    data = model.train().data_preprocessor(batch_of(*SIZES), training=True)
    torch.manual_seed(seed)
    return model(**data, mode='loss')


def recorded(model, run):
    """Result and coded batches of a run without the hook."""
    model.backbone.expect(SIZES)
    return run(model), model.backbone.collect()


def test_losses_are_the_objective_by_hand(model):
    host, (record, ) = recorded(model, losses_of)
    RateLossHook(0.5, 0.01, 0.25).attach(model)
    losses = losses_of(model)
    bpp = sum(bits / (h * w)
              for bits, (h, w) in zip(record.bits, SIZES)) / len(SIZES)
    mse = torch.stack([(record.x - record.x_hat)[i, :, :h, :w].square().mean()
                       for i, (h, w) in enumerate(SIZES)])
    expected = dict(
        loss_rate=0.5 * bpp,
        loss_distortion=0.01 * 255**2 * mse.mean(),
        bpp=bpp,
        psnr=(-10 * mse.log10()).mean(),
        loss_task=0.25 * host['loss_task'],
        loss_parts=[0.25 * part for part in host['loss_parts']],
        acc=host['acc'])
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, msg=name)
    total, logs = model.parse_losses(losses)
    by_hand = (
        expected['loss_rate'] + expected['loss_distortion'] +
        expected['loss_task'] + sum(expected['loss_parts']))
    torch.testing.assert_close(total, by_hand)
    assert logs['loss'] == total


def test_only_losses_have_a_gradient(model):
    RateLossHook().attach(model)
    losses = losses_of(model)
    assert losses['loss_rate'].requires_grad
    assert losses['loss_distortion'].requires_grad
    assert not losses['bpp'].requires_grad
    assert not losses['psnr'].requires_grad


def test_weight_of_one_leaves_the_hosts_losses_alone(model):
    host, _ = recorded(model, losses_of)
    RateLossHook().attach(model)
    losses = losses_of(model)
    for name in ('loss_task', 'loss_parts', 'acc'):
        assert losses[name] == host[name]


def test_every_forward_of_one_step_counts(model):

    class TwoViews(MockTaskModel):

        def forward(self, inputs, data_samples=None, mode='tensor'):
            super().forward(inputs.flip(-1), data_samples, mode)
            return super().forward(inputs, data_samples, mode)

    model = TwoViews(model.backbone)
    _, records = recorded(model, losses_of)
    RateLossHook().attach(model)
    pixels = torch.tensor([h * w for h, w in SIZES])
    bpp = torch.stack([record.bits / pixels for record in records])
    assert bpp.shape == (2, 2)
    torch.testing.assert_close(losses_of(model)['bpp'], bpp.mean().detach())


def test_tensor_mode_passes(model):
    data = model.eval().data_preprocessor(batch_of(*SIZES))
    scores, _ = recorded(model, lambda model: model(**data))
    RateLossHook().attach(model)
    positional = (data['inputs'], data['data_samples'], 'tensor')
    assert torch.equal(model(**data), scores)
    assert torch.equal(model(*positional), scores)


@pytest.mark.parametrize('weight',
                         ['lmbda_rate', 'lmbda_distortion', 'lmbda_task'])
@pytest.mark.parametrize('value', [-1e-9, math.nan, math.inf])
def test_impossible_weight_is_refused(weight, value):
    with pytest.raises(ValueError, match=f'`{weight}` weighs .* got {value}'):
        RateLossHook(**{weight: value})


def test_what_was_coded_is_told_to_the_samples(model):

    def run(model):
        return model.eval().test_step(batch_of(*SIZES))

    _, (record, ) = recorded(model, run)
    RateLossHook().attach(model)
    for i, sample in enumerate(run(model)):
        coding, (h, w) = sample.coding, SIZES[i]
        assert isinstance(coding, CodedPicture)
        assert coding.bits == record.bits[i].item()
        assert coding.num_bytes == record.num_bytes[i]
        assert coding.coded_size == (h, w)
        assert coding.original_size == (2 * h, 2 * w)
        assert torch.equal(coding.x, record.x[i, :, :h, :w])
        assert torch.equal(coding.x_hat, record.x_hat[i, :, :h, :w])
        # Metrics get dictionaries.
        assert sample.to_dict()['coding'] is coding


def test_pictures_are_not_dumped_with_predictions(model):
    RateLossHook().attach(model)
    sample = model.eval().test_step(batch_of(*SIZES))[0]
    other = pickle.loads(pickle.dumps(sample)).coding
    assert other.x is None and other.x_hat is None
    assert other.num_bytes == sample.coding.num_bytes
    assert sample.coding.x is not None


@pytest.mark.parametrize(
    'img_shape, training, expected',
    [
        ((50, 60), False, (50, 60)),
        # Padded by the pipeline after a resize of 100x120 by a half.
        ((64, 64), False, (50, 60)),
        ((64, 64), True, (64, 64)),
        # Cropped after it.
        ((32, 40, 3), False, (32, 40)),
    ])
def test_padding_of_the_test_pipeline_does_not_count(img_shape, training,
                                                     expected):
    sample, = batch_of((50, 60))['data_samples']
    sample.set_metainfo(dict(img_shape=img_shape))
    assert picture_size(sample, training) == expected


def test_width_and_height_have_scales_of_their_own():
    sample, = batch_of((64, 64))['data_samples']
    sample.set_metainfo(dict(ori_shape=(100, 240), scale_factor=(0.25, 0.5)))
    assert picture_size(sample, False) == (50, 60)


def test_size_without_a_resize_is_that_of_the_tensor():
    sample, = batch_of((50, 60))['data_samples']
    del sample.scale_factor
    assert picture_size(sample, False) == (50, 60)


def test_detaching_leaves_nothing_on_the_model(model, tmp_path):

    def hooks():
        return [(m._forward_hooks, m._forward_pre_hooks)
                for m in model.modules()]

    before = [tuple(map(dict, both)) for both in hooks()]
    hook = RateLossHook()
    hook.attach(model)
    hook.attach(model)
    assert len(model._forward_hooks) == len(model._forward_pre_hooks) == 1
    hook.detach()
    assert [tuple(map(dict, both)) for both in hooks()] == before
    make_runner(model, tmp_path, [RateLossHook()], max_epochs=1).train()
    assert [tuple(map(dict, both)) for both in hooks()] == before
    assert 'loss_rate' not in losses_of(model)


def test_model_without_a_codec_is_refused():
    with pytest.raises(ValueError, match='MockTaskModel holds 0 codecs'):
        RateLossHook().attach(MockTaskModel())


def test_model_with_two_codecs_is_refused():
    model = wrapped_model(IdentityCodec())
    model.other = wrapped_model(IdentityCodec()).backbone
    with pytest.raises(ValueError, match='holds 2 codecs, expected one'):
        RateLossHook().attach(model)


def test_identity_codec_costs_and_loses_nothing():
    model = wrapped_model(IdentityCodec())
    RateLossHook().attach(model)
    losses = losses_of(model)
    assert losses['loss_rate'] == losses['loss_distortion'] == 0
    assert losses['psnr'] == 100


def test_untrained_adapter_is_refused_at_test_time():

    def tested(adapter, active=True):
        hook = RateLossHook()
        hook.attach(
            wrapped_model(
                IdentityCodec(), adapter, test_cfg=dict(adapter=active)))
        hook.before_test(None)
        return True

    with pytest.raises(ValueError, match='layer is zero, .*adapter=False'):
        tested(DynamicAdaptation(8))
    assert tested(DynamicAdaptation(8), active=False)
    assert tested(None)
    trained = DynamicAdaptation(8)
    nn.init.ones_(trained.layers[-1].bias)
    assert tested(trained)
