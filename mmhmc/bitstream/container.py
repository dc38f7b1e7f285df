"""The file format: a header and the encoded symbols of one image."""
import re
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from numbers import Real
from operator import index
from typing import Any

from .errors import BitstreamError

MAGIC = b'HMC'
VERSION = 2
#: Begins a file with layers that were cut off another.
REST_MAGIC = b'HMR'
#: Names of the streams without which those before them decode.
_ENHANCEMENTS = re.compile('t|y[1-9][0-9]*')
#: A header decides how much memory decoding takes: refuse absurd sizes.
MAX_SIDE, MAX_PIXELS = 1 << 15, 1 << 28
#: A quality is stored as a number of these steps.
QUALITY_STEP = 1 / 256

# The flags: four bits for the stride of the coded size, then one bit each.
_EXPLICIT_SIZE, _HAS_QUALITY, _HAS_DEVICE = 15, 1 << 4, 1 << 5
_LONGEST_NAME = 31


@dataclass(frozen=True)
class CutStream:
    """Header entry of a stream that was cut off the end of a file.

    Args:
        name: The stream's name.
        length: Bytes of its payload.
        checksum: CRC-32 of its payload.
    """

    name: str
    length: int
    checksum: int


@dataclass(frozen=True)
class Bitstream:
    """Encoded image: the codec that decodes it, its size and its streams.

    .. code-block:: none

        "HMC" version flags | codec | weights (4) [device (2)]
        | height width [coded height, coded width] [quality]
        | n (name length crc)* | crc of all before | payload*

    Numbers are LEB128 (7 bits a byte, low ones first), checksums CRC-32,
    little-endian. A name is its length and UTF-8, or, of one ASCII character,
    that character alone. The low four bits of the flags are k if the coded
    size is the smallest multiple of 2^k on both sides, 15 if it is written
    out; two more say whether quality and device are there.

    A file may end after any of its streams: what was cut off is remembered in
    ``cut``, and ``to_bytes`` of the rest is the beginning of the whole file.
    A stream named ``t``, or ``y`` and a number from 1, is a layer of its own,
    an enhancement of those before it; all others are the base layer.

    Args:
        codec: Identifier of the codec, at most 31 bytes.
        size: Height and width of the image in pixels.
        streams: Payload of each latent by its name, in decoding order.
        coded_size: Height and width that were encoded, with the codec's
            padding at the bottom and on the right; ``size`` if left out.
        weights: First 4 bytes of a hash of the weights and tables that
            decide decoding.
        quality: Rate index of codecs with several, in steps of 1/256; None
            for others.
        device: 2 bytes that stand for the machine whose arithmetic chose the
            tables; None for a portable stream, which any machine decodes.
        cut: Layers that are missing at the end.

    Raises:
        BitstreamError: If the size is empty or beyond the limits, or another
            field cannot be stored.
    """

    codec: str
    size: tuple[int, int]
    streams: dict[str, bytes] = field(default_factory=dict)
    coded_size: tuple[int, int] | None = None
    weights: bytes = bytes(4)
    quality: float | None = None
    device: bytes | None = None
    cut: tuple[CutStream, ...] = ()

    def __post_init__(self) -> None:
        if self.coded_size is None:
            object.__setattr__(self, 'coded_size', self.size)
        for name in ('size', 'coded_size'):
            object.__setattr__(self, name, _as_size(getattr(self, name)))
        _check_size(self.size, self.coded_size)
        wrong = [
            name for name, payload in self.streams.items()
            if not isinstance(payload, bytes)
        ]
        if wrong:
            raise BitstreamError('The payload of a stream must be bytes; that '
                                 f'of {wrong[0]!r} is not.')
        names = [*self.streams, *(layer.name for layer in self.cut)]
        if len(set(names)) < len(names):
            raise BitstreamError('The names of streams must differ, got '
                                 f'{names}.')
        for name in (self.codec, *names):
            if not isinstance(
                    name, str) or not 0 < len(name.encode()) <= _LONGEST_NAME:
                raise BitstreamError(
                    f'The name {name!r} cannot be stored: it must have 1 to '
                    f'{_LONGEST_NAME} bytes.')
        if not _is_bytes(self.weights, 4) or not (self.device is None or
                                                  _is_bytes(self.device, 2)):
            raise BitstreamError(
                '`weights` must have 4 bytes and `device` 2, got '
                f'{self.weights!r} and {self.device!r}.')
        if self.quality is not None and not (
                isinstance(self.quality, Real) and 0 <= self.quality < 1 << 16
                and self.quality / QUALITY_STEP % 1 == 0):
            raise BitstreamError('`quality` must be a multiple of 1/256 in '
                                 f'[0, 65536), got {self.quality!r}.')

    def __repr__(self) -> str:
        # Without payloads, which would fill the screen.
        shown = ', '.join(f'{name}: {len(payload)} bytes'
                          for name, payload in self.streams.items())
        more = {
            name: value
            for name in ('coded_size', 'quality', 'device', 'cut')
            if (value := getattr(self, name)) not in (None, ())
        }
        more = ''.join(f', {name}={value!r}' for name, value in more.items())
        return (f'Bitstream({self.codec!r}, {self.size}, {{{shown}}}, '
                f'weights={self.weights!r}{more})')

    @property
    def num_bytes(self) -> int:
        """Length of the whole file."""
        return len(self._header()) + sum(map(len, self.streams.values()))

    def to_bytes(self) -> bytes:
        """The file's content."""
        return b''.join([self._header(), *self.streams.values()])

    def keep(self, count: int) -> 'Bitstream':
        """Cut off all but the first ``count`` streams.

        Raises:
            ValueError: If it is less than 1, or more than there are.
        """
        if not 0 < count <= len(self.streams):
            raise ValueError(f'`count` must be from 1 to {len(self.streams)} '
                             f'({", ".join(self.streams)}), got {count}.')
        streams = list(self.streams.items())
        cut = tuple(
            CutStream(name, len(payload), zlib.crc32(payload))
            for name, payload in streams[count:])
        return Bitstream(self.codec, self.size, dict(streams[:count]),
                         self.coded_size, self.weights, self.quality,
                         self.device, cut + self.cut)

    @property
    def layers(self) -> list[dict[str, bytes]]:
        """The streams of each layer that is there, the base first."""
        return [{
            name: self.streams[name]
            for name in names
        } for names in layers_of(self.streams)]

    @property
    def layer_bytes(self) -> list[int]:
        """Bytes of each layer that is there; of the base with the header."""
        sizes = [sum(map(len, layer.values())) for layer in self.layers]
        return [sizes[0] + len(self._header()), *sizes[1:]]

    def keep_layers(self, count: int) -> 'Bitstream':
        """Cut off all but the first ``count`` layers.

        Raises:
            ValueError: If it is less than 1, or more than there are.
        """
        layers = self.layers
        if not 0 < count <= len(layers):
            named = '; '.join(', '.join(layer) for layer in layers)
            raise ValueError(f'`layers` must be from 1 to {len(layers)}, the '
                             f'layers of this file ({named}), got {count}.')
        return self.keep(sum(map(len, layers[:count])))

    def split(self, count: int) -> tuple['Bitstream', bytes]:
        """The first ``count`` layers, and a file with the others.

        Returns:
            What :meth:`keep_layers` returns; and the rest for :meth:`join`:

            .. code-block:: none

                "HMR" version | checksum of the header | n | payload*

            where n is the number of streams before its first one.

        Raises:
            ValueError: If nothing would be left for one of them.
        """
        base = self.keep_layers(count)
        kept = len(base.streams)
        payloads = list(self.streams.values())[kept:]
        if not payloads:
            raise ValueError(f'All {count} layers of this file are kept: '
                             'there is nothing to cut off.')
        return base, b''.join([self._rest_head(), _number(kept), *payloads])

    def join(self, rest: bytes) -> 'Bitstream':
        """Inverse of :meth:`split`.

        Raises:
            BitstreamError: If ``rest`` is no rest of a file, or that of
                another one, or damaged.
        """
        head = self._rest_head()
        if rest[:4] != head[:4]:
            raise BitstreamError(
                'This is no file of layers that were cut off: expected '
                f'{head[:4]!r} at byte 0, got {rest[:8]!r}.')
        if rest[4:8] != head[4:]:
            raise BitstreamError(
                'These layers are of another file: they were cut from the one '
                f'with the checksum {rest[4:8].hex()}, and that of this file '
                f'is {head[4:].hex()}.')
        reader = _Reader(rest, len(head))
        before, names = reader.number(), list(self.streams)
        if before != len(names):
            raise BitstreamError(
                f'These layers continue a file with {before} streams; this '
                f'one has {len(names)} ({", ".join(names)}).')
        if reader.position == len(rest):
            raise BitstreamError('There is no layer in this file: it ends at '
                                 f'byte {len(rest)}.')
        return self.from_bytes(self.to_bytes() + rest[reader.position:])

    def _rest_head(self) -> bytes:
        # A header ends with its checksum.
        return REST_MAGIC + bytes([VERSION]) + self._header()[-4:]

    def _header(self) -> bytes:
        stride = _stride_of(self.size, self.coded_size)
        flags = stride | (_HAS_QUALITY * (self.quality is not None)) | (
            _HAS_DEVICE * (self.device is not None))
        parts = [
            MAGIC,
            bytes([VERSION, flags]),
            _string(self.codec), self.weights, self.device or b'',
            *map(_number, self.size)
        ]
        if stride == _EXPLICIT_SIZE:
            parts += map(_number, self.coded_size)
        if self.quality is not None:
            parts.append(_number(round(self.quality / QUALITY_STEP)))
        parts.append(_number(len(self.streams) + len(self.cut)))
        for name, payload in self.streams.items():
            parts += _entry(name, len(payload), zlib.crc32(payload))
        for layer in self.cut:
            parts += _entry(layer.name, layer.length, layer.checksum)
        header = b''.join(parts)
        return header + struct.pack('<I', zlib.crc32(header))

    @classmethod
    def from_bytes(cls, data: bytes, partial: bool = False) -> 'Bitstream':
        """Read what :meth:`to_bytes` wrote.

        Args:
            data: The file's content.
            partial: Whether a file may also end within an enhancement: it
                is read as if it had been cut before it, with a warning.

        Returns:
            The bitstream, with what was cut off in ``cut``.

        Raises:
            BitstreamError: If the data is no such file, of another version,
                damaged, cut elsewhere than between two streams, followed by
                something else, or of an absurd size.
        """
        if data[:len(REST_MAGIC)] == REST_MAGIC:
            raise BitstreamError(
                'These are layers that were cut off a bitstream. `mmhmc join` '
                'and `Bitstream.join` put them to their base.')
        if data[:len(MAGIC)] != MAGIC or len(data) < len(MAGIC) + 2:
            raise BitstreamError(
                f'This is no mmhmc bitstream: expected {MAGIC!r} and more at '
                f'byte 0, got {data[:8]!r} ({len(data)} bytes in all).')
        if data[len(MAGIC)] != VERSION:
            raise BitstreamError(f'This bitstream is of version '
                                 f'{data[len(MAGIC)]}, expected {VERSION}.')
        reader = _Reader(data, len(MAGIC) + 1)
        flags = reader.take(1)[0]
        if flags >= _HAS_DEVICE << 1:
            raise BitstreamError(
                f'The flags at byte {reader.position - 1} are'
                f' {flags:#x}, of which some have no meaning.')
        codec, weights = reader.string(), reader.take(4)
        device = reader.take(2) if flags & _HAS_DEVICE else None
        size = reader.number(), reader.number()
        coded_size = _round_up(size, flags & 15)
        if coded_size is None:
            coded_size = reader.number(), reader.number()
        quality = None
        if flags & _HAS_QUALITY:
            quality = reader.number() * QUALITY_STEP
        table = [
            CutStream(reader.string(), reader.number(),
                      struct.unpack('<I', reader.take(4))[0])
            for _ in range(reader.number())
        ]
        reader.checksum()
        streams = dict(reader.payloads(table, partial))
        return cls(codec, size, streams, coded_size, weights, quality, device,
                   tuple(table[len(streams):]))


