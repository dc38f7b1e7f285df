"""How close the decoded images are to the coded ones, for people."""
from abc import abstractmethod
from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmhmc.registry import METRICS
from mmhmc.structures import CodedImage
from .bitrate_metric import coded_images


class _ImageQualityMetric(BaseMetric):
    """Mean over images of one number, from x and x_hat in [0, 1]."""

    default_prefix = 'quality'
    lower_is_better: tuple[str, ...] = ()
    name: str

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Measure each image.

        Raises:
            KeyError: If a sample has not been coded.
            RuntimeError: If its image has not been decoded.
        """
        # One result for each sample, as mmengine counts them.
        self.results.extend([
            self.measure(image.x.float(),
                         decoded(image).float())
            for _, image in coded_images(sample)
        ] for sample in data_samples)

    def compute_metrics(self, results: list[list[float]]) -> dict[str, float]:
        """Mean over all images; nothing of none."""
        values = [value for sample in results for value in sample]
        return self.mean(values) if values else {}

    def mean(self, values: list[float]) -> dict[str, float]:
        """The metric of all images."""
        return {self.name: sum(values) / len(values)}

    @abstractmethod
    def measure(self, x: Tensor, x_hat: Tensor) -> float:
        """Quality of one image; both of shape (3, H, W)."""


def decoded(image: CodedImage) -> Tensor:
    """Reconstruction of an image.

    Raises:
        RuntimeError: If there is none.
    """
    if image.x_hat is None:
        raise RuntimeError(
            'No image was decoded, so its quality cannot be measured: an '
            'mmhmc.LatentBackbone decodes it only for people. Leave the '
            'metric out, or ask for the image: --cfg-options '
            'model.backbone.test_cfg.image=True')
    return image.x_hat


@METRICS.register_module()
class PSNRMetric(_ImageQualityMetric):
    """PSNR in dB over all three RGB channels, images not rounded to 8 bit.

    Images that are equal count as 100 dB. Arguments as mmengine's
    ``BaseMetric``.
    """

    name = 'psnr'

    def measure(self, x: Tensor, x_hat: Tensor) -> float:
        """See the class."""
        mse = torch.mean((x - x_hat)**2).clamp(min=1e-10)
        return -10 * mse.log10().item()


class _Similarity(_ImageQualityMetric):
    """The function of ``pytorch_msssim`` that is called as the metric is."""

    #: Shortest side in pixels of an image that is measured.
    smallest: int

    def measure(self, x: Tensor, x_hat: Tensor) -> float:
        """See the class; nan if the image is too small."""
        import pytorch_msssim
        if min(x.shape[-2:]) < self.smallest:
            return float('nan')
        similarity = getattr(pytorch_msssim, self.name)
        return similarity(x[None], x_hat[None], data_range=1.).item()

    def mean(self, values: list[float]) -> dict[str, float]:
        """Mean over the images that are large enough."""
        measured = [value for value in values if value == value]
        return super().mean(measured) if measured else {}


@METRICS.register_module()
class MSSSIMMetric(_Similarity):
    """Multi-scale structural similarity in [0, 1], by ``pytorch_msssim``.

    Images with a side of 160 pixels or less have no five scales and are
    left out; if all are, there is no result. Arguments as mmengine's
    ``BaseMetric``.

    Reference:
        Z. Wang, E. P. Simoncelli, A. C. Bovik: "Multiscale Structural
        Similarity for Image Quality Assessment", Asilomar 2003.
    """

    name = 'ms_ssim'
    smallest = 161
