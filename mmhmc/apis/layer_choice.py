"""Factors of layers, chosen by what a base costs and what it loses."""
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from mmhmc.bitstream import CdfTables, LayerTables
from mmhmc.codecs import ImageCodec
from mmhmc.codecs.embedded import use_layers
from mmhmc.structures import LatentSymbols

#: Factors that are tried, and how many of them levels may have at most: a file
#: says them, and a small base has few bytes.
_FACTORS, _MOST_GROUPS = (1, 3, 5, 7, 9, 11, 15, 21, 31, 63), 6
#: Halvings of the interval in which the price of a bit is sought.
_HALVINGS = 100


@torch.no_grad()
def choose_layers(codec: ImageCodec,
                  images: Iterable[Tensor],
                  base_share: float = 0.15) -> list:
    """Choose ``layers`` of a codec for a base of a wanted size.

    Elements of the latent are put into groups by the scale of their Gaussian.
    For each group and each factor the base's bits are counted, and the
    squared error of the latent. Each group gets the factor at which error and
    bits together cost least. The price of a bit is the one that gives the
    base its size.

    A codec that codes in steps is measured with the scales that it has in one
    layer. Those of its base are larger, and so is its base.

    Args:
        codec: Has a Gaussian latent and tables, and does not train.
        images: RGB in [0, 1], each of shape (1, 3, H, W).
        base_share: Most bits of the base, over those of both layers; between
            0 and 1.

    Returns:
        Factors of two layers: one for all, e.g. ``[3]``, or a dict of
        ``levels`` and ``factors``.

    Raises:
        RuntimeError: If the codec has no tables.
        ValueError: If the codec cannot code in layers, there is no image, or
            no choice of factors gives such a share.
    """
    before, codec.layers = codec.layers, [3]  # refused if it cannot
    codec.layers = before
    with use_layers(()):
        fine = codec.entropy_tables()['y']
        fine.registered  # refuses if there are none
        coded, side_bits = _code(codec, images)
    by_level = [_measure(fine, k, coded) for k in _FACTORS]
    bits, errors = (torch.stack(parts) for parts in zip(*by_level))
    levels = _levels(bits[1])
    group_of = torch.bucketize(
        torch.arange(len(bits[0])), torch.tensor(levels), right=True)
    bits, errors = (
        torch.zeros(len(_FACTORS), len(levels) + 1,
                    dtype=torch.float64).index_add_(1, group_of, part)
        for part in (bits, errors))
    most = base_share * (bits[0].sum() + side_bits) - side_bits
    if not bits.amin(0).sum() <= most < bits[0].sum():
        least = (bits.amin(0).sum() + side_bits) / (bits[0].sum() + side_bits)
        raise ValueError('`base_share` must be below 1 and, for this codec '
                         f'and these images, at least {least:.3f}, got '
                         f'{base_share}.')
    return _merged(levels,
                   [_FACTORS[i] for i in _cheapest(bits, errors, most)])


def _code(codec: ImageCodec,
          images: Iterable[Tensor]) -> tuple[LatentSymbols, float]:
    """Integers of all latents, their tables, and the bits of what is beside.
    """
    coded, side_bits = [], 0.
    for x in images:
        output = codec.encode_latents(x)
        coded.append(output.symbols['y'])
        side_bits += sum(-p.double().log2().sum().item()
                         for name, p in output.likelihoods.items()
                         if name != 'y')
    if not coded:
        raise ValueError('`images` is empty: factors are chosen from images.')
    return LatentSymbols(
        torch.cat([one.symbols for one in coded]),
        torch.cat([one.indexes for one in coded])), side_bits


def _measure(fine: CdfTables, factor: int,
             coded: LatentSymbols) -> tuple[Tensor, Tensor]:
    """Bits of a base and its squared error, of each level, float64, (K,)."""
    count = len(fine.lengths)
    tables = LayerTables(fine, [(factor, 1)] * count)
    rows = coded.indexes
    bins = tables.bins(0, coded.symbols, rows)
    errors = (tables.points(0, bins, rows) - coded.symbols).square()
    bits = _bits(tables.tables[0], LatentSymbols(bins, rows))
    return tuple(
        torch.bincount(rows, part, minlength=count).double().cpu()
        for part in (bits, errors))


def _bits(tables: CdfTables, coded: LatentSymbols) -> Tensor:
    """Bits of each symbol; of an escape without the number after it."""
    rows = coded.indexes.long()
    places = coded.symbols - tables.offsets[rows]
    escape = tables.lengths[rows] - 2
    is_inside = (places >= 0) & (places < escape)
    places = torch.where(is_inside, places, escape).long()
    frequencies = tables.cdf[rows, places + 1] - tables.cdf[rows, places]
    return 16 - frequencies.double().log2()


def _levels(bits: Tensor) -> list[int]:
    """Levels that divide the bits of a base equally, rising."""
    sums = bits.cumsum(0)
    parts = sums[-1] * torch.arange(1, _MOST_GROUPS) / _MOST_GROUPS
    levels = torch.searchsorted(sums, parts) + 1
    return [
        level for level in levels.unique().tolist()
        if sums[level - 1] < sums[-1]
    ]


def _cheapest(bits: Tensor, errors: Tensor, most: float) -> list[int]:
    """Factor of each group, by number, with so many bits at most."""
    low, high = 0., 1e9 * (errors.max().item() + 1)
    for _ in range(_HALVINGS):
        price = (low + high) / 2
        chosen = (errors + price * bits).argmin(0)
        if bits.gather(0, chosen[None]).sum() > most:
            low = price
        else:
            high = price
    return (errors + high * bits).argmin(0).tolist()


def _merged(levels: Sequence[int], factors: Sequence[int]) -> list:
    """Factors of a codec, without levels at which they stay the same."""
    changes = [i for i in range(len(levels)) if factors[i] != factors[i + 1]]
    if not changes:
        return [factors[0]]
    return [
        dict(
            levels=[levels[i] for i in changes],
            factors=[factors[0], *(factors[i + 1] for i in changes)])
    ]
