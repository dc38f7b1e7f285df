"""Learned perceptual distance of what was decoded."""

import torch
from torch import Tensor, nn

from mmhmc.functional.devices import on_device_of
from mmhmc.registry import METRICS, MODELS
from .image_quality_metric import _ImageQualityMetric


@METRICS.register_module()
class LPIPSMetric(_ImageQualityMetric):
    """Mean LPIPS, lower is better, called by its network: ``lpips_alex``.

    Values of different networks cannot be compared, nor those of LPIPS and of
    the stand-in that tests use, ``FeatureLoss``.

    Args:
        net: ``'alex'``, with which codecs are mostly compared, ``'vgg'`` or
            ``'squeeze'``.
        weights: See :class:`~mmhmc.losses.LPIPSLoss`.
        loss: Another perceptual loss in its place, or its config; results
            are then called by its class.
        **kwargs: As of mmengine's ``BaseMetric``; without ``prefix``,
            metrics have ``'quality'`` in front.

    Raises:
        ImportError: If the package is missing.
        RuntimeError: If the weights cannot be had.
        ValueError: If ``net`` is unknown.
    """

    lower_is_better = ('lpips', )

    def __init__(self,
                 net: str = 'alex',
                 weights: str | None = None,
                 loss: nn.Module | dict | None = None,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.name = f'lpips_{net}'
        if loss is None:
            loss = dict(type='mmhmc.LPIPSLoss', net=net, weights=weights)
            self.loss = MODELS.build(loss)
        else:
            self.loss = MODELS.build(loss) if isinstance(loss, dict) else loss
            self.name = type(self.loss).__name__
            self.lower_is_better = (self.name, )

    @torch.no_grad()
    def measure(self, x: Tensor, x_hat: Tensor) -> float:
        """See the class."""
        return on_device_of(self.loss, x)(x[None], x_hat[None]).item()
