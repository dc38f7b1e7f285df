"""Quality against rate: the points of one codec, lowest rate first."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from .metric_direction import lower_is_better


@dataclass(frozen=True, eq=False)
class RateCurve:
    """Points of one codec on one data set, sorted by rate.

    Args:
        name: Name of the codec.
        bpp: Rate of each point in bits per pixel, above 0, shape (n, ).
        quality: Quality of each point, in the metric's own unit, shape (n, ).
        labels: What selects each point, such as ``'qp37'``; as many as there
            are points, or none.
        metric: Name of the quality, such as ``'psnr'``. Equal names say that
            two curves can be compared.
        lower_is_better: Whether less is better; known by the name if not
            given, see :func:`lower_is_better`.

    Raises:
        ValueError: If there is no point, if the lengths differ, or if a
            number is not finite or a rate not positive.
    """

    name: str
    bpp: ndarray
    quality: ndarray
    labels: Sequence[str] = ()
    metric: str = ''
    lower_is_better: bool | None = None

    def __post_init__(self) -> None:
        bpp = np.asarray(self.bpp, np.float64)
        quality = np.asarray(self.quality, np.float64)
        labels = tuple(self.labels) or ('', ) * bpp.size
        if bpp.ndim != 1 or not bpp.size or not (len(bpp) == quality.size ==
                                                 len(labels)):
            raise ValueError(
                f'Curve {self.name!r} needs one rate, quality and label for '
                f'each of its points, got {bpp.size} rates, {quality.size} '
                f'qualities and {len(labels)} labels.')
        if not (np.isfinite(bpp).all() and np.isfinite(quality).all() and
                (bpp > 0).all()):
            raise ValueError(
                f'Curve {self.name!r} has a number that is not finite, or a '
                f'rate that is not above 0: bpp {bpp.tolist()}, quality '
                f'{quality.tolist()}. Leave that point out.')
        order = np.lexsort((quality, bpp))
        lower = self.lower_is_better
        if lower is None:
            lower = lower_is_better(self.metric)
        for name, values in (('bpp', bpp[order]), ('quality', quality[order]),
                             ('labels', tuple(labels[i] for i in order)),
                             ('lower_is_better', lower)):
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        """Number of points."""
        return len(self.bpp)

    @property
    def is_monotone(self) -> bool:
        """Whether each point is better than all points of a lower rate."""
        steps = np.diff(self.quality)
        if self.lower_is_better:
            steps = -steps
        return bool((steps > 0).all() and (np.diff(self.bpp) > 0).all())

    def first(self, num_points: int) -> 'RateCurve':
        """The points of the lowest rates.

        Args:
            num_points: How many.

        Raises:
            ValueError: If there are fewer.
        """
        if not 1 <= num_points <= len(self):
            raise ValueError(f'Curve {self.name!r} has {len(self)} points, '
                             f'asked for the first {num_points}.')
        part = slice(num_points)
        return RateCurve(self.name, self.bpp[part], self.quality[part],
                         self.labels[part], self.metric, self.lower_is_better)
