"""Figures of coded images: where bits went, and what is decoded."""
from collections.abc import Mapping

import torch
from numpy import ndarray
from torch import Tensor

from mmhmc.bitstream import Bitstream
from mmhmc.codecs import ImageCodec
from mmhmc.codecs.latent_search import LatentSearch
from mmhmc.evaluation import PSNRMetric
from mmhmc.functional import extend_edges, padded_size, to_8_bits, to_pixels
from mmhmc.structures import Condition
from .bits_map import bits_map
from .coding_images import draw_bits
from .demo_page import DemoFigure

#: Bits per pixel of each latent position, and the size that they cover.
BitsMap = tuple[ndarray, tuple[int, int]]


@torch.no_grad()
def layer_figures(codec: ImageCodec,
                  x: Tensor,
                  condition: Condition = None) -> list[DemoFigure]:
    """Images of one file in layers.

    Args:
        codec: In evaluation mode, with ``layers``.
        x: RGB in [0, 1], shape (1, 3, H, W).
        condition: Run-time controls of the codec.

    Returns:
        Figures of one size: the original; the bits of the base, of the base
        and the next layer, and so on to all layers, in the same colours; and
        what is decoded from each.

    Raises:
        ValueError: If the codec writes one layer.
    """
    if not codec.layers:
        raise ValueError(f'{type(codec).__name__} writes one layer; build it '
                         'with `layers`, e.g. `layers=[3]`.')
    stream, = codec.compress(x, condition)
    added = codec.optional_streams
    spent, decoded = {}, []
    for count in range(1, len(added) + 2):
        name = 'all' if count > len(added) else f'base + {count - 1}'
        name = 'base' if count == 1 else name
        spent[name] = estimated_bits(
            codec, x, condition, without=added[count - 1:])
        part = stream.keep_layers(count)
        x_hat = to_8_bits(codec.decompress([part], condition))
        decoded.append(
            decoded_figure(f'decoded, {name}', x, x_hat, codec, part))
    original = DemoFigure('original', 'what is coded', to_pixels(x[0]))
    return [original, *bit_figures(spent, x), *decoded]


def estimated_bits(codec: ImageCodec,
                   x: Tensor,
                   condition: Condition = None,
                   latents: Mapping[str, Tensor] | None = None,
                   without: tuple[str, ...] = ()) -> BitsMap:
    """Map of the bits of one image.

    Args:
        codec: In evaluation mode.
        x: RGB in [0, 1], shape (1, 3, H, W).
        condition: Run-time controls of the codec.
        latents: What is coded, by name, in place of the codec's own.
        without: Streams that do not count.

    Returns:
        Bits per pixel of each latent position, see :func:`bits_map`, and the
        height and width in pixels that they cover.
    """
    size = (x.shape[-2], x.shape[-1])
    target = padded_size(size, codec.downsampling_factor)
    search = LatentSearch()
    search.latents = dict(latents or {})
    with search.active():
        output = codec.encode_latents(
            extend_edges(x, [size], target), condition)
    counted = {k: v for k, v in output.likelihoods.items() if k not in without}
    return bits_map(counted, target).numpy(), target


def bit_figures(spent: Mapping[str, BitsMap], x: Tensor) -> list[DemoFigure]:
    """Maps of bits, by name, in the same colours."""
    size = (x.shape[-2], x.shape[-1])
    largest = max(float(bits.max()) for bits, _ in spent.values())
    return [
        DemoFigure(f'bits, {name}', f'up to {bits.max():.2f} bpp',
                   draw_bits(bits, size, coded, largest))
        for name, (bits, coded) in spent.items()
    ]


def decoded_figure(title: str, x: Tensor, x_hat: Tensor, codec: ImageCodec,
                   stream: Bitstream) -> DemoFigure:
    """A decoded image (1, 3, H, W), with its bytes and its PSNR."""
    num_bytes = codec.num_bytes(stream)
    psnr = PSNRMetric().measure(x, x_hat)
    return DemoFigure(title, f'{num_bytes:,} bytes, {psnr:.2f} dB',
                      to_pixels(x_hat[0]), num_bytes,
                      8 * num_bytes / x[0, 0].numel(), psnr)
