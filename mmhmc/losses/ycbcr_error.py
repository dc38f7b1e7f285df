"""Squared error of luma and chroma, the objective of DCVC-UF's paper."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmhmc.functional import image_mse
from mmhmc.functional.colour import rgb_to_ycbcr
from mmhmc.registry import MODELS

#: Powers of the planes' errors in their product, and what an error is at
#: least, as in the paper's code.
_POWERS, _LEAST = (0.833, 0.0833, 0.0833), 1e-6


@MODELS.register_module()
class YCbCrError(nn.Module):
    """Squared error of luma and chroma, and a share of that of the colours.

    .. code-block:: none

        D = (1 - s) * exp(0.0833 (10 ln MSE_Y + ln MSE_U + ln MSE_V))
            + s * MSE_RGB

    A ``distortion`` of ``RateLossHook``, in place of the mean squared error
    of red, green and blue. Planes are those of ITU-R BT.709 in the full
    range, and an error of one is at least 1e-6. The paper's distortion is
    ``3 D`` with s = 0.2, so its weight L is
    ``lmbda_distortion = 3 L / 255^2``, as with the error of the colours.

    Reference: after the training code of Microsoft's DCVC-UF (MIT licence,
    https://github.com/microsoft/DCVC, 2026).

    Args:
        rgb_share: The share s, in [0, 1].

    Raises:
        ValueError: If it is outside.
    """

    def __init__(self, rgb_share: float = 0.2) -> None:
        super().__init__()
        if not 0 <= rgb_share <= 1:
            raise ValueError(
                f'`rgb_share` must be in [0, 1], got {rgb_share}.')
        self.rgb_share = rgb_share

    def forward(self,
                x: Tensor,
                x_hat: Tensor,
                sizes: Sequence[tuple[int, int]],
                real: Tensor | None = None) -> Tensor:
        """Compare images; arguments and result as of :func:`image_mse`."""
        with torch.autocast(x.device.type, enabled=False):
            planes = [
                rgb_to_ycbcr(images.float()).split(1, dim=1)
                for images in (x, x_hat)
            ]
            product = sum(
                power * image_mse(*pair, sizes, real).clamp(min=_LEAST).log()
                for power, pair in zip(_POWERS, zip(*planes))).exp()
            return (1 - self.rgb_share) * product + \
                self.rgb_share * image_mse(x, x_hat, sizes, real)
