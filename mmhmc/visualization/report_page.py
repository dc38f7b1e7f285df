"""A benchmark as one HTML file that needs neither network nor server."""
import base64
import html
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional, Union

import numpy as np
from numpy import ndarray
from PIL import Image

from mmhmc.datasets import read_image, write_whole
from mmhmc.evaluation import (Comparison, RateCurve, Results, all_columns,
                              compare_codecs, compare_published, curves_of)
from .curve_plots import COLOURS, axis_label, draw_curves
from .result_tables import (benchmark_table, complexity_table, delta_table,
                            doubt_table, failure_table, point_table)
from .tables import Table
from .worst_images import WorstImage, worst_images

Folders = Mapping[str, Union[str, Path]]

_MAX_SIDE = 480  # pixels of an embedded image
_ERROR_GAIN = 8  # so that an error of 32 of 255 is white
_SYMBOLS = ('circle', 'square', 'diamond', 'triangle-down', 'triangle-up',
            'pentagon', 'x', 'star')
_STYLE = '''
body { font: 15px/1.45 system-ui, sans-serif; color: #1c1c1c;
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.4rem;
  border-bottom: 1px solid #ddd; padding-bottom: .3rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .85rem; margin: .6rem 0 }
caption { text-align: left; color: #555; padding-bottom: .4rem }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e4e4e4;
  text-align: right; vertical-align: top; white-space: nowrap }
th { background: #f4f4f4 }
th:first-child, td:first-child, .text td, .text th { text-align: left }
.text td:last-child { white-space: normal; min-width: 20rem }
.curves { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)) }
.curve { height: 25rem; border: 1px solid #e4e4e4; min-width: 0;
  overflow: hidden }
.curve img { width: 100%; height: 100%; object-fit: contain }
.worst { display: grid; grid-template-columns: repeat(3, 1fr); gap: .4rem;
  margin-bottom: 1.4rem }
.worst h3 { grid-column: 1 / -1; font-size: .95rem; margin: .2rem 0 }
figure { margin: 0 } figure img { width: 100%; background: #eee }
figcaption, .note { color: #555; font-size: .85rem }
pre { background: #f7f7f7; padding: .8rem; overflow-x: auto;
  font-size: .8rem }
@media print { .curve { break-inside: avoid } }
'''


def write_report(results: Results,
                 out_file: Union[str, Path],
                 anchor: str = 'HEVC',
                 columns: Optional[Sequence[tuple[str, str]]] = None,
                 num_samples: int = 1000,
                 published: Sequence[str] = (),
                 image_folders: Optional[Folders] = None,
                 comparisons: Optional[Sequence[Comparison]] = None) -> Path:
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
    folders = image_folders or _folders(results)
    sections = [
        ('BD-rates',
         _table(benchmark_table(results, columns, anchor, comparisons))),
        ('Curves', _curves(results, columns, published)),
        (f'Deltas against {anchor}', _table(delta_table(comparisons))),
        ('Doubts and refusals', _texts(doubt_table(comparisons))),
        ('Worst images', _worst(results, anchor, folders)),
        ('Complexity', _table(complexity_table(results))),
        ('Failures', _failures(results)),
        ('Points', _table(point_table(results))),
        ('Settings and versions', _settings(results)),
    ]
    body = '\n'.join(f'<section><h2>{html.escape(title)}</h2>\n{content}'
                     '</section>' for title, content in sections)
    title = 'Rate-accuracy benchmark'
    page = ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width">'
            f'<title>{title}</title><style>{_STYLE}</style>'
            f'{_plotly_script()}</head>\n<body><h1>{title}</h1>'
            f'<p class="note">{html.escape(_summary(results))}</p>\n{body}\n'
            '</body></html>\n')
    out_file = Path(out_file)
    out_file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out_file, page.encode())
    return out_file


def _summary(results: Results) -> str:
    """One line on what was run."""
    return (f'{len(results.codecs)} codecs ({", ".join(results.codecs)}), '
            f'{len(results.coded)} coded images, {len(results.tasks)} task '
            f'runs, {len(results.failures)} failures; from '
            f'{results.path.name}. Rates are bytes of files over the pixels '
            'of the original images.')


def _folders(results: Results) -> dict[str, str]:
    """Folders of the images, by the settings of the run."""
    datasets = results.run.get('settings', {}).get('datasets', {})
    return {
        name: entry['root']
        for name, entry in datasets.items() if 'root' in entry
    }


def _table(table: Table) -> str:
    """A table that scrolls if it is wide; a word if it is empty."""
    if not table.rows:
        return '<p class="note">None.</p>'
    return f'<div class="wide">{table.to_html()}</div>'


def _texts(table: Table) -> str:
    """A table of words rather than numbers."""
    return f'<div class="text">{_table(table)}</div>'


def _failures(results: Results) -> str:
    """What failed."""
    note = ''
    if results.num_cut_lines:
        note = ('<p class="note">Lines that an interruption cut, which are '
                f'ignored: {results.num_cut_lines}.</p>')
    return _texts(failure_table(results)) + note


