"""Gains of channels, by which one network has many rates."""
import math
from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor, nn

from mmhmc.bitstream import QUALITY_STEP
from mmhmc.functional.exact_math import exact_geometric_mean

#: One for all images of a batch, or one for each.
Quality = float | Sequence[float]
#: Steps of the quality in a file from one whole quality to the next.
_QUALITY_STEPS = round(1 / QUALITY_STEP)


class Gain(nn.Module):
    """Multiplies each channel by a gain of the quality.

    Args:
        num_qualities: Qualities Q.
        channels: Channels C.
    """

    controls = ('quality', )

    def __init__(self, num_qualities: int, channels: int) -> None:
        super().__init__()
        self.gains = nn.Parameter(torch.ones(num_qualities, channels))

    def forward(self, x: Tensor, quality: Quality | None = None) -> Tensor:
        """Scale ``x`` (B, C, H, W); no quality leaves it as it is."""
        if quality is None:
            return x
        # Under autocast a gain shall not make all that follows float32.
        return x * self.at(quality).to(x.dtype)

    def at(self, quality: Quality) -> Tensor:
        """Gains, shape (1, C, 1, 1), or (B, C, 1, 1) of several qualities."""
        return gains_at(self.gains, quality)[..., None, None]


def gains_at(gains: Tensor, quality: Quality, exact: bool = False) -> Tensor:
    """Gains of each channel, one for all images of a batch or one for each.

    Args:
        gains: Of the qualities 1 to Q, shape (Q, C); their sign is ignored.
        quality: In [1, Q].
        exact: Whether by :func:`exact_gains`, or :func:`interpolate_gains`.

    Returns:
        Not negative, shape (1, C), or (B, C) of several qualities.
    """
    find = exact_gains if exact else interpolate_gains
    qualities = [quality] if isinstance(quality, Real) else quality
    return torch.stack([find(gains, one) for one in qualities])


def interpolate_gains(gains: Tensor, quality: float) -> Tensor:
    """Gain of each channel at a quality, between two by geometric mean.

    Args:
        gains: Of the qualities 1 to Q, shape (Q, C); their sign is ignored.
        quality: In [1, Q].

    Returns:
        Not negative, shape (C,).
    """
    lower = math.floor(quality)
    share = quality - lower
    gain = gains[lower - 1].abs()
    if share:
        gain = gain**(1 - share) * gains[lower].abs()**share
    return gain


def exact_gains(gains: Tensor, quality: float) -> Tensor:
    """As :func:`interpolate_gains`, in float64, the same on every machine.

    The quality is rounded to 1/256, as in a file.
    """
    steps = round((quality - 1) * _QUALITY_STEPS)
    lower, share = divmod(steps, _QUALITY_STEPS)
    magnitudes = gains.detach().double().abs()
    if not share:
        return magnitudes[lower]
    return exact_geometric_mean(magnitudes[lower], magnitudes[lower + 1],
                                share)
