"""Saying how far long work is."""
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

#: Seconds between two lines where there is no terminal to draw on.
_SECONDS = 30


@contextmanager
def progress(name: str, total: int, shown: bool = True) -> Iterator[Callable]:
    """Show progress on stderr.

    A bar on a terminal; elsewhere, as in the log of a job, a line now and
    then.

    Args:
        name: What is being done.
        total: Number of steps.
        shown: False shows nothing, as for all processes but the first.

    Yields:
        To be called after each step.
    """
    if not shown:
        yield lambda: None
    elif sys.stderr.isatty():
        yield from _bar(name, total)
    else:
        yield _lines(name, total)


def _bar(name: str, total: int) -> Iterator[Callable]:
    from rich.console import Console
    from rich.progress import (BarColumn, MofNCompleteColumn, Progress,
                               TextColumn, TimeRemainingColumn)
    columns = (TextColumn('{task.description}'), BarColumn(),
               MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=total)
        yield partial(bar.advance, task)


def _lines(name: str, total: int) -> Callable:
    count, start = 0, time.monotonic()
    last = start

    def advance() -> None:
        nonlocal count, last
        count += 1
        now = time.monotonic()
        if now - last >= _SECONDS:
            last = now
            left = (now - start) / count * (total - count)
            print(
                f'{name}: {count}/{total}, {left / 60:.1f} minutes left',
                file=sys.stderr,
                flush=True)

    return advance
