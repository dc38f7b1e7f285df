"""Bjøntegaard deltas of a benchmark against its anchor."""
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Union

import numpy as np

from .benchmark_results import Results
from .bjontegaard_delta import METHODS, BjontegaardDelta, bd_quality, bd_rate
from .bootstrap import BootstrapInterval, bootstrap_bd
from .image_curve import ImageCurve
from .published_curves import list_published, published_curve
from .rate_curve import RateCurve

#: Share of refused resamples above which the BD-quality is asked, too.
_MANY_REFUSED = 0.05
Column = tuple[str, str]
Files = Mapping[str, Union[str, Path]]
ImageCurveOf = Callable[[str, Column], ImageCurve]


@dataclass(frozen=True)
class Comparison:
    """A codec against the anchor in one metric on one data set.

    Args:
        codec: Name of the codec compared.
        anchor: Name of the one compared with.
        column: Data set and metric.
        rate: BD-rate by method; without the methods that refused.
        quality: BD-quality by method, likewise.
        interval: Of the BD-rate; None if none was asked for or if it was
            refused, as where the curves do not rise.
        refusals: What was refused, and why, as sentences.
        quality_interval: Of the BD-quality, where the one of the BD-rate was
            refused or more than 5 % of its resamples were: those that are
            left are no fair choice.
    """

    codec: str
    anchor: str
    column: Column
    rate: Mapping[str, BjontegaardDelta]
    quality: Mapping[str, BjontegaardDelta]
    interval: BootstrapInterval | None = None
    refusals: tuple[str, ...] = ()
    quality_interval: BootstrapInterval | None = None

    @property
    def method(self) -> str | None:
        """Method of the figure that stands in tables; None if there is none.

        That of the interval, if there is one. Else the cubic, as in the
        papers, unless it bends back, as it may through points that saturate,
        and another one does not.
        """
        if self.interval is not None:
            return self.interval.method
        there = [name for name in METHODS if name in self.rate]
        return next((name for name in there if not self.rate[name].bends),
                    next(iter(there), None))

    @property
    def flags(self) -> tuple[str, ...]:
        """Doubts about the figure that stands in tables."""
        if self.method is None:
            return ()
        flags = self.rate[self.method].flags
        if self.many_refused and self.interval is not None:
            flags += (f'{self.interval.refused_share:.0%} of the resamples '
                      'have no BD-rate; the BD-quality tells more.', )
        return flags

    @property
    def many_refused(self) -> bool:
        """Whether the interval of the BD-rate is of a choice of resamples."""
        return (self.interval is None
                or self.interval.refused_share > _MANY_REFUSED)


def compare_codecs(results: Results,
                   anchor: str,
                   columns: Sequence[Column] | None = None,
                   num_samples: int = 0,
                   annotations: Files | None = None) -> list[Comparison]:
    """Compare every codec with the anchor.

    What cannot be computed does not stop the rest: it is among the
    ``refusals`` of its comparison.

    Args:
        results: What the benchmark wrote.
        anchor: Codec compared with, as a rule ``'HEVC'``.
        columns: Data sets and metrics; all if not given.
        num_samples: Resamples of the images for the interval of each
            BD-rate, and of the BD-quality where that says too little; 0
            leaves the intervals out.
        annotations: COCO annotation file of each data set with an mAP; those
            of the run's settings if not given.

    Returns:
        One comparison for each column and each other codec, by column.

    Raises:
        ValueError: If the anchor is no codec of the run. Where all of it
            failed, each comparison says so.
    """
    if anchor not in (*results.codecs, *results.asked_for):
        raise ValueError(f'The anchor {anchor!r} is not in {results.path}; it '
                         f'has {", ".join(results.codecs) or "no codec"}.')
    columns = all_columns(results) if columns is None else columns
    annotations = annotations or {}

    # Two: the anchor's stays, since it is asked for again and again.
    @lru_cache(maxsize=2)
    def image_curve(codec: str, column: Column) -> ImageCurve:
        return results.image_curve(codec, *column, annotations.get(column[0]))

    return [
        _compare(results, anchor, codec, column, num_samples, image_curve)
        for column in map(tuple, columns) for codec in results.codecs
        if codec != anchor
    ]


