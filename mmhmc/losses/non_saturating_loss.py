"""The adversarial loss of Goodfellow et al. (2014)."""
from torch import Tensor, nn

from mmhmc.registry import MODELS

_cross_entropy = nn.functional.binary_cross_entropy_with_logits


@MODELS.register_module()
class NonSaturatingLoss(nn.Module):
    """Binary cross-entropy; the generator maximises ``log D``.

    Every adversarial loss has these two methods.

    Reference:
        I. Goodfellow et al.: "Generative Adversarial Nets", NeurIPS 2014.
        https://arxiv.org/abs/1406.2661
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminator's loss, a scalar.

        Args:
            real: Logits of originals, any shape.
            fake: Logits of decoded images, any shape.
        """
        real, fake = real.float(), fake.float()
        return (_cross_entropy(real, real.new_ones(real.shape)) +
                _cross_entropy(fake, fake.new_zeros(fake.shape)))

    def generator(self, fake: Tensor) -> Tensor:
        """The codec's loss, a scalar.

        Args:
            fake: The discriminator's logits of decoded images.
        """
        fake = fake.float()
        return _cross_entropy(fake, fake.new_ones(fake.shape))
