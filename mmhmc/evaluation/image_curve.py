"""Rate-distortion curves that can be computed for any selection of images."""
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray

from .image_scores import ImageScore
from .published_curves import in_decibel
from .rate_curve import RateCurve


@dataclass(frozen=True, eq=False)
class RDPoint:
    """A rate-distortion point, with the rate and the score of each image.

    Args:
        bpp: Rate of each image in bits per pixel, shape (P, ).
        scorer: Computes the quality of a selection of these images.
        label: Name of the point, such as ``'qp37'``.
    """

    bpp: ndarray
    scorer: ImageScore
    label: str = ''


@dataclass(frozen=True, eq=False)
class ImageCurve:
    """Rate-distortion points of one codec, each known for every image.

    Args:
        name: Name of the codec.
        images: Names of the images, in the order of each point.
        points: The points, at least one.
        metric: Name of the quality. ``'ms_ssim_db'`` takes the scores as
            MS-SSIM and puts their mean into dB.
        lower_is_better: As of :class:`RateCurve`.

    Raises:
        ValueError: If a point has not as many rates as there are images.
    """

    name: str
    images: Sequence[str]
    points: Sequence[RDPoint]
    metric: str = ''
    lower_is_better: bool | None = None
    _selected: dict[bytes, RateCurve] = field(
        default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for point in self.points:
            if np.shape(point.bpp) != (len(self.images), ):
                raise ValueError(
                    f'Point {point.label!r} of {self.name!r} has rates of '
                    f'shape {np.shape(point.bpp)} for {len(self.images)} '
                    'images.')

    def select(self, indices: ndarray) -> RateCurve:
        """The curve of a selection of the images.

        Args:
            indices: Numbers of images, with repetition, shape (n, ).

        Raises:
            ValueError: If the selection has no rate or no quality.
        """
        # An anchor is asked for the same selections by every comparison.
        key = np.asarray(indices).tobytes()
        if key not in self._selected:
            self._selected[key] = self._select(indices)
        return self._selected[key]

    def _select(self, indices: ndarray) -> RateCurve:
        quality = np.array(
            [point.scorer.score(indices) for point in self.points])
        if self.metric == 'ms_ssim_db':
            quality = in_decibel(quality)
        return RateCurve(self.name,
                         [point.bpp[indices].mean() for point in self.points],
                         quality, [point.label for point in self.points],
                         self.metric, self.lower_is_better)
