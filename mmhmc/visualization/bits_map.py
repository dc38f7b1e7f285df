"""Map of the bits that each place of an image costs."""
import torch
from torch import Tensor


def bits_map(likelihoods: dict[str, Tensor], image_size: tuple[int,
                                                               int]) -> Tensor:
    """Spread the estimated bits of one image over its area.

    The map has the resolution of the latent with most positions, as a rule
    ``y``. The bits of a coarser latent are spread evenly over the positions
    it covers. Each value stands for ``H * W / (h * w)`` pixels, so the mean
    of the map times ``H * W`` is the number of bits.

    Args:
        likelihoods: For each latent its likelihoods in (0, 1], shape
            (1, C, h, w).
        image_size: Height and width in pixels of what the latents cover,
            that is of the image with the codec's padding.

    Returns:
        Bits per pixel, float64, on the CPU, shape (h, w).

    Raises:
        ValueError: If there is no latent, or if one is not of one image.
    """
    if not likelihoods:
        raise ValueError('`likelihoods` is empty: this codec estimates no '
                         'bits, so there is nothing to map.')
    for name, p in likelihoods.items():
        if p.ndim != 4 or len(p) != 1:
            raise ValueError(
                f'`likelihoods[{name!r}]` must have shape (1, C, h, w), got '
                f'{tuple(p.shape)}. Select image i with `p[i:i + 1]`.')
    finest = max(likelihoods.values(), key=lambda p: p[0, 0].numel())
    h, w = finest.shape[-2:]
    bits = torch.zeros(h, w, dtype=torch.float64)
    for p in likelihoods.values():
        # float64, as the many small terms of an image are to add up.
        per_position = -p.detach().cpu().double().log2().sum(dim=(0, 1))
        bits += _spread(_spread(per_position, h).T, w).T
    return bits * (h * w / (image_size[0] * image_size[1]))


def _spread(values: Tensor, length: int) -> Tensor:
    """Lengthen the first dimension of ``values``; its sum stays the same."""
    source = torch.arange(length) * len(values) // length
    counts = torch.bincount(source, minlength=len(values))
    return values[source] / counts[source, None]
