"""Generalised divisive normalisation that does not overflow in float16."""
import torch
from torch import Tensor, nn

from mmhmc.compat import autocast_type


class DivisiveNorm(nn.Module):
    """CompressAI's GDN, with its parameters: ``x / sqrt(beta + gamma x^2)``.

    Where float16 computes, under autocast or in itself, this layer computes
    in float32: the square of 256 is no float16 number. Elsewhere the result
    is CompressAI's to the last bit.

    Reference:
        J. Ballé, V. Laparra, E. P. Simoncelli: "Density Modeling of Images
        using a Generalized Normalization Transformation", ICLR 2016.
        https://arxiv.org/abs/1511.06281

    Args:
        norm: CompressAI's layer, whose parameters it takes.
    """

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.inverse = norm.inverse
        self.beta_reparam, self.beta = norm.beta_reparam, norm.beta
        self.gamma_reparam, self.gamma = norm.gamma_reparam, norm.gamma

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` (B, C, H, W)."""
        if torch.float16 not in (x.dtype, autocast_type(x.device.type)):
            return self._normalise(x, self.beta, self.gamma)
        with torch.autocast(x.device.type, enabled=False):
            out = self._normalise(x.float(), self.beta.float(),
                                  self.gamma.float())
        return out.to(x.dtype)

    def _normalise(self, x: Tensor, beta: Tensor, gamma: Tensor) -> Tensor:
        norm = nn.functional.conv2d(x**2,
                                    self.gamma_reparam(gamma)[..., None, None],
                                    self.beta_reparam(beta))
        return x * (norm.sqrt() if self.inverse else norm.rsqrt())
