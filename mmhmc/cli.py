"""The ``mmhmc`` command: one sub-command per task.

``_add_<name>`` adds the parser of a sub-command, ``_<name>`` runs it; what it
needs is imported when it runs, so ``mmhmc --help`` is quick.
"""
import argparse
import json
import sys
from collections.abc import Callable, Sequence

from mmhmc.version import __version__

_LAUNCHERS = ('Started by torchrun or srun, the processes share the files, '
              'and the first one merges the results.')
_RESUME = ('What an earlier run has finished is kept: the same command goes '
           'on where it was stopped.')


def _command(commands: argparse._SubParsersAction,
             run: Callable[[argparse.Namespace], int], help: str,
             description: str) -> argparse.ArgumentParser:
    """Add the sub-command that a function runs, by the function's name."""
    parser = commands.add_parser(
        run.__name__[1:], help=help, description=description)
    parser.set_defaults(run=_guarded(run))
    return parser


def _add_path(parser: argparse.ArgumentParser, names: str, metavar: str,
              help: str, **more) -> None:
    """Add an argument that is a path; ``names`` are apart by a space."""
    parser.add_argument(
        *names.split(), type=_path, metavar=metavar, help=help, **more)


def _add_doctor(commands: argparse._SubParsersAction) -> None:
    parser = _command(
        commands, _doctor,
        'say what is installed, what is missing and how to repair it',
        'Say what is installed, what is missing and how to '
        'repair it. Exit status 0: everything needed is there; 1: it is not.')
    parser.add_argument(
        '--json', action='store_true', help='print one JSON document')


def _doctor(args: argparse.Namespace) -> int:
    from mmhmc.apis.doctor import run
    return run(as_json=args.json)


def _add_encode(commands: argparse._SubParsersAction) -> None:
    parser = _command(
        commands, _encode, 'encode images to bitstreams',
        'Encode images: a.png becomes DIR/a.png.hmc, and '
        f'DIR/encode.jsonl gets a line of results. {_RESUME} {_LAUNCHERS} '
        'Exit status 0: all are encoded; 1: one is not.')
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


def _encode(args: argparse.Namespace) -> int:
    from mmhmc.apis.coding import encode_images
    return _tell(
        args,
        encode_images(args.inputs, args.out, _source(args), args.quality,
                      args.psnr, args.jobs, args.force))


def _add_decode(commands: argparse._SubParsersAction) -> None:
    parser = _command(
        commands, _decode, 'decode bitstreams to PNG',
        'Decode bitstreams to 8-bit PNG: a.png.hmc becomes '
        'DIR/a.png, a.jpg.hmc becomes DIR/a.jpg.png, and DIR/decode.jsonl '
        f'gets a line of results. {_RESUME} {_LAUNCHERS} Exit status 0: all '
        'is decoded; 1: something is not.')
    _add_coding(parser, 'FILE', 'bitstream, or folder of .hmc files')


def _decode(args: argparse.Namespace) -> int:
    from mmhmc.apis.coding import decode_bitstreams
    return _tell(
        args,
        decode_bitstreams(args.inputs, args.out, _source(args), args.jobs,
                          args.force))


def _add_info(commands: argparse._SubParsersAction) -> None:
    parser = _command(
        commands, _info, 'print the headers of bitstreams',
        'Print the headers of bitstreams; no codec is needed. '
        'Exit status 0: all are whole; 1: a file is damaged or no bitstream.')
    _add_path(parser, 'files', 'FILE', 'bitstream', nargs='+')
    parser.add_argument(
        '--json', action='store_true', help='print one JSON object a line')


def _info(args: argparse.Namespace) -> int:
    from mmhmc.apis.stream_info import describe_bitstream, format_description
    status = 0
    for path in args.files:
        try:
            row = describe_bitstream(path)
        except (OSError, ValueError) as error:
            _complain(args, f'{path}: {error}')
            status = 1
        else:
            print(json.dumps(row) if args.json else format_description(row))
    return status


def _add_download(commands: argparse._SubParsersAction) -> None:
    parser = _command(
        commands, _download, 'get models of the model zoo',
        'Put the weights and the config of models into a folder. '
        'A download that was cut off goes on where it ended, and what is not '
        'the file that the zoo names is refused. Exit status 0: all are '
        'there; 1: one is not.')
    parser.add_argument(
        'names', nargs='*', metavar='NAME', help='model, see --list')
    parser.add_argument(
        '--list', action='store_true', help='show all models, with results')
    _add_path(parser, '--dest', 'DIR', 'default: this folder', default='.')
    parser.add_argument(
        '--base-url',
        metavar='URL',
        help='where the weights are, an address or a folder; default: '
        '$MMHMC_ZOO_URL, else model_zoo of a checkout')


def _download(args: argparse.Namespace) -> int:
    from mmhmc.apis.zoo import download_model, show_models
    if args.list:
        show_models()
    elif not args.names:
        raise ValueError('Give the name of a model; --list shows all.')
    for name in args.names:
        for path in download_model(name, args.dest, args.base_url):
            print(path)
    return 0


def _add_demo(commands: argparse._SubParsersAction) -> None:
    parser = _command(
        commands, _demo,
        'encode one image and show what people and a machine get',
        'Encode an image, decode it, let a model predict from '
        'the bitstream alone, and write a page that shows all of it.')
    _add_path(
        parser,
        'image',
        'IMAGE',
        'image file; default: one that scikit-image carries',
        nargs='?')
    parser.add_argument(
        '--model',
        metavar='NAME',
        help='model of the zoo, or a config; default: a small Mask R-CNN for '
        'pedestrians')
    _add_path(parser, '--checkpoint', 'FILE', 'weights, for a config')
    _add_path(
        parser,
        '-o --out',
        'DIR',
        'output folder; default mmhmc_demo',
        default='mmhmc_demo')
    parser.add_argument(
        '--device', help='cpu, cuda or cuda:N; default: a GPU if there is one')


