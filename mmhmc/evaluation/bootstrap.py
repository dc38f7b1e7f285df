"""How far a Bjøntegaard delta depends on the pictures that were taken."""
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import numpy as np

from .bjontegaard_delta import BjontegaardDelta, bd_rate
from .picture_curve import PictureCurve
from .rate_curve import RateCurve

Delta = Callable[[RateCurve, RateCurve, str], BjontegaardDelta]


@dataclass(frozen=True)
class BootstrapInterval:
    """A delta, and where it lies for other pictures of the same kind.

    Args:
        value: Delta over the pictures as they are.
        low: Lower end of the interval.
        high: Upper end.
        level: Share of the resamples that lie inside.
        num_samples: Resamples that have a delta.
        num_refused: Resamples that have none, because their curves do not
            overlap or do not rise. Many of them make the interval doubtful.
    """

    value: float
    low: float
    high: float
    level: float
    num_samples: int
    num_refused: int


def bootstrap_bd(anchor: PictureCurve,
                 test: PictureCurve,
                 method: Optional[str] = None,
                 num_samples: int = 1000,
                 seed: int = 0,
                 level: float = 0.95,
                 delta: Delta = bd_rate) -> BootstrapInterval:
    """Percentile interval of a delta under resampling of the pictures.

    Each resample draws as many pictures as there are, with replacement, and
    the same ones for both codecs and for every point: they are paired, since
    what a picture costs depends much more on the picture than on the codec.

    Args:
        anchor: Curve compared with.
        test: Curve compared.
        method: How points are connected, see :func:`bd_rate`. If not given,
            by a cubic, or by ``'pchip'`` where there is none or where it
            bends back: each resample for itself, since one that bends may
            say anything.
        num_samples: Number of resamples.
        seed: Of the generator; equal arguments give equal intervals.
        level: Share of the resamples inside of the interval, in (0, 1).
        delta: :func:`bd_rate` or :func:`bd_quality`.

    Returns:
        The interval, in the unit of the delta.

    Raises:
        ValueError: If the curves are of different pictures or of fewer than
            two, if an argument is out of range, if the pictures as they are
            have no delta, or if more than half of the resamples have none.

    Reference:
        B. Efron: "Bootstrap Methods: Another Look at the Jackknife", The
        Annals of Statistics 7(1), 1979.
    """
    if tuple(anchor.pictures) != tuple(test.pictures):
        raise ValueError(
            f'{anchor.name!r} and {test.name!r} must be of the same pictures '
            f'in the same order; {len(anchor.pictures)} and '
            f'{len(test.pictures)} differ.')
    num_pictures = len(anchor.pictures)
    if num_pictures < 2 or num_samples < 1 or not 0 < level < 1:
        raise ValueError(
            'A bootstrap needs at least 2 pictures, 1 sample and a level in '
            f'(0, 1); got {num_pictures}, {num_samples} and {level}.')
    everything = np.arange(num_pictures)
    value = _delta(anchor, test, everything, method, delta)
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(num_samples):
        drawn = generator.integers(num_pictures, size=num_pictures)
        try:
            values.append(_delta(anchor, test, drawn, method, delta))
        except ValueError:  # counted: the caller is told
            continue
    if 2 * len(values) < num_samples:
        raise ValueError(
            f'Only {len(values)} of {num_samples} resamples have a delta: the '
            'curves are too close to not overlapping or not rising for an '
            'interval. Code more qualities or more pictures.')
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return BootstrapInterval(value, float(low), float(high), level,
                             len(values), num_samples - len(values))


def _delta(anchor: PictureCurve, test: PictureCurve, pictures: np.ndarray,
           method: Optional[str], delta: Delta) -> float:
    """Delta of some pictures; the method is chosen if it is None."""
    curves = anchor.select(pictures), test.select(pictures)
    if method is not None:
        return delta(*curves, method).value
    try:
        found = delta(*curves, 'cubic')
    except ValueError:  # of fewer points, or of points of equal quality
        return delta(*curves, 'pchip').value
    return (delta(*curves, 'pchip') if found.bends else found).value
