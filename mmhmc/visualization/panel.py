"""Panels: an image per row, as people and as machines see it, and its rate."""
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, log10
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

from .curve_plots import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In pixels of the PNG.
_DPI = 100
_MIN_WIDTH = 320  # of a shown image on the screen, so that titles fit
_GAP = 12
_TITLE = 26  # height of a title
_BAR = 14  # width of the bar beside the bits map
_BAR_LABELS = 50
_MASK_OPACITY = 0.45
# Distinct in brightness and hue, also on grey; a class keeps its colour.
_COLOURS = ('#ff4b00', '#00c8ff', '#ffe100', '#ff5ac8', '#3cff64', '#a078ff',
            '#ffaa00', '#00ffd2')


@dataclass
class Instances:
    """Objects of an image, true ones or predicted ones.

    Args:
        boxes: x1, y1, x2, y2 in pixels, shape (n, 4).
        labels: Index of each object's class, shape (n,).
        masks: Which pixels belong to each object, bool, shape (n, H, W).
        scores: Confidence of predicted objects in [0, 1], shape (n,).
    """

    boxes: ndarray
    labels: ndarray
    masks: ndarray | None = None
    scores: ndarray | None = None


@dataclass
class PanelRow:
    """Contents of one row of a panel.

    Args:
        image: RGB, uint8, shape (H, W, 3).
        x_hat: Image decoded for people, same shape and type.
        bpp: Rate of the image in bits per pixel.
        x_bar: Image adapted for the machine, same shape and type.
        bits: Bits per pixel of each latent position, shape (h, w), as
            :func:`bits_map` makes it.
        bits_size: Height and width in pixels that ``bits`` covers from the
            top left corner; the image's own if it is not given.
        ground_truth: True objects.
        predictions: Objects found, by what they were found in: ``'x_bar'``,
            ``'x_hat'`` or ``'image'``.
        name: Title of the image.
    """

    image: ndarray
    x_hat: ndarray
    bpp: float
    x_bar: ndarray | None = None
    bits: ndarray | None = None
    bits_size: tuple[int, int] | None = None
    ground_truth: Instances | None = None
    predictions: dict[str, Instances] = field(default_factory=dict)
    name: str = 'image'


@dataclass
class _Cell:
    """An image with a title, and the objects to draw on it."""

    title: str
    image: ndarray
    instances: Instances | None = None