def _demo(args: argparse.Namespace) -> int:
    from mmhmc.apis.demo import DEFAULT_MODEL, run_demo
    demo = run_demo(args.image, args.model or DEFAULT_MODEL, args.checkpoint,
                    args.out, args.device)
    for table in (demo.sizes, demo.findings):
        if table.rows:
            print(table.to_markdown())
    print(f'Page: {demo.page}')
    return 0


def _add_export(commands: argparse._SubParsersAction) -> None:
    parser = _command(
        commands, _export, 'make a codec of weights that other code has saved',
        'Make a codec of a checkpoint of the authors of MPA or '
        'TinyLIC: OUT.safetensors gets its weights, OUT.py its config, for '
        '`mmhmc encode --codec OUT.py`.')
    _add_path(parser, 'file', 'FILE', 'checkpoint')
    parser.add_argument(
        '--from',
        required=True,
        choices=('mpa', 'tinylic'),
        dest='method',
        help='whose code has saved it')
    _add_path(
        parser,
        '-o --out',
        'OUT.safetensors',
        'file for the weights',
        required=True)


def _export(args: argparse.Namespace) -> int:
    from mmhmc.apis.authors_weights import (TINYLIC_WARNING,
                                            export_authors_weights)
    for file in export_authors_weights(args.file, args.out, args.method):
        print(file)
    if args.method == 'tinylic':
        _complain(args, TINYLIC_WARNING)
    return 0


def _add_coding(parser: argparse.ArgumentParser, metavar: str,
                help: str) -> None:
    """Arguments of encoding and decoding: inputs, outputs, the codec."""
    _add_path(parser, 'inputs', metavar, help, nargs='+')
    _add_path(parser, '-o --out', 'DIR', 'output folder', required=True)
    parser.add_argument(
        '--jobs',
        type=_positive,
        default=1,
        metavar='N',
        help='processes, with one thread each; default 1, with all threads')
    parser.add_argument(
        '--force', action='store_true', help='replace outputs that exist')
    _add_path(
        parser,
        '--codec',
        'CONFIG', 'config of the codec, or weights that CompressAI publishes: '
        'compressai://ARCHITECTURE/METRIC/QUALITY',
        required=True)
    _add_path(parser, '--checkpoint', 'FILE',
              'its weights; default: those that the config names')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='override settings of the config')
    parser.add_argument(
        '--device', default='cpu', help='cpu (default), cuda or cuda:N')
    parser.add_argument(
        '--bf16',
        action='store_true',
        help='let the transforms compute in bfloat16, where the machine '
        'has instructions for it')


def _path(text: str) -> str:
    if not text.strip():
        # An empty path would be this folder, with all that is in it.
        raise argparse.ArgumentTypeError('expected a path, got nothing')
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f'expected an integer of 1 or more, got {text!r}')
    return int(text)


def _source(args: argparse.Namespace):
    from mmhmc.apis.codec_loading import CodecSource
    from mmhmc.apis.config_files import OptionsAction

    # mmengine would make `mmhmc --help` slow.
    parser = argparse.ArgumentParser(f'mmhmc {args.command}')
    parser.add_argument('--cfg-options', nargs='*', action=OptionsAction)
    options = parser.parse_args(['--cfg-options',
                                 *args.cfg_options]).cfg_options
    if args.bf16:
        from mmhmc.machine import choose_arithmetic
        _complain(args, f'--bf16: {choose_arithmetic(args.device)}')
    return CodecSource(args.codec, args.checkpoint, options, args.device,
                       args.bf16)


def _tell(args: argparse.Namespace, report) -> int:
    """Print a report, in the one process that speaks for all."""
    if report.rank:
        return 0
    for outcome in report.outcomes:
        for text in outcome.warnings:
            _complain(args, f'{outcome.pair.source}: {text}')
        if outcome.error:
            _complain(args, outcome.error)
    print(report.table())
    return 1 if report.failed else 0


def _complain(args: argparse.Namespace, text: str) -> None:
    print(f'mmhmc {args.command}: {text}', file=sys.stderr)


def _guarded(run):
    """Turn errors that a user can repair, and Ctrl-C, into one line."""
    from mmhmc.apis.command import EXPECTED, told

    def guarded(args: argparse.Namespace) -> int:
        try:
            return run(args)
        except KeyboardInterrupt:
            _complain(
                args, 'stopped. What is finished stays; the same command goes '
                'on from there.')
            return 130
        except EXPECTED as error:
            _complain(args, told(error))
            return 1

    return guarded


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command and all its sub-commands."""
    parser = argparse.ArgumentParser(
        prog='mmhmc', description='Human-machine coding for OpenMMLab.')
    parser.add_argument('--version', action='version', version=__version__)
    commands = parser.add_subparsers(
        metavar='COMMAND', dest='command', required=True)
    for add in (_add_encode, _add_decode, _add_info, _add_download, _add_demo,
                _add_export, _add_doctor):
        add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments after the program's name, or None for the process's.

    Returns:
        Exit status, 0 if all is well.
    """
    args = build_parser().parse_args(argv)
    if argv is None:
        # This process is the command's own.
        from mmhmc.machine import tune_cpu
        tune_cpu()
    return args.run(args)


if __name__ == '__main__':
    sys.exit(main())
