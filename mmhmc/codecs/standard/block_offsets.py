"""QP of blocks from a map of importance."""
import math

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

#: x265 changes the QP in blocks of this side.
BLOCK = 32
#: Most that the QP of a block differs from that of the image.
LARGEST_OFFSET = 10


def block_offsets(importance: Tensor) -> Tensor:
    """Offsets of the QP for which the weighted error costs least.

    A block whose errors weigh ``w`` times as much gets ``-3 log2(w)``: the
    weight of a squared error beside a bit doubles when the QP falls by 3.

    Args:
        importance: Weights (1, 1, H, W), positive, of the frame.

    Returns:
        Whole numbers for blocks of 32 x 32, from the top left, int64.
    """
    height, width = importance.shape[-2:]
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    filled = pad(importance.float(),
                 (0, columns * BLOCK - width, 0, rows * BLOCK - height),
                 'replicate')
    weights = adaptive_avg_pool2d(filled, (rows, columns))[0, 0]
    offsets = -3 * weights.clamp(min=1e-6 * float(weights.mean())).log2()
    # The QP of the image is that of its blocks on average.
    offsets = offsets - offsets.mean()
    return offsets.round().long().clamp(-LARGEST_OFFSET, LARGEST_OFFSET)


def regions_of(offsets: Tensor,
               size: tuple[int, int],
               steps: int = 51) -> list[str]:
    """The ``addroi`` filters of ffmpeg that say offsets to an encoder.

    Args:
        offsets: From :func:`block_offsets`.
        size: Height and width of the frame.
        steps: QPs that the encoder has; ffmpeg takes parts of them.

    Returns:
        One for each run of equal blocks in a row; none where the offset is 0.
    """
    filters = []
    for row, line in enumerate(offsets.tolist()):
        top = row * BLOCK
        start = 0
        for end in range(1, len(line) + 1):
            if end < len(line) and line[end] == line[start]:
                continue
            if line[start]:
                left, right = start * BLOCK, min(end * BLOCK, size[1])
                height = min(BLOCK, size[0] - top)
                filters.append(f'addroi={left}:{top}:{right - left}:{height}:'
                               f'{line[start] / steps:.6f}')
            start = end
    return filters


def weights_of_frame(importance: Tensor, size: tuple[int, int],
                     frame_size: tuple[int, int]) -> Tensor:
    """A map of an image for its padded frame.

    Raises:
        ValueError: If it has another size, or is not positive.
    """
    if tuple(importance.shape) != (1, 1, *size):
        raise ValueError(f'`importance` must give a map {(1, 1, *size)}, got '
                         f'{tuple(importance.shape)}.')
    mean = float(importance.mean())
    if not math.isfinite(mean) or mean <= 0 or bool((importance < 0).any()):
        raise ValueError('`importance` must give a map that is finite, not '
                         'negative, and positive somewhere.')
    rows, columns = (frame - side for frame, side in zip(frame_size, size))
    return pad(importance.detach().float(), (0, columns, 0, rows), 'replicate')
