"""Rounding with a straight-through gradient."""
from torch import Tensor


def round_ste(x: Tensor) -> Tensor:
    """Nearest integers, with the gradient of the identity."""
    return x + (x.round() - x).detach()
