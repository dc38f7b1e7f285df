"""``mmhmc cut`` and ``join``: layers of files, without a codec."""
import argparse
from pathlib import Path

from .arguments import (Commands, add_command, add_output, add_path,
                        keep_existing, positive)


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
        parser, 'BASE', 'file of the layers that are kept', required=True)
    add_path(
        parser, '--rest', metavar='REST', help='file of the other layers, too')


def _cut(args: argparse.Namespace) -> int:
    from mmhmc.apis.stream_info import layer_line, read_stream
    from mmhmc.whole_files import write_whole
    outputs = [path for path in (args.output, args.rest) if path]
    keep_existing(outputs, args.force)
    stream = read_stream(args.file)
    base, rest = stream.keep_layers(args.layers), b''
    if args.rest:
        base, rest = stream.split(args.layers)
    for path in outputs:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(args.output, base.to_bytes())
    print(f'{args.output}: {layer_line(base.layer_bytes)}')
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
    from mmhmc.apis.stream_info import layer_line, read_stream
    from mmhmc.bitstream import BitstreamError
    from mmhmc.whole_files import write_whole
    keep_existing([args.output], args.force)
    base = read_stream(args.base)
    try:
        whole = base.join(Path(args.rest).read_bytes())
    except BitstreamError as error:
        raise BitstreamError(f'{args.rest}: {error}') from error
    Path(args.output).parent.mkdir(parents=True, exist_ok=True)
    write_whole(args.output, whole.to_bytes())
    print(f'{args.output}: {layer_line(whole.layer_bytes)}')
    return 0
