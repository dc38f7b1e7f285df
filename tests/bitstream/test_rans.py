"""The compiled coder and the one in Python, side by side."""
import hashlib
import threading

import numpy as np
import pytest

from mmhmc.bitstream import rans_reference

try:
    from mmhmc.bitstream import _rans
except ImportError:
    _rans = None

needs_compiled = pytest.mark.skipif(
    _rans is None, reason='the entropy coder is not compiled')
both = pytest.mark.parametrize('coder', [
    pytest.param(_rans, id='compiled', marks=needs_compiled),
    pytest.param(rans_reference, id='reference')
])
INT32 = np.iinfo(np.int32)


def padded(rows):
    """Rows of cumulative frequencies as the arrays that coders take."""
    lengths = np.array([len(row) for row in rows], np.int32)
    cdf = np.zeros((len(rows), lengths.max()), np.int32)
    for row, values in zip(cdf, rows):
        row[:len(values)] = values
    return cdf, lengths


def draw_tables(rng, count, sizes=(1, 2, 3, 5, 50, 300, 3000)):
    """Random tables, from one entry to thousands."""
    rows = []
    for size in rng.choice(sizes, count):
        inner = 1 + rng.choice(65535, size - 1, replace=False)
        rows.append([0, *np.sort(inner), 65536])
    offsets = rng.choice([-2**30, -1500, -7, 0, 3, 2**30], count)
    return *padded(rows), offsets.astype(np.int32)


def draw_symbols(rng, tables, count, kind):
    """Random symbols and indexes: inside, around or far outside tables."""
    _, lengths, offsets = tables
    indexes = rng.integers(0, len(lengths), count).astype(np.int32)
    first, size = offsets[indexes], lengths[indexes] - 1
    if kind == 'inside':
        symbols = first + rng.integers(0, size)
    elif kind == 'around':
        symbols = first + rng.integers(-9, size + 9)
    else:
        symbols = rng.choice([INT32.min, INT32.max, 0, 5, 1 << 30], count)
    return symbols.astype(np.int32), indexes


def decoded(coder, payload, tables, indexes, cuts=()):
    """All symbols, decoded in pieces, with the check at the end."""
    decoder = coder.Decoder(payload, coder.Tables(*tables))
    pieces = [decoder.decode(piece) for piece in np.split(indexes, cuts)]
    decoder.finish()
    return np.concatenate(pieces)


def outcome(coder, *args):
    """What decoding returns, or what it says."""
    try:
        return decoded(coder, *args).tolist()
    except coder.StreamError as error:
        return str(error)


@pytest.fixture(scope='module')
def small():
    """A payload of one lane with escapes, and what it takes to decode it."""
    rng = np.random.default_rng(1)
    tables = draw_tables(rng, 5, sizes=(2, 5, 50))
    symbols, indexes = draw_symbols(rng, tables, 150, 'around')
    payload = rans_reference.encode(
        rans_reference.Tables(*tables), symbols, indexes)
    return payload, tables, indexes


@needs_compiled
@pytest.mark.parametrize('kind', ['inside', 'around', 'outside'])
def test_both_coders_make_the_same_bytes_and_read_them(kind):
    rng = np.random.default_rng(0)
    for count in [0, 1, 2, 3, 4, 5, 63, 200, 5000, 9000] * 3:
        tables = draw_tables(rng, rng.integers(1, 6))
        symbols, indexes = draw_symbols(rng, tables, count, kind)
        payload = _rans.encode(_rans.Tables(*tables), symbols, indexes)
        assert payload == rans_reference.encode(
            rans_reference.Tables(*tables), symbols, indexes)
        for coder in (_rans, rans_reference):
            cuts = np.sort(rng.integers(0, count + 1, 2))
            back = decoded(coder, payload, tables, indexes, cuts)
            assert back.dtype == np.int32
            np.testing.assert_array_equal(back, symbols)


