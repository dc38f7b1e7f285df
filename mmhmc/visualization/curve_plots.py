"""Rate curves for print: one figure per data set and metric."""
from collections.abc import Sequence
from pathlib import Path

from mmhmc.evaluation import RateCurve, lower_is_better
from mmhmc.whole_files import whole_file

# Okabe and Ito's colours, which colour-blind readers can tell apart, with a
# purple for their yellow; neighbours differ in brightness, for grey print.
COLOURS = ('#000000', '#e69f00', '#0072b2', '#cc79a7', '#009e73', '#56b4e9',
           '#d55e00', '#7a0177')
_MARKERS = 'osD^vPX*'
_DASHES = ('-', '--', '-.', ':')
_STYLE = {
    # A Times that comes with matplotlib, so figures look alike everywhere.
    'font.family': 'STIXGeneral',
    'mathtext.fontset': 'stix',
    'font.size': 9,
    'axes.labelsize': 9,
    'xtick.labelsize': 8,
    'ytick.labelsize': 8,
    'legend.fontsize': 7.5,
    'axes.linewidth': 0.6,
    'lines.linewidth': 1.0,
    'lines.markersize': 3.6,
    'grid.linewidth': 0.3,
    'grid.color': '#cccccc',
    'svg.hashsalt': 'mmhmc',  # equal curves give equal files
}
_SIZE = (3.5, 2.7)  # inches: a column of a two-column page
#: More names than these would hide curves: they go below the figure.
_NAMES_INSIDE = 5
_NAME_HEIGHT = 0.15  # inches
#: Letters up to which two names stand side by side.
_SHORT_NAME = 30
_DPI = 300
#: Names of metrics, with their units, as they stand at an axis.
_AXES = {
    'psnr': 'PSNR (dB)',
    'ms_ssim': 'MS-SSIM',
    'ms_ssim_db': 'MS-SSIM (dB)',
    'lpips': 'LPIPS',
    'feature_distance': 'Feature distance',
    'bbox_mAP': 'Box mAP',
    'segm_mAP': 'Mask mAP',
    'mIoU': 'mIoU (%)',
    'top1': 'Top-1 accuracy (%)',
}


def draw_curves(curves: Sequence[RateCurve],
                out_file: str | Path,
                dataset: str = '',
                uncompressed: float | None = None,
                log_rate: bool = False) -> list[Path]:
    """Draw curves of one metric, as PNG (300 dpi) and as SVG.

    Codecs differ in colour, marker and dashes, and their colours in
    brightness. What the metric is on uncompressed images is a dashed line.

    Args:
        curves: At least one, all of one metric. A codec keeps its look as
            long as the order of codecs stays.
        out_file: Path whose ending is replaced by ``.png`` and ``.svg``; both
            appear when they are complete.
        dataset: Its name, for the title.
        uncompressed: The metric on uncompressed images.
        log_rate: Whether the axis of the rate is logarithmic.

    Returns:
        The PNG and the SVG.

    Raises:
        ValueError: If there is no curve, or if the metrics differ.
    """
    metrics = {curve.metric for curve in curves}
    if len(metrics) != 1:
        raise ValueError('A figure needs curves of one metric, got ' + (
            f'those of {", ".join(sorted(metrics))}.' if metrics else 'none.'))
    # Imported here, as matplotlib takes a second.
    import matplotlib
    from matplotlib.figure import Figure
    out_file = Path(out_file)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, layout='constrained')
        axes = figure.add_subplot()
        _draw(axes, curves, uncompressed)
        axes.set_xlabel('Rate (bpp)')
        axes.set_ylabel(axis_label(curves[0].metric))
        if dataset:
            axes.set_title(_plain(dataset), fontsize=9)
        if log_rate:
            _use_log_rate(axes)
        axes.grid(True)
        axes.set_axisbelow(True)
        _name_curves(figure, axes)
        return [
            save_figure(figure, out_file.with_name(f'{out_file.name}.{kind}'),
                        kind) for kind in ('png', 'svg')
        ]


def axis_label(metric: str) -> str:
    """Name of a metric with its unit, and a note if lower is better.

    Args:
        metric: As in the results; a task in front stays.
    """
    task, _, key = metric.rpartition(':')
    label = _AXES.get(key.rsplit('/', 1)[-1], key)
    if lower_is_better(metric):
        label += ' (lower is better)'
    return f'{label}, {task}' if task else label


def _draw(axes, curves: Sequence[RateCurve],
          uncompressed: float | None) -> None:
    for number, curve in enumerate(curves):
        axes.plot(
            curve.bpp,
            curve.quality,
            color=COLOURS[number % len(COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            linestyle=_DASHES[number // len(COLOURS) % len(_DASHES)],
            markeredgecolor='white',
            markeredgewidth=0.3,
            label=_plain(curve.name))
    if uncompressed is not None:
        axes.axhline(
            uncompressed,
            color='#555555',
            linestyle=(0, (5, 3)),
            linewidth=0.8,
            label='Uncompressed')


def _name_curves(figure, axes) -> None:
    """Legend, in the figure or, if that is long, in room of its own below."""
    handles, names = axes.get_legend_handles_labels()
    if len(names) <= _NAMES_INSIDE:
        axes.legend(frameon=True, framealpha=0.85, edgecolor='none')
        return
    columns = 1 if max(map(len, names)) > _SHORT_NAME else 2
    rows = -(-len(names) // columns)
    figure.set_figheight(_SIZE[1] + rows * _NAME_HEIGHT)
    figure.legend(
        handles,
        names,
        loc='outside lower center',
        ncols=columns,
        frameon=False)


def _plain(text: str) -> str:
    """Text in which matplotlib sees no formula."""
    return text.replace('$', r'\$')


def _use_log_rate(axes) -> None:
    """Rates of 1, 2 and 5 are named in numbers, without powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter
    axes.set_xscale('log')
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    formatter = ScalarFormatter()
    formatter.set_scientific(False)
    axes.xaxis.set_major_formatter(formatter)
    axes.xaxis.set_minor_formatter(NullFormatter())


def save_figure(figure, out_file: Path, kind: str, dpi: int = _DPI) -> Path:
    """Write a figure to a file that is never seen half-written.

    Args:
        figure: Of matplotlib.
        out_file: The file; its folder is made if it is not there.
        kind: ``'png'`` or ``'svg'``.
        dpi: Pixels per inch of a PNG.

    Returns:
        ``out_file``.
    """
    # A date would make equal figures differ.
    metadata = {'Date': None} if kind == 'svg' else {}
    out_file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out_file) as part:
        figure.savefig(part, format=kind, dpi=dpi, metadata=metadata)
    return out_file
