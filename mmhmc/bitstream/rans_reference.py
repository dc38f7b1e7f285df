"""The rANS coder in Python: what ``rans.cpp`` has to do, and its stand-in.

Both make the same bytes, read the same symbols and give the same messages;
this one is some hundred times slower. A payload is, little-endian:

.. code-block:: none

    byte 0    bits 0-1: log2 of the lanes, 1, 2 or 4 of them;
              bits 2-4: bytes of a state, less 4
    states    of each lane, all as short as the largest of them allows
    words     32 bits each, in the order in which decoding reads them

Symbol i belongs to lane ``i % lanes``; all lanes share the words. A state lies
in [2^31, 2^63) and is 2^31 where coding begins and decoding ends. The last
entry of a table is its escape: after it come 6 bits, the length of a magnitude
m, then all bits of m but the highest, in groups of 16 from the lowest. With w
the symbol less the table's offset, m is ``2 (w - escape)`` above the table and
``-2 w - 1`` below it.

Reference:
    J. Duda: "Asymmetric Numeral Systems", 2013.
    https://arxiv.org/abs/1311.2540
    F. Giesen: "Interleaved Entropy Coders", 2014.
    https://arxiv.org/abs/1402.3392
"""
import threading
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_TOTAL = 1 << 16  # sum of a table's frequencies
_LOW = 1 << 31
_COUNT_BITS = 6
_MAX_BITS = 33  # of an escaped symbol
_MAX_OFFSET = 1 << 30


class StreamError(ValueError):
    """What is wrong with a payload."""


class Tables:
    """Tables, checked and in the form that coding takes.

    Args:
        cdf: See :class:`CdfTables`.
        lengths: See :class:`CdfTables`.
        offsets: See :class:`CdfTables`.

    Raises:
        ValueError: If a table is not valid.
    """

    def __init__(self, cdf: np.ndarray, lengths: np.ndarray,
                 offsets: np.ndarray) -> None:
        if (cdf.ndim != 2 or not 1 <= len(cdf) <= _TOTAL
                or {lengths.shape, offsets.shape} != {cdf.shape[:1]}):
            raise ValueError(
                'Tables need `cdf` of shape (K, L) with `lengths` and '
                '`offsets` of shape (K,), and K in [1, 65536].')
        self.rows: list[tuple[list[int], int]] = []
        width = cdf.shape[1]
        rows = zip(cdf.tolist(), lengths.tolist(), offsets.tolist())
        for k, (row, length, offset) in enumerate(rows):
            row = row[:max(length, 0)]
            if not (2 <= length <= width and row[0] == 0 and row[-1] == _TOTAL
                    and abs(offset) <= _MAX_OFFSET
                    and all(low < high for low, high in zip(row, row[1:]))):
                raise ValueError(
                    f'Table {k} is not valid: 2 to {width} cumulative '
                    'frequencies must rise from 0 to 65536, and the offset '
                    f'must lie within +-2^30. Got {length} of them and the '
                    f'offset {offset}.')
            self.rows.append((row, offset))

    def rows_of(self, indexes: np.ndarray) -> list[tuple[list[int], int]]:
        """The table of each symbol.

        Raises:
            ValueError: If an index names no table.
        """
        if len(indexes) and not (0 <= indexes.min()
                                 and indexes.max() < len(self.rows)):
            raise ValueError(
                f'Table indexes must lie in [0, {len(self.rows)}), got '
                f'{indexes.min()} to {indexes.max()}.')
        return [self.rows[index] for index in indexes.tolist()]


def encode(tables: Tables, symbols: np.ndarray, indexes: np.ndarray) -> bytes:
    """See :func:`encode_symbols`; symbols and indexes are int32."""
    if symbols.ndim != 1 or symbols.shape != indexes.shape:
        raise ValueError(f'There are {symbols.size} symbols with '
                         f'{indexes.size} indexes; each needs one.')
    if not symbols.size:
        return b''
    coded = list(zip(symbols.tolist(), tables.rows_of(indexes)))
    lanes = _choose_lanes(coded)
    states, words = [_LOW] * lanes, []
    # Last in, first out.
    for i in range(len(coded) - 1, -1, -1):
        symbol, (cdf, offset) = coded[i]
        states[i % lanes] = _push(states[i % lanes], symbol - offset, cdf,
                                  words)
    width = (max(states).bit_length() + 7) // 8
    return b''.join([
        bytes([lanes >> 1 | width - 4 << 2]),
        *(state.to_bytes(width, 'little') for state in states),
        *(word.to_bytes(4, 'little') for word in reversed(words))
    ])