def _settings(results: Results) -> str:
    """The run's line, as it stands in the file."""
    versions = Table(
        ('Package', 'Version'),
        [(str(name), str(version))
         for name, version in results.run.get('versions', {}).items()])
    settings = dict(
        run=results.run.get('settings', {}),
        points={
            f'{row["codec"]}, {row["point"]}': row.get('settings')
            for row in results.points
        })
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    return f'{_table(versions)}<pre>{html.escape(text)}</pre>'


def _plotly_script() -> str:
    """The library, inside the page; nothing where it is not installed."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        return ''
    return f'<script>{get_plotlyjs()}</script>'


def _curves(results: Results, columns: Sequence[tuple[str, str]],
            published: Sequence[str]) -> str:
    """A figure for each data set and metric."""
    interactive = bool(_plotly_script())
    parts = []
    for number, column in enumerate(columns):
        curves = curves_of(results, column, published)
        if not curves:
            continue
        line = results.uncompressed(*column)
        if interactive:
            parts.append(
                _interactive(f'curve{number}', curves, column[0], line))
        else:
            parts.append(_drawn(curves, column[0], line))
    note = '' if interactive else (
        '<p class="note">Install plotly for curves that can be zoomed.</p>')
    return f'<div class="curves">{"".join(parts)}</div>{note}'


def _interactive(name: str, curves: Sequence[RateCurve], dataset: str,
                 uncompressed: Optional[float]) -> str:
    """Curves that show numbers and can be zoomed."""
    traces = [
        dict(
            type='scatter',
            mode='lines+markers',
            name=html.escape(curve.name),
            x=curve.bpp.tolist(),
            y=curve.quality.tolist(),
            text=[html.escape(label) for label in curve.labels],
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
        title=dict(text=html.escape(dataset), font=dict(size=14)),
        margin=dict(l=60, r=15, t=45, b=55),
        xaxis=dict(title=dict(text='Rate (bpp)'), rangemode='tozero'),
        yaxis=dict(title=dict(text=html.escape(axis_label(curves[0].metric)))),
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
    config = dict(displaylogo=False, responsive=True)
    arguments = ', '.join(map(_for_script, (name, traces, layout, config)))
    # Drawn when all of them are there: a curve takes the width it finds.
    return (f'<div class="curve" id="{name}"></div><script>'
            "addEventListener('DOMContentLoaded', "
            f'() => Plotly.newPlot({arguments}));</script>')


def _for_script(value) -> str:
    """JSON that cannot end the script it stands in."""
    return json.dumps(value).replace('<', r'\u003c')


def _drawn(curves: Sequence[RateCurve], dataset: str,
           uncompressed: Optional[float]) -> str:
    """The same curves as a drawing."""
    with tempfile.TemporaryDirectory() as folder:
        _, drawing = draw_curves(curves,
                                 Path(folder) / 'c', dataset, uncompressed)
        data = base64.b64encode(drawing.read_bytes()).decode()
    return ('<div class="curve"><img alt="Rate curves" '
            f'src="data:image/svg+xml;base64,{data}"></div>')


def _worst(results: Results, anchor: str, folders: Folders) -> str:
    """Worst images of each codec on each data set that has a folder."""
    parts = []
    for dataset in results.datasets:
        if dataset in folders:
            parts += [
                _compared(worst, anchor) for worst in worst_images(
                    results, dataset, anchor, folders[dataset])
            ]
    if not parts:
        return ('<p class="note">No decoded image was kept, or PSNR was not '
                'measured.</p>')
    return (
        '<p class="note">For each codec the image with the largest loss in '
        'PSNR against the anchor at equal rate, and for the anchor the one '
        f'of the lowest PSNR, each at its lowest rate.</p>{"".join(parts)}')


def _compared(worst: WorstImage, anchor: str) -> str:
    """Original, decoded image and error."""
    title = (f'{worst.codec}, {worst.point}, {worst.dataset}/{worst.image}: '
             f'{worst.bpp:.4f} bpp, {worst.psnr:.2f} dB')
    if worst.gain is not None:
        title += f', {worst.gain:+.2f} dB against {anchor} at equal rate'
    heading = f'<h3>{html.escape(title)}</h3>'
    try:
        original, decoded = ((
            255 * read_image(path).permute(1, 2, 0)).round().numpy()
                             for path in (worst.original, worst.decoded))
    except (OSError, ValueError) as error:
        return (f'<div class="worst">{heading}<p class="note">'
                f'{html.escape(str(error))}</p></div>')
    if original.shape != decoded.shape:
        return (f'<div class="worst">{heading}<p class="note">The decoded '
                'image has another size than the original.</p></div>')
    error = np.minimum(_ERROR_GAIN * np.abs(original - decoded), 255)
    figures = ''.join(
        f'<figure><img alt="{name}" src="{_data_uri(pixels)}"><figcaption>'
        f'{name}</figcaption></figure>'
        for name, pixels in (('Original', original), ('Decoded', decoded),
                             (f'Absolute error, {_ERROR_GAIN} times', error)))
    return f'<div class="worst">{heading}{figures}</div>'


def _data_uri(pixels: ndarray) -> str:
    """An image inside the page, at most 480 pixels wide and high.

    Args:
        pixels: RGB in [0, 255], shape (H, W, 3).
    """
    image = Image.fromarray(pixels.astype(np.uint8))
    image.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, 'WEBP', quality=85)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'data:image/webp;base64,{data}'
