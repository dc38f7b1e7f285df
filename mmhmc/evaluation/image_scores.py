"""Scores of any selection of images, for the bootstrap."""
from typing import Protocol

import numpy as np
from numpy import ndarray


class ImageScore(Protocol):
    """Score of a point on a selection of the images of a data set."""

    def score(self, indices: ndarray) -> float:
        """Score of the images selected.

        Args:
            indices: Numbers of images, with repetition, shape (n, ). An
                image that is named twice counts as two.
        """
        ...


class MeanScore:
    """Mean of one number per image: PSNR, MS-SSIM, LPIPS, right or wrong.

    Args:
        values: Of each image, finite, shape (P, ).

    Raises:
        ValueError: If a value is not finite.
    """

    def __init__(self, values: ndarray) -> None:
        self._values = np.asarray(values, np.float64)
        if not np.isfinite(self._values).all():
            raise ValueError('`values` holds a number that is not finite.')

    def score(self, indices: ndarray) -> float:
        """See :class:`ImageScore`."""
        return float(self._values[indices].mean())


class MeanIoUScore:
    """mIoU in per cent, as mmseg's ``IoUMetric`` computes it.

    Args:
        area_intersect: Pixels of each class that were found, for each
            image, shape (P, classes).
        area_union: Pixels that are of a class or were taken for it, same
            shape.

    Raises:
        ValueError: If the shapes differ.
    """

    def __init__(self, area_intersect: ndarray, area_union: ndarray) -> None:
        self._intersect = np.asarray(area_intersect, np.float64)
        self._union = np.asarray(area_union, np.float64)
        if self._intersect.ndim != 2 or (self._intersect.shape
                                         != self._union.shape):
            raise ValueError(
                '`area_intersect` and `area_union` must both have shape '
                f'(images, classes), got {self._intersect.shape} and '
                f'{self._union.shape}.')

    def score(self, indices: ndarray) -> float:
        """See :class:`ImageScore`; nan if the images show no class."""
        intersect = self._intersect[indices].sum(0)
        union = self._union[indices].sum(0)
        seen = union > 0
        if not seen.any():
            return float('nan')
        return float(100 * np.mean(intersect[seen] / union[seen]))
