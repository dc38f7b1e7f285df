"""Lower precision and another memory format for some modules only."""
from collections.abc import Callable, Sequence
from typing import Optional

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from mmhmc.engine.parts import find_coders
from mmhmc.models import LatentFeatures, PictureCoding
from mmhmc.registry import HOOKS


@HOOKS.register_module()
class AutocastHook(Hook):
    """Runs the training forward of named modules under bf16 autocast.

    What they return is float32 and contiguous again, for mmcv's ops on a CPU
    refuse bf16, and silently read channels_last as if it were contiguous
    (RoIAlign of mmcv 2.3). For CPUs, where mmengine's ``AmpOptimWrapper``
    refuses to run; on a GPU use ``--amp``. bf16 has the range of float32, so
    no gradient scaler is needed.

    Args:
        modules: Names of modules that take tensors or tuples and lists of
            them and return the same, e.g. ``('backbone', 'neck')``; None for
            whatever holds a codec in front of a host, wherever the host has
            it, of a codec alone its transforms, and of a host without a
            codec its ``backbone``.
        channels_last: Keep the modules' weights in channels_last, in which
            CPUs compute convolutions faster.
    """

    def __init__(self,
                 modules: Optional[Sequence[str]] = None,
                 channels_last: bool = False) -> None:
        self.names = None if modules is None else tuple(modules)
        self.channels_last = channels_last
        self._wrapped: list[nn.Module] = []

    def before_run(self, runner) -> None:
        """Put autocast around the modules' forward.

        Raises:
            ValueError: If the model has no module of a name.
        """
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        self._wrapped = self._find(model)
        for module in self._wrapped:
            if self.channels_last:
                module.to(memory_format=torch.channels_last)
            module.forward = _autocast(module, module.forward)

    def _find(self, model: nn.Module) -> list[nn.Module]:
        if self.names is None and hasattr(model, 'backbone') and not any(
                isinstance(m, PictureCoding) for m in model.modules()):
            return [model.backbone]
        if self.names is None:
            return [
                module for coder in find_coders(model)
                for module in ([coder.codec.g_a, coder.codec.g_s] if coder is
                               model else [coder])
            ]
        known = dict(model.named_modules())
        missing = [name for name in self.names if name not in known]
        if missing:
            raise ValueError(
                f'{type(model).__name__} has no module {missing}; its '
                f'children are {[n for n, _ in model.named_children()]}.')
        return [known[name] for name in self.names]

    def after_run(self, runner) -> None:
        """Take it away again."""
        for module in self._wrapped:
            del module.forward
            # From now on nothing makes their outputs contiguous.
            module.to(memory_format=torch.contiguous_format)
        self._wrapped = []


def _autocast(module: nn.Module, forward: Callable) -> Callable:

    def wrapped(*args, **kwargs):
        device = next(module.parameters()).device.type
        with torch.autocast(
                device, dtype=torch.bfloat16, enabled=module.training):
            return _plain(forward(*args, **kwargs))

    return wrapped


def _plain(output):
    if isinstance(output, Tensor):
        # Indices stay what they are.
        output = output.float() if output.is_floating_point() else output
        return output.contiguous()
    if isinstance(output, LatentFeatures):
        return LatentFeatures.over(map(_plain, output), output.canvas)
    return type(output)(_plain(one) for one in output)
