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
from mmhmc.machine import choose_arithmetic
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
        layers: int | None = None,
        quickly: bool = False) -> tuple[Tensor, Tensor, Tensor | None]:
    """Estimated bits of an image, and what would be decoded.

    Args:
        codec: In evaluation mode.
        x: RGB in [0, 1], shape (1, 3, H, W).
        condition: Run-time controls.
        layers: How many layers a machine sees; None: all.
        quickly: Whether to decode in bfloat16 where the machine computes
            that natively.

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
        crop_to(_decode(codec, one, condition, quickly), size)
        for one in latents)
    return bits, x_hat, seen[0] if seen else None


def _decode(codec: ImageCodec, y_hat: Tensor, condition: Condition,
            quickly: bool) -> Tensor:
    # Half of a search's time is g_s and its gradient.
    if not (quickly and choose_arithmetic(y_hat.device).bf16):
        return codec.decode_latents(y_hat, condition)
    with torch.autocast(y_hat.device.type, dtype=torch.bfloat16):
        # Weights stay as they are; convolutions follow their input.
        y_hat = y_hat.contiguous(memory_format=torch.channels_last)
        return codec.decode_latents(y_hat, condition).float().contiguous()
