"""The tables of a benchmark, in the papers' form and in full."""
from collections.abc import Sequence

from mmhmc.evaluation import (BjontegaardDelta, BootstrapInterval, Comparison,
                              Results, all_columns, compare_codecs)
from mmhmc.evaluation.bjontegaard_delta import METHODS
from .curve_plots import axis_label
from .tables import Table

_NOTHING = '–'


def benchmark_table(results: Results,
                    columns: Sequence[tuple[str, str]] | None = None,
                    anchor: str = 'HEVC',
                    comparisons: Sequence[Comparison] | None = None) -> Table:
    """BD-rates against the anchor: a row per codec, a column per benchmark.

    The anchor comes first, with 0. A figure in doubt has a ``*``; where none
    can be computed there is a dash.

    Args:
        results: What the benchmark wrote.
        columns: Data sets and metrics; all if not given.
        anchor: Codec compared with.
        comparisons: What :func:`~mmhmc.evaluation.compare_codecs` gave for
            these columns; computed if not given.

    Raises:
        ValueError: If the anchor is not in the results.
    """
    columns = all_columns(results) if columns is None else columns
    if comparisons is None:
        comparisons = compare_codecs(results, anchor, columns)
    found = {(c.codec, c.column): c for c in comparisons}
    rows = [[anchor] + [
        '0.00 %' if _has_curve(results, anchor, column) else _NOTHING
        for column in columns
    ]]
    for codec in results.codecs:
        if codec != anchor:
            rows.append([codec] + [
                _bd_rate_text(found.get((codec, column)))
                for column in map(tuple, columns)
            ])
    header = ['Codec'] + [
        f'{dataset}, {axis_label(metric)}' for dataset, metric in columns
    ]
    return Table(
        header, rows, f'BD-rate against {anchor}; negative is a saving. '
        'Cubic where no other method is named. *: in doubt.')


def delta_table(comparisons: Sequence[Comparison]) -> Table:
    """Every delta, with the figures that tell how far to trust it.

    First comes the figure of the method that fits the curves, see
    :attr:`~mmhmc.evaluation.Comparison.method`; it is named unless it is the
    cubic. The interval and the mark of doubt belong to it. Then come the
    figures of every method, each with a ``*`` if it is in doubt. Behind an
    interval stands the share of the resamples that have no delta; where that
    is more than 5 %, the BD-quality has its interval, too.

    Args:
        comparisons: What :func:`~mmhmc.evaluation.compare_codecs` gave.
    """
    level = next((f'{100 * i.level:g} % interval' for c in comparisons
                  for i in (c.interval, c.quality_interval) if i), 'Interval')
    return Table([
        'Codec', 'Data set', 'Metric', 'BD-rate', f'{level} over images',
        'In doubt', 'Overlap in quality', 'BD-quality', *METHODS
    ], [_delta_row(c) for c in comparisons])


def doubt_table(comparisons: Sequence[Comparison]) -> Table:
    """Reasons for which a delta is in doubt, by any method, or missing.

    Args:
        comparisons: What :func:`~mmhmc.evaluation.compare_codecs` gave.
    """
    return Table(['Codec', 'Data set', 'Metric', 'What'],
                 [[c.codec, c.column[0],
                   axis_label(c.column[1]), text] for c in comparisons
                  for text in dict.fromkeys((*(flag
                                               for delta in c.rate.values()
                                               for flag in delta.flags),
                                             *c.flags, *c.refusals))])


def point_table(results: Results,
                columns: Sequence[tuple[str, str]] | None = None) -> Table:
    """Rate and quality of every point.

    Args:
        results: What the benchmark wrote.
        columns: Data sets and metrics; all if not given.
    """
    rows = []
    for dataset, metric in columns or all_columns(results):
        uncompressed = results.uncompressed(dataset, metric)
        if uncompressed is not None:
            rows.append([
                'Uncompressed', '', dataset,
                axis_label(metric), _NOTHING, f'{uncompressed:.4f}'
            ])
        for codec in results.codecs:
            try:
                curve = results.curve(codec, dataset, metric)
            except ValueError:  # said in the table of the deltas
                continue
            rows += [[
                codec, label, dataset,
                axis_label(metric), f'{bpp:.4f}', f'{quality:.4f}'
            ] for label, bpp, quality in zip(curve.labels, curve.bpp,
                                             curve.quality)]
    return Table(
        ['Codec', 'Point', 'Data set', 'Metric', 'Rate (bpp)', 'Quality'],
        rows)