def layers_of(names: Iterable[str]) -> list[list[str]]:
    """The streams of each layer, the base first.

    Args:
        names: All streams, in their order in a file.
    """
    names = list(names)
    added = [name for name in names if _ENHANCEMENTS.fullmatch(name)]
    base = [name for name in names if name not in added]
    return [base, *([name] for name in added)]


def _as_size(size: Any) -> tuple[int, int]:
    """Height and width, also of a list or of a tensor's shape."""
    try:
        height, width = map(index, size)
    except (TypeError, ValueError) as error:
        raise BitstreamError('A size must be height and width in whole pixels,'
                             f' got {size!r}.') from error
    return height, width


def _is_bytes(value: Any, length: int) -> bool:
    return isinstance(value, bytes) and len(value) == length


def _check_size(size: tuple[int, int], coded_size: tuple[int, int]) -> None:
    for sides in (size, coded_size):
        height, width = sides
        if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE
                and height * width <= MAX_PIXELS):
            raise BitstreamError(
                f'An image of {height} x {width} pixels cannot be stored: no '
                f'side may be empty or longer than {MAX_SIDE}, and no image '
                f'larger than {MAX_PIXELS} pixels, padding included.')
    if coded_size[0] < size[0] or coded_size[1] < size[1]:
        raise BitstreamError(f'{coded_size} pixels were coded, fewer than the '
                             f"image's {size}.")


