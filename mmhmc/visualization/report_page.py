"""A benchmark as one HTML file that needs neither network nor server."""
import json
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Union

from mmhmc.datasets import read_image
from mmhmc.evaluation import (Comparison, RateCurve, Results, all_columns,
                              compare_codecs, compare_published, curves_of)
from mmhmc.functional import to_pixels
from .coding_images import ERROR_GAIN, draw_error
from .curve_plots import COLOURS, axis_label, draw_curves
from .html_pages import file_uri, write_page
from .result_tables import (benchmark_table, complexity_table, delta_table,
                            doubt_table, failure_table, point_table)
from .tables import Table
from .worst_images import WorstImage, worst_images

Folders = Mapping[str, Union[str, Path]]

_SYMBOLS = ('circle', 'square', 'diamond', 'triangle-down', 'triangle-up',
            'pentagon', 'x', 'star')


def write_report(results: Results,
                 out_file: str | Path,
                 anchor: str = 'HEVC',
                 columns: Sequence[tuple[str, str]] | None = None,
                 num_samples: int = 1000,
                 published: Sequence[str] = (),
                 image_folders: Folders | None = None,
                 comparisons: Sequence[Comparison] | None = None) -> Path:
    """Write a benchmark as one HTML file.

    It holds the curves (interactive where ``plotly`` is installed, else as
    drawings), the table in the papers' form, every delta with its overlap,
    interval and doubts, all points, complexity, failures, the images on
    which each codec does worst, and the settings and versions.

    Args:
        results: What the benchmark wrote.
        out_file: The file; appears when it is complete.
        anchor: Codec compared with.
        columns: Data sets and metrics; all if not given.
        num_samples: Resamples for each interval; 0 leaves them out.
        published: Names of published curves to draw and compare too.
        image_folders: Where the originals of each data set are; the
            ``root`` in the run's settings if not given.
        comparisons: What :func:`~mmhmc.evaluation.compare_codecs` gave for
            these columns; computed if not given.

    Returns:
        ``out_file``.

    Raises:
        ValueError: If the anchor is not in the results.
    """
    columns = [
        *map(tuple,
             all_columns(results) if columns is None else columns)
    ]
    if comparisons is None:
        comparisons = compare_codecs(results, anchor, columns, num_samples)
    comparisons = [
        *comparisons, *compare_published(results, anchor, columns, published)
    ]
    datasets = results.run.get('settings', {}).get('datasets', {})
    folders = image_folders or {
        name: entry['root']
        for name, entry in datasets.items() if 'root' in entry
    }
    plotly = _plotly_script()
    worst = [
        _compared(worst, anchor) for dataset in results.datasets
        if dataset in folders
        for worst in worst_images(results, dataset, anchor, folders[dataset])
    ]
    return write_page(
        'report.html',
        out_file,
        title='Rate-accuracy benchmark',
        note=_summary(results),
        plotly=plotly,
        anchor=anchor,
        bd_rates=benchmark_table(results, columns, anchor, comparisons),
        curves=_curves(results, columns, published, bool(plotly)),
        deltas=delta_table(comparisons),
        doubts=doubt_table(comparisons),
        worst=worst,
        complexity=complexity_table(results),
        failures=failure_table(results),
        num_cut_lines=results.num_cut_lines,
        points=point_table(results),
        versions=Table(
            ('Package', 'Version'),
            [(str(name), str(version))
             for name, version in results.run.get('versions', {}).items()]),
        settings=_settings(results))


def _summary(results: Results) -> str:
    return (f'{len(results.codecs)} codecs ({", ".join(results.codecs)}), '
            f'{len(results.coded)} coded images, {len(results.tasks)} task '
            f'runs, {len(results.failures)} failures; from '
            f'{results.path.name}. Rates are bytes of files over the pixels '
            'of the original images.')


def _settings(results: Results) -> str:
    settings = dict(
        run=results.run.get('settings', {}),
        points={
            f'{row["codec"]}, {row["point"]}': row.get('settings')
            for row in results.points
        })
    return json.dumps(settings, indent=2, ensure_ascii=False)


def _plotly_script() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        return ''
    return get_plotlyjs()


def _curves(results: Results, columns: Sequence[tuple[str, str]],
            published: Sequence[str], interactive: bool) -> list:
    draw = _interactive if interactive else _drawn
    found = [(column, curves_of(results, column, published))
             for column in columns]
    return [
        draw(curves, column[0], results.uncompressed(*column))
        for column, curves in found if curves
    ]


def _interactive(curves: Sequence[RateCurve], dataset: str,
                 uncompressed: float | None) -> dict:
    """Curves that show numbers and can be zoomed, as plotly takes them."""
    traces = [
        dict(
            type='scatter',
            mode='lines+markers',
            name=escape(curve.name),
            x=curve.bpp.tolist(),
            y=curve.quality.tolist(),
            text=[escape(label) for label in curve.labels],
            hovertemplate='%{text}<br>%{x:.4f} bpp<br>%{y:.4f}',
            line=dict(
                color=COLOURS[number % len(COLOURS)],
                dash='dot' if number >= len(COLOURS) else 'solid'),
            marker=dict(symbol=_SYMBOLS[number % len(_SYMBOLS)], size=8))
        for number, curve in enumerate(curves)
    ]
    if uncompressed is not None:
        ends = [min(c.bpp[0] for c in curves), max(c.bpp[-1] for c in curves)]
        traces.append(
            dict(
                type='scatter',
                mode='lines',
                name='Uncompressed',
                x=[float(end) for end in ends],
                y=[uncompressed] * 2,
                line=dict(color='#555', dash='dash')))
    layout = dict(
        title=dict(text=escape(dataset), font=dict(size=14)),
        margin=dict(l=60, r=15, t=45, b=55),
        xaxis=dict(title=dict(text='Rate (bpp)'), rangemode='tozero'),
        yaxis=dict(title=dict(text=escape(axis_label(curves[0].metric)))),
        legend=dict(x=0.99, y=0.02, xanchor='right', yanchor='bottom'),
        hovermode='closest',
        updatemenus=[
            dict(
                type='buttons',
                direction='right',
                x=0,
                y=1.13,
                xanchor='left',
                buttons=[
                    dict(
                        label=label,
                        method='relayout',
                        args=[{
                            'xaxis.type': kind
                        }])
                    for label, kind in (('linear', 'linear'), ('log', 'log'))
                ])
        ])
    return dict(traces=traces, layout=layout)


def _drawn(curves: Sequence[RateCurve], dataset: str,
           uncompressed: float | None) -> str:
    with tempfile.TemporaryDirectory() as folder:
        _, drawing = draw_curves(curves,
                                 Path(folder) / 'c', dataset, uncompressed)
        return file_uri('image/svg+xml', drawing.read_bytes())


def _compared(worst: WorstImage, anchor: str) -> dict:
    """Original, decoded image and error, or why they cannot be shown."""
    title = (f'{worst.codec}, {worst.point}, {worst.dataset}/{worst.image}: '
             f'{worst.bpp:.4f} bpp, {worst.psnr:.2f} dB')
    if worst.gain is not None:
        title += f', {worst.gain:+.2f} dB against {anchor} at equal rate'
    try:
        original, decoded = (
            to_pixels(read_image(path))
            for path in (worst.original, worst.decoded))
        figures = {
            'Original': original,
            'Decoded': decoded,
            f'Absolute error, {ERROR_GAIN} times':
            draw_error(original, decoded)
        }
    except (OSError, ValueError) as error:
        return dict(title=title, figures={}, error=str(error))
    return dict(title=title, figures=figures)
