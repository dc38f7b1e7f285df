"""The ``mmhmc`` command: one sub-command per task.

A sub-command is a function ``_add_<name>`` which adds its parser and sets
``run``; what it needs is imported when it runs, so ``mmhmc --help`` is quick.
"""
import argparse
import sys
from collections.abc import Sequence

from mmhmc.version import __version__


def _add_doctor(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        'doctor',
        help='say what is installed, what is missing and how to repair it',
        description='Say what is installed, what is missing and how to '
        'repair it. Exit status 0: everything needed is there; 1: it is not.')
    parser.add_argument(
        '--json', action='store_true', help='print one JSON document')
    parser.set_defaults(run=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    from mmhmc.apis.doctor import run
    return run(as_json=args.json)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command and all its sub-commands."""
    parser = argparse.ArgumentParser(
        prog='mmhmc', description='Human-machine coding for OpenMMLab.')
    parser.add_argument('--version', action='version', version=__version__)
    commands = parser.add_subparsers(metavar='COMMAND', required=True)
    _add_doctor(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments after the program's name, or None for the process's.

    Returns:
        Exit status, 0 if all is well.
    """
    args = build_parser().parse_args(argv)
    return args.run(args)


if __name__ == '__main__':
    sys.exit(main())
