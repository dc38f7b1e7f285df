import pytest
import torch
from scipy.stats import norm

from mmhmc.bitstream import (BitstreamError, CdfTables, SymbolDecoder,
                             encode_symbols)
from mmhmc.structures import LatentSymbols


@pytest.fixture(scope='module')
def tables():
    """Rounded Gaussians of three widths, over +-4, +-10 and +-40."""
    rows = []
    for scale, reach in ((0.5, 4), (2, 10), (9, 40)):
        edges = torch.arange(-reach, reach + 2) - 0.5
        shares = torch.from_numpy(norm.cdf(edges.numpy(), scale=scale)).diff()
        # Every symbol, and the escape at the end, gets at least one.
        counts = (shares * 60000).int() + 1
        rows.append(torch.cat((torch.zeros(1), counts.cumsum(0))).int())
        rows[-1] = torch.cat((rows[-1], torch.tensor([1 << 16]).int()))
    cdf = torch.zeros(3, max(map(len, rows)), dtype=torch.int32)
    for i, row in enumerate(rows):
        cdf[i, :len(row)] = row
    return CdfTables(cdf,
                     torch.tensor([len(row) for row in rows]).int(),
                     torch.tensor([-4, -10, -40]).int())


def coded(symbols, indexes=None):
    symbols = torch.tensor(symbols, dtype=torch.int32)
    if indexes is None:
        return LatentSymbols(symbols, torch.zeros_like(symbols))
    return LatentSymbols(symbols, torch.tensor(indexes, dtype=torch.int32))


def decoded(payload, tables, indexes):
    return SymbolDecoder(payload, tables).decode(indexes)


@pytest.mark.parametrize('count', [1, 2, 3, 17, 1000])
def test_symbols_come_back(tables, count):
    indexes = torch.randint(0, 3, (count, ), dtype=torch.int32)
    scales = torch.tensor([0.5, 2., 9.])[indexes.long()]
    symbols = (torch.randn(count) * scales).round().int()
    payload = encode_symbols(LatentSymbols(symbols, indexes), tables)
    out = decoded(payload, tables, indexes)
    assert out.dtype == torch.int32
    assert torch.equal(out, symbols)


@pytest.mark.parametrize('count', range(1, 8))
def test_few_symbols_may_be_as_unlikely_as_can_be(tables, count):
    # 4 has a frequency of 1: more bits than the coder has room for by itself.
    one = coded([4] * count)
    payload = encode_symbols(one, tables)
    assert torch.equal(decoded(payload, tables, one.indexes), one.symbols)


@pytest.mark.parametrize('symbol',
                         [-5, 5, 41, -1000, 70000, 1 << 26, -(1 << 26)])
@pytest.mark.parametrize('count', [1, 2, 3, 4, 5, 50])
def test_symbols_outside_their_table_come_back(tables, symbol, count):
    one = coded([symbol] * count)
    payload = encode_symbols(one, tables)
    assert torch.equal(decoded(payload, tables, one.indexes), one.symbols)


def test_symbols_come_back_piece_by_piece(tables):
    one = coded([0, 1, -1, 12, -70, 2], [0, 0, 1, 1, 2, 2])
    decoder = SymbolDecoder(encode_symbols(one, tables), tables)
    pieces = [decoder.decode(i) for i in one.indexes.split([1, 0, 3, 2])]
    assert torch.equal(torch.cat(pieces), one.symbols)


def test_no_symbols_cost_nothing(tables):
    nothing = coded([])
    assert encode_symbols(nothing, tables) == b''
    assert decoded(b'', tables, nothing.indexes).shape == (0, )


@pytest.mark.parametrize('symbol', [(1 << 26) + 1,
                                    (1 << 27) + 4000, 2**31 - 1, -2**31])
def test_absurd_symbol_is_refused(tables, symbol):
    # The coder's loop over an escape would not end.
    with pytest.raises(ValueError, match='the latent is not sensible'):
        encode_symbols(coded([0, symbol]), tables)


@pytest.mark.parametrize('index', [-1, 3, 10**6])
def test_index_that_names_no_table_is_refused(tables, index):
    with pytest.raises(ValueError, match=r'must lie in \[0, 3\), got'):
        encode_symbols(coded([1, 1], [0, index]), tables)
    payload = encode_symbols(coded([1, 1], [0, 0]), tables)
    with pytest.raises(ValueError, match=r'must lie in \[0, 3\), got'):
        decoded(payload, tables, torch.tensor([0, index]).int())


@pytest.mark.parametrize('indexes', [[0], [], [0, 0, 0]])
def test_every_symbol_needs_its_index(tables, indexes):
    with pytest.raises(ValueError, match=f'2 symbols .* {len(indexes)} index'):
        encode_symbols(coded([1, 1], indexes), tables)


def test_missing_tables_are_refused():
    empty = torch.tensor([], dtype=torch.int32)
    none = CdfTables(empty, empty, empty)
    with pytest.raises(RuntimeError, match='update_entropy_tables'):
        encode_symbols(coded([1]), none)
    with pytest.raises(RuntimeError, match='update_entropy_tables'):
        SymbolDecoder(bytes(8), none).decode(torch.tensor([0]).int())


@pytest.mark.parametrize('length', [1, 3, 4, 7, 9, 10, 11, 13])
def test_payload_of_impossible_length_is_refused(tables, length):
    with pytest.raises(BitstreamError, match=f'at least 8, got {length}'):
        SymbolDecoder(bytes(length), tables)


def test_symbols_from_an_empty_payload_are_refused(tables):
    with pytest.raises(BitstreamError, match='2 symbols were expected'):
        decoded(b'', tables, torch.zeros(2).int())


def test_likely_symbols_are_cheap(tables):
    zeros = coded([0] * 4000, [0] * 4000)
    # -log2 of the share of 0 in the first table.
    low, high = tables.cdf[0, 4:6].tolist()
    bits = 4000 * (16 - torch.tensor(float(high - low)).log2().item())
    assert bits <= 8 * len(encode_symbols(zeros, tables)) <= bits + 64
