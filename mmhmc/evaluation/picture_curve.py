"""A rate curve that can be drawn again for any selection of pictures."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np
from numpy import ndarray

from .picture_scores import PictureScore
from .published_curves import in_decibel
from .rate_curve import RateCurve


@dataclass(frozen=True, eq=False)
class PicturePoint:
    """One point of a curve, picture by picture.

    Args:
        bpp: Rate of each picture in bits per pixel, shape (P, ).
        scorer: What the point scores on a selection of these pictures.
        label: What selects the point, such as ``'qp37'``.
    """

    bpp: ndarray
    scorer: PictureScore
    label: str = ''


@dataclass(frozen=True, eq=False)
class PictureCurve:
    """Points of one codec, each known for every picture.

    Args:
        name: Name of the codec.
        pictures: Names of the pictures, in the order of each point.
        points: The points, at least one.
        metric: Name of the quality. ``'ms_ssim_db'`` takes the scores as
            MS-SSIM and puts their mean into dB.
        lower_is_better: As of :class:`RateCurve`.

    Raises:
        ValueError: If a point has not as many rates as there are pictures.
    """

    name: str
    pictures: Sequence[str]
    points: Sequence[PicturePoint]
    metric: str = ''
    lower_is_better: Optional[bool] = None

    def __post_init__(self) -> None:
        for point in self.points:
            if np.shape(point.bpp) != (len(self.pictures), ):
                raise ValueError(
                    f'Point {point.label!r} of {self.name!r} has rates of '
                    f'shape {np.shape(point.bpp)} for {len(self.pictures)} '
                    'pictures.')

    def select(self, indices: ndarray) -> RateCurve:
        """The curve of a selection of the pictures.

        Args:
            indices: Numbers of pictures, with repetition, shape (n, ).

        Raises:
            ValueError: If the selection has no rate or no quality.
        """
        quality = np.array(
            [point.scorer.score(indices) for point in self.points])
        if self.metric == 'ms_ssim_db':
            quality = in_decibel(quality)
        return RateCurve(self.name,
                         [point.bpp[indices].mean() for point in self.points],
                         quality, [point.label for point in self.points],
                         self.metric, self.lower_is_better)
