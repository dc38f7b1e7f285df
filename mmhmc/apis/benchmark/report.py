"""Figures, tables and a page from the results of a benchmark."""
from collections.abc import Sequence
from pathlib import Path

from mmhmc.evaluation import (Results, all_columns, compare_codecs,
                              compare_published, curves_of, read_results)
from mmhmc.visualization import (benchmark_table, delta_table, doubt_table,
                                 draw_curves, write_report)
from mmhmc.whole_files import sha256_of, write_whole
from .plan import Plan
from .run import Outcome

Column = tuple[str, str]


def report_run(plan: Plan, outcome: Outcome) -> str:
    """Write the report of a run, unless there is one of the same results.

    Args:
        plan: The benchmark.
        outcome: Its run.

    Returns:
        Counts, failures, and the tables if they are new.
    """
    lines = [
        f'{outcome.made} results made, {outcome.kept} kept, '
        f'{len(outcome.failures)} failures: {outcome.path}'
    ]
    lines += [
        f'  {failure["output"]}: {failure["error"]}'
        for failure in outcome.failures[:10]
    ]
    page = plan.work_dir / 'report.html'
    # Hash of the results of which there is a report.
    mark = plan.work_dir / 'reported.sha256'
    state = sha256_of(outcome.path)
    if not (page.exists() and mark.exists() and mark.read_text() == state):
        anchor = plan.anchor or plan.rows[0]
        lines.append(
            report_results(outcome.path, anchor, published=plan.published))
        write_whole(mark, state.encode())
    return '\n'.join([*lines, f'Report: {page}'])


def report_results(path: Path,
                   anchor: str,
                   out: Path | None = None,
                   columns: Sequence[Column] | None = None,
                   published: Sequence[str] = (),
                   num_samples: int = 1000,
                   log_rate: bool = False) -> str:
    """Write figures, tables and the page of a benchmark.

    A figure for each data set and metric (PNG and SVG), ``table.md`` and
    ``table.tex`` in the papers' form, and ``report.html``.

    Args:
        path: ``results.jsonl``.
        anchor: Codec that others are compared with.
        out: Folder; that of the results if left out.
        columns: Data sets and metrics; all if left out.
        published: Names of published curves to draw and compare, too.
        num_samples: Resamples of the images for each interval; 0 for none.
        log_rate: Whether figures have a logarithmic rate.

    Returns:
        The tables, to be printed.

    Raises:
        FileNotFoundError: If there are no results.
        ValueError: If they cannot be read, or the anchor is not in them.
    """
    results = read_results(path)
    out = path.parent if out is None else out
    columns = all_columns(results) if columns is None else columns
    for column in columns:
        _draw(results, column, published, out, log_rate)
    comparisons = compare_codecs(results, anchor, columns, num_samples)
    table = benchmark_table(results, columns, anchor, comparisons)
    write_whole(out / 'table.md', table.to_markdown().encode())
    write_whole(out / 'table.tex', table.to_latex().encode())
    write_report(
        results,
        out / 'report.html',
        anchor,
        columns,
        published=published,
        comparisons=comparisons)
    comparisons += compare_published(results, anchor, columns, published)
    texts = [table.to_markdown(), delta_table(comparisons).to_markdown()]
    doubts = doubt_table(comparisons)
    if doubts.rows:
        texts.append(doubts.to_markdown())
    return '\n'.join(texts)


def _draw(results: Results, column: Column, published: Sequence[str],
          out: Path, log_rate: bool) -> None:
    curves = curves_of(results, column, published)
    if curves:
        name = '_'.join(column).replace('/', '_').replace(':', '_')
        draw_curves(curves, out / name, column[0],
                    results.uncompressed(*column), log_rate)
