"""What a codec gives for a bit: the lmbda that it was trained with."""
import math
from dataclasses import replace

import torch
from torch import Tensor

from mmhmc.codecs import ImageCodec
from mmhmc.codecs.latent_search import LatentSearch
from mmhmc.functional.devices import device_of
from mmhmc.structures import CodingCondition, Condition
from .trial_coding import encode_and_decode, searching

#: Qualities to either side between which the slope of a curve is taken.
_AWAY = 2


def exchange_rate(codec: ImageCodec,
                  x: Tensor,
                  condition: Condition = None) -> float:
    """Measure where on its rate-distortion curve a codec codes an image.

    Of a codec with several qualities it is the slope of its curve, between
    neighbours of this quality. One with a single rate is at the least of
    ``rate + lmbda * 255^2 * MSE``: making a channel of its latent a little
    larger costs as much rate as it saves distortion. So the ratio of both
    derivatives is ``lmbda``; this is the median over channels. Quantisation
    is noise there, as in training.

    Args:
        codec: A learned codec in evaluation mode.
        x: RGB in [0, 1], shape (1, 3, H, W).
        condition: Run-time controls, for codecs that have any.

    Returns:
        ``lmbda``, positive; of four codecs with one rate before four images
        it was within 50 % of that of the training.

    Raises:
        ValueError: If the codec has no latents, or more bits save nothing.
    """
    lmbda = _slope(codec, x, condition)
    if math.isnan(lmbda):
        lmbda = _by_channels(codec, x, condition)
    if not 0 < lmbda < math.inf:
        raise ValueError(
            f'`lmbda` cannot be measured: {type(codec).__name__} does not '
            'exchange rate for MSE at this image. Was it trained for another '
            'measure, or not at all? Give `lmbda`.')
    return lmbda


def _by_channels(codec: ImageCodec, x: Tensor, condition: Condition) -> float:
    """Rate for distortion where channels grow a little."""
    generator = torch.Generator(device_of(codec)).manual_seed(0)

    def noisy(name: str, t: Tensor) -> Tensor:
        if name == 'z':
            return t.detach().round()
        return t - 0.5 + torch.rand(
            t.shape, device=t.device, dtype=t.dtype, generator=generator)

    search = LatentSearch()
    search.relaxation = noisy
    with searching(search):
        with torch.no_grad():
            encode_and_decode(codec, x, condition)
        latents = [
            t.requires_grad_() for name, t in search.latents.items()
            if name != 'z'
        ]
        if not latents:
            raise ValueError(f'{type(codec).__name__} has no latents that '
                             'a search could change.')
        bits, x_hat, _ = encode_and_decode(codec, x, condition)
        mse = (x_hat - x).square().mean()
        rates = torch.autograd.grad(bits, latents, retain_graph=True)
        gains = torch.autograd.grad(mse, latents)
    ratios = torch.cat([
        _along_channels(rate, t) / _along_channels(gain, t)
        for rate, gain, t in zip(rates, gains, latents)
    ])
    pixels = x.shape[-2] * x.shape[-1]
    # Channels that are zero everywhere say nothing.
    return -ratios.nanmedian().item() / (pixels * 255**2)


def _slope(codec: ImageCodec, x: Tensor, condition: Condition) -> float:
    """Rate for distortion between two qualities; not a number without."""
    if not getattr(codec, 'num_qualities', 0) > 1:
        return math.nan
    quality = codec.quality_of(condition)
    costs, pixels = [], x.shape[-2] * x.shape[-1]
    for other in (max(1, quality - _AWAY),
                  min(codec.num_qualities, quality + _AWAY)):
        asked = replace(condition or CodingCondition(), quality=other)
        with searching(LatentSearch()), torch.no_grad():
            bits, x_hat, _ = encode_and_decode(codec, x, asked)
        costs.append((bits.item() / pixels,
                      255**2 * (x_hat - x).square().mean().item()))
    (rate, loss), (more, less) = costs
    return (more - rate) / (loss - less) if less < loss else math.nan


def _along_channels(gradient: Tensor, t: Tensor) -> Tensor:
    """Derivative for enlarging each channel of (1, C, h, w), shape (C, )."""
    t = t.detach()
    return (gradient * (t - t.mean((2, 3), keepdim=True))).sum((0, 2, 3))
