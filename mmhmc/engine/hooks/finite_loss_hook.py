"""Skips training steps with losses or gradients that are not finite."""
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from torch import Tensor, nn

from mmhmc.registry import HOOKS


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Skips a step whose loss or gradient is not finite; stops after many.

    Before each step it checks the losses of all batches since the last one
    and the norm of the gradients, with one GPU synchronisation. Gradient
    clipping uses the same norm. Under DDP all processes skip together. A
    gradient scaler handles gradients that are not finite itself, so with one
    only losses are checked.

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
        """Wrap the optimizer's update and step."""
        wrapper = runner.optim_wrapper
        self._logger = runner.logger
        # Each of several optimizers steps by itself.
        several = isinstance(wrapper, OptimWrapperDict)
        self._guards = [
            _StepGuard(one, self)
            for one in (wrapper.values() if several else [wrapper])
        ]

    def after_train(self, runner) -> None:
        """Give the optimizers their own methods back."""
        for guard in self._guards:
            guard.leave()

    def accept(self) -> None:
        """Count a step that is made."""
        self._in_a_row = 0

    def refuse(self, what: str) -> None:
        """Count a refused step.

        Raises:
            RuntimeError: After too many in a row.
        """
        self.skipped += 1
        self._in_a_row += 1
        self._logger.warning(
            f'Step skipped, the {what} is not finite: {self._in_a_row} in a '
            f'row, {self.skipped} in all.')
        if self._in_a_row >= self.max_consecutive:
            raise RuntimeError(
                f'{self._in_a_row} steps in a row were not finite; of the '
                f'last the {what}. Lower the learning rate, clip gradients '
                '(`optim_wrapper.clip_grad`), or look for broken images.')


class _StepGuard:
    """Checks losses and gradients before the step of one optimizer."""

    def __init__(self, wrapper: OptimWrapper, hook: FiniteLossHook) -> None:
        self._wrapper, self._hook = wrapper, hook
        self._update, self._step = wrapper.update_params, wrapper.step
        wrapper.update_params = self._note_loss
        wrapper.step = self._step_if_finite
        # Whether the losses of all batches since the last step are finite.
        self._finite: Tensor | None = None

    def leave(self) -> None:
        """Give the optimizer its own methods back."""
        for name in ('update_params', 'step'):
            self._wrapper.__dict__.pop(name, None)

    def _note_loss(self, loss: Tensor, *args, **kwargs) -> None:
        finite = loss.detach().isfinite()
        if not loss.requires_grad and not finite:
            # It leads to no step that could be refused.
            self._refuse('loss')
            return
        self._finite = finite if self._finite is None else \
            self._finite & finite
        self._update(loss, *args, **kwargs)

    def _step_if_finite(self, **kwargs) -> None:
        gradients = [] if _scales(self._wrapper) else [
            p.grad for group in self._wrapper.param_groups
            for p in group['params'] if p.grad is not None
        ]
        norm = self._norm(gradients)
        loss_holds, norm_holds, value = self._verdict(norm)
        if not (loss_holds and norm_holds):
            self._refuse('gradient' if loss_holds else 'loss')
            return
        self._hook.accept()
        with self._clipping_by(norm, value):
            self._step(**kwargs)

    def _refuse(self, what: str) -> None:
        # Gradients of earlier batches too, or the next sum has them.
        self._wrapper.zero_grad()
        self._finite = None
        self._hook.refuse(what)

    def _norm(self, gradients: list[Tensor]) -> Tensor | None:
        """Norm of all gradients, of the order that clipping uses."""
        if not gradients:
            return None
        order = float((self._wrapper.clip_grad_kwargs
                       or {}).get('norm_type', 2.))
        norms = torch._foreach_norm(gradients, order)
        return torch.linalg.vector_norm(
            torch.stack([one.to(norms[0].device) for one in norms]), order)

    def _verdict(self, norm: Tensor | None) -> tuple[float, float, float]:
        """Whether losses are finite, whether the norm is; the norm.

        Both are True only if they hold on every process.
        """
        finite, self._finite = self._finite, None
        if norm is None:
            norm = torch.zeros((), device=finite.device)
        if finite is None:
            finite = torch.ones_like(norm, dtype=torch.bool)
        holds = torch.stack((finite.to(norm.device), norm.isfinite()))
        holds = holds.to(torch.uint8)
        all_reduce(holds, 'min')
        # One transfer for all.
        return torch.cat((holds.to(norm.dtype), norm.view(1))).tolist()

    @contextmanager
    def _clipping_by(self, norm: Tensor | None,
                     value: float) -> Iterator[None]:
        """Let the wrapper clip by the norm that is already computed."""
        wrapper = self._wrapper
        clip = getattr(wrapper, 'clip_func', None)
        if norm is None or clip is not nn.utils.clip_grad_norm_:
            yield
            return

        def by_norm(parameters: list, max_norm: float, **kwargs) -> float:
            share = (max_norm / (norm + 1e-6)).clamp(max=1.)
            by_device = {}
            for parameter in parameters:
                by_device.setdefault(parameter.grad.device,
                                     []).append(parameter.grad)
            for device, gradients in by_device.items():
                torch._foreach_mul_(gradients, share.to(device))
            return value

        wrapper.clip_func = by_norm
        try:
            yield
        finally:
            wrapper.clip_func = clip


def _scales(wrapper: OptimWrapper) -> bool:
    """Whether a wrapper uses a gradient scaler."""
    return isinstance(wrapper,
                      AmpOptimWrapper) and wrapper.loss_scaler.is_enabled()