def _round_up(size: tuple[int, int], stride: int) -> tuple[int, int] | None:
    if stride == _EXPLICIT_SIZE:
        return None
    height, width = (-(-side >> stride) << stride for side in size)
    return height, width


def _stride_of(size: tuple[int, int], coded_size: tuple[int, int]) -> int:
    for stride in range(_EXPLICIT_SIZE):
        if _round_up(size, stride) == tuple(coded_size):
            return stride
    return _EXPLICIT_SIZE


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _string(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) == 1 and encoded[0] > _LONGEST_NAME:
        return encoded
    return bytes([len(encoded)]) + encoded


def _entry(name: str, length: int, checksum: int) -> list[bytes]:
    return [_string(name), _number(length), struct.pack('<I', checksum)]


class _Reader:
    """Bounds-checked reading of a file's content."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position

    def take(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self.data):
            raise BitstreamError(
                f'{length} bytes were announced at byte {self.position}, but '
                f'only {len(self.data) - self.position} are left: the file '
                'was cut.')
        taken, self.position = self.data[self.position:end], end
        return taken

    def number(self) -> int:
        value = 0
        for shift in range(0, 35, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7f) << shift
            if byte < 0x80:
                return value
        raise BitstreamError(
            f'The number before byte {self.position} is longer than 32 bits.')

    def string(self) -> str:
        start, first = self.position, self.take(1)
        encoded = first
        if first[0] <= _LONGEST_NAME:
            encoded = self.take(first[0])
        try:
            return encoded.decode()
        except UnicodeDecodeError as error:
            raise BitstreamError(
                f'The name at byte {start} is not UTF-8: {error}.') from error

    def checksum(self) -> None:
        """Take the checksum of everything before it."""
        end = self.position
        found, = struct.unpack('<I', self.take(4))
        computed = zlib.crc32(self.data[:end])
        if found != computed:
            raise BitstreamError(
                f'The checksum of the header, {end} bytes, is {computed:08x}, '
                f'but byte {end} says {found:08x}: the file is damaged.')

    def payloads(self, table: list[CutStream],
                 partial: bool) -> Iterator[tuple[str, bytes]]:
        """Names and payloads, up to where the file was cut."""
        for number, entry in enumerate(table):
            start, left = self.position, len(self.data) - self.position
            if not left and number and entry.length:
                return
            if partial and left < entry.length and _ENHANCEMENTS.fullmatch(
                    entry.name):
                warnings.warn(
                    f'The file ends within stream {entry.name!r}: {left} of '
                    f'its {entry.length} bytes are there. What comes before '
                    'it is read.',
                    stacklevel=4)
                return
            payload = self.take(entry.length)
            if zlib.crc32(payload) != entry.checksum:
                raise BitstreamError(
                    f'The checksum of stream {entry.name!r}, bytes {start} to '
                    f'{self.position}, is {zlib.crc32(payload):08x}, but the '
                    f'header says {entry.checksum:08x}: it is damaged.')
            yield entry.name, payload
        if self.position != len(self.data):
            raise BitstreamError(
                f'{len(self.data) - self.position} bytes follow the last '
                f'stream, at byte {self.position}.')
