"""Tables of results in Markdown pages, made by what the pages name."""
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from mmhmc.evaluation import (all_columns, compare_codecs, compare_published,
                              read_results)
from mmhmc.visualization import (Table, benchmark_table, delta_table,
                                 point_table)
from mmhmc.whole_files import write_whole
from .benchmark import read_plan, run_benchmark
from .tested_models import tabulate_tests

KINDS = ('points', 'deltas', 'summary', 'tests')
_BLOCK = re.compile(
    r'(?P<begin><!-- results: (?P<config>\S+) (?P<kind>\w+)'
    r'(?: anchor=(?P<anchor>\S+))?(?P<columns>(?: \S+)*) -->\n)'
    r'.*?(?P<end><!-- end of results -->)', re.DOTALL)
#: Resamples of the images for an interval.
_NUM_SAMPLES = 1000
#: Data set and metric of each column.
Columns = Sequence[tuple[str, str]]


class BenchmarkTables:
    """Tables of one benchmark; what was not measured yet is measured.

    Args:
        config: Benchmark config.
        jobs: Processes.

    Raises:
        RuntimeError: If a part of the benchmark failed.
    """

    def __init__(self, config: str, jobs: int) -> None:
        self.config, self.plan = config, read_plan(config)
        outcome = run_benchmark(self.plan, True, jobs)
        if outcome.failures:
            raise RuntimeError(
                f'{len(outcome.failures)} parts of {config} '
                f'failed, first: {outcome.failures[0]["error"]}')
        self.results = read_results(outcome.path)

    def points(self, columns: Columns, anchor: str | None = None) -> Table:
        """Rate and quality of each point; has no anchor."""
        return point_table(self.results, self._checked(columns))

    def summary(self, columns: Columns, anchor: str | None = None) -> Table:
        """BD-rates against an anchor."""
        return benchmark_table(
            self.results, self._checked(columns), anchor=self._anchor(anchor))

    def deltas(self, columns: Columns, anchor: str | None = None) -> Table:
        """BD-rates with intervals, those of published curves too.

        A data set that a codec did not encode has no row. One that was
        encoded, and where no delta can be computed, has a row of dashes.
        """
        anchor, columns = self._anchor(anchor), self._checked(columns)
        coded = {(row['codec'], row['dataset'])
                 for row in (*self.results.coded, *self.results.tasks)}
        compared = compare_codecs(self.results, anchor, columns, _NUM_SAMPLES)
        return delta_table([
            *(c for c in compared if (c.codec, c.column[0]) in coded),
            *compare_published(self.results, anchor, columns,
                               self.plan.published)
        ])

    def _checked(self, columns: Columns) -> Columns:
        there = all_columns(self.results)
        for column in columns:
            if column not in there:
                raise ValueError(
                    f'{self.config} does not measure {"/".join(column)}; it '
                    f'has {", ".join(map("/".join, there))}.')
        return columns or there

    def _anchor(self, anchor: str | None) -> str:
        anchor = anchor or self.plan.anchor or self.plan.rows[0]
        if anchor not in self.plan.rows:
            raise ValueError(f'{self.config} has no codec {anchor!r}; it has '
                             f'{", ".join(self.plan.rows)}.')
        return anchor


def write_tables(pages: Sequence[Path],
                 config: str | None = None,
                 check: bool = False,
                 jobs: int = 1) -> list[Path]:
    """Write tables into pages, where a page asks for them.

    .. code-block:: none

        <!-- results: CONFIG KIND [anchor=CODEC] [DATASET/METRIC ...] -->
        <!-- end of results -->

    Between these lines goes what the benchmark CONFIG finds. KIND is a method
    of :class:`BenchmarkTables`; or it is ``tests``, and CONFIG lists models
    for :func:`~mmhmc.apis.tested_models.tabulate_tests`.

    Args:
        pages: Markdown files.
        config: Only the tables of this config; None for all.
        check: Whether pages stay as they are.
        jobs: Processes.

    Returns:
        The pages of which a table changed, or would.

    Raises:
        OSError: If a file cannot be read or written.
        RuntimeError: If a part of a benchmark failed.
        ValueError: If a page asks for no table, or for one that is not there.
    """
    tables_of = lru_cache(maxsize=None)(BenchmarkTables)

    @lru_cache(maxsize=None)
    def table(source: str, kind: str, anchor: str | None, columns: str) -> str:
        if kind not in KINDS:
            raise ValueError(f'There is no kind {kind!r} of tables; there are '
                             f'{", ".join(KINDS)}.')
        if kind == 'tests':
            return tabulate_tests(source).to_markdown()
        make = getattr(tables_of(source, jobs), kind)
        pairs = [tuple(column.split('/', 1)) for column in columns.split()]
        return make(pairs, anchor).to_markdown()

    def written(block: re.Match) -> str:
        if config not in (None, block['config']):
            return block[0]
        made = table(*block.group('config', 'kind', 'anchor', 'columns'))
        return f'{block["begin"]}\n{made}\n{block["end"]}'

    changed = []
    for page in pages:
        # Tables may take hours, in which somebody may go on writing.
        _BLOCK.sub(written, page.read_text())
        text = page.read_text()
        new, count = _BLOCK.subn(written, text)
        if not count:
            raise ValueError(f'{page} has no `<!-- results: CONFIG KIND -->`.')
        if new != text:
            changed.append(page)
            if not check:
                write_whole(page, new.encode())
    return changed
