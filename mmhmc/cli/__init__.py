"""The ``mmhmc`` command.

Each module has a group of subcommands: :mod:`~mmhmc.cli.coding`,
:mod:`~mmhmc.cli.layers`, :mod:`~mmhmc.cli.runs`, :mod:`~mmhmc.cli.models`,
:mod:`~mmhmc.cli.demo` and :mod:`~mmhmc.cli.export`. A subcommand ``name`` is
two functions: ``_add_name(commands)`` adds its parser, ``_name(args)`` runs it
and returns the exit status. ``add_commands`` of the module lists them. Options
that several subcommands have are in :mod:`~mmhmc.cli.arguments`.

No module imports anything but the standard library before a subcommand runs,
so ``mmhmc --help`` is quick.
"""
import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from mmhmc.version import __version__
from . import coding, demo, export, layers, models, runs
from .arguments import complain
from .former_commands import current_command

_GROUPS = (coding, layers, runs, models, demo, export)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command and all its subcommands."""
    parser = argparse.ArgumentParser(
        prog='mmhmc',
        description='Encode images for people and for machines, and train '
        'codecs together with the models of OpenMMLab.')
    parser.add_argument('--version', action='version', version=__version__)
    commands = parser.add_subparsers(
        metavar='COMMAND', dest='command', required=True)
    for group in _GROUPS:
        group.add_commands(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments after the program's name, or None for the process's.

    Returns:
        Exit status: 0 if all is well, 1 if something failed, 130 if it was
        stopped, 141 if nobody reads its output. Wrong arguments raise
        ``SystemExit`` with 2.
    """
    own_process = argv is None
    given = current_command(sys.argv[1:] if own_process else list(argv))
    args = build_parser().parse_args(given)
    if own_process:
        from mmhmc.machine import tune_cpu
        tune_cpu()
    return _run(args)


def run_tool(*command: str) -> NoReturn:
    """Be a tool in the form of the hosts: run a subcommand, and exit.

    Args:
        command: Subcommand; the arguments of the process follow it.
    """
    sys.argv[1:1] = command
    sys.exit(main())


def _run(args: argparse.Namespace) -> int:
    """Turn errors that a user can repair, and Ctrl-C, into one line."""
    from mmhmc.apis.command import EXPECTED, is_told, told
    try:
        status = args.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # What reads the output, such as `head`, has enough of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        complain(args, f'stopped. {args.stopped}')
        return 130
    except EXPECTED as error:
        if not is_told(error, args.long):
            raise
        complain(args, told(error))
        return 1
