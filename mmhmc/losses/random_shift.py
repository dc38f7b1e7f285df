"""A random shift and zoom before pictures are compared."""
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def shift_together(pictures: Sequence[Tensor],
                   margin: int = 15) -> list[Tensor]:
    """Pad, trim and resize pictures, all in the same random way.

    Each side is padded by ``margin`` pixels, which repeat the last one, then
    trimmed by 0 to ``margin`` pixels, drawn for each side, and the result is
    resized to the size there was. So a network that compares pictures does
    not always see the same grid, and a codec cannot learn its blind spots.

    Args:
        pictures: Shape (B, C, H, W), of equal height and width.
        margin: In pixels, not negative; 0 changes nothing.

    Returns:
        As many, of the same shape.

    Raises:
        ValueError: If ``margin`` is negative, or the sizes differ.
    """
    if margin < 0:
        raise ValueError(f'`margin` must not be negative, got {margin}.')
    sizes = {tuple(picture.shape[-2:]) for picture in pictures}
    if len(sizes) > 1:
        raise ValueError('Pictures that are shifted together must have one '
                         f'size, got {sorted(sizes)}.')
    if margin == 0:
        return list(pictures)
    top, bottom, left, right = torch.randint(margin + 1, (4, )).tolist()
    pad = [margin - side for side in (left, right, top, bottom)]
    # To trim what was padded is to pad less.
    return [
        functional.interpolate(
            functional.pad(picture, pad, mode='replicate'),
            picture.shape[-2:],
            mode='bicubic',
            align_corners=False) for picture in pictures
    ]
