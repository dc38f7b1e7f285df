"""The file around the coded symbols of one picture."""
import struct
import zlib
from dataclasses import dataclass, field

from .errors import BitstreamError

MAGIC = b'HMC'
VERSION = 1
#: A file says how much memory its picture takes: refuse what is absurd.
MAX_SIDE, MAX_PIXELS = 1 << 15, 1 << 28


@dataclass(frozen=True)
class Bitstream:
    """Coded picture: who decodes it, how large it is, and its streams.

    .. code-block:: none

        "HMC" version | codec | height width | n (name length payload)* | crc

    Numbers are LEB128 (7 bits a byte, low ones first), strings a number and
    UTF-8; the CRC-32 of all before it ends the file.

    Args:
        codec: Registry name of the codec class.
        size: Height and width of the picture in pixels.
        streams: Payload of each latent by its name, in decoding order.

    Raises:
        BitstreamError: If the size is empty or beyond the limits.
    """

    codec: str
    size: tuple[int, int]
    streams: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        height, width = self.size
        if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE
                and height * width <= MAX_PIXELS):
            raise BitstreamError(
                f'A picture of {height} x {width} pixels cannot be stored: no '
                f'side may be empty or longer than {MAX_SIDE}, and no picture '
                f'larger than {MAX_PIXELS} pixels.')

    @property
    def num_bytes(self) -> int:
        """Length of the whole file."""
        return len(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The file's content."""
        parts = [MAGIC, bytes([VERSION]), _string(self.codec)]
        parts += [_number(side) for side in self.size]
        parts.append(_number(len(self.streams)))
        for name, payload in self.streams.items():
            parts += [_string(name), _number(len(payload)), payload]
        body = b''.join(parts)
        return body + struct.pack('<I', zlib.crc32(body))

    @classmethod
    def from_bytes(cls, data: bytes) -> 'Bitstream':
        """Read what :meth:`to_bytes` wrote.

        Raises:
            BitstreamError: If the data is no such file, of another version,
                cut short, damaged, followed by something else, or of an
                absurd size.
        """
        head = len(MAGIC) + 1
        if data[:len(MAGIC)] != MAGIC or len(data) < head + 4:
            raise BitstreamError(
                f'This is no mmhmc bitstream: expected {MAGIC!r} and more at '
                f'byte 0, got {data[:8]!r} ({len(data)} bytes in all).')
        if data[len(MAGIC)] != VERSION:
            raise BitstreamError(f'This bitstream is of version '
                                 f'{data[len(MAGIC)]}, expected {VERSION}.')
        body, (crc, ) = data[:-4], struct.unpack('<I', data[-4:])
        if zlib.crc32(body) != crc:
            raise BitstreamError(
                f'The checksum of {len(body)} bytes is {zlib.crc32(body):08x}'
                f', expected {crc:08x}: the file is damaged or cut short.')
        reader = _Reader(body, head)
        codec = reader.string()
        size = (reader.number(), reader.number())
        streams = {}
        for _ in range(reader.number()):
            name = reader.string()
            streams[name] = reader.take(reader.number())
        if reader.position != len(body):
            raise BitstreamError(f'{len(body) - reader.position} bytes follow '
                                 f'the last stream at {reader.position}.')
        return cls(codec, size, streams)


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _string(text: str) -> bytes:
    encoded = text.encode()
    return _number(len(encoded)) + encoded


class _Reader:
    """Bounds-checked reading of a file's content."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position

    def take(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self.data):
            raise BitstreamError(
                f'{length} bytes were announced at byte {self.position}, but '
                f'only {len(self.data) - self.position} are left.')
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
        start, encoded = self.position, self.take(self.number())
        try:
            return encoded.decode()
        except UnicodeDecodeError as error:
            raise BitstreamError(
                f'The name at byte {start} is not UTF-8: {error}.') from error
