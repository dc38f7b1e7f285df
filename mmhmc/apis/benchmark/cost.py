"""The third stage of a benchmark: parameters, operations and time."""
from dataclasses import dataclass

import torch

from mmhmc.evaluation import count_kmac, count_parameters, time_coding
from .images import load_point
from .plan import Plan, Point
from .records import ERRORS, LOST, failure


@dataclass(frozen=True)
class CostTask:
    """A point whose cost is to be measured.

    Args:
        point: Which codec at which rate.
        key: Fingerprint of all that decides the cost.
    """

    point: Point
    key: str

    @property
    def origin(self) -> dict:
        """Keys of its record."""
        return dict(codec=self.point.codec, point=self.point.name)

    def lost(self) -> list[dict]:
        """Records of a measurement that ended its process."""
        return [failure('complexity', LOST, **self.origin)]


class CostMeter:
    """Measures one point after another.

    Args:
        plan: The benchmark.
    """

    def __init__(self, plan: Plan) -> None:
        self._size = plan.complexity

    def __call__(self, task: CostTask) -> list[dict]:
        """Measure a point.

        Returns:
            One record: ``complexity``, or ``failure``.
        """
        try:
            measured = self._measure(task.point)
        except ERRORS as error:
            return [failure('complexity', error, **task.origin)]
        return [dict(task.origin, kind='complexity', key=task.key, **measured)]

    def _measure(self, point: Point) -> dict:
        codec, adapter = load_point(point)
        parameters = count_parameters(codec, adapter)
        measured = dict(size=list(self._size))
        if codec.state_dict():
            measured.update(
                parameters=sum(parameters.values()),
                parameters_of=parameters,
                kmac=count_kmac(codec, self._size, point.condition, adapter))
        # Noise would not be an image, and flat colour costs nothing.
        x = torch.nn.functional.interpolate(
            torch.rand(1, 3, 16, 16), self._size, mode='bicubic').clamp_(0, 1)
        return dict(measured, **time_coding(codec, x, point.condition))