def _choose_lanes(coded: list[tuple[int, tuple[list[int], int]]]) -> int:
    """How many lanes there are: the more, the faster ``rans.cpp`` is.

    Each costs up to 8 bytes, which have to stay below a thousandth of the
    payload. It is estimated from some of the symbols, in integers.
    """
    samples = coded[::len(coded) // 1024 + 1]
    cost = 0
    for symbol, (cdf, offset) in samples:
        place, escape = symbol - offset, len(cdf) - 2
        if not 0 <= place < escape:
            place = escape
        frequency = cdf[place + 1] - cdf[place]
        # -log2 in units of 2^-16, linear between powers of two.
        length = frequency.bit_length()
        cost += (18 - length << 16) - (frequency << 17 - length)
    estimate = cost // len(samples) * len(coded) >> 19
    return 1 if estimate < 8000 else 2 if estimate < 24000 else 4


def _push(state: int, place: int, cdf: list[int], words: list[int]) -> int:
    escape = len(cdf) - 2
    if not 0 <= place < escape:
        size = -2 * place - 1 if place < 0 else 2 * (place - escape)
        bits = size.bit_length()
        for at in reversed(range(0, bits - 1, 16)):
            count = min(16, bits - 1 - at)
            state = _push_bits(state, size >> at & (1 << count) - 1, count,
                               words)
        state = _push_bits(state, bits, _COUNT_BITS, words)
        place = escape
    start, frequency = cdf[place], cdf[place + 1] - cdf[place]
    if state >= frequency << 47:
        words.append(state & 0xffffffff)
        state >>= 32
    return (state // frequency << 16) + state % frequency + start


def _push_bits(state: int, value: int, count: int, words: list[int]) -> int:
    if state >= 1 << 63 - count:
        words.append(state & 0xffffffff)
        state >>= 32
    return state << count | value


class Decoder:
    """Reads a payload piece by piece; a call that fails changes nothing.

    Args:
        payload: See :class:`SymbolDecoder`.
        tables: See :class:`SymbolDecoder`.

    Raises:
        StreamError: If the payload does not begin as one.
    """

    def __init__(self, payload: bytes, tables: Tables) -> None:
        self._payload, self._tables = payload, tables
        self._states: list[int] = []
        self._next = self._done = 0
        self._busy = threading.Lock()
        if payload:
            self._read_head()

    def _read_head(self) -> None:
        code, size = self._payload[0], len(self._payload)
        width, lanes = (code >> 2) + 4, 1 << (code & 3)
        if lanes > 4 or width > 8:
            raise StreamError('Byte 0 of a payload must name 1, 2 or 4 lanes '
                              f'of 4 to 8 bytes, got {code}.')
        head = 1 + lanes * width
        if size < head or (size - head) % 4:
            raise StreamError(
                f'A payload that begins with {code} has {head} bytes or a '
                f'multiple of 4 more, got {size}.')
        for at in range(1, head, width):
            state = int.from_bytes(self._payload[at:at + width], 'little')
            if not _LOW <= state < 1 << 63:
                raise StreamError(f'The state at byte {at} is {state}; it '
                                  'must lie in [2^31, 2^63).')
            self._states.append(state)
        if not max(self._states) >> 8 * width - 8:
            raise StreamError(f'Byte 0 of a payload announces {width} bytes a '
                              'lane, but fewer are enough.')
        self._next = head

    def decode(self, indexes: np.ndarray) -> np.ndarray:
        """See :meth:`SymbolDecoder.decode`."""
        if indexes.ndim != 1:
            raise ValueError('`indexes` must be 1-D.')
        with self._turn():
            rows = self._tables.rows_of(indexes)
            if rows and not self._payload:
                raise StreamError(f'{len(rows)} symbols were expected, but '
                                  'the stream is empty.')
            before = self._states.copy(), self._next, self._done
            try:
                return np.array([self._pull(*row) for row in rows], np.int32)
            except StreamError:
                self._states, self._next, self._done = before
                raise

    def bits_left(self) -> int:
        """No more than this many bits of symbols can still come."""
        with self._turn():
            bits = 8 * (len(self._payload) - self._next)
            return bits + sum(s.bit_length() - 31 for s in self._states)

    def finish(self) -> None:
        """See :meth:`SymbolDecoder.finish`."""
        with self._turn():
            left = len(self._payload) - self._next
            if left:
                raise StreamError(f'{left} bytes follow the last symbol at '
                                  f'{self._next}.')
            for k, state in enumerate(self._states):
                if state != _LOW:
                    raise StreamError(
                        f'After symbol {self._done} at byte {self._next} lane '
                        f'{k} is not where coding began: the payload is '
                        'damaged, or of other tables or sizes.')

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise RuntimeError('A decoder serves one thread at a time.')
        try:
            yield
        finally:
            self._busy.release()

    def _pull(self, cdf: list[int], offset: int) -> int:
        lane = self._done % len(self._states)
        slot = self._states[lane] & _TOTAL - 1
        place = bisect_right(cdf, slot) - 1
        start, frequency = cdf[place], cdf[place + 1] - cdf[place]
        self._set(lane, frequency * (self._states[lane] >> 16) + slot - start)
        symbol = offset + place
        if place == len(cdf) - 2:
            symbol = offset + self._pull_escaped(lane, place)
            if not -1 << 31 <= symbol < 1 << 31:
                raise StreamError(
                    f'The escaped symbol {self._done} before byte '
                    f'{self._next} is {symbol}, which 32 bits do not hold.')
        self._done += 1
        return symbol

    def _pull_escaped(self, lane: int, escape: int) -> int:
        bits = self._pull_bits(lane, _COUNT_BITS)
        if bits > _MAX_BITS:
            raise StreamError(
                f'The escaped symbol {self._done} before byte {self._next} '
                f'claims {bits} bits, at most {_MAX_BITS} are possible.')
        size = 1 << bits - 1 if bits else 0
        for at in range(0, bits - 1, 16):
            size |= self._pull_bits(lane, min(16, bits - 1 - at)) << at
        return -(size >> 1) - 1 if size & 1 else escape + (size >> 1)

    def _pull_bits(self, lane: int, count: int) -> int:
        value = self._states[lane] & (1 << count) - 1
        self._set(lane, self._states[lane] >> count)
        return value

    def _set(self, lane: int, state: int) -> None:
        """Keep a state, after it has taken a word if it is small."""
        if state < _LOW:
            if self._next == len(self._payload):
                raise StreamError(
                    f'The payload ends at byte {self._next}, but symbol '
                    f'{self._done} needs more.')
            word = self._payload[self._next:self._next + 4]
            state = state << 32 | int.from_bytes(word, 'little')
            self._next += 4
        self._states[lane] = state
