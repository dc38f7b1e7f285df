"""Raw frames: planes of integers to bytes and back."""
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmhmc.bitstream import BitstreamError
from mmhmc.functional.colour import CHROMA_STRIDES


def planes_to_bytes(planes: Sequence[Tensor], bit_depth: int) -> bytes:
    """One frame of planar samples, one after the other.

    Args:
        planes: Integers, each of shape (1, 1, h, w).
        bit_depth: Up to 8 bits a sample takes one byte, beyond two, the low
            one first.
    """
    kind = _sample_type(bit_depth)
    return b''.join(plane.numpy().astype(kind).tobytes() for plane in planes)


def bytes_to_planes(data: bytes, size: tuple[int, int], chroma: str,
                    bit_depth: int) -> list[Tensor]:
    """The way back from :func:`planes_to_bytes`.

    Args:
        data: The frame.
        size: Height and width of luma.
        chroma: ``'444'``, ``'422'``, ``'420'`` or ``'400'``.
        bit_depth: Bits of a sample.

    Returns:
        Planes, int32, each of shape (1, 1, h, w).

    Raises:
        BitstreamError: If there is not exactly one frame.
    """
    kind = _sample_type(bit_depth)
    shapes = [tuple(size)]
    if chroma != '400':
        stride = CHROMA_STRIDES[chroma]
        shapes += [(size[0] // stride[0], size[1] // stride[1])] * 2
    expected = kind.itemsize * sum(h * w for h, w in shapes)
    if len(data) != expected:
        raise BitstreamError(
            f'The file decodes to {len(data)} bytes; a frame of {size[0]} x '
            f'{size[1]} samples, {chroma} at {bit_depth} bits, has '
            f'{expected}. It is damaged, or of another format.')
    samples = torch.from_numpy(np.frombuffer(data, kind).astype(np.int32))
    parts = samples.split([h * w for h, w in shapes])
    return [part.view(1, 1, *shape) for part, shape in zip(parts, shapes)]


def _sample_type(bit_depth: int) -> np.dtype:
    return np.dtype('u1' if bit_depth <= 8 else '<u2')
