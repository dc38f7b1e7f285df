"""Write tables of results into pages, from the weights alone.

A page says where. Between

    <!-- results: CONFIG KIND [anchor=CODEC] [DATASET/METRIC ...] -->
    <!-- end of results -->

stands what the benchmark CONFIG finds, on these data sets by these metrics, or
on all by all. KIND is `points` (rate and quality of each), `deltas` (BD-rates
with intervals, those of published curves too) or `summary` (BD-rates alone),
against the anchor of CONFIG or another codec. Or it is `tests`, and CONFIG
lists models that are tested (`mmhmc.apis.tested_models`). What was made under
the same settings is kept.
"""
import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from mmhmc.apis.command import run_tool
from mmhmc.machine import tune_cpu

BLOCK = re.compile(
    r'(?P<begin><!-- results: (?P<config>\S+) (?P<kind>\w+)'
    r'(?: anchor=(?P<anchor>\S+))?(?P<columns>(?: \S+)*) -->\n)'
    r'.*?(?P<end><!-- end of results -->)', re.DOTALL)
KINDS = ('points', 'deltas', 'summary', 'tests')
#: Data set and metric of each.
Columns = list[tuple[str, str]]
#: Resamples of the images for an interval.
NUM_SAMPLES = 1000


def main(argv=None) -> None:
    """Run what the pages name, and write it into them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('pages', nargs='+', type=Path, help='Markdown files')
    parser.add_argument(
        '--config', help='only the tables of this benchmark config')
    parser.add_argument(
        '--check',
        action='store_true',
        help='change nothing; status 1 if a table is another one')
    parser.add_argument(
        '--jobs', type=int, default=1, help='processes (default: 1)')
    args = parser.parse_args(argv)
    if argv is None:
        tune_cpu()
    from mmhmc.datasets import write_whole
    tables, stale = {}, []

    def table_of(match: re.Match) -> str:
        config, kind = match['config'], match['kind']
        if args.config not in (None, config):
            return match[0]
        if kind not in KINDS:
            sys.exit(f'There is no kind {kind!r} of tables; there are '
                     f'{", ".join(KINDS)}.')
        if config not in tables:
            tables[config] = make_tables(config, args.jobs, kind == 'tests')
        if kind not in tables[config]:
            raise ValueError(f'{config} has no tables of kind {kind!r}, but '
                             f'{", ".join(tables[config])}.')
        columns = [tuple(c.split('/', 1)) for c in match['columns'].split()]
        table = tables[config][kind](columns, match['anchor'])
        return f'{match["begin"]}\n{table}\n{match["end"]}'

    try:
        for page in args.pages:
            text = page.read_text()
            new, count = BLOCK.subn(table_of, text)
            if not count:
                sys.exit(f'{page} has no `<!-- results: CONFIG KIND -->`.')
            if new != text:
                stale.append(str(page))
                if not args.check:
                    write_whole(page, new.encode())
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print('Changed: ' + ', '.join(stale) if stale else 'Nothing changed.')
    if args.check and stale:
        sys.exit(1)


def make_tables(
        config: str, jobs: int,
        tests: bool) -> dict[str, Callable[[Columns, Optional[str]], str]]:
    """The tables of a benchmark, by their kind, of columns or of all.

    Each takes columns, and an anchor or None for that of the benchmark.

    With ``tests`` the one of tested models, which has its own columns.

    Raises:
        RuntimeError: If a part of the benchmark failed.
    """
    if tests:
        from mmhmc.apis.tested_models import tabulate_tests
        table = tabulate_tests(config).to_markdown()
        return dict(tests=lambda columns, anchor: table)
    from mmhmc.apis.benchmark import load_plan, run_benchmark
    from mmhmc.evaluation import all_columns, read_results
    from mmhmc.visualization import benchmark_table, point_table
    plan = load_plan(config)
    outcome = run_benchmark(plan, True, jobs)
    if outcome.failures:
        raise RuntimeError(f'{len(outcome.failures)} parts of {config} '
                           f'failed, first: {outcome.failures[0]["error"]}')
    results = read_results(outcome.path)

    def checked(columns: Columns) -> Columns:
        there = all_columns(results)
        for column in columns:
            if column not in there:
                raise ValueError(
                    f'{config} does not measure {"/".join(column)}; it has '
                    f'{", ".join(map("/".join, there))}.')
        return columns or there

    def checked_anchor(anchor: Optional[str]) -> str:
        anchor = anchor or plan.anchor or plan.rows[0]
        if anchor not in plan.rows:
            raise ValueError(f'{config} has no codec {anchor!r}; it has '
                             f'{", ".join(plan.rows)}.')
        return anchor

    return dict(
        points=lambda columns, anchor: point_table(results, checked(columns)
                                                   ).to_markdown(),
        deltas=lambda columns, anchor: _deltas(results, checked_anchor(
            anchor), checked(columns), plan.published),
        summary=lambda columns, anchor: benchmark_table(
            results, checked(columns), anchor=checked_anchor(anchor)).
        to_markdown())


def _deltas(results, anchor: str, columns: Columns,
            published: tuple[str, ...]) -> str:
    """Table with intervals; data sets that a codec did not code are left out.

    What was coded and cannot be compared keeps its row, with dashes.
    """
    from mmhmc.evaluation import compare_codecs, compare_published
    from mmhmc.visualization import delta_table
    coded = {(row['codec'], row['dataset'])
             for row in (*results.coded, *results.tasks)}
    compared = compare_codecs(results, anchor, columns, NUM_SAMPLES)
    return delta_table([
        *(c for c in compared if (c.codec, c.column[0]) in coded),
        *compare_published(results, anchor, columns, published)
    ]).to_markdown()


if __name__ == '__main__':
    run_tool(main)
