"""Tables of embedded quantisation: integers in layers, the coarse one first.

An integer of the latent is ``s = k c + r``, with an odd factor k and r from
``-(k - 1) / 2`` to ``(k - 1) / 2``. The coarse c is coded under the sum of the
frequencies of its k integers, r under their share given c. By the chain rule
both cost what s costs alone.
"""
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmhmc.structures import LatentSymbols
from .entropy_coder import CdfTables, SymbolDecoder
from .errors import BitstreamError

_TOTAL, _MOST_TABLES = 1 << 16, 1 << 16
#: Steps of a reconstruction point, in units of the fine integers: a power of
#: two, so that float32 holds it exactly.
_POINT_STEPS = 256


class LayerTables:
    """Tables of each layer of a latent, made of those of its integers.

    Elements of the latent may be in groups. A row is a group and a table of
    ``fine``: row ``g * K + i`` for group g and table i of K. Rows may have
    bins of other widths. Bin b of width w has its centre at ``b w``. All
    tables and points are computed in integers.

    Args:
        fine: The tables of the integers.
        widths: For each row the width of the bins of each layer: odd, each a
            multiple of the next, the last of them 1.

    Raises:
        ValueError: If there would be more than 65536 tables.
    """

    def __init__(self, fine: CdfTables, widths: Sequence[Sequence[int]]):
        self.num_tables = len(fine.lengths)
        device = fine.cdf.device
        rows = fine.as_rows()
        layers = [[
            _Bins(*rows[at % len(rows)], of_row[layer])
            for at, of_row in enumerate(widths)
        ] for layer in range(len(widths[0]))]
        #: The widths that occur.
        self.kinds = list(dict.fromkeys(widths))
        self._kinds = torch.tensor([self.kinds.index(one) for one in widths],
                                   dtype=torch.int32).to(device)
        # One width for all elements is quicker than one for each row.
        self._widths = [
            bins[0].width if len({b.width
                                  for b in bins}) == 1 else
            torch.tensor([b.width for b in bins], dtype=torch.int32).to(device)
            for bins in layers
        ]
        base = [np.append(bins.cdf, _TOTAL) for bins in layers[0]]
        self.tables = [_as_tables(base, [b.low for b in layers[0]], device)]
        self._children = []
        for parents, children in zip(layers, layers[1:]):
            tables, lookup = _split(parents, children)
            self.tables.append(_as_tables(*tables, device))
            self._children.append(
                [torch.from_numpy(part).to(device) for part in lookup])

    def __len__(self) -> int:
        return len(self.tables)

    def bins(self, layer: int, symbols: Tensor, rows: Tensor) -> Tensor:
        """The bin of a layer in which each integer lies.

        Args:
            layer: From 0, the coarsest.
            symbols: Integers, int32, any shape.
            rows: Row of each, int32, same shape.
        """
        width = self.widths(layer, rows)
        return torch.div(
            symbols + (width - 1) // 2, width, rounding_mode='floor')

    def widths(self, layer: int, rows: Tensor) -> Tensor | int:
        """Width of the bins of a layer: of all, or of each row, int32."""
        width = self._widths[layer]
        return width if isinstance(width, int) else width[rows.long()]

    def kind(self, rows: Tensor) -> Tensor | int:
        """Which of ``kinds`` the bins have: of all, or of each row, int32."""
        return self._kinds[rows.long()] if len(self.kinds) > 1 else 0

    def points(self, layer: int, bins: Tensor, rows: Tensor) -> Tensor:
        """Value that stands for each bin: the mean of its integers.

        Weighed by their frequencies, in steps of 1/256; the centre of a bin
        that is outside the tables.

        Args:
            layer: From 0; the last one has one integer in each bin.
            bins: Of that layer, int32, any shape.
            rows: Row of each, int32, same shape.

        Returns:
            float32, the same shape.
        """
        centres = bins.float() * self.widths(layer, rows)
        if layer == len(self._children):
            return centres
        shifts = self._children[layer][-1]
        return centres + shifts[self._table_of(layer, bins, rows).long()]

    def refine(self, layer: int, symbols: Tensor,
               rows: Tensor) -> LatentSymbols:
        """What a layer after the first codes: the place in a coarser bin.

        Args:
            layer: From 1.
            symbols: The integers, int32, shape (n,).
            rows: Row of each, int32, shape (n,).
        """
        coarse = self.bins(layer - 1, symbols, rows)
        rest = self.bins(layer, symbols,
                         rows) - coarse * self._factors(layer, rows)
        return LatentSymbols(rest, self._table_of(layer - 1, coarse, rows))

    def read(self, layer: int, decoder: SymbolDecoder, coarse: Tensor,
             rows: Tensor) -> Tensor:
        """Inverse of :meth:`refine`.

        Args:
            layer: From 1.
            decoder: Of the layer's stream.
            coarse: Bins of the layer before it, int32, shape (n,).
            rows: Row of each, int32, shape (n,).

        Returns:
            Bins of the layer, int32, shape (n,).

        Raises:
            BitstreamError: If the stream makes no sense.
        """
        rest = decoder.decode(self._table_of(layer - 1, coarse, rows))
        return self.join(layer, coarse, rest, rows)

    def join(self, layer: int, coarse: Tensor, rest: Tensor,
             rows: Tensor) -> Tensor:
        """Bins of a layer, int32, from those before it and what it codes.

        Args:
            layer: From 1.
            coarse: Bins of the layer before it, int32, any shape.
            rest: Places in them, int32, same shape.
            rows: Row of each, int32, same shape.

        Raises:
            BitstreamError: If a place is none of its bin.
        """
        factors = self._factors(layer, rows)
        if (rest.abs() > (factors - 1) // 2).any():
            raise BitstreamError('A symbol of a refinement lies outside the '
                                 'bin that it refines: the stream is damaged.')
        return coarse * factors + rest

    def _factors(self, layer: int, rows: Tensor) -> Tensor | int:
        return self.widths(layer - 1, rows) // self.widths(layer, rows)

    def _table_of(self, layer: int, bins: Tensor, rows: Tensor) -> Tensor:
        """Table of what is within each bin of a layer, int32."""
        at = rows.long()
        first, low, high, other = (
            part[at] for part in self._children[layer][:4])
        return torch.where((bins >= low) & (bins <= high), bins + first, other)


class _Bins:
    """Frequencies of the bins of one width, of one table.

    Args:
        cdf: Cumulative frequencies of the integers, and of the escape.
        offset: The first integer.
        width: Of a bin.
    """

    def __init__(self, cdf: np.ndarray, offset: int, width: int) -> None:
        cdf = cdf.astype(np.int64)
        count = len(cdf) - 2
        integers = offset + np.arange(count)
        bins = (integers + width // 2) // width
        self.width, self.low, self.high = width, int(bins[0]), int(bins[-1])
        # Where the integers of each bin begin, and the last of them end.
        borders = np.append(
            np.flatnonzero(np.diff(bins, prepend=bins[0] - 1)), count)
        self.cdf = cdf[borders]
        frequencies = np.diff(cdf[:-1])
        sums = np.add.reduceat(frequencies * (integers - bins * width),
                               borders[:-1])
        total = np.diff(self.cdf)
        self.shifts = (2 * _POINT_STEPS * sums + total) // (2 * total)


def _split(parents: list[_Bins], children: list[_Bins]) -> tuple:
    """Tables of the children of each bin, and how to find them.

    Returns:
        Cumulative frequencies and first integers of the tables; and for each
        row the first table less the lowest bin, the lowest and the highest
        bin, and the table for all others, int32; and the shift of the point
        of each table's bin, float32.
    """
    cdfs, offsets, shifts, lookup = [], [], [], []
    for bins, finer in zip(parents, children):
        first, low, high = len(offsets) - bins.low, bins.low, bins.high
        if bins.width == 1:
            low, high = 1, 0  # there is nothing to say: none has its own
        else:
            cdf, starts = _shares(bins, finer)
            cdfs += cdf
            offsets += starts
            shifts += bins.shifts.tolist()
        lookup.append((first, low, high))
    others = {}
    for bins, finer in zip(parents, children):
        factor = bins.width // finer.width
        if factor not in others:
            others[factor] = len(offsets)
            even = np.arange(factor + 1) * (_TOTAL - 1) // factor
            cdfs.append(np.append(even, _TOTAL))
            offsets.append(-(factor // 2))
            shifts.append(0)
    first, low, high = np.array(lookup, np.int32).T
    other = np.array(
        [others[b.width // f.width] for b, f in zip(parents, children)],
        np.int32)
    return (cdfs, offsets), (first.copy(), low.copy(), high.copy(), other,
                             np.array(shifts, np.float32) / _POINT_STEPS)


def _shares(bins: _Bins, finer: _Bins) -> tuple[list, list[int]]:
    """Tables of each bin's children: their shares, and 1 for the escape."""
    factor = bins.width // finer.width
    centres = np.arange(bins.low, bins.high + 1) * factor
    starts = np.maximum(centres - factor // 2, finer.low)
    ends = np.minimum(centres + factor // 2, finer.high) + 1
    cdfs = []
    for start, end in zip(starts - finer.low, ends - finer.low):
        shares = finer.cdf[start:end + 1] - finer.cdf[start]
        count = end - start
        # Each child gets 1 more, so that none has a frequency of 0.
        cdf = shares * (_TOTAL - 1 - count) // shares[-1] + np.arange(count +
                                                                      1)
        cdfs.append(np.append(cdf, _TOTAL))
    return cdfs, (starts - centres).tolist()


def _as_tables(cdfs: Sequence[np.ndarray], offsets: Sequence[int],
               device: torch.device) -> CdfTables:
    if len(cdfs) > _MOST_TABLES:
        raise ValueError(
            f'The layers need {len(cdfs)} tables, and a stream has at most '
            f'{_MOST_TABLES}: use a larger factor, or fewer different ones.')
    lengths = np.array([len(cdf) for cdf in cdfs], np.int32)
    padded = np.full((len(cdfs), lengths.max()), _TOTAL, np.int32)
    for row, cdf in zip(padded, cdfs):
        row[:len(cdf)] = cdf
    return CdfTables(*(torch.from_numpy(part).to(device)
                       for part in (padded, lengths,
                                    np.array(offsets, np.int32))))
