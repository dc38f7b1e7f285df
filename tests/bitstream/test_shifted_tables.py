"""Shares of a bin's children under a Gaussian that its base did not have."""
import math

import pytest
import torch

from mmhmc.bitstream import ShiftedTables, SymbolDecoder, encode_symbols
from mmhmc.structures import LatentSymbols

SCALES = torch.logspace(math.log10(0.11), math.log10(256), 64)
WIDTHS = dict(
    three=[(3, 1)],
    wide=[(255, 1)],
    three_twice=[(9, 3, 1)],
    groups=[(3, 1), (5, 1), (1, 1)])


def drawn(count=20000):
    """Rows, centres of bins of width 3 less the means, and children."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(len(SCALES), (count, ), generator=generator).int()
    values = torch.randn(count, generator=generator) * SCALES[rows.long()]
    means = torch.rand(count, generator=generator) - 0.5
    integers = (values + means).round()
    bins = ((integers + 1) / 3).floor()
    return rows, 3 * bins - means, (integers - 3 * bins).int()


def shares(rows, centres, children):
    """Exact probability of each child in its bin."""
    scales = SCALES[rows.long()].double()

    def mass(start, end):
        near, far = torch.minimum(start.abs(), end.abs()), torch.maximum(
            start.abs(), end.abs())
        tails = torch.special.ndtr(-near / scales) - torch.special.ndtr(
            -far / scales)
        both = 1 - torch.special.ndtr(-near / scales) - torch.special.ndtr(
            -far / scales)
        return torch.where(start * end > 0, tails, both)

    place = centres.double() + children
    return mass(place - 0.5, place + 0.5) / mass(centres.double() - 1.5,
                                                 centres.double() + 1.5)


@pytest.mark.parametrize('kind', WIDTHS)
def test_tables_are_valid(kind):
    tables = ShiftedTables(SCALES, WIDTHS[kind])
    assert len(tables.tables) == len(WIDTHS[kind][0]) - 1
    for one in tables.tables:
        one.registered


def test_children_cost_what_their_gaussian_says():
    tables = ShiftedTables(SCALES, WIDTHS['three'])
    rows, centres, children = drawn()
    indexes = tables.indexes(1, centres, rows)
    payload = encode_symbols(
        LatentSymbols(children, indexes), tables.tables[0])
    ideal = -shares(rows, centres, children).log2().sum().item()
    assert 8 * len(payload) == pytest.approx(ideal, rel=0.02)
    decoder = SymbolDecoder(payload, tables.tables[0])
    assert torch.equal(decoder.decode(indexes), children)


def test_bins_far_away_have_a_table():
    tables = ShiftedTables(SCALES, WIDTHS['groups'])
    rows = torch.arange(3 * len(SCALES)).int()
    for centre in (-1e9, -70., 70., 1e9, float('inf')):
        indexes = tables.indexes(1, torch.full((len(rows), ), centre), rows)
        assert indexes.min() >= 0
        assert indexes.max() < len(tables.tables[0].lengths)
        cdf = tables.tables[0].cdf[indexes.long()]
        # The child next to the mean is the most probable one.
        first = cdf[0, 1] - cdf[0, 0]
        last = cdf[0, 3] - cdf[0, 2]
        assert (first > last) == (centre > 0)


def test_both_sides_of_the_mean_mirror_each_other():
    tables = ShiftedTables(SCALES, WIDTHS['three']).tables[0]
    frequencies = tables.cdf.diff()[:, :3].view(len(SCALES), -1, 3)
    assert (frequencies - frequencies.flip(1, 2)).abs().max() <= 2


def test_too_many_groups_are_refused():
    with pytest.raises(ValueError, match='use fewer different factors'):
        ShiftedTables(SCALES, [(k, 1) for k in range(1, 257, 2)])
