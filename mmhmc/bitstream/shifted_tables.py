"""Tables of an enhancement that knows more than its base did.

The base has said in which bin an integer lies, around a mean that it knew.
Then more is known: a Gaussian with another mean and another scale. Its shares
in the bin's children are a table, chosen by the scale and by where the bin
lies from the new mean.
"""
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .entropy_coder import CdfTables

_TOTAL, _MOST_TABLES = 1 << 16, 1 << 16
#: Places of a bin on either side of the mean that have tables, at most and at
#: least, and their finest distance in units of the integers.
_MOST_PLACES, _LEAST_PLACES, _FINEST = 32, 4, 0.25
#: Bins further away, in scales, have the table of this distance.
_FURTHEST = 6.


class ShiftedTables:
    """Tables of the layers after the first, under Gaussians of their own.

    A row is a kind of widths and a table: row ``g * K + i`` for kind g and
    table i of K. The kind is the one that the bins of the base have, the
    table that of the new scale. Shares are computed in double precision and
    rounded to 16 bits.

    Args:
        scales: Scale of each table of the integers, shape (K,).
        widths: Of the bins of each layer, all that occur: ``kinds`` of
            :class:`~mmhmc.bitstream.layer_tables.LayerTables`.

    Raises:
        ValueError: If there would be more than 65536 tables.
    """

    def __init__(self, scales: Tensor, widths: Sequence[Sequence[int]]):
        rows = len(scales) * len(widths)
        self._places = min(_MOST_PLACES, (_MOST_TABLES // rows - 1) // 2)
        if self._places < _LEAST_PLACES:
            raise ValueError(f'The layers have {len(widths)} different widths '
                             f'of bins, too many for {len(scales)} tables: '
                             'use fewer different factors.')
        layers = [[
            self._of_row(scale, *group[layer - 1:layer + 1])
            for group in widths for scale in scales.tolist()
        ] for layer in range(1, len(widths[0]))]
        device = scales.device
        self.tables = [_as_tables(made, device) for made in layers]
        self._distances = [
            torch.tensor([distance for _, distance in made], device=device)
            for made in layers
        ]

    def indexes(self, layer: int, centres: Tensor, rows: Tensor) -> Tensor:
        """Table of each bin's children, int32.

        Args:
            layer: Of the children, from 1.
            centres: Centre of each bin of the layer before it, less the mean
                of its Gaussian.
            rows: Row of each, int32, same shape.
        """
        distances = self._distances[layer - 1][rows.long()]
        # Distances are powers of two: nothing is rounded but the quotient.
        places = (centres / distances).round()
        places = places.clamp(-self._places, self._places).int()
        return rows * (2 * self._places + 1) + places + self._places

    def _of_row(self, scale: float, width: int,
                finer: int) -> tuple[np.ndarray, float]:
        """Cumulative frequencies of all places, and their distance."""
        furthest = _FURTHEST * scale + width / 2
        distance = _FINEST
        while distance * self._places < furthest:
            distance *= 2
        centres = np.arange(self._places + 1) * distance
        borders = np.minimum(centres, furthest)[:, None] - width / 2 + \
            finer * np.arange(width // finer + 1)
        # Upper tails, which stay exact far from the mean.
        tails = torch.special.ndtr(torch.from_numpy(-borders / scale)).numpy()
        shares = (tails[:, :1] - tails) / (tails[:, :1] - tails[:, -1:])
        mirrored = 1 - shares[:0:-1, ::-1]
        count = np.arange(width // finer + 1)
        # Each child gets 1 more, so that none has a frequency of 0.
        free = _TOTAL - 1 - count[-1]
        cdf = np.rint(np.concatenate([mirrored, shares]) * free) + count
        return cdf.astype(np.int32), distance


def _as_tables(made: list[tuple[np.ndarray, float]],
               device: torch.device) -> CdfTables:
    lengths = np.concatenate(
        [np.full(len(cdf), cdf.shape[1] + 1) for cdf, _ in made])
    cdfs = np.full((len(lengths), lengths.max()), _TOTAL, np.int32)
    at = 0
    for cdf, _ in made:
        cdfs[at:at + len(cdf), :cdf.shape[1]] = cdf
        at += len(cdf)
    # From -(k - 1) / 2; two entries are none of the k children's.
    offsets = -((lengths - 2) // 2)
    return CdfTables(*(torch.from_numpy(part.astype(np.int32)).to(device)
                       for part in (cdfs, lengths, offsets)))
