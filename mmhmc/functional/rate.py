"""Rate and distortion of images that are padded to a common size."""
from collections.abc import Sequence

import torch
from torch import Tensor

from .devices import ImageSizes
from .padding import Size


def fills(sizes: Sequence[Size], canvas: Size) -> bool:
    """Whether every image is as large as the canvas that it is on."""
    return all(tuple(size) == tuple(canvas) for size in sizes)


def valid_mask(sizes: Sequence[Size], coded: Size, grid: Size,
               device: torch.device) -> Tensor:
    """Which positions of a grid over the coded area touch a real pixel.

    Args:
        sizes: Real height and width of each of the B images.
        coded: Height and width in pixels that the grid covers.
        grid: Height h and width w of the grid: of a latent, or ``coded``.
        device: Where the mask is made.

    Returns:
        Boolean, shape (B, 1, h, w).
    """
    # A position covers coded / grid pixels; it counts if the first of them
    # is real.
    tops = torch.arange(grid[0], device=device) * (coded[0] / grid[0])
    lefts = torch.arange(grid[1], device=device) * (coded[1] / grid[1])
    real = _sizes_on(device, sizes)
    rows = tops[None, :] < real[:, :1]
    columns = lefts[None, :] < real[:, 1:]
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def count_bits(likelihoods: dict[str, Tensor], sizes: Sequence[Size],
               coded: Size) -> Tensor:
    """Estimate the bits of each image, those of padding left out.

    Args:
        likelihoods: For each latent its likelihoods in (0, 1], shape
            (B, C, h, w), over the coded area.
        sizes: Real height and width in pixels of each of the B images.
        coded: Height and width in pixels that were coded.

    Returns:
        Bits, float32, shape (B,); zero if there are no likelihoods.

    Raises:
        ValueError: If the latents and ``sizes`` disagree on B.
    """
    counts = {name: len(p) for name, p in likelihoods.items()}
    if set(counts.values()) - {len(sizes)}:
        raise ValueError(f'There are {len(sizes)} images, but the '
                         f'likelihoods are of {counts} images.')
    whole, bits = fills(sizes, coded), []
    for p in likelihoods.values():
        spent = -p.float().log2()
        if not whole:
            spent = spent * valid_mask(sizes, coded, p.shape[-2:], p.device)
        bits.append(spent.sum(dim=(1, 2, 3)))
    return sum(bits) if bits else torch.zeros(len(sizes))


def image_mse(x: Tensor,
              x_hat: Tensor,
              sizes: Sequence[Size],
              real: Tensor | None = None) -> Tensor:
    """Mean squared error of each image over its real pixels.

    Args:
        x: Images, shape (B, C, H, W).
        x_hat: Their reconstructions, same shape.
        sizes: Real height and width in pixels of each image.
        real: The pixels that they have, from :func:`valid_mask`; made if not
            given.

    Returns:
        In squares of the unit of ``x``, float32, shape (B,).
    """
    canvas = x.shape[-2:]
    squares = (x.float() - x_hat.float())**2
    if not fills(sizes, canvas):
        if real is None:
            real = valid_mask(sizes, canvas, canvas, x.device)
        squares = squares * real
    return per_pixel(squares.sum(dim=(1, 2, 3)), sizes) / x.shape[1]


def per_pixel(amounts: Tensor, sizes: Sequence[Size]) -> Tensor:
    """An amount of each image, (B,), over the number of its pixels."""
    counts = {h * w for h, w in sizes}
    if len(counts) == 1:
        return amounts / counts.pop()
    return amounts / _sizes_on(amounts.device, sizes).prod(dim=1)


def _sizes_on(device: torch.device, sizes: Sequence[Size]) -> Tensor:
    """Sizes as a tensor (B, 2); those of a batch are copied once."""
    if not isinstance(sizes, ImageSizes):
        sizes = ImageSizes(sizes)
    return sizes.on(device)
