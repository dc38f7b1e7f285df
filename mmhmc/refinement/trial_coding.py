"""Coding in a search: in floating point, with gradients, without a file."""
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mmhmc.codecs import ImageCodec
from mmhmc.codecs.latent_search import LatentSearch
from mmhmc.codecs.streams import use_integers
from mmhmc.functional import crop_to, extend_edges, padded_size
from mmhmc.functional.devices import estimating
from mmhmc.structures import Condition


@contextmanager
def searching(search: LatentSearch) -> Iterator[None]:
    """Code the latents of a search, with gradients, whoever calls."""
    with search.active(), use_integers(False), estimating(), \
            torch.inference_mode(False), torch.enable_grad():
        yield


def encode_and_decode(
        codec: ImageCodec,
        x: Tensor,
        condition: Condition,
        layers: int | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Estimated bits of an image, and what would be decoded.

    Args:
        codec: In evaluation mode.
        x: RGB in [0, 1], shape (1, 3, H, W).
        condition: Run-time controls.
        layers: How many layers a machine sees; None: all.

    Returns:
        A scalar; RGB of the shape of ``x``, not clamped; and the same of
        these layers alone, or None.
    """
    size = (x.shape[-2], x.shape[-1])
    padded = extend_edges(x, [size],
                          padded_size(size, codec.downsampling_factor))
    output = codec.encode_latents(padded, condition)
    bits = sum(-one.log2().sum() for one in output.likelihoods.values())
    latents = [output.y_hat]
    if layers is not None:
        latents.append([*output.y_layers, output.y_hat][layers - 1])
    x_hat, *seen = (
        crop_to(codec.decode_latents(one, condition), size) for one in latents)
    return bits, x_hat, seen[0] if seen else None
