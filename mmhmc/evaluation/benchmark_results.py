"""Results of a benchmark, and the rate-distortion curves in them."""
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy import ndarray

from mmhmc.whole_files import read_json
from .coco_score import CocoScore
from .image_curve import ImageCurve, RDPoint
from .image_scores import ImageScore, MeanIoUScore, MeanScore
from .published_curves import in_decibel
from .rate_curve import RateCurve

#: Keys of a coded image that are no metric.
_NO_METRIC = ('kind', 'codec', 'point', 'dataset', 'image', 'width', 'height',
              'bytes', 'encode_ms', 'decode_ms', 'decoded')
#: Rate that a task measured itself, with the codec in its model.
_RATE = 'rate/bpp'


@dataclass(frozen=True, eq=False)
class Results:
    """Content of a results file; of two lines on one thing, the later one.

    Args:
        path: The file; paths in its lines are relative to its folder.
        run: The line on the run as a whole: ``settings`` and ``versions``.
        coded: One line per coded image.
        tasks: One line per task, point and data set; ``codec`` is None where
            the images were not compressed.
        points: One line per codec and point: all settings that decide what
            it decodes, and the versions it began with.
        complexity: One line per codec and point.
        failures: One line per failure that no later line made up for.
        num_cut_lines: Lines that an interruption left unfinished.
    """

    path: Path
    run: dict
    coded: Sequence[dict]
    tasks: Sequence[dict]
    points: Sequence[dict]
    complexity: Sequence[dict]
    failures: Sequence[dict]
    num_cut_lines: int = 0

    @property
    def codecs(self) -> list[str]:
        """Names of the codecs, in the order of the run's settings."""
        rows = [*self.coded, *self.tasks, *self.complexity]
        there = _distinct(row['codec'] for row in rows if row['codec'])
        order = self.asked_for
        return sorted(
            there,
            key=lambda name: order.index(name)
            if name in order else len(order))

    @property
    def asked_for(self) -> list[str]:
        """Names of the codecs in the run's settings, tried or not."""
        codecs = self.run.get('settings', {}).get('codecs', {})
        # A codec with an adapter fills a second row.
        return [
            name for codec, entry in codecs.items()
            for name in (codec, entry.get('without_adapter')) if name
        ]

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets, in the order of the file."""
        return _distinct(row['dataset'] for row in (*self.coded, *self.tasks))

    def metrics(self, dataset: str) -> list[str]:
        """Names of the metrics that were measured on a data set.

        A metric of a task is named as the task reports it, with the task in
        front, ``'TASK:METRIC'``, where several tasks report it. Where the
        run's settings name ``metrics`` of a task, the others are left out.
        """
        names = _distinct(
            key for row in self.coded if row['dataset'] == dataset
            for key, value in row.items()
            if key not in _NO_METRIC and isinstance(value, (int, float)))
        if 'ms_ssim' in names:
            names.append('ms_ssim_db')
        pairs = _distinct((row['task'], key) for row in self.tasks
                          if row['dataset'] == dataset
                          for key in row['metrics']
                          if not key.startswith('rate/')
                          and self._is_wanted(row['task'], key))
        keys = [key for _, key in pairs]
        return names + [
            key if keys.count(key) == 1 else f'{task}:{key}'
            for task, key in pairs
        ]

    def curve(self, codec: str, dataset: str, metric: str) -> RateCurve:
        """Points of a codec that were coded whole.

        A point of which an image or the metric is missing is left out, as
        its mean would be of other images; see :meth:`incomplete`.

        Args:
            codec: Its name.
            dataset: Its name.
            metric: As :meth:`metrics` gives it.

        Raises:
            ValueError: If no point is whole, or if a rate or a quality is
                not finite.
        """
        bpp, quality, labels = [], [], []
        for point, rows in self._whole_points(codec, dataset).items():
            value = self._quality(codec, point, dataset, metric, rows)
            rate = self._rate(codec, point, dataset, metric, rows)
            if value is not None and rate is not None:
                bpp.append(rate)
                quality.append(value)
                labels.append(point)
        if not bpp:
            raise ValueError(
                f'{self.path.name} has no point of {codec!r} with {metric!r} '
                f'on the whole of {dataset!r}; its codecs are '
                f'{", ".join(self.codecs)}, measured there: '
                f'{", ".join(self.metrics(dataset)) or "nothing"}.')
        return RateCurve(codec, bpp, quality, labels, metric,
                         self._lower_is_better(dataset, metric))

    def uncompressed(self, dataset: str, metric: str) -> float | None:
        """The metric on images that were not compressed, if measured."""
        row = self._task_row(None, None, dataset, metric)
        return None if row is None else row['metrics'][_key_of(metric)]

    def image_curve(self,
                    codec: str,
                    dataset: str,
                    metric: str,
                    annotations: str | Path | None = None) -> ImageCurve:
        """The same curve, image by image, for a bootstrap.

        What a task found is read from the files that its lines name as
        ``predictions``. Each is a dict with one or more of

        - ``detections``: by ``'bbox'`` and ``'segm'``, a file beside it of
          results in COCO's format;
        - ``IoUMetric``: for each image a list of areas per class, first of
          intersection, then of union;
        - ``Accuracy``: for each image 1 if it was classified rightly;
        - ``BitrateMetric``: for each image its rate in bpp, where the task
          coded by itself;
        - ``images``: names of the images of the lists above.

        Args:
            codec: Its name.
            dataset: Its name.
            metric: A metric of images, or a task's ``bbox_mAP``,
                ``segm_mAP``, ``mIoU`` or ``top1``.
            annotations: COCO annotation file of the data set, for an mAP;
                that of the run's settings if it is not given.

        Raises:
            FileNotFoundError: If a file of predictions is missing.
            ValueError: If no point is whole, or if the metric cannot be
                computed from what was kept.
        """
        curve = self.curve(codec, dataset, metric)
        points, images = [], None
        for label in curve.labels:
            rows = self._whole_points(codec, dataset)[label]
            scorer, names = self._scorer(codec, label, dataset, metric, rows,
                                         annotations)
            rates = self._image_rates(codec, label, dataset, metric, rows)
            if not set(names) <= set(rates):
                raise ValueError(
                    f'Point {label!r} of {codec!r}: {dataset!r} was not coded '
                    f'image by image for {metric!r}, e.g. not '
                    f'{min(set(names) - set(rates))!r}.')
            images = images or names
            points.append(
                RDPoint(
                    np.array([rates[name] for name in names]), scorer, label))
        return ImageCurve(codec, images, points, metric, curve.lower_is_better)

    def incomplete(self) -> list[tuple[str, str, str, int]]:
        """Points that lack images: codec, point, data set, how many."""
        return [(codec, point, dataset, self._size[dataset] - len(rows))
                for (codec, dataset), points in self._points.items()
                for point, rows in points.items()
                if len(rows) < self._size[dataset]]

    def images(self, codec: str, point: str, dataset: str) -> list[dict]:
        """Lines on the coded images of a point, by name."""
        return self._points.get((codec, dataset), {}).get(point, [])

    @cached_property
    def _points(self) -> dict[tuple[str, str], dict[str, list[dict]]]:
        """Lines on coded images by codec and data set, then by point."""
        points = {}
        for row in sorted(self.coded, key=lambda row: row['image']):
            key = row['codec'], row['dataset']
            points.setdefault(key, {}).setdefault(row['point'], []).append(row)
        return points

    @cached_property
    def _size(self) -> dict[str, int]:
        """Number of images of each data set that were coded at all."""
        names = {(row['dataset'], row['image']) for row in self.coded}
        return {
            dataset: sum(name == dataset for name, _ in names)
            for dataset in self.datasets
        }

    def _whole_points(self, codec: str, dataset: str) -> dict[str, list[dict]]:
        """Coded images of the points that have all of them.

        A point of a task that was tested in the model has no coded images.
        """
        points = self._points.get((codec, dataset), {})
        whole = {
            point: rows
            for point, rows in points.items()
            if len(rows) == self._size[dataset]
        }
        for row in self.tasks:
            if (row['codec'], row['dataset']) == (codec, dataset) \
                    and _RATE in row['metrics']:
                whole.setdefault(row['point'], points.get(row['point'], []))
        return whole

    def _task_row(self, codec: str | None, point: str | None, dataset: str,
                  metric: str) -> dict | None:
        task = metric.split(':')[0] if ':' in metric else None
        for row in self.tasks:
            if (row['codec'] == codec and row['dataset'] == dataset
                    and (codec is None or row['point'] == point)
                    and task in (None, row['task'])
                    and _key_of(metric) in row['metrics']
                    and self._is_wanted(row['task'], _key_of(metric))):
                return row
        return None

    def _lower_is_better(self, dataset: str, metric: str) -> bool | None:
        """Whether tasks say that less is better; None if none says."""
        task, key = metric.split(':')[0], _key_of(metric)
        for row in self.tasks:
            if (row['dataset'] == dataset and key in row['metrics']
                    and (':' not in metric or row['task'] == task)
                    and 'lower_is_better' in row):
                return key in row['lower_is_better']
        return None

    def _quality(self, codec: str, point: str, dataset: str, metric: str,
                 rows: Sequence[dict]) -> float | None:
        row = self._task_row(codec, point, dataset, metric)
        if row is not None:
            return row['metrics'][_key_of(metric)]
        values = _values(rows, metric)
        if values is None:
            return None
        mean = np.mean(values)
        return in_decibel(mean) if metric == 'ms_ssim_db' else mean

    def _rate(self, codec: str, point: str, dataset: str, metric: str,
              rows: Sequence[dict]) -> float | None:
        """Rate of a point: the task's own where it coded by itself."""
        row = self._task_row(codec, point, dataset, metric)
        if row is not None and _RATE in row['metrics']:
            return row['metrics'][_RATE]
        return np.mean([_bpp(row) for row in rows]) if rows else None

    def _image_rates(self, codec: str, point: str, dataset: str, metric: str,
                     rows: Sequence[dict]) -> dict[str, float | None]:
        """Rate of each image: the task's own where it coded by itself."""
        row = self._task_row(codec, point, dataset, metric)
        if row is None or _RATE not in row['metrics']:
            return {row['image']: _bpp(row) for row in rows}
        found = read_json(self.path.parent / row['predictions'])
        return dict(zip(_names(found), found.get('BitrateMetric', ())))

    def _scorer(
            self, codec: str, point: str, dataset: str, metric: str,
            rows: Sequence[dict], annotations: str | Path | None
    ) -> tuple[ImageScore, tuple[str, ...]]:
        row = self._task_row(codec, point, dataset, metric)
        if row is None:
            return MeanScore(_values(rows, metric)), tuple(row['image']
                                                           for row in rows)
        if not row.get('predictions'):
            raise ValueError(
                f'Point {point!r} of {codec!r} kept no predictions of '
                f'{row["task"]!r}: {metric!r} is known for all images '
                'together only.')
        return _task_scorer(self.path.parent / row['predictions'], metric,
                            annotations or self._annotations(dataset),
                            [row['image'] for row in rows])

    def _is_wanted(self, task: str, metric: str) -> bool:
        tasks = self.run.get('settings', {}).get('tasks', {})
        return metric in tasks.get(task, {}).get('metrics', [metric])

    def _annotations(self, dataset: str) -> str | None:
        datasets = self.run.get('settings', {}).get('datasets', {})
        return datasets.get(dataset, {}).get('annotations')


