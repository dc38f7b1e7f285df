import copy
import pickle
import warnings

import pytest
import torch
from scipy.stats import norm
from traced_ops import TracedOps

from mmhmc.bitstream import (BitstreamError, CdfTables, SymbolDecoder,
                             encode_symbols, entropy_coder, find_levels,
                             rans_reference)
from mmhmc.structures import LatentSymbols


@pytest.fixture(params=['compiled', 'reference'], autouse=True)
def coder(request, monkeypatch):
    """Everything is asked of both coders."""
    if request.param == 'reference':
        monkeypatch.setattr(entropy_coder, '_coder', rans_reference)
    elif entropy_coder._coder is rans_reference:
        pytest.skip('the entropy coder is not compiled')
    return entropy_coder._coder


@pytest.fixture
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


def test_few_symbols_may_be_as_unlikely_as_can_be(tables):
    for count in range(1, 8):
        # 4 has a frequency of 1.
        one = coded([4] * count)
        out = decoded(encode_symbols(one, tables), tables, one.indexes)
        assert torch.equal(out, one.symbols), count


@pytest.mark.parametrize('symbol',
                         [-5, 5, 41, -1000, 70000, 2**31 - 1, -2**31])
def test_symbols_outside_their_table_come_back(tables, symbol):
    for count in (1, 2, 3, 4, 5, 50):
        one = coded([symbol] * count)
        out = decoded(encode_symbols(one, tables), tables, one.indexes)
        assert torch.equal(out, one.symbols), count


def test_symbols_come_back_piece_by_piece(tables):
    one = coded([0, 1, -1, 12, -70, 2], [0, 0, 1, 1, 2, 2])
    decoder = SymbolDecoder(encode_symbols(one, tables), tables)
    pieces = [decoder.decode(i) for i in one.indexes.split([1, 0, 3, 2])]
    assert torch.equal(torch.cat(pieces), one.symbols)


def test_no_symbols_cost_nothing(tables):
    nothing = coded([])
    assert encode_symbols(nothing, tables) == b''
    assert decoded(b'', tables, nothing.indexes).shape == (0, )


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


def test_payload_of_impossible_length_is_refused(tables, subtests):
    for length in (1, 3, 4, 6, 7, 8, 10):
        with subtests.test(length=length), pytest.raises(
                BitstreamError, match=f'of 4 more, got {length}'):
            SymbolDecoder(bytes(length), tables)


@pytest.mark.parametrize(
    'payload', [
        bytes(5), b'\xff' * 4096,
        bytes(8), b'\x10' + b'\xff' * 7 + b'\x7f' + b'\xff' * (1 << 18)
    ],
    ids=len)
def test_crafted_payload_is_refused(tables, payload):
    # Such as these end CompressAI's coder, or decode to something.
    with pytest.raises(BitstreamError):
        decoder = SymbolDecoder(payload, tables)
        decoder.decode(torch.zeros(1).int())
        decoder.finish()


def test_symbols_from_an_empty_payload_are_refused(tables):
    with pytest.raises(BitstreamError, match='2 symbols were expected'):
        decoded(b'', tables, torch.zeros(2).int())


def test_likely_symbols_are_cheap(tables):
    zeros = coded([0] * 4000, [0] * 4000)
    # -log2 of the share of 0 in the first table.
    low, high = tables.cdf[0, 4:6].tolist()
    bits = 4000 * (16 - torch.tensor(float(high - low)).log2().item())
    assert bits <= 8 * len(encode_symbols(zeros, tables)) <= bits + 64


def test_as_many_symbols_again_are_refused(tables):
    one = coded([1, 2, -3, 9] * 50)
    payload = encode_symbols(one, tables)
    with pytest.raises(BitstreamError):
        decoded(payload, tables, one.indexes.repeat(100))


