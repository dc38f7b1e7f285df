"""Try every family of the installed hosts, bare and behind a codec.

`python dev/host_matrix.py --resume` goes over one config of each family, the
smallest by its name: one training step and one prediction on small random
images, of the bare host and with a codec mixed in. Each family has a process
of its own, so one that crashes or hangs is a row of the table.
"""
import argparse
import csv
import io
import json
import multiprocessing as mp
import os
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

from host_trials import configs_of, try_family

from mmhmc.apis.command import run_tool
from mmhmc.machine import tune_cpu
from mmhmc.whole_files import write_whole

HOSTS = ('mmdet', 'mmseg', 'mmpretrain')
_COLUMNS = ('host', 'family', 'config', 'bare_train', 'bare_predict', 'train',
            'predict', 'gradient', 'reason')
_PAGE = """# Hosts behind a codec

Which models of mmdet, mmseg and mmpretrain work with a codec in front of them?
`dev/host_matrix.py` tries one config of each family, the smallest by its name,
without pretrained weights, on two small random images. It trains for one step
and predicts once, without a codec ("bare") and with `mix_codec` and a small
mean-scale hyperprior. A family that does not run bare lacks a package, data or
a GPU.

[`{csv}`]({csv}) has a row for each family, with the reason where a
step failed.
"""


