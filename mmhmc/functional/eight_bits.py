"""Images as an 8-bit file holds them."""
import numpy as np
from torch import Tensor


def to_8_bits(x: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to multiples of 1/255, any shape."""
    return x.clamp(0, 1).mul(255).round().div(255)


def to_pixels(x: Tensor) -> np.ndarray:
    """An RGB image for viewers and files.

    Args:
        x: RGB in [0, 1], clamped, shape (3, H, W).

    Returns:
        uint8, contiguous, shape (H, W, 3).
    """
    pixels = x.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)
    return np.ascontiguousarray(pixels.cpu().numpy())
