"""The adversarial loss with a margin."""
from torch import Tensor, nn

from mmhmc.registry import MODELS


@MODELS.register_module()
class HingeLoss(nn.Module):
    """Hinge loss: a discriminator learns from logits below a margin of 1.

    The methods are those of :class:`NonSaturatingLoss`.

    Reference:
        J. H. Lim, J. C. Ye: "Geometric GAN", 2017.
        https://arxiv.org/abs/1705.02894
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator minimises, a scalar, not negative.

        Args:
            real: Its logits of originals, any shape.
            fake: Its logits of decoded images, any shape.
        """
        return ((1 - real.float()).relu().mean() +
                (1 + fake.float()).relu().mean())

    def generator(self, fake: Tensor) -> Tensor:
        """What the codec minimises, a scalar.

        Args:
            fake: The discriminator's logits of decoded images.
        """
        return -fake.float().mean()
