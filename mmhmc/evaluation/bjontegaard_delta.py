"""Bjøntegaard deltas: the mean distance between two rate curves."""
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from .rate_curve import RateCurve

METHODS = ('cubic', 'pchip', 'akima')
_MIN_POINTS = dict(cubic=4, pchip=2, akima=2)
#: Share of the common interval below which a delta is flagged.
LITTLE_OVERLAP = 0.5
#: Share below which there is none: it would be of the ends of the curves.
MIN_OVERLAP = 0.25


@dataclass(frozen=True)
class BjontegaardDelta:
    """A delta, with the figures that tell how far to trust it.

    Args:
        value: Per cent of rate (:func:`bd_rate`), or units of the metric
            (:func:`bd_quality`).
        method: ``'cubic'``, ``'pchip'`` or ``'akima'``.
        overlap: Interval that the mean was taken over: of quality for
            :func:`bd_rate`, of bits per pixel for :func:`bd_quality`.
        overlap_share: Length of that interval over the one that both curves
            span together, in [0.25, 1]; of the logarithm where it is a rate.
        flags: Reasons for doubt, as sentences; empty if there is none.
        bends: Whether a curve goes back on its way, at its points or between
            them, so that the rate is no function of quality. False for
            :func:`bd_quality`.
    """

    value: float
    method: str
    overlap: tuple[float, float]
    overlap_share: float
    flags: tuple[str, ...] = ()
    bends: bool = False


def bd_rate(anchor: RateCurve,
            test: RateCurve,
            method: str = 'cubic') -> BjontegaardDelta:
    """Rate that ``test`` needs beyond ``anchor`` at equal quality.

    The logarithm of the rate is a function of quality here, so a curve has to
    rise. ``'pchip'`` and ``'akima'`` pass through every point, and refuse a
    curve that does not; ``'cubic'``, one polynomial fitted to all points,
    takes it and sets a flag. It passes through the points of a curve of
    four, as in most papers' tables.

    Args:
        anchor: Curve compared with.
        test: Curve compared.
        method: How points are connected.

    Returns:
        Delta in per cent; -20 means that a fifth of the bits is saved.

    Raises:
        ValueError: If the method is unknown, the metrics differ, a curve has
            too few points (four for ``'cubic'``, else two) or does not rise
            where it must, or the curves have less than a quarter of their
            quality in common.

    Reference:
        G. Bjøntegaard: "Calculation of Average PSNR Differences between
        RD-curves", VCEG-M33, 2001; computed by the package ``bjontegaard``,
        C. Herglotz et al., https://arxiv.org/abs/2304.12852
    """
    _check(anchor, test, method)
    for curve in (anchor, test):
        if len(np.unique(curve.quality)) < _MIN_POINTS[method]:
            raise ValueError(
                f'Curve {curve.name!r} has points of equal quality, '
                f'{curve.quality.tolist()}; {method} needs '
                f'{_MIN_POINTS[method]} different ones. Code more points.')
        if method != 'cubic' and not curve.is_monotone:
            raise ValueError(
                f'Curve {curve.name!r} does not get better with every step '
                f'of rate: quality {curve.quality.tolist()} at bpp '
                f'{curve.bpp.tolist()}. Its rate is no function of quality, '
                f"which {method} needs. Use method='cubic', or leave out the "
                'point that is worse than a cheaper one.')
    share = _overlap_share(anchor.name, anchor.quality, test.name,
                           test.quality, 'quality')
    log_rate, bends = _mean_distance(anchor.quality, np.log(anchor.bpp),
                                     test.quality, np.log(test.bpp), method)
    flags = _flags(anchor, test, share)
    flags += tuple(
        f'The {method} curve of {curve.name} bends back between its points.'
        for curve, bend in zip((anchor, test), bends)
        if bend and curve.is_monotone)
    with np.errstate(over='ignore'):
        # A cubic that bends back may say anything.
        value = float(np.expm1(log_rate) * 100)
    rising = anchor.is_monotone and test.is_monotone
    return BjontegaardDelta(value, method,
                            _overlap(anchor.quality, test.quality), share,
                            flags,
                            any(bends) or not rising)


