"""Lower precision and another memory format for some modules only."""
from collections.abc import Callable, Sequence

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

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
            them and return the same, e.g. ``('backbone', 'neck')``.
        channels_last: Keep the modules' weights in channels_last, in which
            CPUs compute convolutions faster.
    """

    def __init__(self,
                 modules: Sequence[str] = ('backbone', ),
                 channels_last: bool = False) -> None:
        self.names = tuple(modules)
        self.channels_last = channels_last
        self._wrapped: list[nn.Module] = []

    def before_run(self, runner) -> None:
        """Put autocast around the modules' forward.

        Raises:
            ValueError: If the model has no module of a name.
        """
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        known = dict(model.named_modules())
        missing = [name for name in self.names if name not in known]
        if missing:
            raise ValueError(
                f'{type(model).__name__} has no module {missing}; its '
                f'children are {[n for n, _ in model.named_children()]}.')
        self._wrapped = [known[name] for name in self.names]
        for module in self._wrapped:
            if self.channels_last:
                module.to(memory_format=torch.channels_last)
            module.forward = _autocast(module, module.forward)

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
        return output.float().contiguous()
    return type(output)(_plain(one) for one in output)
