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


def fit_gains(module: nn.Module, state_dict: dict, prefix: str,
              names: Sequence[str], num_qualities: int, how: str) -> None:
    """Make weights that are loaded fit a module with several rates, or one.

    Those of a module without gains get gains of 1: all rates are its own.

    Args:
        module: With gains, or without.
        state_dict: Weights that are being loaded; changed in place.
        prefix: Of the module's weights.
        names: Last parts of the names of gains.
        num_qualities: Qualities of the module, 0 if it has one rate.
        how: Settings with which it has several rates, before their number.

    Raises:
        RuntimeError: If they have gains that the module does not have, or
            another number of them.
    """
    given = [key for key in state_dict if key.startswith(prefix)]
    coming = [key for key in given if key.rpartition('.')[2] in names]
    own = {
        prefix + name: gains
        for name, gains in module.named_parameters()
        if name.rpartition('.')[2] in names
    }
    counts = {len(state_dict[key]) for key in coming if key in own or not own}
    for count in counts - {num_qualities}:
        rates = f'{num_qualities} qualities' if num_qualities else 'one rate'
        raise RuntimeError(
            f'The weights are of a {type(module).__name__} with {count} '
            f'qualities: they have {coming[0]!r}. This one has {rates}. Build '
            f'it with `{how}num_qualities={count}`.')
    if given and not coming:
        state_dict.update({k: torch.ones_like(v) for k, v in own.items()})