def test_end_of_the_payload_is_checked(tables):
    one = coded([1, 2, -3, 90] * 50)
    payload = encode_symbols(one, tables)
    decoder = SymbolDecoder(payload, tables)
    decoder.decode(one.indexes[:-1])
    with pytest.raises(BitstreamError, match='is not where coding began|foll'):
        decoder.finish()
    decoder.decode(one.indexes[-1:])
    decoder.finish()
    decoder = SymbolDecoder(payload + bytes(4), tables)
    decoder.decode(one.indexes)
    with pytest.raises(BitstreamError, match='4 bytes follow'):
        decoder.finish()
    SymbolDecoder(b'', tables).finish()


def test_other_tables_are_noticed(tables):
    one = coded([1, 2, -3, 0] * 50)
    other = CdfTables(tables.cdf[[1, 0]], tables.lengths[[1, 0]],
                      tables.offsets[[1, 0]])
    with pytest.raises(BitstreamError):
        decoder = SymbolDecoder(encode_symbols(one, tables), other)
        decoder.decode(one.indexes)
        decoder.finish()


@pytest.mark.parametrize('dtype', [torch.float32, torch.int16, torch.bool])
def test_other_types_are_refused(tables, dtype):
    one = coded([1, 0])
    with pytest.raises(TypeError, match='`symbols` must be int32 or int64'):
        encode_symbols(
            LatentSymbols(one.symbols.to(dtype), one.indexes), tables)
    with pytest.raises(TypeError, match='`indexes` must be int32 or int64'):
        encode_symbols(
            LatentSymbols(one.symbols, one.indexes.to(dtype)), tables)
    decoder = SymbolDecoder(encode_symbols(one, tables), tables)
    with pytest.raises(TypeError, match='`indexes` must be int32 or int64'):
        decoder.decode(one.indexes.to(dtype))


def test_int64_is_taken_where_it_fits(tables):
    one = coded([1, -70, 2**31 - 1, -2**31], [0, 1, 2, 0])
    payload = encode_symbols(one, tables)
    wide = LatentSymbols(one.symbols.long(), one.indexes.long())
    assert encode_symbols(wide, tables) == payload
    assert torch.equal(decoded(payload, tables, wide.indexes), one.symbols)
    for value in (2**31, -2**31 - 1):
        with pytest.raises(ValueError, match='`symbols` must fit 32 bits'):
            encode_symbols(
                LatentSymbols(torch.tensor([value]), one.indexes[:1]), tables)
        with pytest.raises(ValueError, match='`indexes` must fit 32 bits'):
            decoded(payload, tables, torch.tensor([value]))


def test_strided_tensors_are_taken(tables):
    symbols = torch.tensor([[1, 9], [-2, 9], [0, 9]]).int()[:, 0]
    indexes = torch.tensor([[0, 9], [1, 9], [2, 9]]).int()[:, 0]
    payload = encode_symbols(LatentSymbols(symbols, indexes), tables)
    assert torch.equal(decoded(payload, tables, indexes), symbols)


