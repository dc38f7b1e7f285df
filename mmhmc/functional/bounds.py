"""Keeping images displayable while training."""
import torch
from torch import Tensor


class _Bound(torch.autograd.Function):

    @staticmethod
    def forward(ctx, t: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        ctx.save_for_backward(t < lower, t > upper)
        return t.clamp(lower, upper)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        below, above = ctx.saved_tensors
        # Descent moves against the gradient.
        outwards = (below & (gradient > 0)) | (above & (gradient < 0))
        return gradient.masked_fill(outwards, 0), None, None


def bound(t: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Clamp, but let gradients through that lead back into the range.

    A plain clamp has no gradient outside the range: a value that has left it
    would never return.

    Args:
        t: Any shape.
        lower: Lower bounds, same shape.
        upper: Upper bounds, same shape, nowhere below ``lower``.

    Returns:
        Same shape, within the bounds.

    Reference:
        The lower bound of J. Ballé's tensorflow/compression does the same
        with one bound.
    """
    return _Bound.apply(t, lower, upper)
