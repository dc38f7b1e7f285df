"""Rate and distortion of pictures that are padded to a common size."""
from collections.abc import Sequence

import torch
from torch import Tensor

from .padding import Size


def valid_mask(sizes: Sequence[Size], coded: Size, grid: Size,
               device: torch.device) -> Tensor:
    """Which positions of a grid over the coded area touch a real pixel.

    Args:
        sizes: Real height and width of each of the B pictures.
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
    real = torch.tensor(sizes, device=device)
    rows = tops[None, :] < real[:, :1]
    columns = lefts[None, :] < real[:, 1:]
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def count_bits(likelihoods: dict[str, Tensor], sizes: Sequence[Size],
               coded: Size) -> Tensor:
    """Estimate the bits of each picture, those of padding left out.

    Args:
        likelihoods: For each latent its likelihoods in (0, 1], shape
            (B, C, h, w), over the coded area.
        sizes: Real height and width in pixels of each of the B pictures.
        coded: Height and width in pixels that were coded.

    Returns:
        Bits, float32, shape (B,); zero if there are no likelihoods.

    Raises:
        ValueError: If the latents and ``sizes`` disagree on B.
    """
    counts = {name: len(p) for name, p in likelihoods.items()}
    if set(counts.values()) - {len(sizes)}:
        raise ValueError(f'There are {len(sizes)} pictures, but the '
                         f'likelihoods are of {counts} pictures.')
    bits = [
        -(p.float().log2() *
          valid_mask(sizes, coded, p.shape[-2:], p.device)).sum(dim=(1, 2, 3))
        for p in likelihoods.values()
    ]
    return sum(bits) if bits else torch.zeros(len(sizes))


def picture_mse(x: Tensor, x_hat: Tensor, sizes: Sequence[Size]) -> Tensor:
    """Mean squared error of each picture over its real pixels.

    Args:
        x: Pictures, shape (B, C, H, W).
        x_hat: Their reconstructions, same shape.
        sizes: Real height and width in pixels of each picture.

    Returns:
        In squares of the unit of ``x``, float32, shape (B,).
    """
    mask = valid_mask(sizes, x.shape[-2:], x.shape[-2:], x.device)
    squares = ((x.float() - x_hat.float())**2 * mask).sum(dim=(1, 2, 3))
    pixels = torch.tensor([h * w for h, w in sizes], device=x.device)
    return squares / (pixels * x.shape[1])
