import math

import pytest
import torch
from conftest import smooth_images

from mmhmc.evaluation import MSSSIMMetric, PSNRMetric
from mmhmc.structures import CodedImage


def measured(metric, *pairs):
    samples = [
        dict(
            coding=CodedImage(0., None, tuple(x.shape[-2:]), tuple(
                x.shape[-2:]), x, x_hat)) for x, x_hat in pairs
    ]
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def image(height, width):
    return smooth_images(1, height, width)[0]


def test_psnr_is_that_of_the_mean_squared_error():
    x = torch.full((3, 4, 5), 0.5)
    # MSE 0.01: 20 dB. One channel off by 0.3: MSE 0.03, 15.23 dB.
    one = x.clone()
    one[1] += 0.3
    metrics = measured(PSNRMetric(), (x, x - 0.1), (x, one))
    assert metrics == pytest.approx(
        {'quality/psnr': (20 - 10 * math.log10(0.03)) / 2}, rel=1e-5)


def test_psnr_of_equal_images_is_100_db():
    x = image(4, 5)
    assert measured(PSNRMetric(),
                    (x, x)) == pytest.approx({'quality/psnr': 100.})


def test_psnr_of_lower_precision_is_computed_in_float32():
    x = torch.full((3, 4, 5), 0.5)
    metrics = measured(PSNRMetric(), (x.bfloat16(), (x + 0.25).bfloat16()))
    assert metrics['quality/psnr'] == pytest.approx(12.0412, abs=1e-4)


def test_ms_ssim_is_that_of_pytorch_msssim():
    from pytorch_msssim import ms_ssim
    x = image(161, 176)
    x_hat = (x + 0.1 * torch.randn_like(x)).clamp(0, 1)
    expected = ms_ssim(x[None], x_hat[None], data_range=1.).item()
    assert 0.5 < expected < 0.99
    assert measured(MSSSIMMetric(),
                    (x, x_hat)) == pytest.approx({'quality/ms_ssim': expected})
    assert measured(MSSSIMMetric(),
                    (x, x)) == pytest.approx({'quality/ms_ssim': 1.})


@pytest.mark.parametrize('size', [(160, 300), (300, 160), (1, 1)])
def test_small_pictures_are_left_out_of_ms_ssim(size):
    small, large = image(*size), image(161, 161)
    metrics = measured(MSSSIMMetric(), (small, 1 - small), (large, large))
    assert metrics == pytest.approx({'quality/ms_ssim': 1.})
    assert measured(MSSSIMMetric(), (small, small)) == {}


@pytest.mark.parametrize('metric', [PSNRMetric, MSSSIMMetric])
def test_prefix_can_be_chosen(metric):
    x = image(161, 161)
    name, = measured(metric(prefix='kodak'), (x, x))
    assert name.startswith('kodak/')


@pytest.mark.parametrize('metric', [PSNRMetric, MSSSIMMetric])
def test_sample_that_was_not_coded_is_an_error(metric):
    with pytest.raises(KeyError, match='says nothing about its coding'):
        metric().process(None, [dict()])
