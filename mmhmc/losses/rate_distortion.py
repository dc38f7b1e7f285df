"""The objective of joint training.

.. code-block:: none

    L = lmbda_rate * R + lmbda_distortion * 255^2 * MSE(x, x_hat)
        + lmbda_perceptual * d(x, x_hat or x_bar) + lmbda_task * D_m

R is the rate in bits per coded pixel, d a perceptual distance and D_m the sum
of the host's losses. R, MSE and d are means over all images of the batches
that one forward of the host has coded. Each term below is a function of these
batches; ``mmhmc.RateLossHook`` adds them to the host's losses.
"""
import math
from collections.abc import Callable, Sequence
from numbers import Real

import torch
from torch import Tensor

from mmhmc.functional import image_mse, valid_mask
from mmhmc.functional.devices import on_device_of, to_device
from mmhmc.functional.rate import fills, per_pixel
from mmhmc.structures import CodedBatch

#: A weight of the objective: a number; or for a codec whose rate varies the
#: weight at each quality, from 1, or a function of the quality.
Lmbda = float | Sequence[float] | Callable[[float], float]


def check_lmbdas(name: str, lmbda: Lmbda) -> Lmbda:
    """A weight of the objective, or several.

    Raises:
        ValueError: If one is negative or not finite, or there is none.
    """
    if callable(lmbda):
        return lmbda
    if not isinstance(lmbda, Sequence):
        return check_lmbda(name, lmbda)
    if not len(lmbda):
        raise ValueError(f'`{name}` has no weights.')
    return [check_lmbda(name, value) for value in lmbda]


def check_lmbda(name: str, value: float) -> float:
    """A weight of the objective.

    Raises:
        ValueError: If it is negative or not finite.
    """
    if not math.isfinite(value) or value < 0:
        raise ValueError(f'`{name}` weighs a part of the loss and must be '
                         f'finite and at least 0, got {value}.')
    return float(value)


def with_gradients(batches: Sequence[CodedBatch]) -> Sequence[CodedBatch]:
    """The batches that train the codec; all if none does.

    Copies of a backbone that do not learn (a mean teacher, a momentum
    encoder) encode images too, but do not count.
    """
    return [b for b in batches if b.bits.requires_grad] or batches


def bits_per_pixel(batches: Sequence[CodedBatch]) -> Tensor:
    """R of each image, shape (number of all images,)."""
    return torch.cat([per_pixel(b.bits, b.sizes) for b in batches])


def rest_per_pixel(batches: Sequence[CodedBatch]) -> Tensor | float:
    """Of R of each image what the machine does not see; 0 if it sees all."""
    if all(b.rest_bits is None for b in batches):
        return 0.
    return torch.cat([
        per_pixel(
            torch.zeros_like(b.bits) if b.rest_bits is None else b.rest_bits,
            b.sizes) for b in batches
    ])


def rate_loss(batches: Sequence[CodedBatch],
              lmbda: Lmbda,
              beta: float = 1.) -> Tensor:
    """``lmbda_rate * (R_base + beta * R_rest)``.

    Args:
        batches: Batches that were coded, at least one.
        lmbda: The weight, see :data:`Lmbda`.
        beta: Weight of the layers that the machine does not see.

    Raises:
        ValueError: If there is no weight for the quality of an image.
    """
    weights = weights_of('lmbda_rate', lmbda, batches)
    rate = bits_per_pixel(batches)
    if beta != 1:
        rate = rate - (1 - beta) * rest_per_pixel(batches)
    return (weights * rate).mean()


def weights_of(name: str, lmbda: Lmbda,
               batches: Sequence[CodedBatch]) -> float | Tensor:
    """A weight of the objective for each image, by its quality.

    Args:
        name: Of the weight, e.g. ``'lmbda_rate'``.
        lmbda: See :data:`Lmbda`.
        batches: Batches that were coded.

    Returns:
        One number, or shape (number of all images,).

    Raises:
        ValueError: If there is no weight for the quality of an image.
    """
    if isinstance(lmbda, Real):
        return lmbda
    weights = [
        _weight_at(name, lmbda, quality) for b in batches
        for quality in _qualities(b)
    ]
    return to_device(weights, batches[0].bits.device)


