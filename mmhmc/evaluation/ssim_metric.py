"""Structural similarity at one scale."""
from mmhmc.registry import METRICS
from .image_quality_metric import _Similarity


@METRICS.register_module()
class SSIMMetric(_Similarity):
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
    smallest = 11
