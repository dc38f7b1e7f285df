"""Errors of the command and the tools, reported in one line."""
import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from zipfile import BadZipFile

#: Errors that a user can repair; they need no traceback.
EXPECTED = (OSError, ValueError, RuntimeError, ImportError, BadZipFile)
_PACKAGE = str(Path(__file__).parents[1])


def tool_parser(text: str) -> argparse.ArgumentParser:
    """Parser of a tool; ``text`` is the one at the head of its file."""
    return argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter)


def run_tool(main: Callable[[], int | None], long: bool = False) -> NoReturn:
    """Call a tool and exit.

    An error of :data:`EXPECTED` becomes a line on stderr and status 1, an
    interrupt a line and status 130. Other errors keep their traceback.

    Args:
        main: The tool; gives its status, None for 0.
        long: See :func:`is_told`.
    """
    try:
        status = main()
    except KeyboardInterrupt:
        print('Stopped.', file=sys.stderr)
        sys.exit(130)
    except EXPECTED as error:
        if not is_told(error, long):
            raise
        sys.exit(f'{type(error).__name__}: {told(error)}')
    sys.exit(status)


def is_told(error: BaseException, long: bool) -> bool:
    """Whether an error of :data:`EXPECTED` is told in one line.

    Args:
        error: The error.
        long: Whether the code of others has run for long, as in training:
            then an error keeps its traceback unless a file, a package that
            is missing, or this package has raised it.
    """
    return not long or isinstance(
        error, (OSError, ModuleNotFoundError)) or _is_ours(error)


def told(error: BaseException) -> str:
    """Message of an error, without the traceback that loaders put into it.

    Python's own message about a package that is missing gets its cure.
    """
    text = str(error).strip() or type(error).__name__
    if isinstance(error, ModuleNotFoundError) and text.startswith('No module'):
        package = str(error.name).partition('.')[0]
        return (f'this needs {package}, which is not installed. `mmhmc '
                'doctor` says how to get it.')
    if 'Traceback (most recent call last)' in text:
        # The last line, and what follows it.
        _, _, text = text.splitlines()[-1].partition(': ')
    return text


def _is_ours(error: BaseException) -> bool:
    """Whether this package has raised it, here or in a loader's process."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    places = [line for line in str(error).splitlines() if '  File "' in line]
    last = places[-1] if places else trace.tb_frame.f_code.co_filename
    return _PACKAGE in last
