"""How much faster two processes code than one.

    python dev/benchmarks/coding_processes.py CONFIG [--jobs 2]

Runs the coding stage of a benchmark config in temporary folders, with one
process and with several in turns, and prints seconds and ratios, the start of
the processes included. On two threads of one core there is less to gain than
on two cores: `--floor` also times arithmetic that nothing shares, which is as
much as any program could gain.
"""
import argparse
import multiprocessing
import tempfile
import time

from mmhmc.apis.command import run_tool
from mmhmc.machine import tune_cpu

tune_cpu()  # before torch is loaded

from mmhmc.apis.benchmark import read_plan, run_benchmark  # noqa: E402


def coding_seconds(config: str, jobs: int) -> float:
    """Of the coding stage, once."""
    with tempfile.TemporaryDirectory() as folder:
        plan = read_plan(config, {'tasks': None, 'complexity': None}, folder)
        start = time.perf_counter()
        outcome = run_benchmark(plan, jobs=jobs)
        seconds = time.perf_counter() - start
    if outcome.failures:
        raise SystemExit(f'It failed: {outcome.failures[0]["error"]}')
    return seconds


def count(number: int) -> int:
    """Arithmetic that needs no memory."""
    total = 0
    for i in range(number):
        total += i * i
    return total


def floor(jobs: int, number: int = 30_000_000) -> float:
    """Gain of several processes that share nothing."""
    with multiprocessing.get_context('spawn').Pool(jobs) as pool:
        pool.map(count, [1] * jobs)
        start = time.perf_counter()
        count(number)
        one = time.perf_counter() - start
        start = time.perf_counter()
        pool.map(count, [number] * jobs)
        return jobs * one / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='benchmark config')
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--runs', type=int, default=2)
    parser.add_argument('--floor', action='store_true')
    args = parser.parse_args()
    best = {1: float('inf'), args.jobs: float('inf')}
    for _ in range(args.runs):
        for jobs in best:
            seconds = coding_seconds(args.config, jobs)
            print(f'{jobs} processes: {seconds:.1f} s', flush=True)
            best[jobs] = min(best[jobs], seconds)
    print(f'{args.jobs} processes are {best[1] / best[args.jobs]:.2f} times '
          'as fast as one')
    if args.floor:
        print(f'arithmetic alone: {floor(args.jobs):.2f} times')


if __name__ == '__main__':
    run_tool(main)
