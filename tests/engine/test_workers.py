"""Work in several processes: results, errors, deaths."""
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from mmhmc.engine.workers import work


@pytest.fixture
def children():
    """Processes that tests before this one have left."""
    return set(multiprocessing.active_children())


def build(folder, offset):
    """A worker that leaves its process's number, and dies of `None`."""
    Path(folder, str(os.getpid())).touch()

    def add(task):
        if task is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return task + offset

    return add


def refuse():
    raise ValueError('this worker cannot be built')


def test_one_job_works_in_this_process_and_in_order(tmp_path):
    results = work(partial(build, tmp_path, 10), [3, 1, 2], jobs=1)
    assert list(results) == [13, 11, 12]
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]


def test_nothing_is_built_for_no_tasks():
    assert list(work(refuse, [], jobs=2)) == []


@pytest.mark.parametrize('jobs', [1, 2])
def test_what_cannot_be_built_is_said_before_processes_start(jobs, children):
    with pytest.raises(ValueError, match='cannot be built'):
        list(work(refuse, [1, 2], jobs))
    assert set(multiprocessing.active_children()) <= children


def test_killed_worker_loses_no_finished_result_and_ends_the_rest(
        tmp_path, children):
    interrupts = signal.getsignal(signal.SIGINT)
    results = work(partial(build, tmp_path, 10), [1, 2, 3, None, 4], jobs=2)
    seen = []
    with pytest.raises(RuntimeError, match='ended early.* of 5 files are fin'):
        seen += [next(results)]
        for result in results:
            seen.append(result)
    assert set(seen) <= {11, 12, 13, 14}
    assert set(multiprocessing.active_children()) <= children
    # The parent's interrupts are as they were.
    assert signal.getsignal(signal.SIGINT) is interrupts


def test_interrupt_while_processes_start_is_not_lost(tmp_path, monkeypatch,
                                                     children):
    submit = ProcessPoolExecutor.submit

    def interrupted(*args):
        os.kill(os.getpid(), signal.SIGINT)
        return submit(*args)

    monkeypatch.setattr(ProcessPoolExecutor, 'submit', interrupted)
    # What runs in the background of a shell may ignore interrupts.
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(work(partial(build, tmp_path, 10), [1, 2], jobs=2))
    finally:
        signal.signal(signal.SIGINT, old)
    assert set(multiprocessing.active_children()) <= children


def test_closing_early_leaves_no_process(tmp_path, children):
    results = work(partial(build, tmp_path, 0), list(range(50)), jobs=2)
    next(results)
    results.close()
    assert set(multiprocessing.active_children()) <= children
    assert str(os.getpid()) in {path.name for path in tmp_path.iterdir()}
    assert len(list(tmp_path.iterdir())) > 1


def test_task_that_kills_its_process_is_told_of_and_the_rest_goes_on(
        tmp_path, children):
    results = work(
        partial(build, tmp_path, 10), [1, 2, None, 3, None, 4],
        jobs=2,
        lost=lambda task: 'lost')
    assert sorted(results, key=str) == [11, 12, 13, 14, 'lost', 'lost']
    assert set(multiprocessing.active_children()) <= children


def test_one_job_apart_has_a_process_of_its_own(tmp_path):
    results = work(partial(build, tmp_path, 10), [1, 2], jobs=1, apart=True)
    assert list(results) == [11, 12]
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == 2 and str(os.getpid()) in names
