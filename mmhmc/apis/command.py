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
        long: Whether it runs the code of others for long, as training does:
            then an error that neither a file nor this package has raised
            keeps its traceback, too.
    """
    try:
        status = main()
    except KeyboardInterrupt:
        print('Stopped.', file=sys.stderr)
        sys.exit(130)
    except EXPECTED as error:
        if long and not (isinstance(error, OSError) or _is_ours(error)):
            raise
        sys.exit(f'{type(error).__name__}: {told(error)}')
    sys.exit(status)


def told(error: BaseException) -> str:
    """Message of an error, without the traceback that loaders put into it."""
    text = str(error).strip() or type(error).__name__
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
