"""The header of a bitstream file, as a dictionary and as text."""
from collections.abc import Sequence
from pathlib import Path

from mmhmc.bitstream import Bitstream, BitstreamError


def read_stream(path: str | Path) -> Bitstream:
    """Read a bitstream, or what there is of one, with a warning.

    Raises:
        BitstreamError: If it is no bitstream, or damaged.
        OSError: If the file cannot be read.
    """
    try:
        return Bitstream.from_bytes(Path(path).read_bytes(), partial=True)
    except BitstreamError as error:
        raise BitstreamError(f'{path}: {error}') from error


def layer_line(sizes: Sequence[int]) -> str:
    """Bytes of each layer, for people."""
    shown = ' + '.join(str(size) for size in sizes)
    plural = 's' if len(sizes) > 1 else ''
    return f'{len(sizes)} layer{plural}, {shown} bytes'


def describe_bitstream(path: str | Path) -> dict:
    """Read a bitstream's header; no codec is needed.

    Of a file that ends within a stream what comes before it, with a warning.

    Returns:
        ``file``, ``codec``, ``height``, ``width``, ``coded_height``,
        ``coded_width``, ``quality`` (None if the codec has only one),
        ``weights`` (hash, hexadecimal), ``portable``, ``device`` (fingerprint,
        hexadecimal; None if portable), ``streams`` (bytes of each), ``cut``
        (names of the streams that were cut off), ``layers`` (bytes of each,
        the header counted in the first), ``header_bytes``, ``num_bytes``,
        ``bpp``.

    Raises:
        BitstreamError: If it is no bitstream, or damaged.
        OSError: If the file cannot be read.
    """
    stream = Bitstream.from_bytes(Path(path).read_bytes(), partial=True)
    streams = {name: len(data) for name, data in stream.streams.items()}
    height, width = stream.size
    return dict(
        file=str(path),
        codec=stream.codec,
        height=height,
        width=width,
        coded_height=stream.coded_size[0],
        coded_width=stream.coded_size[1],
        quality=stream.quality,
        weights=stream.weights.hex(),
        portable=stream.device is None,
        device=None if stream.device is None else stream.device.hex(),
        streams=streams,
        cut=[layer.name for layer in stream.cut],
        layers=stream.layer_bytes,
        header_bytes=stream.num_bytes - sum(streams.values()),
        num_bytes=stream.num_bytes,
        bpp=8 * stream.num_bytes / (height * width))


def format_description(row: dict) -> str:
    """The same for people, a few lines."""
    device = 'every machine' if row['portable'] else (
        f'the machine {row["device"]} only')
    streams = [f'{name} {size}' for name, size in row['streams'].items()]
    lines = [
        row['file'],
        f'  codec     {row["codec"]}, weights {row["weights"]}',
        f'  image     {row["height"]} x {row["width"]}, coded as '
        f'{row["coded_height"]} x {row["coded_width"]}',
        f'  decodes   on {device}',
        f'  bytes     {row["num_bytes"]}: header {row["header_bytes"]}, ' +
        ', '.join(streams),
        f'  bpp       {row["bpp"]:.4f}',
    ]
    if row['quality'] is not None:
        lines.insert(2, f'  quality   {row["quality"]:g}')
    if len(row['layers']) > 1:
        sizes = ' + '.join(str(size) for size in row['layers'])
        lines.append(f'  layers    {len(row["layers"])}: {sizes} bytes')
    if row['cut']:
        lines.append(f'  cut off   {", ".join(row["cut"])}')
    return '\n'.join(lines)
