"""Accuracy of binary attributes, of which an image may have many."""
from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mmhmc.registry import METRICS


@METRICS.register_module()
class AttributeAccuracy(BaseMetric):
    """Share of attributes that are predicted rightly, mean over attributes.

    ``majority`` beside it is the accuracy of the constant prediction: for
    each attribute the value that most images of the test set have.

    Args:
        threshold: An attribute is predicted where its score is at least this.
        task: Name of the task in a ``MultiTaskModel``; None for other models.
        **kwargs: As of mmengine's ``BaseMetric``; without ``prefix``,
            metrics have ``'attributes'`` in front.
    """

    default_prefix = 'attributes'
    lower_is_better = ()

    def __init__(self,
                 threshold: float = 0.5,
                 task: str | None = None,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.threshold, self.task = threshold, task

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Note ``gt_score`` and ``pred_score`` of each sample, (A,)."""
        for sample in data_samples:
            found_in = sample if self.task is None else sample[self.task]
            wanted, found = (
                np.asarray(found_in[key].cpu()) >= self.threshold
                for key in ('gt_score', 'pred_score'))
            self.results.append((wanted, found))

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        """Accuracy in [0, 1]."""
        wanted, found = map(np.stack, zip(*results))
        share = wanted.mean(axis=0)
        return dict(
            accuracy=float((wanted == found).mean()),
            majority=float(np.maximum(share, 1 - share).mean()))