def _names(found: dict) -> tuple[str, ...]:
    """Names of the images of a task; `pictures` was their key in 0.1."""
    return tuple(found.get('images') or found.get('pictures') or ())


def _distinct(values: Iterable) -> list:
    return list(dict.fromkeys(values))


def _key_of(metric: str) -> str:
    return metric.split(':', 1)[-1]


def _bpp(row: dict) -> float:
    return 8 * row['bytes'] / (row['width'] * row['height'])


def _values(rows: Sequence[dict], metric: str) -> ndarray | None:
    """A metric of each image; None if one lacks it."""
    key = 'ms_ssim' if metric == 'ms_ssim_db' else metric
    values = [row.get(key) for row in rows]
    return None if None in values or not values else np.array(values)


def _task_scorer(path: Path, metric: str, annotations: None | (str | Path),
                 coded: Sequence[str]) -> tuple[ImageScore, tuple[str, ...]]:
    found = read_json(path)
    kind = metric.replace(':', '/').rsplit('/', 1)[-1]
    detections = found.get('detections', {}).get(kind.removesuffix('_mAP'))
    if kind.endswith('_mAP') and detections is not None:
        if annotations is None:
            raise ValueError(
                f'{metric!r} of a selection of images needs `annotations`, '
                'the COCO file of the data set.')
        rows = read_json(path.parent / detections)
        score = CocoScore(annotations, rows, kind.removesuffix('_mAP'), coded
                          or None)
        return score, score.images
    if kind == 'mIoU' and 'IoUMetric' in found:
        areas = np.array([row[:2] for row in found['IoUMetric']])
        score = MeanIoUScore(areas[:, 0], areas[:, 1])
    elif kind == 'top1' and 'Accuracy' in found:
        score = MeanScore(100 * np.array(found['Accuracy']))
    elif kind == 'psnr' and 'PSNRMetric' in found:
        score = MeanScore(np.array(found['PSNRMetric']))
    else:
        raise ValueError(
            f'{metric!r} cannot be computed for a selection of images from '
            f'{path.name}; bbox_mAP, segm_mAP, mIoU, top1 and psnr can, where '
            'they were kept.')
    if not _names(found):
        raise ValueError(f'{path} does not name its `images`, so their '
                         'rates are unknown. Run the task again.')
    return score, _names(found)
