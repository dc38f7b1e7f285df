"""Progress of long work, on stderr."""
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

#: Seconds between two lines where there is no terminal to draw on.
_SECONDS = 30


@contextmanager
def progress(name: str, total: int, shown: bool = True) -> Iterator[Callable]:
    """Show the progress of work in steps.

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
    elif not sys.stderr.isatty():
        yield _lines(name, total)
    else:
        from rich.progress import MofNCompleteColumn, TimeRemainingColumn
        with _bar(name, total, MofNCompleteColumn(),
                  TimeRemainingColumn()) as update:
            yield partial(update, advance=1)


@contextmanager
def byte_progress(name: str,
                  total: int,
                  shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show how many bytes are there.

    A bar on a terminal; elsewhere one line to begin with.

    Args:
        name: What is being done.
        total: Bytes of all.
        shown: False shows nothing.

    Yields:
        To be called with the bytes so far.
    """
    if shown and sys.stderr.isatty():
        from rich.progress import DownloadColumn, TransferSpeedColumn
        with _bar(name, total, DownloadColumn(),
                  TransferSpeedColumn()) as update:
            yield lambda size: update(completed=size)
        return
    if shown:
        print(f'{name} ({total / 1e6:.1f} MB)', file=sys.stderr, flush=True)
    yield lambda size: None


@contextmanager
def _bar(name: str, total: int, *columns) -> Iterator[Callable]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    with Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            *columns,
            console=Console(stderr=True)) as bar:
        yield partial(bar.update, bar.add_task(name, total=total))


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