def draw_panel(rows: Sequence[PanelRow],
               class_names: Sequence[str],
               out_file: str | Path,
               score_thr: float = 0.3) -> Path:
    """Draw images, what became of them, and what was found in them.

    .. code-block:: none

        image | x_hat | x_bar | bits | ground truth | predictions ...

    A pixel of an image becomes a square of whole pixels of the PNG, so that
    artefacts look as they are. What a row does not have stays blank.

    Args:
        rows: One per image, at least one.
        class_names: Name of each class.
        out_file: PNG file; appears when it is complete.
        score_thr: Predicted objects below this score are not drawn.

    Returns:
        ``out_file``.

    Raises:
        ValueError: If there is no row, or parts of a row do not fit.
    """
    if not rows:
        raise ValueError('`rows` is empty: there is nothing to draw.')
    for row in rows:
        _check_row(row, len(class_names))
    scale = -(-_MIN_WIDTH // max(row.image.shape[1] for row in rows))
    table = [_cells(row) for row in rows]
    columns = list(dict.fromkeys(key for cells in table for key in cells))
    column_width = scale * max(row.image.shape[1] for row in rows) + _GAP
    bar_width = (_BAR + _BAR_LABELS) * ('bits' in columns)
    figure = _new_figure(
        _GAP + len(columns) * column_width + bar_width,
        _GAP + sum(_TITLE + scale * row.image.shape[0] + _GAP for row in rows))
    top = _GAP
    for row, cells in zip(rows, table):
        height, width = (scale * side for side in row.image.shape[:2])
        for number, key in enumerate(columns):
            if key not in cells:
                continue
            after_bits = 'bits' in columns[:number]
            left = _GAP + number * column_width + bar_width * after_bits
            axes = _add_axes(figure, left, top + _TITLE, width, height)
            _draw_cell(axes, cells[key], class_names, score_thr)
            if key == 'bits':
                bar = _add_axes(figure, left + width + _GAP // 2, top + _TITLE,
                                _BAR, height)
                _draw_bits(axes, bar, row)
        top += _TITLE + height + _GAP
    return save_figure(figure, Path(out_file), 'png', _DPI)


def _cells(row: PanelRow) -> dict[str, _Cell]:
    images = dict(image=row.image, x_hat=row.x_hat, x_bar=row.x_bar)
    quality = f'{_psnr(row.image, row.x_hat):.2f} dB'
    cells = dict(
        image=_Cell(row.name, row.image),
        x_hat=_Cell(f'decoded x_hat: {row.bpp:.3f} bpp, {quality}', row.x_hat))
    if row.x_bar is not None:
        quality = f'{_psnr(row.image, row.x_bar):.2f} dB'
        cells['x_bar'] = _Cell(f'adapted x_bar: {quality}', row.x_bar)
    if row.bits is not None:
        cells['bits'] = _Cell('bits per pixel', row.image)
    if row.ground_truth is not None:
        cells['ground_truth'] = _Cell('ground truth', row.image,
                                      row.ground_truth)
    for source, instances in row.predictions.items():
        cells[f'from {source}'] = _Cell(f'predicted from {source}',
                                        images[source], instances)
    return cells


def _psnr(image: ndarray, other: ndarray) -> float:
    mse = float(np.mean((image.astype(np.float64) - other)**2))
    return 10 * log10(255**2 / mse) if mse else inf


def _draw_cell(axes: 'Axes', cell: _Cell, class_names: Sequence[str],
               score_thr: float) -> None:
    size = height, width = cell.image.shape[:2]
    axes.set_title(cell.title, fontsize=10, pad=5, parse_math=False)
    image = cell.image
    if cell.instances is not None:
        shown = _selected(cell.instances, score_thr)
        image = _with_masks(image, shown)
        for index in range(len(shown.boxes)):
            _draw_box(axes, shown, index, class_names, size)
    axes.imshow(image, extent=(0, width, height, 0), interpolation='nearest')
    axes.set(xlim=(0, width), ylim=(height, 0), xticks=(), yticks=())


def _draw_bits(axes: 'Axes', bar: 'Axes', row: PanelRow) -> None:
    """Draw the bits map over its whole cell, and what its colours mean."""
    height, width = row.bits_size or row.image.shape[:2]
    image = axes.imshow(
        row.bits,
        extent=(0, width, height, 0),
        interpolation='nearest',
        cmap='inferno',
        vmin=0)
    # imshow moves the limits to the map, which may cover padding too.
    axes.set(
        xlim=(0, row.image.shape[1]),
        ylim=(row.image.shape[0], 0),
        xticks=(),
        yticks=())
    axes.figure.colorbar(image, cax=bar)
    bar.tick_params(labelsize=8)


def _selected(instances: Instances, score_thr: float) -> Instances:
    """Those that are sure enough, the surest drawn last."""
    if instances.scores is None:
        return instances
    order = np.argsort(instances.scores)
    order = order[np.asarray(instances.scores)[order] >= score_thr]
    masks = instances.masks
    return Instances(instances.boxes[order], instances.labels[order],
                     None if masks is None else masks[order],
                     instances.scores[order])


def _with_masks(image: ndarray, instances: Instances) -> ndarray:
    if instances.masks is None:
        return image
    image = image.astype(np.float64)
    for mask, label in zip(instances.masks, instances.labels):
        hexadecimal = _colour(label)[1:]
        colour = np.array(list(bytes.fromhex(hexadecimal)))
        inside = np.asarray(mask, dtype=bool)
        image[inside] += _MASK_OPACITY * (colour - image[inside])
    return image.round().astype(np.uint8)


def _draw_box(axes: 'Axes', instances: Instances, index: int,
              class_names: Sequence[str], size: tuple[int, int]) -> None:
    from matplotlib.patches import Rectangle
    x1, y1, x2, y2 = (float(side) for side in instances.boxes[index])
    label = int(instances.labels[index])
    colour, text = _colour(label), class_names[label]
    if instances.scores is not None:
        text = f'{text} {instances.scores[index]:.2f}'
    axes.add_patch(
        Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, lw=1.5))
    # A name stands on its box; near the border of the image it moves to
    # where there is room.
    near_top, near_right = y1 < size[0] / 12, x1 > size[1] / 2
    axes.text(
        x2 if near_right else x1,
        max(y1, 0),
        text,
        fontsize=8,
        ha='right' if near_right else 'left',
        va='top' if near_top else 'bottom',
        clip_on=True,
        parse_math=False,
        bbox=dict(fc=colour, ec='none', pad=1, alpha=0.85))


def _colour(label: int) -> str:
    return _COLOURS[int(label) % len(_COLOURS)]


def _new_figure(width: int, height: int) -> 'Figure':
    """A figure of exactly this size in pixels, outside pyplot's state."""
    # Imported here, as matplotlib takes a second.
    from matplotlib.figure import Figure
    return Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)


def _add_axes(figure: 'Figure', left: int, top: int, width: int,
              height: int) -> 'Axes':
    """Axes at a place in pixels from the top left corner."""
    full_width, full_height = figure.get_size_inches() * _DPI
    return figure.add_axes(
        (left / full_width, 1 - (top + height) / full_height,
         width / full_width, height / full_height))


def _check_row(row: PanelRow, num_classes: int) -> None:
    shape = row.image.shape
    for name in ('image', 'x_hat', 'x_bar'):
        array = getattr(row, name)
        if array is not None and (array.dtype != np.uint8 or array.ndim != 3
                                  or array.shape != (*shape[:2], 3)):
            raise ValueError(
                f'`{name}` must be uint8 with shape {(*shape[:2], 3)}, got '
                f'{array.dtype} {array.shape}.')
    for source in row.predictions:
        if getattr(row, source,
                   None) is None or source not in ('image', 'x_hat', 'x_bar'):
            raise ValueError(
                "Keys of `predictions` must be 'image', 'x_hat' or 'x_bar' "
                f'and name an image of the row, got {source!r}.')
    for instances in (row.ground_truth, *row.predictions.values()):
        if instances is not None:
            _check_instances(instances, shape[:2], num_classes)


def _check_instances(instances: Instances, size: tuple[int, int],
                     num_classes: int) -> None:
    n = len(instances.labels)
    expected = dict(boxes=(n, 4), masks=(n, *size), scores=(n, ))
    for name, shape in expected.items():
        array = getattr(instances, name)
        if array is not None and array.shape != shape:
            raise ValueError(f'`{name}` must have shape {shape} for {n} '
                             f'labels, got {array.shape}.')
    if n and not 0 <= instances.labels.min() <= instances.labels.max(
    ) < num_classes:
        raise ValueError(
            f'`labels` must be in [0, {num_classes - 1}], as there are '
            f'{num_classes} class names; got {instances.labels.tolist()}.')
