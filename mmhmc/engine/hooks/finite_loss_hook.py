"""Refuses to learn from losses and gradients that are not finite."""
from collections.abc import Callable
from functools import partial

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from torch import Tensor

from mmhmc.registry import HOOKS


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Skips a step whose loss or gradient is not finite; stops after many.

    Under DDP all processes skip together. With a gradient scaler, gradients
    that are not finite are the scaler's own affair, and only losses are
    looked at.

    Args:
        max_consecutive: Stop when so many steps in a row had to be skipped.

    Raises:
        ValueError: If ``max_consecutive`` is not positive.
    """

    def __init__(self, max_consecutive: int = 10) -> None:
        if max_consecutive < 1:
            raise ValueError('`max_consecutive` must be at least 1, got '
                             f'{max_consecutive}.')
        self.max_consecutive = max_consecutive
        self.skipped = 0
        self._in_a_row = 0

    def before_train(self, runner) -> None:
        """Stand before the optimizer's update and step."""
        self._wrapper = runner.optim_wrapper
        self._update = self._wrapper.update_params
        self._logger = runner.logger
        self._wrapper.update_params = self._update_if_finite
        for wrapper in self._stepping():
            if not isinstance(wrapper, AmpOptimWrapper):
                wrapper.step = partial(self._step_if_finite, wrapper,
                                       wrapper.step)

    def after_train(self, runner) -> None:
        """Step aside again."""
        for wrapper in (self._wrapper, *self._stepping()):
            for name in ('update_params', 'step'):
                wrapper.__dict__.pop(name, None)

    def _stepping(self) -> list[OptimWrapper]:
        """Optimizers that step; of several each by itself."""
        if isinstance(self._wrapper, OptimWrapperDict):
            return list(self._wrapper.values())
        return [self._wrapper]

    def _update_if_finite(self, loss: Tensor, *args, **kwargs) -> None:
        if self._all_finite([loss.detach()]):
            before = self.skipped
            self._update(loss, *args, **kwargs)
            if self.skipped == before:
                self._in_a_row = 0
        else:
            # Also without a gradient, a later sum must not carry it on.
            self._refuse(f'loss is {loss.item()}')

    def _step_if_finite(self, wrapper: OptimWrapper, step: Callable,
                        **kwargs) -> None:
        gradients = [
            p.grad for group in wrapper.param_groups for p in group['params']
            if p.grad is not None
        ]
        if self._all_finite(gradients):
            step(**kwargs)
        else:
            self._refuse('gradient is not finite')

    def _refuse(self, what: str) -> None:
        """Count a refused step.

        Raises:
            RuntimeError: After too many in a row.
        """
        self._wrapper.zero_grad()
        self.skipped += 1
        self._in_a_row += 1
        self._logger.warning(
            f'Step skipped, the {what}: {self._in_a_row} in a row, '
            f'{self.skipped} in all.')
        if self._in_a_row >= self.max_consecutive:
            raise RuntimeError(
                f'{self._in_a_row} steps in a row were not finite; the '
                f'last: the {what}. Lower the learning rate, clip gradients '
                '(`optim_wrapper.clip_grad`), or look for broken pictures.')

    @staticmethod
    def _all_finite(tensors: list[Tensor]) -> bool:
        """Whether everything is finite, on every process."""
        norms = torch._foreach_norm(tensors) if tensors else []
        finite = torch.stack([n.float() for n in norms]).isfinite().all() \
            if norms else torch.tensor(True)
        verdict = finite.to(torch.uint8)
        all_reduce(verdict, 'min')
        return bool(verdict)
