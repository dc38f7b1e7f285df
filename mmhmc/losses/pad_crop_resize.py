"""Random padding, cropping and resizing before images are compared."""
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def random_pad_crop_resize(images: Sequence[Tensor],
                           margin: int = 15) -> list[Tensor]:
    """Pad, crop and resize images, all in the same random way.

    Each side is padded by ``margin`` pixels, which repeat the last one. Each
    is then cropped by 0 to ``margin`` pixels, drawn at random, and the result
    is resized to the original size. So a network that compares images does
    not always see the same grid, and a codec cannot learn its blind spots.

    Args:
        images: Shape (B, C, H, W), of equal height and width.
        margin: In pixels, not negative; 0 changes nothing.

    Returns:
        As many, of the same shape.

    Raises:
        ValueError: If ``margin`` is negative, or the sizes differ.
    """
    if margin < 0:
        raise ValueError(f'`margin` must not be negative, got {margin}.')
    sizes = {tuple(image.shape[-2:]) for image in images}
    if len(sizes) > 1:
        raise ValueError('Images that are cropped together must have one '
                         f'size, got {sorted(sizes)}.')
    if margin == 0:
        return list(images)
    top, bottom, left, right = torch.randint(margin + 1, (4, )).tolist()
    pad = [margin - side for side in (left, right, top, bottom)]
    # To trim what was padded is to pad less.
    return [
        functional.interpolate(
            functional.pad(image, pad, mode='replicate'),
            image.shape[-2:],
            mode='bicubic',
            align_corners=False) for image in images
    ]
