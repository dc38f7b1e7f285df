"""Which positions of an image take which path of an MPA codec."""
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy import ndarray

from .image_grid import draw_image_grid

_TINT = np.array([255, 75, 0])  # of the side path
_OPACITY = 0.55


@dataclass
class TaskColumn:
    """One way to code or to decode an image.

    Args:
        title: What it is.
        image: RGB, uint8, shape (H, W, 3).
        masks: For each stage of the codec, by its name, 1 where a position
            takes the main path and 0 where it takes the side path, shape
            (h, w); as of ``MPA.path_masks``, of one image.
    """

    title: str
    image: ndarray
    masks: dict[str, ndarray] = field(default_factory=dict)


def tint_side_path(image: ndarray,
                   mask: ndarray,
                   coded_size: tuple[int, int] | None = None) -> ndarray:
    """Tint the positions of an image that take the side path.

    Args:
        image: RGB, uint8, shape (H, W, 3).
        mask: 1 where the main path is taken, shape (h, w).
        coded_size: Height and width in pixels that the mask covers from the
            top left corner; the image's own if it is not given.

    Returns:
        RGB, uint8, shape (H, W, 3): grey, and orange where the side path is
        taken.

    Raises:
        ValueError: If ``coded_size`` is smaller than the image.
    """
    height, width = image.shape[:2]
    covered = coded_size or (height, width)
    if covered[0] < height or covered[1] < width:
        raise ValueError(f'`coded_size` {tuple(covered)} is smaller than the '
                         f'image, {(height, width)}.')
    rows = np.arange(height) * mask.shape[0] // covered[0]
    columns = np.arange(width) * mask.shape[1] // covered[1]
    main = np.asarray(mask)[rows[:, None], columns[None]] > 0.5
    shown = np.repeat(
        image.astype(float).mean(axis=-1, keepdims=True), 3, axis=-1)
    shown[~main] += _OPACITY * (_TINT - shown[~main])
    return shown.round().astype(np.uint8)


def draw_task_images(columns: Sequence[TaskColumn],
                     out_file: str | Path,
                     coded_size: tuple[int, int] | None = None) -> Path:
    """Draw one image as each task gets it, and the paths that it took.

    .. code-block:: none

        original      | for people | for task 1 | ...
        encoder's mask|            | masks of the decoder's stages
        ...

    Args:
        columns: At least one; images of one size.
        out_file: PNG file; appears when it is complete.
        coded_size: As of :func:`tint_side_path`.

    Returns:
        ``out_file``.

    Raises:
        ValueError: If there is no column, or images differ in size.
    """
    return draw_image_grid(
        [[(column.title, column.image),
          *((f'{stage}: {np.mean(mask):.0%} take the main path',
             tint_side_path(column.image, mask, coded_size))
            for stage, mask in column.masks.items())]
         for column in columns], out_file)
