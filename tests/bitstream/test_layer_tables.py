"""Embedded quantisation costs what the integers cost alone."""
import numpy as np
import pytest
import torch
from conftest import tiny_codec

from mmhmc.bitstream import (BitstreamError, LayerTables, SymbolDecoder,
                             encode_symbols)
from mmhmc.structures import LatentSymbols

WIDTHS = dict(
    three=[(3, 1)],
    five=[(5, 1)],
    three_twice=[(9, 3, 1)],
    wide=[(255, 1)],
    groups=[(3, 1), (7, 1), (1, 1)],
    groups_of_three=[(9, 3, 1), (5, 5, 1)])
#: Widths of the tables of small, middle and large scales.
LEVELS = dict(
    levels=[(9, 1), (1, 1), (3, 1)],
    levels_of_three=[(15, 5, 1), (3, 3, 1), (1, 1, 1)])


@pytest.fixture(scope='module')
def fine():
    return tiny_codec('DCVCUFIntra').entropy_tables()['y']


@pytest.fixture(scope='module')
def layered(fine):
    count = len(fine.lengths)
    made = {
        name: LayerTables(fine, [one for one in widths for _ in range(count)])
        for name, widths in WIDTHS.items()
    }
    for name, widths in LEVELS.items():
        made[name] = LayerTables(
            fine, [widths[3 * level // count] for level in range(count)])
    return made


def drawn(fine, tables, count=20000, tail=0):
    """Integers of the tables' own frequencies, and their rows."""
    rows = torch.randint(len(tables._children[0][0]), (count, )).int()
    cdf, lengths, offsets = fine._arrays
    slots = np.random.default_rng(0).integers(0, 65535, count)
    symbols = [
        offsets[i] + min(
            np.searchsorted(cdf[i, :lengths[i]], slot, 'right') - 1,
            lengths[i] - 3)
        for i, slot in zip((rows % len(lengths)).tolist(), slots)
    ]
    symbols = torch.tensor(symbols, dtype=torch.int32)
    symbols[:tail] *= 1000
    symbols[:tail // 2] += 7
    return symbols, rows


def coded(tables, symbols, rows):
    """Payload of each layer."""
    base = LatentSymbols(tables.bins(0, symbols, rows), rows)
    rest = [tables.refine(j, symbols, rows) for j in range(1, len(tables))]
    return [
        encode_symbols(one, table)
        for one, table in zip([base, *rest], tables.tables)
    ]


def decoded(tables, payloads, rows):
    """Bins of each layer."""
    decoders = [SymbolDecoder(*pair) for pair in zip(payloads, tables.tables)]
    found = [decoders[0].decode(rows)]
    for j in range(1, len(tables)):
        found.append(tables.read(j, decoders[j], found[-1], rows))
    for decoder in decoders:
        decoder.finish()
    return found


@pytest.mark.parametrize('name', [*WIDTHS, *LEVELS])
@pytest.mark.parametrize('tail', [0, 500])
def test_layers_say_what_the_integers_say(fine, layered, name, tail):
    tables = layered[name]
    symbols, rows = drawn(fine, tables, tail=tail)
    found = decoded(tables, coded(tables, symbols, rows), rows)
    assert torch.equal(found[-1], symbols)
    for j, bins in enumerate(found):
        width = tables.widths(j, rows)
        assert ((symbols - bins * width).abs() <= (width - 1) // 2).all()


@pytest.mark.parametrize('name', [*WIDTHS, *LEVELS])
def test_layers_cost_what_the_integers_cost(fine, layered, name):
    tables = layered[name]
    symbols, rows = drawn(fine, tables)
    payloads = coded(tables, symbols, rows)
    alone = encode_symbols(
        LatentSymbols(symbols, rows % len(fine.lengths)), fine)
    assert len(alone) > 5000
    # A coder's states are up to 33 bytes a stream.
    total = sum(map(len, payloads))
    assert abs(total - len(alone)) <= 33 * len(payloads) + len(alone) // 2000
    assert 0 < len(payloads[0]) < len(alone)


def test_frequency_of_a_bin_is_the_sum_of_its_integers(fine, layered):
    base = layered['five'].tables[0]
    for (row, low), (bins, first) in zip(fine.as_rows(), base.as_rows()):
        frequencies = dict(zip(range(low, low + len(row)), np.diff(row)[:-1]))
        for b, frequency in zip(
                range(first, first + len(bins)),
                np.diff(bins)[:-1]):
            assert frequency == sum(
                frequencies.get(s, 0) for s in range(5 * b - 2, 5 * b + 3))
        assert np.diff(bins)[-1] == np.diff(row)[-1]


def test_point_of_a_bin_is_the_mean_of_its_integers(fine, layered):
    tables = layered['five']
    row = len(fine.lengths) // 2
    cdf, low = fine.as_rows()[row]
    frequencies = np.diff(cdf)[:-1].astype(float)
    integers = low + np.arange(len(frequencies))
    for b in (-2, -1, 0, 1, 2):
        inside = abs(integers - 5 * b) <= 2
        mean = np.average(integers[inside], weights=frequencies[inside])
        point = tables.points(0, torch.tensor([b], dtype=torch.int32),
                              torch.tensor([row], dtype=torch.int32))
        assert abs(point.item() - mean) <= 1 / 512 + 1e-6
    # Outside the tables it is the centre.
    far = torch.tensor([10000], dtype=torch.int32)
    assert tables.points(0, far, far * 0 + row).item() == 50000


def test_points_of_the_last_layer_are_the_integers(layered, fine):
    tables = layered['three_twice']
    symbols, rows = drawn(fine, tables, 100)
    assert torch.equal(tables.points(2, symbols, rows), symbols.float())


def test_more_tables_than_a_stream_can_have_are_refused():
    fine = tiny_codec('MeanScaleHyperprior').entropy_tables()['y']
    with pytest.raises(ValueError, match='need 70... tables'):
        LayerTables(fine, [(3, 1)] * (2 * len(fine.lengths)))


def test_symbol_outside_the_bin_that_it_refines_is_refused(fine, layered):
    tables = layered['three']
    rows = torch.zeros(4, dtype=torch.int32)
    wrong = tables.refine(1, rows, rows)
    wrong.symbols[2] = 2
    decoder = SymbolDecoder(
        encode_symbols(wrong, tables.tables[1]), tables.tables[1])
    with pytest.raises(BitstreamError, match='outside the bin'):
        tables.read(1, decoder, rows, rows)
