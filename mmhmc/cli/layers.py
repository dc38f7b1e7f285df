"""``mmhmc cut`` and ``join``: layers of files, without a codec."""
import argparse
from pathlib import Path

from .arguments import (Commands, add_command, add_output, add_path,
                        keep_existing, positive, warnings_told)


def add_commands(commands: Commands) -> None:
    """Add the subcommands of this module."""
    _add_cut(commands)
    _add_join(commands)


def _add_cut(commands: Commands) -> None:
    parser = add_command(
        commands, _cut, 'keep the first layers of a bitstream',
        'Keep the first layers of a bitstream: the base is a file that '
        'decodes alone. `mmhmc join` adds the rest again. No codec is needed.')
    add_path(parser, 'file', metavar='FILE', help='bitstream with layers')
    parser.add_argument(
        '--layers',
        type=positive,
        default=1,
        metavar='N',
        help='how many layers to keep; default 1, the base')
    add_output(
        parser, 'BASE', 'file of the layers that are kept; default: beside '
        'FILE, a.png.hmc becomes a.png.base.hmc')
    add_path(
        parser, '--rest', metavar='REST', help='file of the other layers, too')


def _cut(args: argparse.Namespace) -> int:
    from mmhmc.apis.stream_info import layer_line
    from mmhmc.whole_files import write_whole
    output = args.output or _base_beside(args.file)
    outputs = [path for path in (output, args.rest) if path]
    keep_existing(outputs, args.force)
    stream = _read(args, args.file)
    base, rest = stream.keep_layers(args.layers), b''
    if args.rest:
        base, rest = stream.split(args.layers)
    for path in outputs:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(output, base.to_bytes())
    print(f'{output}: {layer_line(base.layer_bytes)}')
    if args.rest:
        write_whole(args.rest, rest)
        print(f'{args.rest}: {len(rest)} bytes')
    return 0


def _add_join(commands: Commands) -> None:
    parser = add_command(
        commands, _join, 'put a base and its other layers together',
        'Put together what `mmhmc cut --rest` has taken apart. The result is '
        'the file that was cut, to the last byte.')
    add_path(parser, 'base', metavar='BASE', help='bitstream that was cut')
    add_path(parser, 'rest', metavar='REST', help='its other layers')
    add_output(parser, 'FILE', 'the whole file', required=True)


def _join(args: argparse.Namespace) -> int:
    from mmhmc.apis.stream_info import layer_line
    from mmhmc.bitstream import BitstreamError
    from mmhmc.whole_files import write_whole
    keep_existing([args.output], args.force)
    base = _read(args, args.base)
    try:
        whole = base.join(Path(args.rest).read_bytes())
    except BitstreamError as error:
        raise BitstreamError(f'{args.rest}: {error}') from error
    Path(args.output).parent.mkdir(parents=True, exist_ok=True)
    write_whole(args.output, whole.to_bytes())
    print(f'{args.output}: {layer_line(whole.layer_bytes)}')
    return 0


def _base_beside(file: str) -> str:
    """Where the base of a file lies if nothing is said: beside it."""
    from mmhmc.apis.file_pairs import STREAM_SUFFIX
    return f'{file.removesuffix(STREAM_SUFFIX)}.base{STREAM_SUFFIX}'


def _read(args: argparse.Namespace, path: str):
    """Read a bitstream; that it ends too early is told, and no error."""
    from mmhmc.apis.stream_info import read_stream
    with warnings_told(args, path):
        return read_stream(path)
