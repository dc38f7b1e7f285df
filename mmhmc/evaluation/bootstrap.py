"""How far a Bjøntegaard delta depends on the images that were taken."""
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .bjontegaard_delta import BjontegaardDelta, bd_rate
from .image_curve import ImageCurve
from .rate_curve import RateCurve

Delta = Callable[[RateCurve, RateCurve, str], BjontegaardDelta]


@dataclass(frozen=True)
class BootstrapInterval:
    """A delta, and where it lies for other images of the same kind.

    Args:
        value: Delta over the images as they are, by :attr:`method`.
        low: Lower end of the interval.
        high: Upper end.
        level: Share of the resamples that lie inside.
        num_samples: Resamples that have a delta.
        num_refused: Resamples that have none, because their curves hardly
            overlap or do not rise. Many of them make the interval doubtful:
            it is of those that have one.
        method: How points were connected, in all resamples alike.
    """

    value: float
    low: float
    high: float
    level: float
    num_samples: int
    num_refused: int
    method: str

    @property
    def refused_share(self) -> float:
        """Share of the resamples that have no delta."""
        return self.num_refused / (self.num_samples + self.num_refused)


def bootstrap_bd(anchor: ImageCurve,
                 test: ImageCurve,
                 method: str | None = None,
                 num_samples: int = 1000,
                 seed: int = 0,
                 level: float = 0.95,
                 delta: Delta = bd_rate) -> BootstrapInterval:
    """Percentile interval of a delta under resampling of the images.

    Each resample draws as many images as there are, with replacement, and
    the same ones for both codecs and for every point: they are paired, since
    what an image costs depends much more on the image than on the codec.

    Args:
        anchor: Curve compared with.
        test: Curve compared.
        method: How points are connected, see :func:`bd_rate`. If not given,
            by a cubic, or by ``'pchip'`` if there is none or if it bends back
            in any resample: one that bends may say anything, and an interval
            of two methods would be of neither.
        num_samples: Number of resamples.
        seed: Of the generator; equal arguments give equal intervals.
        level: Share of the resamples inside of the interval, in (0, 1).
        delta: :func:`bd_rate` or :func:`bd_quality`.

    Returns:
        The interval, in the unit of the delta.

    Raises:
        ValueError: If the curves are of different images or of fewer than
            two, if an argument is out of range, if the images as they are
            have no delta, or if more than half of the resamples have none.

    Reference:
        B. Efron: "Bootstrap Methods: Another Look at the Jackknife", The
        Annals of Statistics 7(1), 1979.
    """
    if tuple(anchor.images) != tuple(test.images):
        raise ValueError(
            f'{anchor.name!r} and {test.name!r} must be of the same images '
            f'in the same order; {len(anchor.images)} and '
            f'{len(test.images)} differ.')
    num_images = len(anchor.images)
    if num_images < 2 or num_samples < 1 or not 0 < level < 1:
        raise ValueError(
            'A bootstrap needs at least 2 images, 1 sample and a level in '
            f'(0, 1); got {num_images}, {num_samples} and {level}.')
    generator = np.random.default_rng(seed)

    def curves_of(some: np.ndarray) -> tuple[RateCurve, RateCurve]:
        return anchor.select(some), test.select(some)

    def deltas(method: str) -> list[BjontegaardDelta]:
        return [
            found for curves in resamples
            if (found := _unless_refused(delta, *curves, method)) is not None
        ]

    whole = curves_of(np.arange(num_images))
    drawn = [
        generator.integers(num_images, size=num_images)
        for _ in range(num_samples)
    ]
    resamples = [
        curves for some in drawn
        if (curves := _unless_refused(curves_of, some)) is not None
    ]
    if method is None:
        cubic = _unless_refused(delta, *whole, 'cubic')
        bends = cubic is None or any(
            found.bends for found in (cubic, *deltas('cubic')))
        method = 'pchip' if bends else 'cubic'
    value = delta(*whole, method).value
    values = [found.value for found in deltas(method)]
    if 2 * len(values) < num_samples:
        raise ValueError(
            f'Only {len(values)} of {num_samples} resamples have a delta: the '
            'curves are too close to not overlapping or not rising for an '
            'interval. Code more qualities or more images.')
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return BootstrapInterval(value, float(low), float(high), level,
                             len(values), num_samples - len(values), method)


def _unless_refused(function: Callable, *arguments):
    """What a function gives; None where it raises ``ValueError``."""
    try:
        return function(*arguments)
    except ValueError:  # counted: the caller is told
        return None
