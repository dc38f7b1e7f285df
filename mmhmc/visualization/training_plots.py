"""Curves of logged quantities over training steps."""
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from .curve_plots import _STYLE, COLOURS, _plain, save_figure

_WIDTH, _HEIGHT = 2.9, 2.2  # inches, of one plot
_ACROSS = 3  # plots in a row

#: Steps and values of each quantity that a training logged.
Scalars = dict[str, dict[int, float]]


def read_scalars(work_dir: str | Path) -> Scalars:
    """Read the scalars that mmengine logged below a work folder.

    Of a training that was resumed all parts count, and where they overlap
    the later one. A line that was cut off is left out.

    Args:
        work_dir: Folder of one training.

    Returns:
        For each quantity, train's and val's, its value at each step (a step
        of the validation is what the log calls so: an epoch or an
        iteration), by rising steps.

    Raises:
        FileNotFoundError: If nothing was logged there.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(f'{work_dir} has no */vis_data/scalars.json, '
                                'where mmengine logs a training.')
    scalars: Scalars = {}
    for file in files:
        for line in file.read_text().splitlines():
            try:
                values = json.loads(line)
            except ValueError:
                continue
            step = values.pop('step', None)
            for name, value in values.items():
                if step is not None and isinstance(value, (int, float)):
                    scalars.setdefault(name, {})[step] = value
    return {name: dict(sorted(v.items())) for name, v in scalars.items()}


def draw_training(runs: Mapping[str, Scalars], quantities: Sequence[str],
                  out_file: str | Path) -> Path:
    """Draw a plot for each quantity, with a line for each training.

    Args:
        runs: What :func:`read_scalars` read, by the name of the training.
        quantities: At least one, as ``loss``, ``bpp`` or ``mIoU``. A
            training that did not log one has no line in its plot.
        out_file: PNG file; appears when it is complete.

    Returns:
        ``out_file``.

    Raises:
        ValueError: If there is no training or quantity, or none of the
            trainings logged one of them.
    """
    if not runs or not quantities:
        raise ValueError('A figure needs a training and a quantity, got '
                         f'{len(runs)} and {len(quantities)}.')
    for name in quantities:
        if not any(name in scalars for scalars in runs.values()):
            there = sorted(set().union(*runs.values()))
            raise ValueError(f'No training logged {name!r}; there are '
                             f'{", ".join(there)}.')
    # Imported here, as matplotlib takes a second.
    import matplotlib
    from matplotlib.figure import Figure
    columns = min(len(quantities), _ACROSS)
    rows = math.ceil(len(quantities) / columns)
    out_file = Path(out_file)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(
            figsize=(_WIDTH * columns, _HEIGHT * rows), layout='constrained')
        for number, name in enumerate(quantities):
            axes = figure.add_subplot(rows, columns, number + 1)
            for colour, (run, scalars) in enumerate(runs.items()):
                points = scalars.get(name, {})
                axes.plot(
                    list(points),
                    list(points.values()),
                    color=COLOURS[colour % len(COLOURS)],
                    # One value is no line.
                    marker='o' if len(points) == 1 else None,
                    label=_plain(run))
            axes.set_title(_plain(name), fontsize=9)
            axes.set_xlabel('Step')
            axes.grid(True)
        axes.legend(frameon=True, framealpha=0.85, edgecolor='none')
        return save_figure(figure, out_file, 'png')
