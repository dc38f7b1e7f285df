"""Curves, Bjøntegaard deltas and the page, from a results file or without.

    python tools/analysis_tools/rate_curves.py work_dirs/mine/results.jsonl
    python tools/analysis_tools/rate_curves.py results.jsonl \\
        --anchor HEVC --published HM VTM --columns kodak/psnr --out figures
    python tools/analysis_tools/rate_curves.py --published HM VTM balle2018 \\
        --anchor HM --first 4

The first writes everything beside the results; the last needs none, and
compares published curves with each other over their four lowest rates.
"""
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmhmc.apis.benchmark import report_results
from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.cli.arguments import add_output, keep_existing
from mmhmc.evaluation import (Comparison, RateCurve, all_columns,
                              compare_curves, list_published, published_curve,
                              published_uncompressed, read_results)
from mmhmc.visualization import delta_table, doubt_table, draw_curves

Column = tuple[str, str]


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw every column and compare; of results, write the rest too."""
    parser = tool_parser(__doc__)
    parser.add_argument('results', nargs='?', type=Path, help='JSON lines')
    parser.add_argument(
        '--anchor', help='curve compared with; HEVC, or HM '
        'without results')
    parser.add_argument(
        '--columns',
        nargs='+',
        metavar='DATASET/METRIC',
        help='all of the results if left out, or kodak/psnr without results')
    parser.add_argument(
        '--published',
        nargs='+',
        default=[],
        metavar='NAME',
        help='published curves to draw and compare; one of ' +
        ', '.join(dict.fromkeys(e['name'] for e in list_published())))
    parser.add_argument(
        '--first',
        type=int,
        help='points of the lowest rates that count, of published curves')
    parser.add_argument(
        '--samples',
        type=int,
        default=1000,
        help='resamples of the images for each interval; 0 for none')
    parser.add_argument('--log-rate', action='store_true')
    add_output(
        parser,
        'DIR',
        'folder; if left out beside the results, or `rate_curves`, where an '
        'earlier report is replaced',
        dest='out')
    args = parser.parse_args(arguments)
    if args.results and args.first is not None:
        parser.error('--first is for published curves without results, whose '
                     'points a benchmark did not choose')
    try:
        if args.results:
            out = Path(args.out or args.results.parent)
            columns = read_columns(args.columns) if args.columns else \
                all_columns(read_results(args.results))
            if args.out:
                refuse_report(out, columns, args)
            print(
                report_results(args.results, args.anchor or 'HEVC', out,
                               columns, args.published, args.samples,
                               args.log_rate))
        else:
            out = Path(args.out or 'rate_curves')
            columns = read_columns(args.columns or ['kodak/psnr'])
            if args.out:
                refuse_report(out, columns, args)
            print(draw_published(columns, args, out))
    except (FileExistsError, FileNotFoundError, ValueError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'Written to {out}.')


def refuse_report(out: Path, columns: Sequence[Column],
                  args: argparse.Namespace) -> None:
    """Refuse to replace a report in a folder that was named."""
    names = [
        f'{figure_name(c)}.{kind}' for c in columns for kind in ('png', 'svg')
    ]
    if args.results:
        names += 'table.md', 'table.tex', 'report.html'
    keep_existing([out / name for name in names], args.force)


def figure_name(column: Column) -> str:
    """Name of the figure of a column, without its ending."""
    return '_'.join(column).replace('/', '_').replace(':', '_')


def draw_published(columns: Sequence[Column], args: argparse.Namespace,
                   out: Path) -> str:
    """Figures of published curves; their deltas as a table."""
    anchor, comparisons = args.anchor or 'HM', []
    for column in columns:
        curves = curves_in(column, args)
        draw_curves(curves, out / figure_name(column), column[0],
                    published_uncompressed(*column), args.log_rate)
        comparisons += compared(curves, anchor, column[0])
    texts = [f'Against {anchor}:', '', delta_table(comparisons).to_markdown()]
    doubts = doubt_table(comparisons)
    if doubts.rows:
        texts.append(doubts.to_markdown())
    return '\n'.join(texts)


def read_columns(texts: Sequence[str]) -> list[Column]:
    """Data sets and metrics; a metric may have slashes of its own."""
    for text in texts:
        if '/' not in text:
            raise ValueError(f'A column is DATASET/METRIC, such as kodak/psnr '
                             f'or coco_val/coco/bbox_mAP; got {text!r}.')
    return [tuple(text.split('/', 1)) for text in texts]


def curves_in(column: Column, args: argparse.Namespace) -> list[RateCurve]:
    """Published curves, their lowest rates if that is asked for."""
    names = args.published or [
        entry['name'] for entry in list_published()
        if entry['dataset'] == column[0] and column[1] in entry['metrics']
    ]
    curves = [published_curve(name, *column) for name in names]
    if args.first is None:
        return curves
    return [curve.first(args.first) for curve in curves]


def compared(curves: Sequence[RateCurve], anchor: str,
             dataset: str) -> list[Comparison]:
    """Every other published curve against the anchor."""
    named = {curve.name: curve for curve in curves}
    if anchor not in named:
        raise ValueError(f'There is no curve of the anchor {anchor!r} on '
                         f'{dataset!r}, only {", ".join(named)}.')
    return [
        compare_curves(named[anchor], curve, dataset) for curve in curves
        if curve.name != anchor
    ]


if __name__ == '__main__':
    run_tool(main)
