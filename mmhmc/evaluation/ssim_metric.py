"""Structural similarity at one scale."""
from torch import Tensor

from mmhmc.registry import METRICS
from .image_quality_metric import _ImageQualityMetric


@METRICS.register_module()
class SSIMMetric(_ImageQualityMetric):
    """Mean structural similarity over RGB, at most 1, by ``pytorch_msssim``.

    A Gaussian window of 11 pixels; images with a shorter side are left out,
    and if all are, there is no result. Arguments as mmengine's
    ``BaseMetric``.

    Reference:
        Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli: "Image Quality
        Assessment: From Error Visibility to Structural Similarity", IEEE TIP
        2004.
    """

    name = 'ssim'
    _window = 11

    def measure(self, x: Tensor, x_hat: Tensor) -> float:
        """See the class; nan if the image is too small."""
        from pytorch_msssim import ssim
        if min(x.shape[-2:]) < self._window:
            return float('nan')
        return ssim(x[None], x_hat[None], data_range=1.).item()

    def mean(self, values: list[float]) -> dict[str, float]:
        """Mean over the images that are large enough."""
        measured = [value for value in values if value == value]
        return super().mean(measured) if measured else {}
