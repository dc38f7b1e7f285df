"""``mmhmc encode``, ``decode``, ``info``: images to bitstreams and back."""
import argparse
import json

from .arguments import (Commands, add_command, add_device, add_jobs, add_model,
                        add_output, add_path, cfg_options, complain, positive,
                        warnings_told)
from .search_arguments import add_search, add_target, refinement_of, target_of

_LAUNCHERS = ('Started by torchrun or srun, the processes share the files, '
              'and the first one merges the results.')
_RESUME = ('What an earlier run has finished is kept: the same command goes '
           'on where it was stopped.')
_STOPPED = 'What is finished stays; the same command goes on from there.'


def add_commands(commands: Commands) -> None:
    """Add the subcommands of this module."""
    _add_encode(commands)
    _add_decode(commands)
    _add_info(commands)


def _add_encode(commands: Commands) -> None:
    parser = add_command(
        commands,
        _encode,
        'encode images to bitstreams',
        'Encode images: a.png becomes DIR/a.png.hmc, and '
        f'DIR/encode.jsonl gets a line of results. {_RESUME} {_LAUNCHERS} '
        'Exit status 0: all are encoded; 1: one is not.',
        stopped=_STOPPED)
    _add_coding(parser, 'IMAGE',
                'PNG, JPEG, WebP, BMP or TIFF file, or folder of such')
    parser.add_argument(
        '--quality',
        type=float,
        metavar='Q',
        help='rate index of a codec that has several, 1 is the lowest rate')
    parser.add_argument(
        '--psnr',
        action='store_true',
        help='decode, too, and measure the PSNR of the 8-bit image')
    parser.add_argument(
        '--layers',
        type=positive,
        metavar='N',
        help='write N layers, of which the first decodes alone: each tells '
        'three values apart for one of the layer before it')
    add_search(parser)
    add_target(parser)
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='say what would be encoded, and write nothing')


def _encode(args: argparse.Namespace) -> int:
    from mmhmc.apis.coding import encode_images, plan_encoding
    wanted = dict(
        quality=args.quality,
        layers=args.layers,
        refinement=refinement_of(args),
        importance=args.map,
        target=target_of(args))
    if args.dry_run:
        for line in plan_encoding(args.inputs, args.output, _source(args),
                                  **wanted):
            print(line)
        return 0
    return _tell(
        args,
        encode_images(
            args.inputs,
            args.output,
            _source(args),
            psnr=args.psnr,
            jobs=args.jobs,
            force=args.force,
            **wanted))


def _add_decode(commands: Commands) -> None:
    parser = add_command(
        commands,
        _decode,
        'decode bitstreams to images',
        'Decode bitstreams to 8-bit PNG: a.png.hmc becomes '
        'DIR/a.png, a.jpg.hmc becomes DIR/a.jpg.png, and DIR/decode.jsonl '
        f'gets a line of results. {_RESUME} {_LAUNCHERS} Exit status 0: all '
        'is decoded; 1: something is not.',
        stopped=_STOPPED)
    _add_coding(parser, 'FILE', 'bitstream, or folder of .hmc files')
    parser.add_argument(
        '--layers',
        type=positive,
        metavar='N',
        help='decode the first N layers of each; default: all that are there')


def _decode(args: argparse.Namespace) -> int:
    from mmhmc.apis.coding import decode_bitstreams
    return _tell(
        args,
        decode_bitstreams(args.inputs, args.output, _source(args), args.jobs,
                          args.force, args.layers))


def _add_info(commands: Commands) -> None:
    parser = add_command(
        commands, _info, 'show what a bitstream contains',
        'Show what bitstreams contain: codec, size of the image, rate, bytes '
        'of each stream and layer. No codec is needed. Exit status 0: each '
        'ends with a layer; 1: a file is damaged, or no bitstream.')
    add_path(
        parser,
        'files',
        metavar='FILE',
        help='bitstream, or folder of .hmc files',
        nargs='+')
    parser.add_argument(
        '--json', action='store_true', help='print one JSON object a line')


def _info(args: argparse.Namespace) -> int:
    from mmhmc.apis.file_pairs import STREAM_SUFFIX, pair_files
    from mmhmc.apis.stream_info import describe_bitstream, format_description
    status = 0
    for given in args.files:
        for pair in pair_files([given], (STREAM_SUFFIX, ), str):
            with warnings_told(args, pair.source) as noted:
                try:
                    row = describe_bitstream(pair.source)
                except (OSError, ValueError) as error:
                    complain(args, f'{pair.source}: {error}')
                    status = 1
                    continue
            if noted:
                status = 1
            print(json.dumps(row) if args.json else format_description(row))
    return status


def _add_coding(parser: argparse.ArgumentParser, metavar: str,
                help: str) -> None:
    """Arguments of encoding and decoding: inputs, outputs, the codec."""
    add_path(parser, 'inputs', metavar=metavar, help=help, nargs='+')
    add_output(
        parser, 'DIR', 'output folder; default: this folder', default='.')
    add_model(parser, '--codec')
    add_device(parser)
    add_jobs(parser)
    parser.add_argument(
        '--bf16',
        action='store_true',
        help='let the transforms compute in bfloat16, where the machine '
        'has instructions for it')


def _source(args: argparse.Namespace):
    from mmhmc.apis.codec_loading import CodecSource
    from mmhmc.apis.model_loading import choose_device
    device = str(choose_device(args.device))
    if args.bf16:
        from mmhmc.machine import choose_arithmetic
        complain(args, f'--bf16: {choose_arithmetic(device)}')
    return CodecSource(args.model, args.checkpoint, cfg_options(args), device,
                       args.bf16)


def _tell(args: argparse.Namespace, report) -> int:
    """Print a report, in the one process that speaks for all."""
    if report.rank:
        return 0
    for outcome in report.outcomes:
        for text in outcome.warnings:
            complain(args, f'{outcome.pair.source}: {text}')
        if outcome.error:
            complain(args, outcome.error)
    print(report.table())
    return 1 if report.failed else 0
