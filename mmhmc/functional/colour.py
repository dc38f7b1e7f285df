"""Between RGB and the luma and chroma planes that standard codecs code."""
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

#: Weights of red and blue in luma; ITU-R BT.601 and BT.709.
LUMA_WEIGHTS = dict(bt601=(0.299, 0.114), bt709=(0.2126, 0.0722))
#: Rows and columns of luma for each of chroma.
CHROMA_STRIDES = {'444': (1, 1), '422': (1, 2), '420': (2, 2), '400': None}


def rgb_to_ycbcr(x: Tensor,
                 matrix: str = 'bt709',
                 centred: bool = False) -> Tensor:
    """Convert images to luma and chroma, for networks to learn from.

    With red, green and blue and the luma weights K of the matrix,

    .. code-block:: none

        y = K_r r + K_g g + K_b b
        u = (b - y) / (2 - 2 K_b)
        v = (r - y) / (2 - 2 K_r)

    which are in [0, 1], [-1/2, 1/2] and [-1/2, 1/2] for colours in [0, 1].

    Args:
        x: RGB, shape (B, 3, H, W), of any floating type.
        matrix: ``'bt601'`` or ``'bt709'``.
        centred: Whether 1/2 is subtracted from luma.

    Returns:
        Planes y, u and v, of the type and shape of ``x``.
    """
    red_weight, blue_weight = LUMA_WEIGHTS[matrix]
    red, green, blue = x.split(1, dim=1)
    # As a sum of differences, so that grey is exact.
    y = green + red_weight * (red - green) + blue_weight * (blue - green)
    u = (blue - y) / (2 - 2 * blue_weight)
    v = (red - y) / (2 - 2 * red_weight)
    return torch.cat((y - 0.5 if centred else y, u, v), dim=1)


def ycbcr_to_rgb(planes: Tensor,
                 matrix: str = 'bt709',
                 centred: bool = False) -> Tensor:
    """The way back from :func:`rgb_to_ycbcr`, not clamped."""
    y, u, v = planes.split(1, dim=1)
    if centred:
        y = y + 0.5
    red_weight, blue_weight = LUMA_WEIGHTS[matrix]
    red = y + (2 - 2 * red_weight) * v
    blue = y + (2 - 2 * blue_weight) * u
    green = y - (red_weight * (red - y) + blue_weight *
                 (blue - y)) / (1 - red_weight - blue_weight)
    return torch.cat((red, green, blue), dim=1)


def rgb_to_yuv(x: Tensor,
               matrix: str = 'bt709',
               full_range: bool = True,
               bit_depth: int = 8,
               chroma: str = '444') -> tuple[Tensor, ...]:
    """Convert images to the integers that a video codec takes.

    With n bits, the planes of :func:`rgb_to_ycbcr` are rounded to
    ``(2^n - 1) y`` and ``(2^n - 1) u + 2^(n-1)`` in the full range,
    ``2^(n-8) (219 y + 16)`` and ``2^(n-8) (224 u + 128)`` otherwise (ITU-T
    H.273, equations 20 to 31).
    Where chroma has fewer samples, each is the mean of its pixels, and so is
    located at their centre.

    Args:
        x: RGB, clamped to [0, 1], shape (B, 3, H, W).
        matrix: ``'bt601'`` or ``'bt709'``.
        full_range: Whether planes use all integers; False leaves head room,
            as in television.
        bit_depth: Bits of a sample, 8 to 16.
        chroma: ``'444'``, ``'422'`` (H, W/2), ``'420'`` (H/2, W/2) or
            ``'400'`` (luma alone).

    Returns:
        Planes y, u and v, or y alone, int32, shape (B, 1, h, w).

    Raises:
        ValueError: If a setting is unknown, or H or W not even where chroma
            has half of it.
    """
    check_colour(matrix, bit_depth, chroma)
    if x.ndim != 4 or x.shape[1] != 3:
        raise ValueError('`x` must be RGB images of shape (B, 3, H, W), got '
                         f'{tuple(x.shape)}.')
    y, u, v = rgb_to_ycbcr(x.clamp(0, 1), matrix).split(1, dim=1)
    if chroma == '400':
        return _quantise([y], full_range, bit_depth)
    stride = CHROMA_STRIDES[chroma]
    if x.shape[-2] % stride[0] or x.shape[-1] % stride[1]:
        raise ValueError(
            f'`x` has size {tuple(x.shape[-2:])}; with {chroma} chroma it '
            f'must be a multiple of {stride}. Use `extend_edges` first.')
    u, v = (avg_pool2d(plane, stride) for plane in (u, v))
    return _quantise([y, u, v], full_range, bit_depth)


