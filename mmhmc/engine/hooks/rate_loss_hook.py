"""Joins the codec's losses, and what was coded, with the host's results."""
import math
from collections.abc import Sequence
from typing import Optional

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from mmhmc.engine.parts import adapter_changes_nothing, find_coder
from mmhmc.functional import picture_mse
from mmhmc.registry import HOOKS
from mmhmc.structures import CodedBatch, CodedPicture


@HOOKS.register_module()
class RateLossHook(Hook):
    """Attaches a torch forward hook to the model while a runner runs.

    .. code-block:: none

        sizes ─► coder ──┐
                         ├─► loss dict: host's losses * lmbda_task
        model.forward ───┤              loss_rate, loss_distortion, bpp, psnr
                         └─► data samples: field `coding`, for the metrics

    The objective is that of the dynamic-adaptation paper,
    ``lmbda_rate * R + lmbda_distortion * 255^2 * MSE(x, x_hat) + lmbda_task *
    D_m``, with R in bits per coded pixel and D_m the sum of the host's
    losses. While training, R and MSE are means over the batch.

    Args:
        lmbda_rate: Weight of the rate, not negative.
        lmbda_distortion: Weight of ``255^2 * MSE``, not negative; CompressAI
            uses .0018 .0035 .0067 .0130 for qualities 1 to 4.
        lmbda_task: Weight of the host's losses, not negative.

    Raises:
        ValueError: If a weight is negative or not finite.
    """

    def __init__(self,
                 lmbda_rate: float = 1.,
                 lmbda_distortion: float = 0.0067,
                 lmbda_task: float = 1.) -> None:
        self.lmbda_rate = check_lmbda('lmbda_rate', lmbda_rate)
        self.lmbda_distortion = check_lmbda('lmbda_distortion',
                                            lmbda_distortion)
        self.lmbda_task = check_lmbda('lmbda_task', lmbda_task)
        self._handles = []

    def before_run(self, runner) -> None:
        """Attach to the inner model."""
        model = runner.model
        self.attach(model.module if is_model_wrapper(model) else model)

    def after_run(self, runner) -> None:
        """Take everything away again."""
        self.detach()

    def before_test(self, runner) -> None:
        """Refuse to test an adapter that has learnt nothing.

        Raises:
            ValueError: If the adapter in use is still the identity.
        """
        coder = self._coder
        if coder.uses_adapter and adapter_changes_nothing(coder):
            raise ValueError(
                'The adapter would change nothing: its last layer is zero, as '
                'it is before training. Load a checkpoint with a trained '
                'adapter, or switch it off: --cfg-options '
                'model.backbone.test_cfg.adapter=False')

    def attach(self, model: nn.Module) -> None:
        """Join losses from now on.

        Args:
            model: Unwrapped model that holds one codec.
        """
        self.detach()
        self._coder = find_coder(model)
        self._handles = [
            model.register_forward_pre_hook(
                self._before_forward, with_kwargs=True),
            model.register_forward_hook(self._after_forward, with_kwargs=True)
        ]

    def detach(self) -> None:
        """Leave the model as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _before_forward(self, model: nn.Module, args: tuple,
                        kwargs: dict) -> None:
        samples = _data_samples(args, kwargs)
        self._coder.expect([picture_size(s, model.training)
                            for s in samples] if samples else None)

    def _after_forward(self, model: nn.Module, args: tuple, kwargs: dict,
                       output):
        records = self._coder.collect()
        if not records:
            return output
        mode = kwargs.get('mode', args[2] if len(args) > 2 else 'tensor')
        if mode == 'loss':
            return {**self._weigh(output), **self._losses(records)}
        if mode == 'predict' and output is not None:
            _describe(output, records)
        return output

    def _weigh(self, losses: dict) -> dict:
        """The host's losses, times ``lmbda_task``."""
        if self.lmbda_task == 1:
            return losses

        def scale(value):
            if isinstance(value, Tensor):
                return value * self.lmbda_task
            return [scale(one) for one in value]

        return {
            name: scale(value) if 'loss' in name else value
            for name, value in losses.items()
        }

    def _losses(self, records: Sequence[CodedBatch]) -> dict[str, Tensor]:
        """The codec's losses and logs, of all pictures of one forward."""
        bpp, mse = (
            torch.cat(parts)
            for parts in zip(*((c.bits / _pixels(c),
                                picture_mse(c.x, c.x_hat, c.sizes))
                               for c in records)))
        return dict(
            loss_rate=self.lmbda_rate * bpp.mean(),
            loss_distortion=self.lmbda_distortion * 255**2 * mse.mean(),
            bpp=bpp.mean().detach(),
            psnr=-10 * mse.detach().clamp(min=1e-10).log10().mean())


def check_lmbda(name: str, value: float) -> float:
    """A weight of the objective.

    Raises:
        ValueError: If it is negative or not finite.
    """
    if not math.isfinite(value) or value < 0:
        raise ValueError(f'`{name}` weighs a part of the loss and must be '
                         f'finite and at least 0, got {value}.')
    return float(value)


def picture_size(sample, training: bool) -> Optional[tuple[int, int]]:
    """Height and width of the real picture on a host's canvas.

    At test time, what the pipeline padded after a resize does not count.
    """
    size = tuple(sample.metainfo['img_shape'][:2])
    scale = sample.metainfo.get('scale_factor')
    original = sample.metainfo.get('ori_shape')
    if training or scale is None or original is None:
        return size
    return (min(size[0], round(original[0] * float(scale[1]))),
            min(size[1], round(original[1] * float(scale[0]))))


def _data_samples(args: tuple, kwargs: dict) -> Optional[list]:
    return kwargs.get('data_samples', args[1] if len(args) > 1 else None)


def _pixels(coded: CodedBatch) -> Tensor:
    return torch.tensor([h * w for h, w in coded.sizes],
                        device=coded.bits.device)


def _describe(samples: list, records: Sequence[CodedBatch]) -> None:
    """Give each data sample its ``coding`` field, from its first coding."""
    coded = records[0]
    for i, (sample, size) in enumerate(zip(samples, coded.sizes)):
        picture = CodedPicture(
            coded.bits[i].item(), coded.num_bytes[i], size,
            tuple(sample.metainfo.get('ori_shape', size)[:2]),
            coded.x[i, :, :size[0], :size[1]],
            coded.x_hat[i, :, :size[0], :size[1]])
        sample.set_field(picture, 'coding', field_type='metainfo')