def parse_args() -> argparse.Namespace:
    """What to try and where to write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--hosts', nargs='+', default=HOSTS, choices=HOSTS)
    parser.add_argument(
        '--families', nargs='+', help='only these, e.g. mmdet/retinanet')
    parser.add_argument('--out', default='docs/host_matrix.md')
    parser.add_argument(
        '--results',
        default='work_dirs/host_matrix.jsonl',
        help='one line for each family, written as soon as it is known')
    parser.add_argument(
        '--resume', action='store_true', help='keep what is in --results')
    parser.add_argument(
        '--limit', type=float, default=300, help='seconds for a family')
    parser.add_argument('--jobs', type=int, default=1, help='processes')
    return parser.parse_args()


def main() -> None:
    """Try all families and write the table."""
    args = parse_args()
    hosts = [h for h in args.hosts if find_spec(h) is not None]
    results = Path(args.results)
    results.parent.mkdir(parents=True, exist_ok=True)
    if not args.resume:
        results.unlink(missing_ok=True)
    rows = read_rows(results)
    todo = [
        family for family in families(hosts)
        if '/'.join(family) not in rows and (
            args.families is None or '/'.join(family) in args.families)
    ]
    _import_hosts(hosts)
    with results.open('a') as file:
        for row in _in_processes(todo, args.jobs, args.limit):
            rows[f'{row["host"]}/{row["family"]}'] = row
            file.write(json.dumps(row) + '\n')
            file.flush()
    out, found = Path(args.out), sorted(rows.values(), key=_place)
    write_whole(out, page(found, f'{out.stem}.csv').encode())
    write_csv(found, out.with_suffix('.csv'))


def families(hosts: list[str]) -> list[tuple[str, str]]:
    """Folders of configs of the hosts."""
    return [(host, folder.name) for host in hosts
            for folder in sorted(configs_of(host).iterdir())
            if folder.is_dir() and not folder.name.startswith('_')]


def read_rows(results: Path) -> dict[str, dict]:
    """Rows of an earlier run by family."""
    lines = results.read_text().splitlines() if results.exists() else []
    rows = [json.loads(line) for line in lines]
    return {f'{row["host"]}/{row["family"]}': row for row in rows}


def _place(row: dict) -> tuple:
    return HOSTS.index(row['host']), row['family']


def _import_hosts(hosts: list[str]) -> None:
    """Import what all children need; they are forked from here."""
    import compressai  # noqa: F401
    import torch
    torch.set_num_threads(1)
    for host in hosts:
        import_module(f'{host}.utils').register_all_modules(
            init_default_scope=False)


def _in_processes(todo: list, jobs: int, limit: float) -> Iterator[dict]:
    """Rows of all families, a child process for each."""
    from rich.progress import Progress
    context, running, waiting = mp.get_context('fork'), [], list(todo)
    with Progress(disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task('families', total=len(todo))
        while waiting or running:
            while waiting and len(running) < jobs:
                family = waiting.pop(0)
                progress.update(task, description='/'.join(family))
                ours, theirs = context.Pipe(False)
                child = context.Process(target=_child, args=(family, theirs))
                child.start()
                theirs.close()
                running.append((family, child, ours, time.monotonic()))
            time.sleep(0.1)
            for one in list(running):
                row = _finished(*one, limit)
                if row is not None:
                    running.remove(one)
                    progress.advance(task)
                    yield row


def _finished(family: tuple, child, pipe, start: float,
              limit: float) -> Optional[dict]:
    """Row of a child that has ended, or has had its time."""
    row = dict(host=family[0], family=family[1], config='')
    late = time.monotonic() - start > limit
    if child.is_alive() and not pipe.poll() and not late:
        return None
    # A child tells what it knows after every step; the last is the most.
    try:
        while pipe.poll():
            row = pipe.recv()
            if row.pop('done', False):
                late = False
                child.join(5)
                break
        else:
            if child.is_alive() and not late:
                _partial[family] = row
                return None
    except EOFError:
        pass
    row = row if row['config'] else _partial.get(family, row)
    row.pop('done', None)
    if child.is_alive():
        child.kill()
        child.join()
    if not row.pop('finished', False):
        row['reason'] = f'no answer in {limit:.0f} s' if late else \
            f'process ended with {child.exitcode}'
    return row


#: What children have told so far.
_partial: dict[tuple, dict] = {}


def _child(family: tuple, pipe) -> None:
    sys.stdout = sys.stderr = open(os.devnull, 'w')
    row = dict(host=family[0], family=family[1], config='')

    def tell(**known) -> None:
        row.update(known)
        pipe.send(dict(row))

    try_family(*family, tell)
    pipe.send(dict(row, finished=True, done=True))


def page(rows: list[dict], csv_name: str) -> str:
    """The page with the counts; the rows are in the CSV file beside it."""
    runs = [r for r in rows if r.get('bare_train') or r.get('bare_predict')]
    works = [r for r in runs if _as_bare(r)]
    refused = [f'{r["host"]}/{r["family"]}' for r in runs if r not in works]
    lines = [
        _PAGE.format(csv=csv_name),
        '| host | families | run bare | run behind a codec as they do bare | '
        'the codec gets a gradient |', '|---|---:|---:|---:|---:|'
    ]
    for host in (*HOSTS, 'all'):
        of_host = [r for r in rows if host in (r['host'], 'all')]
        if of_host:
            lines.append(_counts(host, of_host))
    told = ', '.join(refused) or 'none'
    lines += ['', f'Run bare, but not behind a codec: {told}.', '']
    return '\n'.join(lines)


def _counts(name: str, rows: list[dict]) -> str:
    runs = [r for r in rows if r.get('bare_train') or r.get('bare_predict')]
    works = sum(map(_as_bare, runs))
    trains = [r for r in runs if r.get('bare_train')]
    gradient = sum(bool(r.get('gradient')) for r in trains)
    share = 100 * works / max(1, len(runs))
    return (f'| {name} | {len(rows)} | {len(runs)} | {works} ({share:.0f} %) '
            f'| {gradient} of {len(trains)} that train bare |')


def write_csv(rows: list[dict], out: str | Path) -> None:
    """Write all rows; a step that was not tried is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator='\n')
    writer.writeheader()
    for row in rows:
        writer.writerow({
            **{
                key: _cell(row.get(key))
                for key in _COLUMNS
            }, 'config': Path(row['config']).stem
        })
    write_whole(out, text.getvalue().encode())


def _cell(value: bool | str | None) -> str:
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    return value or ''


def _as_bare(row: dict) -> bool:
    return (bool(row.get('train')) >= bool(row.get('bare_train'))
            and bool(row.get('predict')) >= bool(row.get('bare_predict')))


if __name__ == '__main__':
    tune_cpu()
    run_tool(main)
