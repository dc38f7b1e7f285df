"""Gains of channels, by which one network has many rates."""
from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor, nn

from .attention_stage import interpolate_gains

#: One for all images of a batch, or one for each.
Quality = float | Sequence[float]


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
        """Gains, shape (1, C, 1, 1), or (B, C, 1, 1) of several qualities.

        Between two qualities they are interpolated geometrically.
        """
        qualities = [quality] if isinstance(quality, Real) else quality
        rows = [interpolate_gains(self.gains, q) for q in qualities]
        return torch.stack(rows)[..., None, None]
