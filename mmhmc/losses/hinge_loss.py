"""Hinge loss for adversarial training."""
from torch import Tensor, nn

from mmhmc.registry import MODELS


@MODELS.register_module()
class HingeLoss(nn.Module):
    """Hinge loss: the discriminator learns from logits within a margin of 1.

    The methods are those of :class:`NonSaturatingLoss`.

    Reference:
        J. H. Lim, J. C. Ye: "Geometric GAN", 2017.
        https://arxiv.org/abs/1705.02894
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss, a scalar, not negative."""
        return ((1 - real.float()).relu().mean() +
                (1 + fake.float()).relu().mean())

    def generator(self, fake: Tensor) -> Tensor:
        """The codec's loss, a scalar."""
        return -fake.float().mean()