def test_symbols_of_more_axes_are_refused(tables):
    one = coded([[1, 0]])
    with pytest.raises(ValueError, match=r'shape \(n,\), got \(1, 2\)'):
        encode_symbols(one, tables)
    with pytest.raises(ValueError, match=r'shape \(n,\), got \(\)'):
        SymbolDecoder(b'', tables).decode(torch.tensor(0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='torch sees no GPU')
def test_tensors_of_a_gpu_are_taken(tables):
    there = CdfTables(tables.cdf.cuda(), tables.lengths.cuda(),
                      tables.offsets.cuda())
    one = coded([1, -70, 3], [0, 1, 2])
    payload = encode_symbols(
        LatentSymbols(one.symbols.cuda(), one.indexes.cuda()), there)
    assert payload == encode_symbols(one, tables)
    symbols = decoded(payload, there, one.indexes.cuda())
    assert torch.equal(symbols, one.symbols.cuda())
    assert there.digest == tables.digest


def test_payload_that_is_no_bytes_is_refused(tables):
    with pytest.raises(TypeError):
        SymbolDecoder('12345', tables)


def test_tables_of_one_entry_code_everything_as_escapes(coder):
    one_entry = CdfTables(
        torch.tensor([[0, 1 << 16]]).int(),
        torch.tensor([2]).int(),
        torch.tensor([5]).int())
    one = coded([5, 6, 4, -2**31, 2**31 - 1])
    payload = encode_symbols(one, one_entry)
    assert torch.equal(decoded(payload, one_entry, one.indexes), one.symbols)


@pytest.mark.parametrize(('name', 'value', 'words'), [
    ('lengths', [11, 23, 84], 'Table 2 is not valid: 2 to 83 cumul'),
    ('lengths', [11, 23, 2**31 - 1], 'Table 2 is not valid'),
    ('lengths', [11, -1, 83], 'Table 1 is not valid'),
    ('lengths', [11, 23], 'of shape'),
    ('offsets', [0, 0, -2**31], 'Table 2 is not valid'),
])
def test_tables_that_would_be_read_beyond_are_refused(tables, name, value,
                                                      words):
    parts = dict(
        cdf=tables.cdf, lengths=tables.lengths, offsets=tables.offsets)
    parts[name] = torch.tensor(value).int()
    with pytest.raises(ValueError, match=words):
        encode_symbols(coded([1]), CdfTables(**parts))


def test_tables_of_another_type_are_refused(tables):
    wide = CdfTables(tables.cdf.long(), tables.lengths, tables.offsets)
    with pytest.raises(TypeError, match='Tables must be int32, got .*int64'):
        encode_symbols(coded([1]), wide)


def test_digest_is_of_what_counts(tables):
    padded = torch.full((3, 200), 7).int()
    padded[:, :tables.cdf.shape[1]] = torch.where(
        torch.arange(tables.cdf.shape[1]) < tables.lengths[:, None],
        tables.cdf, -1)
    same = CdfTables(padded, tables.lengths.clone(), tables.offsets.clone())
    assert len(tables.digest) == 32
    assert same.digest == tables.digest
    digests = {tables.digest}
    for name in ('cdf', 'lengths', 'offsets'):
        other = copy.deepcopy(tables)
        getattr(other, name)[1:2] += 1
        digests.add(other.digest)
    assert len(digests) == 4


def test_digest_is_fixed():
    # hashlib.sha256(struct.pack('<9i', 0, 9, 65536, 0, 65536, 3, 2, -1, 4))
    small = CdfTables(
        torch.tensor([[0, 9, 65536, 1], [0, 65536, 1, 1]]).int(),
        torch.tensor([3, 2]).int(),
        torch.tensor([-1, 4]).int())
    assert small.digest.hex() == (
        '362722222064a0e36c9ad21b8b0d504ef22cd84fc662c9ebbddd2358b8bb53cc')


def test_used_tables_can_be_copied_and_pickled(tables):
    payload = encode_symbols(coded([1, 2]), tables)
    for other in (copy.deepcopy(tables), copy.copy(tables),
                  pickle.loads(pickle.dumps(tables))):
        assert encode_symbols(coded([1, 2]), other) == payload
        assert other.digest == tables.digest


@pytest.mark.parametrize('symbols', [[0] * 400, [4, -4] * 90, [1] * 7, []])
def test_counts_of_a_real_payload_are_believed(tables, symbols):
    one = coded(symbols)
    decoder = SymbolDecoder(encode_symbols(one, tables), tables)
    left = len(symbols)
    for piece in one.indexes.split(7):
        decoder.require(torch.tensor([left, 0, 0]))
        decoder.decode(piece)
        left -= len(piece)
    decoder.require(torch.tensor([0, 0, 0]))


def test_absurd_counts_are_refused_before_anything_is_decoded(tables):
    decoder = SymbolDecoder(encode_symbols(coded([0] * 40), tables), tables)
    # 40 of the likeliest symbol of the first table take 7 bytes or so.
    decoder.require(torch.tensor([40, 0, 0]))
    for counts in ([100, 0, 0], [0, 60, 0], [0, 0, 2**62], [2**62] * 3):
        with pytest.raises(BitstreamError, match='are said to come, which'):
            decoder.require(torch.tensor(counts))
    with pytest.raises(BitstreamError, match='1 symbols are said to come'):
        SymbolDecoder(b'', tables).require(torch.tensor([0, 0, 1]))


def test_counts_of_symbols_that_cost_nothing_are_believed():
    # The first symbol has all frequencies but one.
    certain = CdfTables(
        torch.tensor([[0, 65535, 65536]]).int(),
        torch.tensor([3]).int(),
        torch.tensor([0]).int())
    one = coded([0] * 5000)
    payload = encode_symbols(one, certain)
    assert len(payload) == 5
    SymbolDecoder(payload, certain).require(torch.tensor([5000]))


@pytest.mark.parametrize('counts', [[1, 1], [1, 1, -1], [[1, 1, 1]]])
def test_counts_that_are_none_are_refused(tables, counts):
    with pytest.raises(ValueError, match='`counts` must be 3 numbers, none'):
        SymbolDecoder(b'', tables).require(torch.tensor(counts))


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_levels_are_those_of_bucketize(dtype):
    for count in (0, 1, 63, 255):
        borders = torch.logspace(-1, 2, count, dtype=dtype)
        values = torch.cat((torch.randn(1000, dtype=dtype).exp(), borders,
                            borders.nextafter(torch.zeros_like(borders))))
        values = torch.cat((values, -values)).view(2, -1).t()
        assert not values.is_contiguous()
        levels = find_levels(values.requires_grad_(), borders)
        expected = torch.bucketize(
            values.contiguous(), borders, out_int32=True)
        assert levels.dtype == torch.int32
        assert torch.equal(levels, expected), count


def test_levels_of_nan_are_refused():
    borders = torch.tensor([1., 2.])
    values = torch.ones(20)
    for place in (0, 11, 19):
        bad = values.clone()
        bad[place] = float('nan')
        with pytest.raises(ValueError, match='`values` must not be NaN'):
            find_levels(bad, borders)
    for bad in ([2., 1.], [1., float('nan'), 2.]):
        with pytest.raises(ValueError, match='`borders` must be sorted'):
            find_levels(values, torch.tensor(bad))


def test_borders_are_looked_at_once_until_they_change(coder):
    if coder is not rans_reference:
        pytest.skip('the compiled coder is quick to look')
    borders, values = torch.tensor([1., 2., 3.]), torch.rand(9) * 4
    waits = []
    for _ in range(3):
        with TracedOps() as traced:
            find_levels(values, borders)
        waits.append(traced.waits.total())
    assert waits[0] > waits[1] == waits[2]
    borders[0] = 9
    with pytest.raises(ValueError, match='`borders` must be sorted'):
        find_levels(values, borders)


def test_levels_of_other_types_are_refused():
    borders = torch.tensor([1., 2.])
    for values in (torch.ones(2).double(), torch.ones(2).half()):
        with pytest.raises(TypeError, match='both be float32 or both float64'):
            find_levels(values, borders)


def test_missing_compiled_coder_is_warned_of_once(monkeypatch):
    monkeypatch.setattr(entropy_coder, '_lacks', 'no module')
    entropy_coder._warn_of_slowness.cache_clear()
    tables = CdfTables(*(torch.tensor(t, dtype=torch.int32)
                         for t in ([[0, 30000, 65536]], [3], [0])))
    with pytest.warns(UserWarning, match='some hundred times slower.*no mod'):
        tables.registered
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        CdfTables(tables.cdf, tables.lengths, tables.offsets).registered
    entropy_coder._warn_of_slowness.cache_clear()
