"""Predictions of hosts, as plain values and as drawings."""
import colorsys
import inspect
import warnings
from uuid import uuid4

import numpy as np
from mmengine.config import Config
from mmengine.registry import VISUALIZERS, DefaultScope
from mmengine.structures import BaseDataElement
from numpy import ndarray
from torch import Tensor

from .mixing import host_of

#: Visualizer of each host, where a config names none.
_VISUALIZERS = dict(
    mmdet='DetLocalVisualizer',
    mmseg='SegLocalVisualizer',
    mmpretrain='UniversalVisualizer')


def plain_prediction(sample: BaseDataElement,
                     classes: list | None = None) -> dict:
    """A host's prediction as numbers, lists and arrays.

    Args:
        sample: Data sample of a host, on the CPU.
        classes: Names of classes.

    Returns:
        As far as they were predicted: of objects ``labels``, ``scores``,
        ``bboxes`` (x1, y1, x2, y2 in pixels of the original image) and
        ``masks`` (COCO's run lengths); of pixels ``sem_seg`` or
        ``panoptic_seg``, an array (H, W), or ``depth_map``; of the image
        ``pred_scores``, ``pred_score``, ``pred_label`` and ``pred_class``. A
        model with several tasks may have more of these, under their names.
    """
    found = {}
    if 'pred_instances' in sample:
        found.update(_instances(sample.pred_instances))
    for key, name, field in (('pred_sem_seg', 'sem_seg', 'data'),
                             ('pred_panoptic_seg', 'panoptic_seg', 'sem_seg'),
                             ('pred_depth_map', 'depth_map', 'data')):
        if key in sample:
            found[name] = sample.get(key).get(field)[0].numpy()
    if 'pred_score' in sample:
        found.update(_scores(sample, classes))
    for name, value in sample.items():
        if isinstance(value, BaseDataElement) and 'pred_score' in value:
            found[name] = _scores(value, None)
    return found


def _instances(instances) -> dict:
    found = {}
    for name in ('labels', 'scores'):
        if name in instances:
            found[name] = instances.get(name).tolist()
    if 'bboxes' in instances:
        boxes = instances.bboxes
        boxes = boxes if isinstance(boxes, Tensor) else boxes.tensor
        found['bboxes'] = boxes.tolist()
    if 'masks' in instances:
        from pycocotools.mask import encode
        masks = np.asarray(instances.masks, dtype=np.uint8)
        found['masks'] = [
            dict(size=one['size'], counts=one['counts'].decode())
            for one in (encode(np.asfortranarray(mask)) for mask in masks)
        ]
    return found


def _scores(sample: BaseDataElement, classes: list | None) -> dict:
    scores = sample.pred_score
    label = int(scores.argmax())
    found = dict(
        pred_scores=scores.tolist(),
        pred_score=float(scores[label]),
        pred_label=label)
    if classes is not None and label < len(classes):
        found['pred_class'] = classes[label]
    return found


class PredictionPainter:
    """Draws predictions by the host's own visualizer.

    Args:
        cfg: The host's config; its ``visualizer`` counts, else the usual one
            of the host. Nothing is sent to its backends.
        dataset_meta: Names and colours of classes.

    Raises:
        ValueError: If no visualizer is known.
    """

    def __init__(self, cfg: Config, dataset_meta: dict) -> None:
        scope = host_of(cfg)
        settings = dict(cfg.get('visualizer') or {})
        settings.setdefault('type', _VISUALIZERS.get(scope))
        if settings['type'] is None:
            raise ValueError(
                'The config has no `visualizer`, and none is known for the '
                f'scope {scope!r}; known are {sorted(_VISUALIZERS)}.')
        # mmengine hands out visualizers by name: this one is to be new.
        settings.update(name=f'inferencer-{uuid4().hex[:8]}')
        settings.pop('vis_backends', None)
        with DefaultScope.overwrite_default_scope(scope):
            self._visualizer = VISUALIZERS.build(settings)
        self._classes = dataset_meta.get('classes')
        names = self._classes or [str(number) for number in range(256)]
        self._visualizer.dataset_meta = dict(
            dataset_meta,
            classes=names,
            palette=dataset_meta.get('palette') or class_colours(len(names)))

    def __call__(self, image: ndarray, sample: BaseDataElement,
                 score_thr: float) -> ndarray:
        """Draw one prediction.

        Args:
            image: RGB, uint8, shape (H, W, 3), of the original's size.
            sample: The host's prediction.
            score_thr: Objects that are less sure are left out.

        Returns:
            RGB, uint8, shape (H, W, 3).
        """
        draw = getattr(self._visualizer, 'visualize_cls', None)
        if draw is not None and 'pred_score' in sample:
            draw(image, sample, classes=self._classes, draw_gt=False)
            return self._visualizer.get_image()
        draw = self._visualizer.add_datasample
        options = {}
        if 'pred_score_thr' in inspect.signature(draw).parameters:
            options['pred_score_thr'] = score_thr
        with warnings.catch_warnings():
            # Of boxes and masks that end at the image's border.
            warnings.filterwarnings('ignore', '.* is out of bounds')
            draw('prediction', image, sample, draw_gt=False, **options)
        return self._visualizer.get_image()


def class_colours(count: int) -> list[tuple[int, int, int]]:
    """Distinct RGB colours in [0, 255], always the same ones."""
    # Steps of the golden angle keep neighbours far apart.
    hues = (number * 0.381966 % 1 for number in range(count))
    return [
        tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.75, 1))
        for hue in hues
    ]
