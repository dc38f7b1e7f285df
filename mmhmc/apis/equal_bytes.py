"""Standard codecs at the size of a file that another codec has written."""
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mmhmc.codecs import JPEG, HEVCIntra
from mmhmc.codecs.standard import StandardCodec


@dataclass(frozen=True)
class StandardFile:
    """What a standard codec made of an image.

    Args:
        num_bytes: Bytes of the encoder's own file.
        x_hat: Decoded, RGB in [0, 1], shape (1, 3, H, W).
    """

    num_bytes: int
    x_hat: Tensor


def jpeg_within(x: Tensor, num_bytes: int) -> StandardFile:
    """The best JPEG, 4:2:0, of at most ``num_bytes``, else the smallest.

    Args:
        x: RGB in [0, 1], shape (1, 3, H, W), on the CPU.
        num_bytes: Bytes that the file may have.
    """
    return _best(JPEG(subsampling='4:2:0'), range(1, 96), x, num_bytes)


def hevc_within(x: Tensor, num_bytes: int) -> StandardFile:
    """As :func:`jpeg_within`, an intra frame of HEVC, 4:4:4, by x265.

    Raises:
        RuntimeError: If there is no encoder.
    """
    return _best(HEVCIntra(), range(51, -1, -1), x, num_bytes)


def _best(codec: StandardCodec, qualities: Sequence[int], x: Tensor,
          num_bytes: int) -> StandardFile:
    """Search qualities, ordered from the smallest file to the largest."""
    low, high = 0, len(qualities) - 1
    kept = codec.encode_file(x, qualities[0])
    while low < high:
        middle = (low + high + 1) // 2
        data = codec.encode_file(x, qualities[middle])
        if len(data) <= num_bytes:
            low, kept = middle, data
        else:
            high = middle - 1
    size = x.shape[-2], x.shape[-1]
    return StandardFile(len(kept), codec.decode_file(kept, size))
