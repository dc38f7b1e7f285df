"""What a search has changed: where bits went, and what became of it."""
import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from mmhmc.codecs import ImageCodec
from mmhmc.functional import to_8_bits, to_pixels
from mmhmc.refinement import RefinedImage
from mmhmc.structures import Condition
from .coding_figures import bit_figures, decoded_figure, estimated_bits
from .coding_images import draw_bits
from .demo_page import DemoFigure

#: A crop is this part of an image's sides, and shown as large as the image.
_ZOOM = 4


@torch.no_grad()
def refinement_figures(codec: ImageCodec,
                       x: Tensor,
                       refined: RefinedImage,
                       importance: Tensor | None = None,
                       condition: Condition = None) -> list[DemoFigure]:
    """Images of one search.

    The original; the map; bits before and after, in the same colours; what is
    decoded before and after; and of both the part where most has changed,
    four times as large.

    Args:
        codec: A learned codec in evaluation mode.
        x: RGB in [0, 1], shape (1, 3, H, W).
        refined: Result of :meth:`LatentRefinement.refine`.
        importance: The map, (1, 1, H, W); None leaves it out.
        condition: Run-time controls of the codec.

    Returns:
        Figures of one size, in this order.
    """
    plain, = codec.compress(x, condition)
    streams = dict(before=plain, after=refined.bitstream)
    decoded = {
        when: to_8_bits(codec.decompress([stream], condition))
        for when, stream in streams.items()
    }
    spent = dict(
        before=estimated_bits(codec, x, condition),
        after=estimated_bits(codec, x, condition, refined.latents))
    change = decoded['after'] - decoded['before']
    window = _window(change.square().sum(1, keepdim=True))
    figures = [DemoFigure('original', 'what is coded', to_pixels(x[0]))]
    if importance is not None:
        shown = importance[0, 0].cpu().numpy()
        size = shown.shape
        figures.append(
            DemoFigure('map', 'bright: it matters',
                       draw_bits(np.sqrt(shown), size, size)))
    figures += bit_figures(spent, x)
    figures += [
        decoded_figure(f'decoded, {when}', x, decoded[when], codec, stream)
        for when, stream in streams.items()
    ]
    figures += [
        DemoFigure(f'enlarged, {when}', 'where most has changed',
                   _enlarged(to_pixels(decoded[when][0]), window))
        for when in streams
    ]
    return figures


def _window(weights: Tensor) -> tuple[int, int, int, int]:
    """Top, left, height and width of the part that weighs most."""
    height, width = (max(1, side // _ZOOM) for side in weights.shape[-2:])
    sums = torch.nn.functional.avg_pool2d(weights, (height, width), 1)
    top, left = divmod(int(sums.flatten().argmax()), sums.shape[-1])
    return top, left, height, width


def _enlarged(pixels: ndarray, window: tuple[int, int, int, int]) -> ndarray:
    """A part as large as the whole."""
    top, left, height, width = window
    rows = top + np.arange(pixels.shape[0]) * height // pixels.shape[0]
    columns = left + np.arange(pixels.shape[1]) * width // pixels.shape[1]
    return pixels[rows[:, None], columns[None]]