@needs_compiled
def test_ten_thousand_round_trips():
    rng = np.random.default_rng(2)
    for _ in range(200):
        tables = draw_tables(rng, rng.integers(1, 5))
        registered = _rans.Tables(*tables)
        for trial in range(50):
            kind = ('inside', 'around', 'outside')[trial % 3]
            symbols, indexes = draw_symbols(rng, tables, trial, kind)
            payload = _rans.encode(registered, symbols, indexes)
            decoder = _rans.Decoder(payload, registered)
            assert (decoder.decode(indexes) == symbols).all()
            decoder.finish()


def fixed_tables():
    """Tables of integers: half of all at 0; 2 and 4096 equal entries."""
    return *padded([[0, 100, 300, 33068, 65000, 65500, 65536],
                    [0, 32768, 65536],
                    range(0, 65537, 16)]), np.array([-2, 0, -2048], np.int32)


def fixed_symbols(count):
    """Symbols that come from integers alone, with escapes among them."""
    i = np.arange(count, dtype=np.int64)
    indexes = i // 3 % 3
    symbols = np.choose(indexes, [(i * i + 3) % 13 % 6 - 2, i % 2,
                                  (i * 7919 + 17) % 4100 - 2050])
    symbols[i % 1000 == 999] *= 2**19
    return symbols.astype(np.int32), indexes.astype(np.int32)


@both
@pytest.mark.parametrize(
    ('count', 'lanes', 'size', 'digest'),
    # Of `encode` for the symbols above; new ones break stored files.
    [(9, 1, 14, 'c8dad45ee2e67e3b'), (3000, 1, 2883, '8d031cc213b59573'),
     (12000, 2, 11521, '5deb360d832d0d29'),
     (40000, 4, 38369, 'd6d519daf4dfc52c')])
def test_golden_payloads(coder, count, lanes, size, digest):
    symbols, indexes = fixed_symbols(count)
    payload = coder.encode(coder.Tables(*fixed_tables()), symbols, indexes)
    assert 1 << (payload[0] & 3) == lanes
    found = hashlib.sha256(payload).hexdigest()[:16]
    assert (len(payload), found) == (size, digest)
    back = decoded(coder, payload, fixed_tables(), indexes)
    np.testing.assert_array_equal(back, symbols)


@both
@pytest.mark.parametrize('count', [3000, 12000, 40000])
def test_payload_is_as_long_as_its_entropy(coder, count):
    symbols, indexes = fixed_symbols(count)
    cdf, lengths, offsets = fixed_tables()
    place = symbols - offsets[indexes]
    plain = (0 <= place) & (place < lengths[indexes] - 2)
    symbols, indexes, place = symbols[plain], indexes[plain], place[plain]
    steps = cdf[indexes, place + 1] - cdf[indexes, place]
    payload = coder.encode(coder.Tables(*fixed_tables()), symbols, indexes)
    flat = {1: 9, 2: 17, 4: 33}[1 << (payload[0] & 3)]
    entropy = (16 - np.log2(steps)).sum() / 8
    assert entropy <= len(payload) <= 1.0001 * entropy + flat
    # More lanes than one only where they cost next to nothing.
    assert flat == 9 or flat - 9 <= 0.0012 * len(payload)


@both
def test_every_truncation_is_refused(coder, small):
    payload, *rest = small
    assert not isinstance(outcome(coder, payload, *rest), str)
    for length in range(len(payload)):
        assert isinstance(outcome(coder, payload[:length], *rest), str), length


@both
def test_truncation_is_noticed_while_decoding_already(coder, small):
    payload, tables, indexes = small
    registered = coder.Tables(*tables)
    for cut in (4, 8, 40):
        decoder = coder.Decoder(payload[:-cut], registered)
        with pytest.raises(
                coder.StreamError,
                match=f'ends at byte {len(payload) - cut}, but symbol'):
            decoder.decode(indexes)


@both
def test_truncation_of_many_lanes_is_refused(coder):
    symbols, indexes = fixed_symbols(40000)
    payload = _four_lanes(symbols, indexes)
    for length in (1, 5, 32, 33, 34, 37, 20001, len(payload) - 4):
        assert isinstance(
            outcome(coder, payload[:length], fixed_tables(), indexes), str)


