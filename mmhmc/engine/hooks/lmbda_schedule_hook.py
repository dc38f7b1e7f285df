"""Changes a weight of the objective while training goes on."""
from collections.abc import Sequence

import numpy as np
from mmengine.hooks import Hook

from mmhmc.losses.rate_distortion import check_lmbda
from mmhmc.registry import HOOKS
from .rate_loss_hook import RateLossHook


@HOOKS.register_module()
class LmbdaScheduleHook(Hook):
    """Changes one weight of ``RateLossHook`` piecewise linearly.

    Args:
        weight: ``'lmbda_rate'``, ``'lmbda_distortion'`` or ``'lmbda_task'``.
        points: (iteration, value) pairs, iterations rising. Between two
            points the value is interpolated, outside them it is constant.

    Raises:
        ValueError: If the weight is unknown, or points are out of order or
            negative.
    """

    def __init__(self, weight: str, points: Sequence[tuple[int,
                                                           float]]) -> None:
        known = ('lmbda_rate', 'lmbda_distortion', 'lmbda_task')
        if weight not in known:
            raise ValueError(f'`weight` must be one of {known}, got '
                             f'{weight!r}.')
        self.iters = [point[0] for point in points]
        self.values = [check_lmbda(weight, point[1]) for point in points]
        if not self.iters or sorted(set(self.iters)) != self.iters:
            raise ValueError('`points` needs rising iterations, got '
                             f'{self.iters}.')
        self.weight = weight

    def before_train(self, runner) -> None:
        """Find the hook whose weight changes.

        Raises:
            ValueError: If there is not exactly one ``RateLossHook``.
        """
        steered = [h for h in runner.hooks if isinstance(h, RateLossHook)]
        if len(steered) != 1:
            raise ValueError('LmbdaScheduleHook steers one RateLossHook, but '
                             f'`custom_hooks` has {len(steered)}.')
        self._steered = steered[0]

    def before_train_iter(self, runner, *args, **kwargs) -> None:
        """Set the weight for this iteration."""
        setattr(self._steered, self.weight, self.value_at(runner.iter))

    def value_at(self, iteration: int) -> float:
        """The weight at an iteration."""
        return float(np.interp(iteration, self.iters, self.values))
