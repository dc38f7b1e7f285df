"""Figure of one bitstream, decoded for people and for each task."""
from pathlib import Path

import torch
from torch import Tensor

from mmhmc.bitstream import Bitstream
from mmhmc.codecs import MPA, ImageCodec
from mmhmc.evaluation import PSNRMetric
from mmhmc.functional import crop_to, extend_edges, padded_size, to_pixels
from mmhmc.structures import CodingCondition
from .path_masks import TaskColumn, draw_task_images


@torch.no_grad()
def write_task_images(codec: ImageCodec,
                      x: Tensor,
                      out_file: str | Path,
                      quality: float | None = None,
                      alpha: float = 0.5) -> Path:
    """Draw the images that people and each task get from one bitstream.

    The first row has the original, the image for people and that for each
    task, decoded from real bytes; below are the masks of the encoder's and
    of the decoder's stages. A task that takes all of its own path leaves
    nothing to see, so its masks are drawn at ``alpha``.

    Args:
        codec: ``MPA`` with tasks, ready to code.
        x: RGB in [0, 1], shape (3, H, W), on the codec's device.
        out_file: PNG.
        quality: Rate index; None for the highest.
        alpha: Share of positions that take a task's path in the masks.

    Returns:
        ``out_file``.

    Raises:
        ValueError: If the codec has no tasks, or refuses quality or alpha.
    """
    if not isinstance(codec, MPA) or not codec.tasks:
        raise ValueError(
            f'{type(codec).__name__} decodes for no tasks; expected '
            '`mmhmc.MPA` with `tasks`.')
    condition = CodingCondition(quality=quality)
    stream, = codec.compress(x[None], condition)
    stream = Bitstream.from_bytes(stream.to_bytes())
    target = padded_size(stream.size, codec.downsampling_factor)
    padded = extend_edges(x[None], [stream.size], target)

    def masks(condition: CodingCondition, part: str) -> dict:
        found = codec.path_masks(padded, condition)
        return {
            name: mask[0].cpu().numpy()
            for name, mask in found.items() if name.startswith(part)
        }

    columns = [
        TaskColumn('original', to_pixels(x), masks(condition, 'g_a')),
        _column('for people', codec, x, stream, None)
    ]
    for task in codec.tasks:
        column = _column(f'for {task}', codec, x, stream,
                         CodingCondition(task=task))
        column.masks = masks(CodingCondition(quality, task, alpha), 'g_s')
        columns.append(column)
    bpp = 8 * stream.num_bytes / (stream.size[0] * stream.size[1])
    columns[0].title = f'original; coded: {bpp:.3f} bpp'
    return draw_task_images(columns, out_file, target)


def _column(title: str, codec: ImageCodec, x: Tensor, stream: Bitstream,
            condition: CodingCondition | None) -> TaskColumn:
    x_hat = crop_to(codec.decompress([stream], condition), stream.size)
    psnr = PSNRMetric().measure(x[None], x_hat)
    return TaskColumn(f'{title}: {psnr:.2f} dB', to_pixels(x_hat[0]))