def all_columns(results: Results) -> list[Column]:
    """Every data set with every metric that was measured on it."""
    return [(dataset, metric) for dataset in results.datasets
            for metric in results.metrics(dataset)]


def curves_of(results: Results, column: Column,
              published: Sequence[str]) -> list[RateCurve]:
    """All curves that a figure of one column shows.

    Args:
        results: What the benchmark wrote.
        column: Data set and metric.
        published: Names of published curves to add, where there are some for
            this column; they are named ``'HM (published)'``, and end near
            the highest rate of the others.

    Returns:
        Curves of the codecs that have one, then the published ones.
    """
    dataset, metric = column
    curves = []
    for codec in results.codecs:
        try:
            curves.append(results.curve(codec, dataset, metric))
        except ValueError:  # a comparison says why
            continue
    there = {
        entry['name']
        for entry in list_published()
        if entry['dataset'] == dataset and metric in entry['metrics']
    }
    own = max((curve.bpp[-1] for curve in curves), default=np.inf)
    for name in published:
        if name in there:
            curve = _up_to(published_curve(name, dataset, metric), own)
            curves.append(replace(curve, name=f'{name} (published)'))
    return curves


def _up_to(curve: RateCurve, bpp: float) -> RateCurve:
    """The points up to a rate and one more, but as many as a cubic takes.

    Published curves reach far beyond the rates that are usually compared.
    """
    wanted = int((curve.bpp <= bpp).sum()) + 1
    return curve.first(min(len(curve), max(4, wanted)))


def compare_published(results: Results, anchor: str, columns: Sequence[Column],
                      published: Sequence[str]) -> list[Comparison]:
    """Compare published curves with the anchor of one's own results.

    Without intervals, as published curves are means over their images.

    Args:
        results: What the benchmark wrote.
        anchor: Codec compared with.
        columns: Data sets and metrics; those without a published curve, or
            without a curve of the anchor, add nothing.
        published: Names of published curves.

    Returns:
        A comparison of each published curve and column.
    """
    found = []
    for column in columns:
        named = {c.name: c for c in curves_of(results, column, published)}
        if anchor in named:
            rate = named[anchor].bpp[-1]
            found += [
                compare_curves(named[anchor], _up_to(curve, rate), column[0])
                for name, curve in named.items() if name not in results.codecs
            ]
    return found


def compare_curves(anchor: RateCurve, test: RateCurve,
                   dataset: str) -> Comparison:
    """Compare two curves by every method.

    What cannot be computed is among the ``refusals``.

    Args:
        anchor: Curve compared with.
        test: Curve compared.
        dataset: Data set of both.

    Returns:
        Every delta, in per cent of rate or in units of the metric.
    """
    refusals = []
    rate, quality = (
        _deltas(delta, (anchor, test), refusals)
        for delta in (bd_rate, bd_quality))
    return Comparison(test.name, anchor.name, (dataset, test.metric), rate,
                      quality, None, tuple(dict.fromkeys(refusals)))


def _compare(results: Results, anchor: str, codec: str, column: Column,
             num_samples: int, image_curve: ImageCurveOf) -> Comparison:
    try:
        curves = [results.curve(name, *column) for name in (anchor, codec)]
    except ValueError as error:
        return Comparison(codec, anchor, column, {}, {}, None, (str(error), ))
    found = compare_curves(*curves, column[0])

    def with_interval(name: str, **settings) -> Comparison:
        try:
            interval = bootstrap_bd(
                image_curve(anchor, column),
                image_curve(codec, column),
                num_samples=num_samples,
                **settings)
        except (ValueError, OSError) as error:
            refusals = dict.fromkeys(
                (*found.refusals, f'No interval: {error}'))
            return replace(found, refusals=tuple(refusals))
        return replace(found, **{name: interval})

    if num_samples and found.rate:
        found = with_interval('interval')
    if num_samples and found.quality and found.many_refused:
        method = found.method if found.method in found.quality else None
        found = with_interval(
            'quality_interval', delta=bd_quality, method=method)
    return found


def _deltas(delta, curves: Sequence[RateCurve],
            refusals: list[str]) -> dict[str, BjontegaardDelta]:
    found = {}
    for method in METHODS:
        try:
            found[method] = delta(*curves, method)
        except ValueError as error:
            refusals.append(f'{delta.__name__}, {method}: {error}')
    return found
