"""Pictures with titles, in rows and columns."""
from collections.abc import Sequence
from pathlib import Path
from typing import Union

from numpy import ndarray

from .panel import _GAP, _TITLE, _add_axes, _new_figure, _save

_WIDTH = 320  # of a small picture on the screen, so that titles fit
#: A title and RGB, uint8, shape (H, W, 3).
TitledPicture = tuple[str, ndarray]


def draw_picture_grid(columns: Sequence[Sequence[TitledPicture]],
                      out_file: Union[str, Path]) -> Path:
    """Draw columns of pictures of one size, one below the other.

    A pixel of a picture becomes a square of whole pixels of the PNG.

    Args:
        columns: At least one, each of titles and pictures (RGB, uint8,
            (H, W, 3)); they may differ in length.
        out_file: PNG file; appears when it is complete.

    Returns:
        ``out_file``.

    Raises:
        ValueError: If there is no picture, or pictures differ in size.
    """
    sizes = {picture.shape for column in columns for _, picture in column}
    if not sizes:
        raise ValueError('`columns` is empty: there is nothing to draw.')
    if len(sizes) > 1:
        raise ValueError(
            f'All pictures must have one size, got {sorted(sizes)}.')
    height, width = sizes.pop()[:2]
    scale = -(-_WIDTH // width)
    across, down = scale * width + _GAP, scale * height + _GAP + _TITLE
    num_rows = max(map(len, columns))
    figure = _new_figure(_GAP + len(columns) * across, _GAP + num_rows * down)
    for number, column in enumerate(columns):
        for row, (title, pixels) in enumerate(column):
            axes = _add_axes(figure, _GAP + number * across,
                             _GAP + row * down + _TITLE, scale * width,
                             scale * height)
            axes.set_title(title, fontsize=10, pad=5, parse_math=False)
            axes.imshow(pixels, interpolation='nearest', aspect='auto')
            axes.set(xticks=(), yticks=())
    return _save(figure, Path(out_file))
