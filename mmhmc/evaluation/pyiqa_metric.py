"""Measures of quality that the package pyiqa has."""
from functools import cached_property

import torch
from torch import Tensor, nn

from mmhmc.functional.devices import on_device_of
from mmhmc.registry import METRICS
from .image_quality_metric import _ImageQualityMetric

_NEEDS = ('It needs the package `pyiqa`: `pip install -r '
          'requirements/perceptual.txt`.')


class _PyIQAMetric(_ImageQualityMetric):
    """Mean of a measure of pyiqa; arguments as mmengine's ``BaseMetric``."""

    #: Whether it looks at the original, too.
    with_original = True

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self._network  # a missing package or weights show at once

    @cached_property
    def _network(self) -> nn.Module:
        """The package's measure."""
        try:
            import pyiqa
        except ImportError as error:
            raise ImportError(f'{type(self).__name__} cannot be computed. '
                              f'{_NEEDS}') from error
        try:
            return pyiqa.create_metric(self.name, device='cpu')
        except OSError as error:
            raise RuntimeError(
                f'The weights of {self.name}, which pyiqa fetches when they '
                f'are first used, could not be had: {error}. Run it once with '
                'a connection, or leave the metric out.') from error

    @torch.no_grad()
    def measure(self, x: Tensor, x_hat: Tensor) -> float:
        """See the class."""
        network = on_device_of(self._network, x)
        shown = (x_hat[None], x[None]) if self.with_original \
            else (x_hat[None], )
        return float(network(*shown))


@METRICS.register_module()
class DISTSMetric(_PyIQAMetric):
    """Deep image structure and texture similarity, lower is better.

    Reference:
        K. Ding, K. Ma, S. Wang, E. P. Simoncelli: "Image Quality Assessment:
        Unifying Structure and Texture Similarity", IEEE TPAMI 2020.
        https://arxiv.org/abs/2004.07728
    """

    name = 'dists'
    lower_is_better = ('dists', )


@METRICS.register_module()
class NIQEMetric(_PyIQAMetric):
    """Naturalness without an original, lower is better.

    Reference:
        A. Mittal, R. Soundararajan, A. C. Bovik: "Making a 'Completely Blind'
        Image Quality Analyzer", IEEE Signal Processing Letters 2013.
    """

    name = 'niqe'
    lower_is_better = ('niqe', )
    with_original = False
