"""Batches of which the gradients are added up, and scaled rates."""
from unittest import mock

import pytest
import torch
from conftest import CODECS, MockTaskModel, make_runner, wrapped_model
from torch import nn

from mmhmc.codecs import build_codec
from mmhmc.engine import FiniteLossHook, RateLossHook


class MeanHost(MockTaskModel):
    """Its loss is a mean over images, without statistics of the batch."""

    def __init__(self, backbone):
        super().__init__(backbone)
        self.backbone.backbone.norm = nn.GroupNorm(1, 4)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        output = super().forward(inputs, data_samples, mode)
        if mode == 'loss':
            del output['loss_parts']
        return output


def gradients(folder, batch_size, accumulative_counts):
    """What the one step of an epoch of four images is given."""
    from compressai.entropy_models import EntropyModel
    torch.manual_seed(0)
    codec = build_codec(
        dict(type='mmhmc.ScaleHyperprior', **CODECS['ScaleHyperprior']))
    model = MeanHost(wrapped_model(codec).backbone)
    runner = make_runner(
        model,
        folder, [RateLossHook(), FiniteLossHook()],
        max_epochs=1,
        default_hooks=dict(checkpoint=None),
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=1e-3),
            accumulative_counts=accumulative_counts),
        train_dataloader=dict(
            dataset=dict(type='TinyDataset'),
            batch_size=batch_size,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False)))
    steps = []

    def note_gradients(optimizer, args, kwargs):
        steps.append({
            name: p.grad.clone()
            for name, p in model.named_parameters() if p.grad is not None
        })

    def steady(self, inputs, mode, means=None):
        # Depends on an image only, not on its place in a batch.
        return inputs + torch.sin(8 * inputs.detach()) / 2

    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper.optimizer.register_step_pre_hook(note_gradients)
    with mock.patch.object(EntropyModel, 'quantize', steady):
        runner.train()
    step, = steps
    return step


@pytest.mark.parametrize('batch_size', [1, 2])
def test_small_batches_add_up_to_the_gradient_of_the_large_one(
        tmp_path, batch_size):
    large = gradients(tmp_path, 4, 1)
    added = gradients(tmp_path, batch_size, 4 // batch_size)
    assert large.keys() == added.keys() and len(large) > 20
    one, two = (
        torch.cat([g[name].flatten() for name in large])
        for g in (added, large))
    assert (one - two).abs().max() < 1e-6 * two.norm()


@pytest.mark.parametrize('batch_size', [2, 4])
def test_learning_rate_is_scaled_with_the_batch(tmp_path, batch_size):
    codec = build_codec(
        dict(type='mmhmc.ScaleHyperprior', **CODECS['ScaleHyperprior']))
    runner = make_runner(
        wrapped_model(codec),
        tmp_path, [RateLossHook()],
        max_epochs=1,
        default_hooks=dict(checkpoint=None),
        optim_wrapper=dict(
            constructor='mmhmc.CodecOptimWrapperConstructor',
            optimizer=dict(type='SGD', lr=1e-3),
            paramwise_cfg=dict(codec=dict(lr=1e-4))),
        auto_scale_lr=dict(enable=True, base_batch_size=8),
        train_dataloader=dict(
            dataset=dict(type='TinyDataset'),
            batch_size=batch_size,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True)))
    runner.train()
    rates = {
        group['part']: group['lr']
        for group in runner.optim_wrapper.param_groups
    }
    assert rates == pytest.approx({
        'codec': 1e-4 * batch_size / 8,
        'host': 1e-3 * batch_size / 8
    })