def _four_lanes(symbols, indexes):
    coder = _rans or rans_reference
    return coder.encode(coder.Tables(*fixed_tables()), symbols, indexes)


@both
def test_appended_bytes_are_refused(coder, small):
    payload, *rest = small
    for count in range(1, 9):
        said = outcome(coder, payload + bytes(count), *rest)
        assert ('bytes follow' if count %
                4 == 0 else 'a multiple of 4 more') in said


@both
def test_too_few_symbols_are_noticed(coder, small):
    payload, tables, indexes = small
    said = outcome(coder, payload, tables, indexes[:-1])
    assert 'lane 0 is not where coding began' in said or 'follow' in said


@both
def test_no_flipped_bit_goes_unnoticed(coder, small):
    payload, *rest = small
    right, raised = outcome(coder, payload, *rest), 0
    for bit in range(8 * len(payload)):
        data = bytearray(payload)
        data[bit // 8] ^= 1 << bit % 8
        told = outcome(coder, bytes(data), *rest)
        assert told != right, bit
        raised += isinstance(told, str)
    # The rest lies in the magnitudes of escaped symbols, which change alone:
    # a file has a checksum besides.
    assert raised > 0.8 * 8 * len(payload)


@needs_compiled
def test_both_coders_say_the_same_of_garbage(small):
    rng = np.random.default_rng(3)
    payload, tables, indexes = small
    said = set()
    for trial in range(600):
        data = bytearray(payload if trial % 2 else rng.bytes(trial // 2))
        if data and trial % 4 < 2:
            data[0] = rng.choice([0, 4, 8, 12, 16, 17, 18])
        for _ in range(trial % 5):
            if data:
                data[rng.integers(len(data))] = rng.integers(256)
        args = (bytes(data), tables, indexes, [trial % 150])
        told = outcome(_rans, *args)
        assert told == outcome(rans_reference, *args)
        said.add(str(told)[:12])
    # All kinds of damage were among them.
    assert len(said) > 5


@both
def test_call_that_fails_changes_nothing(coder, small):
    payload, tables, indexes = small
    right = decoded(coder, payload, tables, indexes)
    decoder = coder.Decoder(payload, coder.Tables(*tables))
    first = decoder.decode(indexes[:20])
    left = decoder.bits_left()
    with pytest.raises(coder.StreamError, match='symbol'):
        decoder.decode(np.tile(indexes, 20))
    with pytest.raises(ValueError, match=r'must lie in \[0, 5\), got -1 to 4'):
        decoder.decode(np.array([4, -1, 0], np.int32))
    assert decoder.bits_left() == left
    rest = decoder.decode(indexes[20:])
    decoder.finish()
    np.testing.assert_array_equal(np.concatenate((first, rest)), right)


@both
def test_bits_left_bound_what_symbols_cost(coder, small):
    payload, tables, indexes = small
    cdf, _, offsets = tables
    decoder = coder.Decoder(payload, coder.Tables(*tables))
    symbols = decoded(coder, payload, tables, indexes)
    for index, symbol in zip(indexes, symbols):
        before = decoder.bits_left()
        decoder.decode(np.array([index], np.int32))
        place = symbol - offsets[index]
        if 0 <= place < tables[1][index] - 2:
            step = cdf[index, place + 1] - cdf[index, place]
            assert abs(before - decoder.bits_left() -
                       (16 - np.log2(step))) < 1.01
    assert decoder.bits_left() == 1


@both
@pytest.mark.parametrize(('code', 'body', 'words'), [
    (3, b'', 'must name 1, 2 or 4 lanes of 4 to 8 bytes, got 3'),
    (20, b'', 'must name 1, 2 or 4 lanes of 4 to 8 bytes, got 20'),
    (255, b'', 'must name 1, 2 or 4 lanes of 4 to 8 bytes, got 255'),
    (0, bytes(3), 'begins with 0 has 5 bytes or a multiple of 4 more, got 4'),
    (18, bytes(31), 'begins with 18 has 33 bytes or .* got 32'),
    (0, bytes(4), r'state at byte 1 is 0; it must lie in \[2\^31, 2\^63\)'),
    (16, b'\xff' * 8, 'state at byte 1 is 18446744073709551615; it must'),
    (4, b'\0\0\0\x80\0', 'announces 5 bytes a lane, but fewer are enough'),
])
def test_head_that_no_encoder_writes_is_refused(coder, code, body, words):
    tables = coder.Tables(*fixed_tables())
    with pytest.raises(coder.StreamError, match=words):
        coder.Decoder(bytes([code]) + body, tables)


def escape_payload(bits, low):
    """A lone escape of a table of one entry that claims some bits."""
    state, words = 1 << 31, []
    for at in reversed(range(0, max(bits - 1, 0), 16)):
        count = min(16, bits - 1 - at)
        state = rans_reference._push_bits(state, low >> at & (1 << count) - 1,
                                          count, words)
    state = rans_reference._push_bits(state, bits, 6, words)
    width = (state.bit_length() + 7) // 8
    return bytes([width - 4 << 2]) + state.to_bytes(
        width, 'little') + b''.join(
            word.to_bytes(4, 'little') for word in reversed(words))


@both
def test_escape_beyond_32_bits_is_refused(coder):
    tables = *padded([[0, 65536]]), np.array([10], np.int32)
    index = np.zeros(1, np.int32)
    for bits in range(34, 64):
        said = outcome(coder, escape_payload(bits, 0), tables, index)
        assert f'claims {bits} bits, at most 33' in said
    assert outcome(coder, escape_payload(0, 0), tables, index) == [10]
    top = 2 * (2**31 - 1 - 10)
    assert outcome(coder, escape_payload(32, top - 2**31), tables,
                   index) == [2**31 - 1]
    said = outcome(coder, escape_payload(32, top + 2 - 2**31), tables, index)
    assert 'is 2147483648, which 32 bits do not hold' in said
    bottom = 2 * (2**31 + 10) - 1
    assert outcome(coder, escape_payload(33, bottom - 2**32), tables,
                   index) == [-2**31]
    said = outcome(coder, escape_payload(33, bottom + 2 - 2**32), tables,
                   index)
    assert 'is -2147483649, which 32 bits do not hold' in said


@both
@pytest.mark.parametrize(
    'change', [
        dict(length=1),
        dict(length=0),
        dict(length=-5),
        dict(length=6),
        dict(length=INT32.max),
        dict(row=[0, 10, 10, 20, 65536]),
        dict(row=[0, 10, 5, 20, 65536]),
        dict(row=[1, 10, 15, 20, 65536]),
        dict(row=[0, 10, 15, 20, 65535]),
        dict(row=[0, -10, 15, 20, 65536]),
        dict(row=[0, 10, 15, 65536, 65537]),
        dict(offset=2**30 + 1),
        dict(offset=INT32.min),
    ],
    ids=str)
def test_table_that_is_not_valid_is_refused(coder, change):
    cdf = np.array([[0, 1, 2, 3, 65536], [0, 10, 15, 20, 65536]], np.int32)
    lengths, offsets = np.array([[5, 5], [0, 0]], np.int32)
    coder.Tables(cdf, lengths, offsets)
    lengths[1] = change.get('length', 5)
    offsets[1] = change.get('offset', 0)
    cdf[1] = change.get('row', cdf[1])
    with pytest.raises(ValueError, match='Table 1 is not valid: 2 to 5'):
        coder.Tables(cdf, lengths, offsets)


@both
def test_tables_of_another_shape_are_refused(coder):
    cdf, lengths, offsets = fixed_tables()
    for wrong in [
        (cdf[0], lengths, offsets), (cdf, lengths[:2], offsets),
        (cdf, lengths, offsets[None]), (cdf[:0], lengths[:0], offsets[:0]),
        (np.zeros((65537, 0), np.int32), ) + (np.zeros(65537, np.int32), ) * 2
    ]:
        with pytest.raises(ValueError, match=r'Tables need `cdf` of shape'):
            coder.Tables(*wrong)


@needs_compiled
def test_compiled_coder_refuses_other_types():
    cdf, lengths, offsets = fixed_tables()
    tables = _rans.Tables(cdf, lengths, offsets)
    symbols = np.zeros(4, np.int32)
    for wrong in (symbols.astype(np.float32), symbols.astype(np.int64),
                  symbols[::2], [0, 0], None):
        with pytest.raises(TypeError):
            _rans.encode(tables, symbols, wrong)
        with pytest.raises(TypeError):
            _rans.Decoder(b'', tables).decode(wrong)
    with pytest.raises(TypeError):
        _rans.Tables(cdf.astype(np.int64), lengths, offsets)
    with pytest.raises(TypeError):
        _rans.Decoder('text', tables)
    with pytest.raises(TypeError):
        _rans.Decoder(b'', None)


@both
def test_second_thread_at_a_decoder_is_refused(coder):
    # Also shows that the compiled coder lets other threads run meanwhile.
    tables = coder.Tables(*padded([[0, 65536]]), np.zeros(1, np.int32))
    count = 1000000 if coder is _rans else 10000
    indexes = np.zeros(count, np.int32)
    payload = coder.encode(tables, indexes, indexes)
    refused = None
    for _ in range(100):
        decoder = coder.Decoder(payload, tables)
        thread = threading.Thread(target=decoder.decode, args=(indexes, ))
        thread.start()
        while thread.is_alive() and not refused:
            try:
                decoder.bits_left()
            except RuntimeError as error:
                refused = str(error)
        thread.join()
        # The first is not disturbed.
        decoder.finish()
        if refused:
            break
    assert refused == 'A decoder serves one thread at a time.'


@both
def test_threads_share_tables(coder):
    symbols, indexes = fixed_symbols(20000 if coder is _rans else 2000)
    tables = coder.Tables(*fixed_tables())
    right = coder.encode(tables, symbols, indexes)
    wrong = []

    def work():
        for _ in range(3):
            payload = coder.encode(tables, symbols, indexes)
            decoder = coder.Decoder(payload, tables)
            back = decoder.decode(indexes)
            decoder.finish()
            if payload != right or (back != symbols).any():
                wrong.append(payload)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_compiled
@pytest.mark.parametrize('kind', [np.float32, np.float64])
def test_levels_are_those_of_a_binary_search(kind):
    rng = np.random.default_rng(4)
    for size in (0, 1, 2, 3, 63, 64, 255, 256):
        borders = np.sort(rng.normal(size=size)).astype(kind)
        values = np.concatenate(
            (rng.normal(size=101), borders, np.nextafter(borders, kind(9)),
             np.nextafter(borders,
                          kind(-9)), [np.inf, -np.inf, 0, -0.0, 1e-40]))
        values = values.astype(kind)
        np.testing.assert_array_equal(
            _rans.find_levels(values, borders),
            np.searchsorted(borders, values), f'{size} borders')


@needs_compiled
@pytest.mark.parametrize('borders', [
    np.geomspace(0.11, 256, 255),
    np.concatenate((-np.geomspace(9, 0.1, 40), [0], np.geomspace(1, 9, 40))),
    [-0.0], [0.0, np.inf], [-np.inf, 1], [], [1, 1], [1, 1.0000001]
])
def test_many_levels_are_those_of_a_binary_search(borders):
    borders = np.array(borders, np.float32)
    rng = np.random.default_rng(4)
    values = np.concatenate(
        (rng.lognormal(0, 3, 20000), rng.normal(size=20000), borders,
         np.nextafter(borders, np.float32(9)),
         np.nextafter(borders, np.float32(-9)), [np.inf, -np.inf, 0, -0.0]))
    values = values.astype(np.float32)
    np.testing.assert_array_equal(
        _rans.find_levels(values, borders), np.searchsorted(borders, values))
    with pytest.raises(ValueError, match='NaN'):
        _rans.find_levels(np.append(values, np.float32('nan')), borders)
