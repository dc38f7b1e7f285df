"""One function on many tasks, in this process or in several."""
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any

import torch

from mmhmc.machine import tune_cpu

# The function that a worker process calls on each task.
_worker: Callable[[Any], Any] | None = None


def work(build: Callable[[], Callable[[Any], Any]],
         tasks: Sequence,
         jobs: int,
         apart: bool = False,
         lost: Callable[[Any], Any] | None = None) -> Iterator[Any]:
    """Call a function on each task, and yield results as they come.

    An interrupt, or the end of a worker, loses the tasks that are running and
    no finished result. No process is left running.

    Args:
        build: Makes the worker, a function of a task, once in each process;
            to be pickled if there are several, with tasks and results.
        tasks: What is to be done.
        jobs: Processes, with one thread of torch each; with 1, this process.
        apart: Whether one job gets a process of its own, too, which shares
            no process group.
        lost: Result of a task that ends its process, e.g. for lack of memory;
            the other tasks go on, one by one. None: that ends the work.

    Returns:
        Results in the order in which they are ready, as they come.

    Raises:
        RuntimeError: If a worker process has ended early and ``lost`` is not
            given, after the results of all that had finished.
    """
    if not tasks:
        return
    # Before processes start, too: then a mistake is reported once.
    worker = build()
    if jobs == 1 and not apart:
        yield from map(worker, tasks)
        return
    del worker
    left = list(tasks)
    yield from _work_in_processes(build, left, min(jobs, len(tasks)))
    if not left:
        return
    if lost is None:
        raise RuntimeError(
            'A worker process has ended early, perhaps for lack of memory; '
            f'{len(tasks) - len(left)} of {len(tasks)} files are finished and '
            'stay. Give the same command again, with fewer --jobs.')
    for task in left:
        alone = [task]
        yield from _work_in_processes(build, alone, 1)
        if alone:
            yield lost(task)


def _work_in_processes(build: Callable, tasks: list,
                       jobs: int) -> Iterator[Any]:
    """Do the work in processes; finished tasks are removed from ``tasks``.

    That is all of them, unless a process ends early.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        jobs,
        # A fork of a process with threads may wait for them for ever.
        multiprocessing.get_context('spawn'),
        initializer=_start_worker,
        initargs=(build, ))
    waiting = {}
    try:
        with _workers_ignore_interrupts():
            for number, task in enumerate(tasks):
                waiting[pool.submit(_do, task)] = number
        for future in as_completed(list(waiting)):
            try:
                result = future.result()
            except BrokenProcessPool:
                continue
            del waiting[future]
            yield result
    except BrokenProcessPool:
        # What could not be submitted waits, too.
        waiting.update((object(), n) for n in range(len(waiting), len(tasks)))
    finally:
        # Whatever ends this early: do not wait for tasks in work.
        if waiting:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
        pool.shutdown(cancel_futures=True)
    tasks[:] = [tasks[number] for number in sorted(waiting.values())]


@contextmanager
def _workers_ignore_interrupts() -> Iterator[None]:
    """Ctrl-C reaches a whole process group; this process answers for all.

    What is blocked while a process starts, it blocks from the beginning. What
    comes to this process meanwhile waits: it would be lost if it was ignored.
    """
    if not hasattr(signal, 'pthread_sigmask'):  # Windows inherits none
        yield
        return
    # Its start would end the blocking.
    resource_tracker.ensure_running()
    old = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


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
