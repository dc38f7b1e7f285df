"""COCO mAP of any selection of images, without matching boxes again."""
import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

if TYPE_CHECKING:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

_MAX_DETECTIONS = 100  # an image and category, as in COCO's own figures


class CocoScore:
    """mAP at IoU .50:.05:.95 of a selection of images.

    ``pycocotools`` matches predictions with objects once. A selection then
    weights each prediction by how often its image was drawn, which takes
    cumulated sums only: a millisecond instead of a second. With every image
    drawn once the result is COCOeval's, to the last bit; with an image drawn
    twice it is that of a data set that holds the image twice, but for the
    order of predictions of one image that have the same score.

    Args:
        annotations: COCO annotation file.
        predictions: Results in COCO's format: a dict for each object with
            ``image_id``, ``category_id``, ``score`` and ``bbox`` or
            ``segmentation``.
        iou_type: ``'bbox'`` or ``'segm'``.
        images: ``file_name`` of the images that count; all those of the
            annotations if it is not given.

    Attributes:
        images: ``file_name`` of the images that indices stand for,
            ordered by their ids.

    Raises:
        FileNotFoundError: If there is no annotation file.
        ValueError: If it holds no object, or if it does not name one of
            ``images`` or the image of a prediction.
    """

    def __init__(self,
                 annotations: str | Path,
                 predictions: Sequence[dict],
                 iou_type: str = 'bbox',
                 images: Sequence[str] | None = None) -> None:
        evaluation = _evaluated(annotations, predictions, iou_type, images)
        truth, params = evaluation.cocoGt, evaluation.params
        self.images = tuple(truth.imgs[number]['file_name']
                            for number in params.imgIds)
        self._num_thresholds = len(params.iouThrs)
        self._num_categories = len(params.catIds)
        self._recalls = params.recThrs
        self._collect(evaluation.evalImgs)

    def _collect(self, matches: Sequence[dict | None]) -> None:
        """Flatten the matches of all categories, best score first.

        .. code-block:: none

            _image[d]    image of prediction d, category by category
            _objects[k,p]  objects of category k in image p that count
            _hit_*         predictions that found an object, for each
                           category and, inside, each IoU threshold
            _ignored_*     predictions that count neither way, likewise
        """
        num_images = len(self.images)
        self._objects = np.zeros((self._num_categories, num_images), np.int64)
        images, hits, ignored, segments = [], [], [], []
        start = 0
        for category in range(self._num_categories):
            found = matches[category * num_images:][:num_images]
            part, hit, ignore = _sorted_predictions(found)
            for image, match in enumerate(found):
                if match is not None:
                    self._objects[category, image] = np.count_nonzero(
                        match['gtIgnore'] == 0)
            images.append(part)
            for rows, flags in ((hits, hit), (ignored, ignore)):
                rows.append(
                    np.stack(np.nonzero(flags)) +
                    [[category * self._num_thresholds], [start]])
            segments.append(np.full(self._num_thresholds, start))
            start += len(part)
        self._image = np.concatenate(images)
        self._segment_start = np.concatenate(segments)
        self._hit_segment, self._hit = np.concatenate(hits, axis=1)
        ignored_segment, self._ignored = np.concatenate(ignored, axis=1)
        self._prepare(ignored_segment, start)

    def _prepare(self, ignored_segment: ndarray, num_predictions: int) -> None:
        """Find what stands before each hit, once for all selections."""
        num_segments = self._num_categories * self._num_thresholds
        segments = np.arange(num_segments)
        self._first_hit = np.searchsorted(self._hit_segment, segments)
        self._first_ignored = np.searchsorted(ignored_segment, segments)
        # Segment and place as one increasing number.
        step = num_predictions + 1
        self._ignored_before = np.searchsorted(
            ignored_segment * step + self._ignored,
            self._hit_segment * step + self._hit,
            side='right')

    def score(self, indices: ndarray) -> float:
        """mAP in [0, 1] of the images selected.

        Args:
            indices: Numbers of ``images``, with repetition, shape (n, ).

        Returns:
            The mean over the categories that the images show; -1, as of
            COCOeval, if they show none.
        """
        drawn = np.bincount(indices, minlength=len(self.images))
        objects = self._objects @ drawn
        shown = objects > 0
        if not shown.any():
            return -1.0
        weight = drawn[self._image]
        all_before, hits_before, ignored_before = (
            np.concatenate([[0], np.cumsum(values)])
            for values in (weight, weight[self._hit], weight[self._ignored]))
        segment = self._hit_segment
        hits = (hits_before[1:] - hits_before[self._first_hit][segment])
        counted = (
            all_before[self._hit + 1] -
            all_before[self._segment_start][segment] -
            ignored_before[self._ignored_before] +
            ignored_before[self._first_ignored][segment])
        # The expressions of COCOeval, so that their rounding is the same.
        precision = hits / (counted + np.spacing(1))
        recall = hits / np.maximum(objects[segment // self._num_thresholds], 1)
        table = self._precision_at_recalls(precision, recall)
        return float(np.mean(table[:, :, shown].ravel()))

    def _precision_at_recalls(self, precision: ndarray,
                              recall: ndarray) -> ndarray:
        """Best precision at each recall or a higher one.

        Returns:
            Shape (thresholds, recalls, categories).
        """
        num_recalls = len(self._recalls)
        num_segments = self._num_categories * self._num_thresholds
        # The highest recall that each hit reaches.
        reached = np.searchsorted(self._recalls, recall, side='right') - 1
        cell = self._hit_segment * num_recalls + reached
        table = np.zeros(num_segments * num_recalls)
        if len(cell):
            first = np.flatnonzero(np.diff(cell, prepend=-1))
            table[cell[first]] = np.maximum.reduceat(precision, first)
        table = table.reshape(num_segments, num_recalls)
        table = np.maximum.accumulate(table[:, ::-1], axis=1)[:, ::-1]
        return table.reshape(self._num_categories, self._num_thresholds,
                             num_recalls).transpose(1, 2, 0)


def _sorted_predictions(
        found: Sequence[dict | None]) -> tuple[ndarray, ndarray, ndarray]:
    """Image, hits and ignored flags of one category, best score first."""
    kept = [(image, match) for image, match in enumerate(found)
            if match is not None and match['dtScores']]
    if not kept:
        return np.zeros(0, np.int64), np.zeros((0, 0)), np.zeros((0, 0))
    scores = np.concatenate([match['dtScores'] for _, match in kept])
    images = np.concatenate([[image] * len(match['dtScores'])
                             for image, match in kept])
    # As COCOeval sorts: equal scores stay in the order of the images.
    order = np.argsort(-scores, kind='mergesort')
    matched, ignored = (
        np.concatenate([match[key]
                        for _, match in kept], axis=1)[:, order].astype(bool)
        for key in ('dtMatches', 'dtIgnore'))
    return images[order], matched & ~ignored, ignored


def _evaluated(annotations: str | Path, predictions: Sequence[dict],
               iou_type: str, images: Sequence[str] | None) -> 'COCOeval':
    # Imported here: only who evaluates detectors has it.
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    if iou_type not in ('bbox', 'segm'):
        raise ValueError("`iou_type` must be 'bbox' or 'segm', got "
                         f'{iou_type!r}.')
    # pycocotools prints what it does.
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        if not truth.anns:
            raise ValueError(f'{annotations} holds no object: there is no '
                             'mAP without annotations.')
        _check_images(truth, annotations, predictions)
        if predictions:
            # It writes into what it is given.
            results = truth.loadRes([dict(row) for row in predictions])
        else:
            results = COCO()
            results.dataset = dict(
                images=truth.dataset['images'],
                categories=truth.dataset['categories'],
                annotations=[])
            results.createIndex()
        evaluation = COCOeval(truth, results, iou_type)
        evaluation.params.areaRng = evaluation.params.areaRng[:1]
        evaluation.params.maxDets = [_MAX_DETECTIONS]
        if images is not None:
            evaluation.params.imgIds = _ids(truth, annotations, images)
        evaluation.evaluate()
    return evaluation


def _ids(truth: 'COCO', annotations: str | Path,
         images: Sequence[str]) -> list[int]:
    numbers = {image['file_name']: key for key, image in truth.imgs.items()}
    unknown = set(images) - set(numbers)
    if unknown:
        raise ValueError(f'{annotations} does not name {min(unknown)!r}.')
    return sorted(numbers[name] for name in images)


def _check_images(truth: 'COCO', annotations: str | Path,
                  predictions: Sequence[dict]) -> None:
    unknown = {row['image_id'] for row in predictions} - set(truth.imgs)
    if unknown:
        raise ValueError(
            f'{len(unknown)} images that were predicted are not in '
            f'{annotations}, the first is {min(unknown)}. Name the file that '
            'the task was tested with.')
