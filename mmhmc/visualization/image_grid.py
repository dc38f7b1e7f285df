"""Images with titles, in rows and columns."""
from collections.abc import Sequence
from pathlib import Path

from numpy import ndarray

from .curve_plots import save_figure
from .panel import _DPI, _GAP, _TITLE, _add_axes, _new_figure

_WIDTH = 320  # of a small image on the screen, so that titles fit
#: A title and RGB, uint8, shape (H, W, 3).
TitledImage = tuple[str, ndarray]


def draw_image_grid(columns: Sequence[Sequence[TitledImage]],
                    out_file: str | Path) -> Path:
    """Draw columns of images of one size, one below the other.

    A pixel of an image becomes a square of whole pixels of the PNG.

    Args:
        columns: At least one, each of titles and images (RGB, uint8,
            (H, W, 3)); they may differ in length.
        out_file: PNG file; appears when it is complete.

    Returns:
        ``out_file``.

    Raises:
        ValueError: If there is no image, or images differ in size.
    """
    sizes = {image.shape for column in columns for _, image in column}
    if not sizes:
        raise ValueError('`columns` is empty: there is nothing to draw.')
    if len(sizes) > 1:
        raise ValueError(
            f'All images must have one size, got {sorted(sizes)}.')
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
    return save_figure(figure, Path(out_file), 'png', _DPI)
