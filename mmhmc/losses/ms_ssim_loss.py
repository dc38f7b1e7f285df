"""Multi-scale structural similarity as a loss."""
import torch
from torch import Tensor, nn

from mmhmc.registry import MODELS

# Below it the coarsest of five scales is smaller than a window of 11 pixels.
_SMALLEST = 161


@MODELS.register_module()
class MSSSIMLoss(nn.Module):
    """1 minus the multi-scale structural similarity, by ``pytorch_msssim``.

    A perceptual distance that needs no weights: it can replace LPIPS where
    its weights are not available. It is computed in float32 under autocast.

    Reference:
        Z. Wang, E. P. Simoncelli, A. C. Bovik: "Multiscale Structural
        Similarity for Image Quality Assessment", Asilomar 2003.
    """

    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """Compare images, as :meth:`PerceptualLoss.forward`; in [0, 1].

        Raises:
            ValueError: If the shapes differ, or a side has fewer than 161
                pixels.
        """
        from pytorch_msssim import ms_ssim
        if x.shape != x_hat.shape:
            raise ValueError('Images of equal shape can be compared, got '
                             f'{tuple(x.shape)} and {tuple(x_hat.shape)}.')
        if min(x.shape[-2:]) < _SMALLEST:
            raise ValueError(
                f'MS-SSIM compares images of {_SMALLEST} pixels a side or '
                f'more, got {x.shape[-2]}x{x.shape[-1]}: train on larger '
                'crops.')
        with torch.autocast(x.device.type, enabled=False):
            return 1 - ms_ssim(
                x.float(), x_hat.float(), data_range=1., size_average=False)