def bd_quality(anchor: RateCurve,
               test: RateCurve,
               method: str = 'cubic') -> BjontegaardDelta:
    """Quality that ``test`` has beyond ``anchor`` at equal rate.

    Quality is a function of the logarithm of the rate here, so no two points
    of a curve may have the same rate. A curve that does not rise is flagged.

    Args:
        anchor: Curve compared with.
        test: Curve compared.
        method: How points are connected; see :func:`bd_rate`.

    Returns:
        Delta in units of the metric. Above 0 means that ``test`` is better,
        except for metrics of which less is better, such as LPIPS.

    Raises:
        ValueError: If the method is unknown, the metrics differ, a curve has
            too few points (four for ``'cubic'``, else two) or two of one
            rate, or the curves have less than a quarter of their rate, by
            its logarithm, in common.
    """
    _check(anchor, test, method)
    for curve in (anchor, test):
        if (np.diff(curve.bpp) == 0).any():
            raise ValueError(
                f'Curve {curve.name!r} has two points of one rate, bpp '
                f'{curve.bpp.tolist()}: leave one of them out.')
    logs = np.log(anchor.bpp), np.log(test.bpp)
    share = _overlap_share(anchor.name, logs[0], test.name, logs[1],
                           'logarithm of rate')
    value, _ = _mean_distance(logs[0], anchor.quality, logs[1], test.quality,
                              method)
    return BjontegaardDelta(
        float(value), method, _overlap(anchor.bpp, test.bpp), share,
        _flags(anchor, test, share))


def _check(anchor: RateCurve, test: RateCurve, method: str) -> None:
    if method not in METHODS:
        raise ValueError(f'`method` must be one of {", ".join(METHODS)}, got '
                         f'{method!r}.')
    if anchor.metric != test.metric:
        raise ValueError(
            f'Curves of different metrics cannot be compared: {anchor.name!r} '
            f'has {anchor.metric!r}, {test.name!r} has {test.metric!r}.')
    for curve in (anchor, test):
        if len(curve) < _MIN_POINTS[method]:
            hint = ("; or use method='pchip', which needs two"
                    if len(curve) > 1 and method == 'cubic' else '')
            raise ValueError(
                f'Curve {curve.name!r} has {len(curve)} point(s), {method} '
                f'needs at least {_MIN_POINTS[method]}. Code more '
                f'qualities{hint}.')


def _overlap(a: ndarray, b: ndarray) -> tuple[float, float]:
    """Interval that both cover; empty if the first end is not the smaller."""
    return float(max(a.min(), b.min())), float(min(a.max(), b.max()))


def _overlap_share(anchor: str, a: ndarray, test: str, b: ndarray,
                   axis: str) -> float:
    """Length of the common interval over that of the joint one."""
    low, high = _overlap(a, b)
    joint = float(max(a.max(), b.max()) - min(a.min(), b.min()))
    share = max(0., high - low) / joint if joint else 0.
    if share < MIN_OVERLAP:
        much = (f'overlap on {share:.0%} of their joint span only'
                if share else 'do not overlap')
        raise ValueError(
            f'Curves {anchor!r} and {test!r} {much}: their {axis} '
            f'spans [{a.min():.6g}, {a.max():.6g}] and [{b.min():.6g}, '
            f'{b.max():.6g}]. A delta needs {MIN_OVERLAP:.0%}: code qualities '
            'that are closer to each other.')
    return share


def _flags(anchor: RateCurve, test: RateCurve,
           share: float) -> tuple[str, ...]:
    flags = [
        f'{curve.name} does not get better with every step of rate.'
        for curve in (anchor, test) if not curve.is_monotone
    ]
    if share < LITTLE_OVERLAP:
        flags.append(f'The curves overlap on {share:.0%} of their joint span '
                     'only.')
    return tuple(flags)


def _mean_distance(x_anchor: ndarray, y_anchor: ndarray, x_test: ndarray,
                   y_test: ndarray,
                   method: str) -> tuple[float, tuple[bool, bool]]:
    """Mean of y_test - y_anchor over common x; which of them bend back."""
    # Imported here, as it loads matplotlib.
    from bjontegaard import bd_linear
    pairs = []
    for x, y in ((x_anchor, y_anchor), (x_test, y_test)):
        order = np.argsort(x, kind='stable')
        pairs += [x[order], y[order]]
    value, *curves = bd_linear(
        *pairs,
        method,
        require_matching_points=False,
        interpolators=True,
        min_overlap=0)
    grid = np.linspace(*_overlap(x_anchor, x_test), 100)
    bends = [len(set(np.sign(np.diff(f(grid))))) > 1 for f in curves]
    return value, tuple(bends)
