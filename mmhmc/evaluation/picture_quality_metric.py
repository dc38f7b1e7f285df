"""How close the decoded pictures are to the coded ones, for people."""
from abc import abstractmethod
from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmhmc.registry import METRICS
from mmhmc.structures import CodedPicture
from .bitrate_metric import coded_pictures


class _PictureQualityMetric(BaseMetric):
    """Mean over pictures of one number, from x and x_hat in [0, 1]."""

    default_prefix = 'quality'
    lower_is_better: tuple[str, ...] = ()
    name: str

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Measure each picture.

        Raises:
            KeyError: If a sample has not been coded.
            RuntimeError: If its picture has not been decoded.
        """
        # One result for each sample, as mmengine counts them.
        self.results.extend([
            self.measure(picture.x.float(),
                         decoded(picture).float())
            for _, picture in coded_pictures(sample)
        ] for sample in data_samples)

    def compute_metrics(self, results: list[list[float]]) -> dict[str, float]:
        """Mean over all pictures; nothing of none."""
        values = [value for sample in results for value in sample]
        return self.mean(values) if values else {}

    def mean(self, values: list[float]) -> dict[str, float]:
        """The metric of all pictures."""
        return {self.name: sum(values) / len(values)}

    @abstractmethod
    def measure(self, x: Tensor, x_hat: Tensor) -> float:
        """Quality of one picture; both of shape (3, H, W)."""


def decoded(picture: CodedPicture) -> Tensor:
    """Reconstruction of a picture.

    Raises:
        RuntimeError: If there is none.
    """
    if picture.x_hat is None:
        raise RuntimeError(
            'No picture was decoded, so its quality cannot be measured: an '
            'mmhmc.LatentBackbone decodes it only for people. Leave the '
            'metric out, or ask for the picture: --cfg-options '
            'model.backbone.test_cfg.picture=True')
    return picture.x_hat


@METRICS.register_module()
class PSNRMetric(_PictureQualityMetric):
    """PSNR in dB over all three RGB channels, pictures not rounded to 8 bit.

    Pictures that are equal count as 100 dB. Arguments as mmengine's
    ``BaseMetric``.
    """

    name = 'psnr'

    def measure(self, x: Tensor, x_hat: Tensor) -> float:
        """See the class."""
        mse = torch.mean((x - x_hat)**2).clamp(min=1e-10)
        return -10 * mse.log10().item()


@METRICS.register_module()
class MSSSIMMetric(_PictureQualityMetric):
    """Multi-scale structural similarity in [0, 1], by ``pytorch_msssim``.

    Pictures with a side of 160 pixels or less have no five scales and are
    left out; if all are, there is no result. Arguments as mmengine's
    ``BaseMetric``.

    Reference:
        Z. Wang, E. P. Simoncelli, A. C. Bovik: "Multiscale Structural
        Similarity for Image Quality Assessment", Asilomar 2003.
    """

    name = 'ms_ssim'
    _smallest = 161

    def measure(self, x: Tensor, x_hat: Tensor) -> float:
        """See the class; nan if the picture is too small."""
        from pytorch_msssim import ms_ssim
        if min(x.shape[-2:]) < self._smallest:
            return float('nan')
        return ms_ssim(x[None], x_hat[None], data_range=1.).item()

    def mean(self, values: list[float]) -> dict[str, float]:
        """Mean over the pictures that are large enough."""
        measured = [value for value in values if value == value]
        return super().mean(measured) if measured else {}