def complexity_table(results: Results) -> Table:
    """Costs of coding, and of hosts on uncompressed images.

    Parameters, operations, time and memory.

    Args:
        results: What the benchmark wrote.
    """
    parts = list(
        dict.fromkeys(
            part for row in results.complexity
            for part in row.get('kmac') or {}))
    rows = [[
        row['codec'], row['point'],
        _number(row.get('parameters'), 0), *(_number(
            (row.get('kmac') or {}).get(part), 2) for part in parts),
        *(_number(row.get(key), 1)
          for key in ('encode_ms', 'decode_ms', 'peak_mib')), _NOTHING
    ] for row in results.complexity]
    rows += [[
        f'host of {row["task"]}', *[_NOTHING] * (len(parts) + 5),
        _number(row['kmac'], 2)
    ] for row in results.tasks if row['codec'] is None and 'kmac' in row]
    return Table([
        'Codec', 'Point', 'Parameters', *(f'KMAC per pixel, {part}'
                                          for part in parts), 'Encode (ms)',
        'Decode (ms)', 'Peak memory (MiB)', 'KMAC per pixel, task'
    ], rows)


def failure_table(results: Results) -> Table:
    """Failures, and points that were left out because images are missing.

    Args:
        results: What the benchmark wrote.
    """
    rows = [[
        str(row.get(key) or _NOTHING) for key in ('codec', 'point', 'dataset')
    ] + [
        str(row.get('task') or row['stage']),
        str(row.get('image') or _NOTHING),
        str(row['error'])
    ] for row in results.failures]
    rows += [[
        codec, point, dataset, 'coding', _NOTHING,
        f'{missing} images are missing; the point is left out.'
    ] for codec, point, dataset, missing in results.incomplete()]
    return Table(
        ['Codec', 'Point', 'Data set', 'Stage or task', 'Image', 'What'], rows)


def _has_curve(results: Results, codec: str, column: tuple[str, str]) -> bool:
    try:
        results.curve(codec, *column)
    except ValueError:
        return False
    return True


def _bd_rate_text(comparison: Comparison | None) -> str:
    """A figure as it stands in the papers' table."""
    if comparison is None:
        return _NOTHING
    return _chosen_text(comparison, ' ({})') + '*' * bool(comparison.flags)


def _chosen_text(comparison: Comparison, named: str) -> str:
    """The BD-rate that counts, with its method if that is not the cubic."""
    method = comparison.method
    if method is None:
        return _NOTHING
    text = _signed(comparison.rate[method].value, ' %')
    return text + named.format(method) * (method != 'cubic')


def _delta_text(delta: BjontegaardDelta | None) -> str:
    """A BD-rate, with a star if it is in doubt."""
    if delta is None:
        return _NOTHING
    return _signed(delta.value, ' %') + '*' * bool(delta.flags)


def _range_text(interval: BootstrapInterval | None,
                unit: str = '',
                digits: int = 2) -> str:
    """The ends of an interval, and the share of resamples without a delta."""
    if interval is None:
        return _NOTHING
    low, high = (
        _signed(end, digits=digits) for end in (interval.low, interval.high))
    text = f'{low} to {high}{unit}'
    if interval.num_refused:
        text += f', {100 * interval.refused_share:.2g} % refused'
    return text


def _delta_row(c: Comparison) -> list[str]:
    best = c.rate.get(c.method)
    overlap = _NOTHING if best is None else (
        f'{best.overlap[0]:.4g} to {best.overlap[1]:.4g} '
        f'({best.overlap_share:.0%})')
    return [
        c.codec, c.column[0],
        axis_label(c.column[1]),
        _chosen_text(c, ', {}'),
        _range_text(c.interval, ' %'), '*' * bool(c.flags), overlap,
        _quality_text(c), *(_delta_text(c.rate.get(m)) for m in METHODS)
    ]


def _quality_text(c: Comparison) -> str:
    """A BD-quality, with its interval where that was asked for."""
    if c.quality_interval is not None:
        value = _signed(c.quality_interval.value, digits=4)
        return f'{value} ({_range_text(c.quality_interval, digits=4)})'
    quality = c.quality.get(c.method or 'cubic')
    return _NOTHING if quality is None else _signed(quality.value, digits=4)


def _signed(value: float, unit: str = '', digits: int = 2) -> str:
    """A number with its sign, which is a real minus."""
    return f'{value:+.{digits}f}{unit}'.replace('-', '−')


def _number(value: float | None, digits: int) -> str:
    """A number with separated thousands; a dash for None."""
    return _NOTHING if value is None else f'{value:,.{digits}f}'
