"""The same work on many tasks, in this process or in several."""
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, Optional

import torch

from .cpu import tune_cpu

# Of a worker process: what it does to each task.
_worker: Optional[Callable[[Any], Any]] = None


def work(build: Callable[[], Callable[[Any], Any]], tasks: Sequence,
         jobs: int) -> Iterator[Any]:
    """Do the work, and give each result as soon as it is there.

    What is interrupted, in this process or by the end of a worker, loses the
    tasks in work and no finished result; nothing is left running.

    Args:
        build: Makes the worker, a function of a task, once in each process;
            to be pickled if there are several, with tasks and results.
        tasks: What is to be done.
        jobs: Processes, with one thread of torch each; with 1, this process.

    Raises:
        RuntimeError: If a worker process has ended early, after the results
            of all that had finished.
    """
    if not tasks:
        return
    # Also in front of processes: what does not fit is said once, here.
    worker = build()
    if jobs == 1:
        yield from map(worker, tasks)
        return
    del worker
    yield from _work_in_processes(build, tasks, min(jobs, len(tasks)))


def _work_in_processes(build: Callable, tasks: Sequence,
                       jobs: int) -> Iterator[Any]:
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        jobs,
        # A fork of a process with threads may wait for them for ever.
        multiprocessing.get_context('spawn'),
        initializer=_start_worker,
        initargs=(build, ))
    count, broken = 0, False
    try:
        with _workers_ignore_interrupts():
            futures = [pool.submit(_do, task) for task in tasks]
        for future in as_completed(futures):
            try:
                result = future.result()
            except BrokenProcessPool:
                broken = True
                continue
            count += 1
            yield result
    except BrokenProcessPool:
        broken = True
    finally:
        # Whatever ends this early: do not wait for tasks in work.
        if count < len(tasks):
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
        pool.shutdown(cancel_futures=True)
    if broken:
        raise RuntimeError(
            'A worker process has ended early, perhaps for lack of memory; '
            f'{count} of {len(tasks)} files are finished and stay. Give the '
            'same command again, with fewer --jobs.')


@contextmanager
def _workers_ignore_interrupts() -> Iterator[None]:
    """Ctrl-C reaches a whole process group; this process answers for all.

    What is ignored while a process starts, it ignores from the beginning.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)


def _start_worker(build: Callable) -> None:
    global _worker
    # Without its parent, a worker would wait for tasks for ever.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tune_cpu()
    torch.set_num_threads(1)
    _worker = build()


def _end_with_parent() -> None:
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _do(task: Any) -> Any:
    return _worker(task)