def yuv_to_rgb(planes: Sequence[Tensor],
               matrix: str = 'bt709',
               full_range: bool = True,
               bit_depth: int = 8) -> Tensor:
    """Inverse of :func:`rgb_to_yuv`.

    Chroma with fewer samples is interpolated bicubically. Planes of colours
    outside RGB become the nearest colours.

    Args:
        planes: Integers y, u and v, or y alone, each of shape (B, 1, h, w).
        matrix: As the planes were made with.
        full_range: As the planes were made with.
        bit_depth: As the planes were made with.

    Returns:
        RGB in [0, 1], float32, not rounded to 8 bits, shape (B, 3, H, W).

    Raises:
        ValueError: If a setting is unknown, or there are neither one nor
            three planes.
    """
    check_colour(matrix, bit_depth)
    if len(planes) not in (1, 3):
        raise ValueError(f'`planes` must be y, u and v, or y alone; got '
                         f'{len(planes)} planes.')
    gains, zeros = _scales(full_range, bit_depth)
    y, *rest = ((plane.float() - zero) / gain
                for plane, gain, zero in zip(planes, gains, zeros))
    if not rest:
        return y.clamp(0, 1).expand(-1, 3, -1, -1).contiguous()
    size = y.shape[-2:]
    u, v = (
        plane if plane.shape[-2:] == size else interpolate(
            plane, size, mode='bicubic', align_corners=False)
        for plane in rest)
    return ycbcr_to_rgb(torch.cat((y, u, v), dim=1), matrix).clamp(0, 1)


def check_colour(matrix: str, bit_depth: int, chroma: str = '444') -> None:
    """Refuse settings that the conversions do not know.

    Raises:
        ValueError: If one is unknown.
    """
    if matrix not in LUMA_WEIGHTS:
        raise ValueError(f'`matrix` must be one of {sorted(LUMA_WEIGHTS)}, '
                         f'got {matrix!r}.')
    if chroma not in CHROMA_STRIDES:
        raise ValueError(f'`chroma` must be one of {sorted(CHROMA_STRIDES)}, '
                         f'got {chroma!r}.')
    if not (isinstance(bit_depth, int) and 8 <= bit_depth <= 16):
        raise ValueError('`bit_depth` must be a whole number from 8 to 16, '
                         f'got {bit_depth!r}.')


def _scales(full_range: bool, bit_depth: int) -> tuple[tuple, tuple]:
    """Gain and zero of each plane: integer = gain * value + zero."""
    unit, middle = 1 << (bit_depth - 8), 1 << (bit_depth - 1)
    if full_range:
        top = (1 << bit_depth) - 1
        return (top, ) * 3, (0, middle, middle)
    return (219 * unit, 224 * unit, 224 * unit), (16 * unit, middle, middle)


def _quantise(planes: Sequence[Tensor], full_range: bool,
              bit_depth: int) -> tuple[Tensor, ...]:
    top = (1 << bit_depth) - 1
    gains, zeros = _scales(full_range, bit_depth)
    return tuple((gain * plane + zero).round().clamp(0, top).int()
                 for plane, gain, zero in zip(planes, gains, zeros))
