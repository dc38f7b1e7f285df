"""SSIM, LPIPS, and what the packages pyiqa and torchmetrics have."""
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import smooth_images
from torch import nn

from mmhmc.evaluation import (DISTSMetric, FIDMetric, KIDMetric, LPIPSMetric,
                              NIQEMetric, SSIMMetric, frechet_distance,
                              kernel_distance)
from mmhmc.losses import FeatureLoss
from mmhmc.structures import CodedImage


def measured(metric, *pairs):
    samples = [
        dict(
            coding=CodedImage(0., None, tuple(x.shape[-2:]), tuple(
                x.shape[-2:]), x, x_hat)) for x, x_hat in pairs
    ]
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def image(height=32, width=40):
    return smooth_images(1, height, width)[0]


def test_ssim_is_that_of_pytorch_msssim_and_leaves_out_what_is_too_small():
    from pytorch_msssim import ssim
    x, x_hat = image(), image()
    expected = ssim(x[None], x_hat[None], data_range=1.).item()
    small = image(10, 40)
    metrics = measured(SSIMMetric(), (x, x_hat), (small, small))
    assert metrics == {'quality/ssim': pytest.approx(expected)}
    assert measured(SSIMMetric(), (small, small)) == {}


def test_lpips_is_the_mean_of_the_loss_and_says_which_one():
    loss = FeatureLoss((4, ))
    pairs = [(image(), image()) for _ in range(2)]
    expected = sum(loss(x[None], y[None]).item() for x, y in pairs) / 2
    metrics = measured(LPIPSMetric(loss=loss), *pairs)
    assert metrics == {'quality/FeatureLoss': pytest.approx(expected)}


def test_lpips_is_called_by_its_network(monkeypatch):
    from mmhmc.losses import lpips_loss
    monkeypatch.setattr(lpips_loss, '_build',
                        lambda net: SimpleNamespace(net=None))
    monkeypatch.setattr(lpips_loss, '_load_backbone', lambda *args: None)
    monkeypatch.setattr(lpips_loss.PerceptualLoss, '__init__',
                        lambda self, network: nn.Module.__init__(self))
    assert LPIPSMetric().name == 'lpips_alex'
    assert LPIPSMetric('vgg').name == 'lpips_vgg'


# pyiqa.


class FakeMeasure(nn.Module):

    def forward(self, *shown):
        return torch.stack([one.mean() for one in shown]).sum()


@pytest.mark.parametrize('metric, name, images', [(DISTSMetric, 'dists', 2),
                                                  (NIQEMetric, 'niqe', 1)])
def test_measures_of_pyiqa_see_the_images_they_need(monkeypatch, metric, name,
                                                    images):
    made = []

    def create_metric(wanted, device):
        made.append(wanted)
        return FakeMeasure()

    monkeypatch.setitem(sys.modules, 'pyiqa',
                        SimpleNamespace(create_metric=create_metric))
    x, x_hat = image(), image() / 2
    expected = x_hat.mean() + (x.mean() if images == 2 else 0)
    metrics = measured(metric(), (x, x_hat))
    assert metrics == {f'quality/{name}': pytest.approx(expected.item())}
    assert made == [name]


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pyiqa', None)
    with pytest.raises(ImportError, match='DISTSMetric cannot .*perceptual'):
        DISTSMetric()
    for name in ('torchmetrics', 'torchmetrics.image.fid'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match='torch-fidelity'):
        FIDMetric()


def test_missing_weights_are_named(monkeypatch):

    def create_metric(wanted, device):
        raise OSError('no connection')

    monkeypatch.setitem(sys.modules, 'pyiqa',
                        SimpleNamespace(create_metric=create_metric))
    with pytest.raises(RuntimeError, match='weights of niqe.*no connection'):
        NIQEMetric()


# FID and KID.


def test_frechet_distance_of_gaussians_is_the_closed_form():
    generator = np.random.default_rng(0)
    one = generator.normal(0, 1, (20000, 2))
    other = generator.normal((1, -2), (2, 3), (20000, 2))
    # |m|^2 + sum of (s - s')^2.
    assert frechet_distance(one, other) == pytest.approx(5 + 1 + 4, rel=0.03)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    # More features than images.
    few = generator.normal(0, 1, (5, 64))
    assert frechet_distance(few, few + 1) == pytest.approx(64, rel=1e-6)


def test_kernel_distance_is_the_unbiased_estimate():
    x, y = np.random.default_rng(0).normal(size=(2, 4, 3))

    def kernel(a, b):
        return (a @ b / 3 + 1)**3

    within = sum(
        kernel(z[i], z[j]) for z in (x, y) for i in range(4)
        for j in range(4) if i != j) / 12
    between = sum(kernel(a, b) for a in x for b in y) / 16
    assert kernel_distance(x, y, 4, 3) == pytest.approx(within - 2 * between)
    same = np.random.default_rng(1).normal(size=(2, 400, 3))
    assert abs(kernel_distance(*same, 200)) < 0.1
    assert kernel_distance(same[0], same[1] + 1, 200) > 1


def extractor(pixels):
    assert pixels.dtype == torch.uint8
    return pixels.float().mean((2, 3))


@pytest.mark.parametrize(
    'metric, distance',
    [(FIDMetric(3, extractor), frechet_distance),
     (KIDMetric(3, 3, extractor), lambda x, y: kernel_distance(x, y, 3))])
def test_distances_are_of_the_first_images(metric, distance):
    pairs = [(image(), image()) for _ in range(4)]
    features = [
        np.stack([
            extractor((one * 255).round().byte()[None])[0].numpy()
            for one in side
        ]) for side in zip(*pairs[:3])
    ]
    metrics = measured(metric, *pairs)
    assert metrics == {
        f'quality/{metric.name}_3': pytest.approx(distance(*features))
    }


def test_too_few_images_are_refused():
    x = image()
    with pytest.raises(ValueError, match='is to be of 5 images, .* has 1'):
        measured(FIDMetric(5, extractor), (x, x))
    with pytest.raises(ValueError, match='`num_images` must be at least 2'):
        FIDMetric(1, extractor)
    with pytest.raises(ValueError, match='`subset_size` must be from 2 to'):
        KIDMetric(10, 11, extractor)
    with pytest.raises(ValueError, match='`subset_size` must be from 2 to 3'):
        kernel_distance(np.zeros((3, 2)), np.zeros((4, 2)), 4)
