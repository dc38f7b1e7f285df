"""bf16 and channels_last for some modules of a model."""
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from mmengine.hooks import Hook
from torch import Tensor, nn

from mmhmc.codecs.compressai_codec import PointwiseStridedConv2d
from mmhmc.engine.parts import find_codec_wrappers, unwrap
from mmhmc.machine import Arithmetic, choose_arithmetic
from mmhmc.models import ImageCoding, LatentFeatures
from mmhmc.registry import HOOKS

#: With so many input channels no strided 1x1 convolution has crashed.
_SAFE_CHANNELS = 16


@HOOKS.register_module()
class AutocastHook(Hook):
    """Runs the training forward of some modules under bf16 autocast.

    It does so where the machine computes bf16 natively, else in float32; the
    log says which and why. ``MMHMC_COMPUTE`` overrides that, see
    :mod:`mmhmc.machine`.

    The outputs of the modules are float32 and contiguous again: mmcv's ops on
    a CPU refuse bf16, and silently read channels_last as if it were
    contiguous (RoIAlign of mmcv 2.3). The hook is for CPUs, where mmengine's
    ``AmpOptimWrapper`` refuses to run; on a GPU use ``--amp``. bf16 has the
    range of float32, so no gradient scaler is needed.

    Args:
        modules: Names of modules that take tensors or tuples and lists of
            them and return the same, e.g. ``('backbone', 'neck')``. None: the
            codec wrapper in front of a host, the transforms of a codec
            without a host, or the ``backbone`` of a host without a codec.
        channels_last: Whether the modules' weights may be kept in
            channels_last, in which CPUs compute convolutions faster.
    """

    def __init__(self,
                 modules: Sequence[str] | None = None,
                 channels_last: bool = False) -> None:
        self.names = None if modules is None else tuple(modules)
        self.channels_last = channels_last
        self._wrapped: list[nn.Module] = []

    def before_run(self, runner) -> None:
        """Put autocast around the modules' forward.

        Raises:
            ValueError: If the model has no module of a name.
        """
        self._wrapped = self._find(unwrap(runner.model))
        for module in self._wrapped:
            chosen = choose_arithmetic(next(module.parameters()).device)
            if not self._may_go_channels_last(module, chosen):
                chosen = replace(chosen, channels_last=False)
            if chosen.channels_last:
                module.to(memory_format=torch.channels_last)
            module.forward = _wrapped(module, module.forward, chosen.bf16)
        if self._wrapped:
            runner.logger.info(f'AutocastHook: {chosen}')

    def _may_go_channels_last(self, module: nn.Module,
                              chosen: Arithmetic) -> bool:
        return self.channels_last and chosen.channels_last and (
            chosen.bf16 or not any(map(_may_crash, module.modules())))

    def _find(self, model: nn.Module) -> list[nn.Module]:
        if self.names is None and hasattr(model, 'backbone') and not any(
                isinstance(m, ImageCoding) for m in model.modules()):
            return [model.backbone]
        if self.names is None:
            wrappers = find_codec_wrappers(model)
            if wrappers == [model]:
                return [model.codec.g_a, model.codec.g_s]
            return wrappers
        known = dict(model.named_modules())
        missing = [name for name in self.names if name not in known]
        if missing:
            raise ValueError(
                f'{type(model).__name__} has no module {missing}; its '
                f'children are {[n for n, _ in model.named_children()]}.')
        return [known[name] for name in self.names]

    def after_run(self, runner) -> None:
        """Restore the modules' forward and memory format."""
        for module in self._wrapped:
            del module.forward
            # From now on nothing makes their outputs contiguous.
            module.to(memory_format=torch.contiguous_format)
        self._wrapped = []


def _may_crash(layer: nn.Module) -> bool:
    """Whether float32 channels_last may write outside its buffers.

    oneDNN's backward pass of a strided 1x1 convolution of few channels does
    (torch 2.1 to 2.13).
    """
    return (isinstance(layer, nn.Conv2d)
            and not isinstance(layer, PointwiseStridedConv2d)
            and layer.kernel_size == (1, 1) and layer.stride != (1, 1)
            and layer.in_channels < _SAFE_CHANNELS)


def _wrapped(module: nn.Module, forward: Callable, bf16: bool) -> Callable:

    def wrapped(*args, **kwargs):
        if not bf16:
            return _plain(forward(*args, **kwargs))
        device = next(module.parameters()).device.type
        with torch.autocast(
                device, dtype=torch.bfloat16, enabled=module.training):
            return _plain(forward(*args, **kwargs))

    return wrapped


def _plain(output):
    if isinstance(output, Tensor):
        # Indices stay integers.
        output = output.float() if output.is_floating_point() else output
        return output.contiguous()
    if isinstance(output, LatentFeatures):
        return LatentFeatures.over(map(_plain, output), output.canvas)
    return type(output)(_plain(one) for one in output)
