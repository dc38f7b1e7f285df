"""The 2 x 2 phases of a latent, and convolutions that see some of them.

.. code-block:: none

    0 1 0 1      0 0
    2 3 2 3  ──► 3 3   phases 0 and 3, the anchors of a checkerboard:
    0 1 0 1      0 0   half the columns, all the rows
    2 3 2 3      3 3
"""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .replacing import convolution_of

#: Phases where row plus column is even, and the others.
ANCHORS, BETWEEN_ANCHORS = (0, 3), (1, 2)


def take_phases(x: Tensor, phases: Sequence[int]) -> Tensor:
    """The positions of some phases.

    Args:
        x: Shape (B, C, h, w), h and w even.
        phases: n of 0 and 1, in even rows, and 2 and 3, in odd rows.

    Returns:
        Row under row, shape (B, C, n * h / 2, w / 2).
    """
    pieces = [x[..., p // 2::2, p % 2::2] for p in phases]
    return torch.stack(pieces, dim=-2).flatten(-3, -2)


def spread_phases(values: Tensor, phases: Sequence[int]) -> Tensor:
    """Inverse of :func:`take_phases`, with zeros at the other positions.

    Args:
        values: Shape (B, C, n * h / 2, w / 2).
        phases: As they were taken.

    Returns:
        Shape (B, C, h, w), contiguous.
    """
    rows, columns = values.shape[-2] // len(phases), values.shape[-1]
    result = values.new_zeros((*values.shape[:-2], 2 * rows, 2 * columns))
    for i, p in enumerate(phases):
        result[..., p // 2::2, p % 2::2] = values[..., i::len(phases), :]
    return result


class MaskedConv2d(nn.Conv2d):
    """Convolution whose buffer ``mask`` hides some of its weights.

    CompressAI's writes the masked weights through ``.data`` at every call,
    as if they had changed; this one has the same result and leaves them as
    they are.
    """

    @classmethod
    def of(cls, conv: nn.Conv2d) -> 'MaskedConv2d':
        """In the place of CompressAI's, with its parameters and its mask."""
        layer = convolution_of(cls, conv)
        layer.register_buffer('mask', conv.mask)
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (B, C, H, W)."""
        return nn.functional.conv2d(x, self.weight * self.mask, self.bias,
                                    self.stride, self.padding, self.dilation,
                                    self.groups)

    @torch.no_grad()
    def forget_hidden(self) -> None:
        """Set the weights that the mask hides to zero."""
        self.weight.masked_fill_(self.mask == 0, 0)
