"""Halves of a latent, as the squares of a checkerboard, and their context.

.. code-block:: none

    phase 0 (anchors)   ■ □ ■ □      ■ ■
                        □ ■ □ ■  ──► ■ ■   half the columns, all the rows
                        ■ □ ■ □      ■ ■
"""
import torch
from torch import Tensor, nn


def take_phase(x: Tensor, phase: int) -> Tensor:
    """The positions of one phase.

    Args:
        x: Shape (B, C, h, w), h and w even.
        phase: 0 for the anchors, where row plus column is even; 1 for the
            others.

    Returns:
        Shape (B, C, h, w / 2).
    """
    even, odd = x[..., 0::2, phase::2], x[..., 1::2, 1 - phase::2]
    return torch.stack((even, odd), dim=-2).flatten(-3, -2)


def spread_phase(values: Tensor, phase: int) -> Tensor:
    """Inverse of :func:`take_phase`, with zeros at the other positions.

    Args:
        values: Shape (B, C, h, w / 2).
        phase: 0 or 1.

    Returns:
        Shape (B, C, h, w), contiguous.
    """
    result = values.new_zeros((*values.shape[:-1], 2 * values.shape[-1]))
    result[..., 0::2, phase::2] = values[..., 0::2, :]
    result[..., 1::2, 1 - phase::2] = values[..., 1::2, :]
    return result


class MaskedConv2d(nn.Conv2d):
    """Convolution that sees only what its buffer ``mask`` leaves.

    CompressAI's writes the masked weights through ``.data`` at every call,
    as if they had changed; this one has the same result and leaves them as
    they are.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (B, C, H, W)."""
        return nn.functional.conv2d(x, self.weight * self.mask, self.bias,
                                    self.stride, self.padding, self.dilation,
                                    self.groups)

    @torch.no_grad()
    def forget_hidden(self) -> None:
        """Set the weights that the mask hides to zero."""
        self.weight.masked_fill_(self.mask == 0, 0)
