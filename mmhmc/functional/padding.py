"""Padding to the sizes that a codec can encode, and back."""
from collections.abc import Sequence

from torch import Tensor

Size = tuple[int, int]


def padded_size(size: Size, multiple: int) -> Size:
    """Smallest height and width that hold ``size`` and fit the codec.

    Args:
        size: Height and width in pixels, each at least 1.
        multiple: Divides both sides of the result.

    Returns:
        Height and width in pixels.

    Raises:
        ValueError: If a side or ``multiple`` is not positive.
    """
    if min(size) < 1 or multiple < 1:
        raise ValueError('`size` and `multiple` must be positive, got '
                         f'{tuple(size)} and {multiple}.')
    height, width = (-(-side // multiple) * multiple for side in size)
    return height, width


def extend_edges(x: Tensor, sizes: Sequence[Size], target: Size) -> Tensor:
    """Continue the last real row and column of each image to ``target``.

    Pixels outside an image (a host's batch padding) are overwritten, so the
    codec sees the same values around an image in every batch. Repeated edges
    cost next to no bits.

    Args:
        x: Images, shape (B, C, H, W), each in its top left corner.
        sizes: For each image its real height and width, at most (H, W).
        target: Height and width of the result, at least every size.

    Returns:
        Shape (B, C, *target).

    Raises:
        ValueError: If a size is empty, or larger than ``x`` or ``target``.
    """
    limit = (min(x.shape[-2], target[0]), min(x.shape[-1], target[1]))
    for h, w in sizes:
        if not (1 <= h <= limit[0] and 1 <= w <= limit[1]):
            raise ValueError(
                f'An image of size {(h, w)} does not fit: it must be at '
                f'least (1, 1) and at most {limit}, the smaller of tensor '
                'and target. Check `img_shape` of the data samples.')
    if all(
            tuple(size) == tuple(target) == tuple(x.shape[-2:])
            for size in sizes):
        return x
    out = x.new_empty(*x.shape[:2], *target)
    if len(set(map(tuple, sizes))) == 1:
        _extend(x, sizes[0], out)
    else:
        for i, size in enumerate(sizes):
            _extend(x[i:i + 1], size, out[i:i + 1])
    return out


def _extend(x: Tensor, size: Size, out: Tensor) -> None:
    """Write images of one size, and their edges continued, into ``out``."""
    height, width = size
    out[..., :height, :width] = crop_to(x, size)
    out[..., :height, width:] = out[..., :height, width - 1:width]
    out[..., height:, :] = out[..., height - 1:height, :]


def crop_to(x: Tensor, size: Size) -> Tensor:
    """Top left part of ``x`` (..., H, W) of the given height and width."""
    return x[..., :size[0], :size[1]]
