"""``mmhmc demo`` and ``mmhmc doctor``."""
import argparse

from .arguments import (Commands, add_checkpoint, add_command, add_device,
                        add_output, add_path, keep_existing)


def add_commands(commands: Commands) -> None:
    """Add the subcommands of this module."""
    _add_demo(commands)
    _add_doctor(commands)


def _add_demo(commands: Commands) -> None:
    parser = add_command(
        commands, _demo,
        'encode images and show what people and a machine get',
        'Encode images, decode them, let a model predict from the '
        'bitstreams alone, and write one page that shows all of it beside '
        'JPEG and HEVC of the same size.')
    add_path(
        parser,
        'images',
        metavar='IMAGE',
        help='image file or folder; default: photographs that come with mmhmc',
        nargs='*')
    add_path(
        parser,
        '--model',
        metavar='NAME|CONFIG',
        help='model of the zoo, or a config; default: a small codec and a '
        'detector of 80 kinds of objects')
    add_checkpoint(parser)
    parser.add_argument(
        '--refine',
        type=int,
        metavar='STEPS',
        help='search for files that serve the model better, and show what the '
        'search has changed; 30 steps take half a minute for an image')
    add_output(parser, 'DIR', 'output folder; default mmhmc_demo, whose page '
               'is replaced')
    add_device(parser)


def _demo(args: argparse.Namespace) -> int:
    if args.output:
        keep_existing([f'{args.output}/index.html'], args.force)
    from mmhmc.apis.demo import DEFAULT_MODEL, run_demo

    # The default folder is the demo's own.
    demo = run_demo(
        args.images or None,
        args.model or DEFAULT_MODEL,
        args.checkpoint,
        args.output or 'mmhmc_demo',
        args.device,
        force=args.force or not args.output,
        refinement=args.refine)
    for image in demo.images:
        print(image.table().to_markdown())
    print(f'Page: {demo.page}')
    return 0


def _add_doctor(commands: Commands) -> None:
    parser = add_command(
        commands, _doctor,
        'say what is installed, what is missing and how to repair it',
        'Say what is installed, what is missing and how to '
        'repair it. Exit status 0: everything needed is there; 1: it is not.')
    parser.add_argument(
        '--json', action='store_true', help='print one JSON document')


def _doctor(args: argparse.Namespace) -> int:
    from mmhmc.apis.doctor import run
    return run(as_json=args.json)