def _qualities(batch: CodedBatch) -> Sequence[float | None]:
    """The quality of each image."""
    quality = batch.condition and batch.condition.quality
    if isinstance(quality, Sequence):
        return quality
    return [quality] * len(batch.bits)


def _weight_at(name: str, lmbda: Lmbda, quality: float | None) -> float:
    if callable(lmbda) and quality is not None:
        return check_lmbda(name, lmbda(quality))
    if callable(lmbda):
        raise ValueError(f'`{name}` is a function of the quality, and a batch '
                         'was coded without one: set `train_condition`.')
    if quality not in range(1, len(lmbda) + 1):
        raise ValueError(
            f'`{name}` has weights for the qualities 1 to '
            f'{len(lmbda)}, and a batch was coded with {quality}. Draw '
            'whole ones: `train_condition=dict(quality=[1, 2, ...])`.')
    return lmbda[int(quality) - 1]


def squared_error(batches: Sequence[CodedBatch],
                  error: Callable = image_mse) -> Tensor:
    """MSE(x, x_hat) of each image over its real pixels; x is in [0, 1].

    Args:
        batches: Batches that were decoded.
        error: Another error in squares of [0, 1], with the arguments of
            :func:`image_mse`.

    Returns:
        Shape (number of all images,).
    """
    return torch.cat([error(b.x, b.x_hat, b.sizes, b.real) for b in batches])


def distortion_loss(mse: Tensor, lmbda: float | Tensor) -> Tensor:
    """``lmbda_distortion * 255^2 * MSE``.

    Args:
        mse: Of each image, shape (B,), in squares of [0, 1].
        lmbda: One weight, or one for each image.
    """
    return (lmbda * mse).mean() * 255**2


def psnr(mse: Tensor) -> Tensor:
    """Mean peak signal-to-noise ratio in dB, at most 100; for logs."""
    return -10 * mse.detach().clamp(min=1e-10).log10().mean()


def perceptual_distance(batches: Sequence[CodedBatch], distance: Callable,
                        compared: str) -> Tensor:
    """d(x, x_hat) or d(x, x_bar) of each image; batches have ``x_hat``.

    Raises:
        ValueError: If the machine sees latents, and ``x_bar`` is asked for.
    """
    return torch.cat([
        on_device_of(distance, b.x)(b.x, _compared(b, compared))
        for b in batches
    ])


def _compared(coded: CodedBatch, name: str) -> Tensor:
    """Images that are compared with the originals."""
    if name == 'x_hat':
        return _without_padding(coded)
    if coded.x_bar.shape != coded.x.shape:
        raise ValueError(
            'This machine sees latents, which are not compared with '
            "images; set `perceptual_of='x_hat'`.")
    return coded.x_bar


def _without_padding(coded: CodedBatch) -> Tensor:
    """Reconstructions; outside the images the original canvas."""
    canvas = tuple(coded.x.shape[-2:])
    if fills(coded.sizes, canvas):
        return coded.x_hat
    real = coded.real
    if real is None:
        real = valid_mask(coded.sizes, canvas, canvas, coded.x.device)
    return torch.where(real, coded.x_hat, coded.x)


def codec_losses(batches: Sequence[CodedBatch]) -> dict[str, Tensor]:
    """Losses that codecs add of themselves, as ``loss_NAME``.

    The mean over the batches; batches whose loss has no gradient count only
    where none has.
    """
    losses = {}
    for name in dict.fromkeys(n for b in batches for n in b.extra_losses):
        found = [
            b.extra_losses[name] for b in batches if name in b.extra_losses
        ]
        found = [loss for loss in found if loss.requires_grad] or found
        losses[f'loss_{name}'] = torch.stack(found).mean()
    return losses
