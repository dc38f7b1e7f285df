"""Figure of the images and predictions of each layer of a bitstream."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn

from mmhmc.bitstream import Bitstream
from mmhmc.codecs import LayeredGenerative
from mmhmc.datasets import read_image
from mmhmc.evaluation import PSNRMetric
from mmhmc.functional import crop_to, to_pixels
from .image_grid import draw_image_grid

_TINT = 0.6  # of a class's colour over the image


@torch.no_grad()
def write_layer_images(inferencer,
                       images: Sequence[str | Path],
                       out_file: str | Path,
                       reference: nn.Module | None = None) -> Path:
    """Draw images and predictions from a whole file and from its base layer.

    A row for each image: the original, decoded from the base layer alone
    and from all of the file, the classes of pixels that the network reads
    from the bitstream, and those that ``reference`` reads from the original.
    All that was coded comes from real bytes.

    Args:
        inferencer: Of an mmseg model that sees the latents of a
            ``LayeredGenerative``.
        images: Files of images of one size.
        out_file: PNG.
        reference: mmseg model that sees images, as
            ``mmseg.apis.init_model`` gives it.

    Returns:
        ``out_file``.

    Raises:
        ValueError: If the codec has no layers, or the model predicts no
            classes of pixels.
    """
    codec = inferencer.codec
    if not isinstance(codec, LayeredGenerative):
        raise ValueError(f'{type(codec).__name__} has no layers; expected '
                         '`mmhmc.LayeredGenerative`.')
    rows = [
        _row(inferencer,
             read_image(path).to(inferencer.device), reference)
        for path in images
    ]
    columns = [list(column) for column in zip(*rows)]
    return draw_image_grid(columns, out_file)


def _row(inferencer, x: Tensor,
         reference: nn.Module | None) -> list[tuple[str, ndarray]]:
    stream, = inferencer.codec.compress(x[None])
    data = stream.to_bytes()
    base = stream.keep(2).to_bytes()
    row = [('original', to_pixels(x)),
           _decoded('base layer', inferencer, x, base),
           _decoded('all', inferencer, x, data)]
    found, = inferencer.analyze(
        Bitstream.from_bytes(data), show_progress=False)['predictions']
    if 'sem_seg' not in found:
        raise ValueError('The model predicts no classes of pixels; expected '
                         'one of mmseg behind a `LatentBackbone`.')
    palette = np.array(inferencer.dataset_meta['palette'])
    row.append(
        ('read from the streams', _tinted(row[0][1], found['sem_seg'],
                                          palette)))
    if reference is not None:
        from mmseg.apis import inference_model
        sample = inference_model(reference, to_pixels(x.flip(0)))
        labels = sample.pred_sem_seg.data[0].cpu().numpy()
        row.append(
            ('read from the original', _tinted(row[0][1], labels, palette)))
    return row


def _decoded(name: str, inferencer, x: Tensor,
             data: bytes) -> tuple[str, ndarray]:
    stream = Bitstream.from_bytes(data)
    x_hat = crop_to(inferencer.codec.decompress([stream]), stream.size)
    bpp = 8 * len(data) / (x.shape[1] * x.shape[2])
    psnr = PSNRMetric().measure(x[None], x_hat)
    return (f'{name}: {len(data)} bytes, {bpp:.3f} bpp, {psnr:.1f} dB',
            to_pixels(x_hat[0]))


def _tinted(image: ndarray, labels: ndarray, palette: ndarray) -> ndarray:
    shown = (1 - _TINT) * image + _TINT * palette[labels]
    return shown.round().astype(np.uint8)
