"""Images of the coding error, and of the bits spent at each place."""
import numpy as np
from numpy import ndarray

#: An error of 32 of 255 is white.
ERROR_GAIN = 8


def draw_error(image: ndarray, other: ndarray) -> ndarray:
    """Absolute error of each channel, 8 times as large.

    Args:
        image: RGB, uint8, shape (H, W, 3).
        other: What to compare it with, same shape and type.

    Returns:
        RGB, uint8, shape (H, W, 3).

    Raises:
        ValueError: If the shapes differ.
    """
    if image.shape != other.shape:
        raise ValueError('Images to compare must have one shape, got '
                         f'{image.shape} and {other.shape}.')
    error = np.abs(image.astype(int) - other)
    return np.minimum(ERROR_GAIN * error, 255).astype(np.uint8)


def draw_bits(bits: ndarray,
              size: tuple[int, int],
              coded_size: tuple[int, int],
              largest: float | None = None) -> ndarray:
    """Bits of each position in colours, from black over red to yellow.

    Args:
        bits: Bits per pixel of each latent position, shape (h, w), as
            :func:`bits_map` gives it.
        size: Height and width in pixels of the image.
        coded_size: Height and width in pixels that ``bits`` covers, from the
            top left corner, not less than ``size``.
        largest: Value of the brightest colour; the largest of the map if not
            given.

    Returns:
        RGB, uint8, shape (*size, 3).
    """
    # Imported here, as matplotlib takes a second.
    from matplotlib import colormaps
    largest = float(bits.max()) if largest is None else largest
    shares = np.asarray(bits) / largest if largest > 0 else np.zeros_like(bits)
    rows = np.arange(size[0]) * bits.shape[0] // coded_size[0]
    columns = np.arange(size[1]) * bits.shape[1] // coded_size[1]
    colours = colormaps['inferno'](shares, bytes=True)[..., :3]
    return colours[rows[:, None], columns[None]]
