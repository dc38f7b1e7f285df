"""How far points are from where they should be."""
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mmhmc.registry import METRICS


@METRICS.register_module()
class PointsMetric(BaseMetric):
    """Mean distance of points, as a share of the distance of the eyes.

    The first two points are the eyes. ``nme`` is the mean over points and
    images, ``failures`` the share of images whose mean is above 0.1.

    Args:
        task: Of a ``MultiTaskModel`` the task that is meant.
        **kwargs: As of mmengine's ``BaseMetric``; without ``prefix``,
            metrics have ``'points'`` in front.
    """

    default_prefix = 'points'
    lower_is_better = ('nme', 'failures')

    def __init__(self, task: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.task = task

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Note the mean distance of each sample.

        Of each ``gt_score`` and ``pred_score``, (2 P,), columns and rows as
        shares of width and height.
        """
        for sample in data_samples:
            found_in = sample if self.task is None else sample[self.task]
            height, width = sample['img_shape'][:2]
            wanted, found = (
                np.asarray(found_in[key].cpu()).reshape(-1, 2) *
                (width, height) for key in ('gt_score', 'pred_score'))
            eyes = np.linalg.norm(wanted[0] - wanted[1])
            distances = np.linalg.norm(wanted - found, axis=1)
            self.results.append(float(distances.mean() / eyes))

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        """Means over all images."""
        return dict(
            nme=float(np.mean(results)),
            failures=float(np.mean(np.array(results) > 0.1)))
