"""Running a convolutional transform on a large image piece by piece."""
from collections.abc import Callable
from fractions import Fraction

from torch import Tensor


def run_in_tiles(transform: Callable[[Tensor], Tensor], x: Tensor,
                 scale: Fraction, tile: int, overlap: int) -> Tensor:
    """Apply a transform tile by tile, with less memory and equal values.

    Each tile is extended by ``overlap`` on the sides where ``x`` continues,
    and its result is cropped; at the borders of ``x`` the transform pads as
    usual. If the overlap covers the receptive field, the result equals that
    of the whole, up to the rounding of the kernels.

    Args:
        transform: Shift-invariant map of (B, C, H, W) to
            (B, C', scale * H, scale * W).
        x: Shape (B, C, H, W).
        scale: Output side per input side, e.g. 1/16 or 16.
        tile: Side of a tile in units of ``x``, a multiple of ``1 / scale``.
        overlap: Also in units of ``x``, a multiple of ``1 / scale``.

    Returns:
        Shape (B, C', scale * H, scale * W).

    Raises:
        ValueError: If a side does not fit the scale, or ``x`` is empty.
    """
    sides = dict(
        tile=tile, overlap=overlap, height=x.shape[-2], width=x.shape[-1])
    for name, side in sides.items():
        if (side * scale).denominator != 1:
            raise ValueError(f'`{name}` must be a multiple of {1 / scale}, '
                             f'got {side}.')
    if not x.numel():
        raise ValueError(f'`x` is empty, its shape is {tuple(x.shape)}.')
    result = None
    for top in range(0, x.shape[-2], tile):
        for left in range(0, x.shape[-1], tile):
            rows = _span(top, x.shape[-2], tile, overlap)
            columns = _span(left, x.shape[-1], tile, overlap)
            piece = transform(x[..., rows[0]:rows[3], columns[0]:columns[3]])
            if result is None:
                size = [int(side * scale) for side in x.shape[-2:]]
                result = piece.new_empty(*piece.shape[:-2], *size)
            (y0, y1, dy), (x0, x1, dx) = (
                _scaled(s, scale) for s in (rows, columns))
            result[..., y0:y1, x0:x1] = piece[..., dy:dy + y1 - y0,
                                              dx:dx + x1 - x0]
    return result


def _span(start: int, end: int, tile: int,
          overlap: int) -> tuple[int, int, int, int]:
    """Start of the input, start and end of the tile, end of the input."""
    stop = min(start + tile, end)
    return max(0, start - overlap), start, stop, min(end, stop + overlap)


def _scaled(span: tuple[int, int, int, int],
            scale: Fraction) -> tuple[int, int, int]:
    """Start and end in the result, and start in the piece."""
    first, start, stop, _ = (int(side * scale) for side in span)
    return start, stop, start - first
