"""A layered codec alone that learns against a discriminator."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import cached

from mmhmc.codecs import ImageCodec
from mmhmc.functional import count_bits
from mmhmc.losses import feature_matching_loss
from mmhmc.losses.rate_distortion import check_lmbda, distortion_loss, psnr
from mmhmc.registry import MODELS, build_part
from mmhmc.structures import CodecOutput, Condition
from .adversarial_codec_model import AdversarialCodecModel


@MODELS.register_module()
class LayeredCodecModel(AdversarialCodecModel):
    """Stages 1 and 2 of layered generative coding: a codec for people.

    ``lmbda_rate * (R_z + R_y + R_t) + lmbda_l1 * |x - x_hat| + lmbda_mse *
    255^2 * MSE + lmbda_perceptual * LPIPS + lmbda_adversarial * L_G +
    lmbda_matching * L_F``, with rates in bits per pixel, absolute differences
    of images in [-1, 1], and L_F the distance of the discriminator's
    features. Weights of the paper are not known: the defaults are those of
    related open code of its authors, and ``lmbda_rate`` sets the rate.

    Codec and discriminator learn on alternate batches, see
    :class:`AdversarialCodecModel`, and need the optimizers of
    :class:`GenerativeCodecModel`. On the first ``adversarial_begin`` batches
    only the codec learns, without L_G and L_F.

    Args:
        codec: Codec, or its config.
        perceptual: Loss that compares images, or its config; None leaves
            it out.
        discriminator: Discriminator with ``judge``, or its config, in which
            channels are filled in; None: only the codec learns, without L_G
            and L_F.
        adversarial: Adversarial loss, or its config.
        lmbda_rate: Weight of the rate, not negative.
        lmbda_l1: Weight of the absolute difference, not negative.
        lmbda_mse: Weight of ``255^2 * MSE`` of images in [0, 1], not
            negative.
        lmbda_perceptual: Weight of the perceptual distance, not negative.
        lmbda_adversarial: Weight of L_G, not negative.
        lmbda_matching: Weight of L_F, not negative.
        adversarial_begin: Batches before the discriminator joins.
        **kwargs: The other arguments of :class:`CodecModel`.

    Raises:
        ValueError: If a weight is negative or not finite.
    """

    def __init__(self,
                 codec: ImageCodec | dict,
                 perceptual: dict | nn.Module
                 | None = dict(type='mmhmc.LPIPSLoss'),
                 discriminator: dict | nn.Module
                 | None = dict(type='mmhmc.TwoScaleDiscriminator'),
                 adversarial: dict | nn.Module = dict(type='mmhmc.HingeLoss'),
                 lmbda_rate: float = 4.,
                 lmbda_l1: float = 10.,
                 lmbda_mse: float = 0.,
                 lmbda_perceptual: float = 1.,
                 lmbda_adversarial: float = 1.,
                 lmbda_matching: float = 10.,
                 adversarial_begin: int = 0,
                 **kwargs) -> None:
        super().__init__(codec, **kwargs)
        self.lmbda_rate = check_lmbda('lmbda_rate', lmbda_rate)
        self.lmbda_l1 = check_lmbda('lmbda_l1', lmbda_l1)
        self.lmbda_mse = check_lmbda('lmbda_mse', lmbda_mse)
        self.lmbda_perceptual = check_lmbda('lmbda_perceptual',
                                            lmbda_perceptual)
        self.lmbda_adversarial = check_lmbda('lmbda_adversarial',
                                             lmbda_adversarial)
        self.lmbda_matching = check_lmbda('lmbda_matching', lmbda_matching)
        self.adversarial_begin = adversarial_begin
        if isinstance(discriminator, dict):
            channels = dict(
                latent_channels=self.codec.latent_channels,
                seen_channels=getattr(self.codec, 'semantic_channels', None))
            discriminator = {**channels, **discriminator}
        self.discriminator = build_part(discriminator)
        self.perceptual = build_part(perceptual)
        self.adversarial = build_part(adversarial)

    @property
    def active_optimizer(self) -> str:
        """See :attr:`AdversarialCodecModel.active_optimizer`."""
        if self.num_batches < self.adversarial_begin:
            return 'generator'
        return super().active_optimizer

    def _generator_losses(self, x: Tensor,
                          condition: Condition) -> dict[str, Tensor]:
        output = self.codec(x, condition)
        losses = self._rate_losses(x, output)
        difference = x.float() - output.x_hat.float()
        mse = difference.square().mean()
        # In [-1, 1] it is twice what it is in [0, 1].
        losses['loss_l1'] = self.lmbda_l1 * 2 * difference.abs().mean()
        if self.lmbda_mse:
            losses['loss_distortion'] = distortion_loss(mse, self.lmbda_mse)
        losses['psnr'] = psnr(mse)
        if self.perceptual is not None:
            distances = self.perceptual(x, output.x_hat)
            losses['loss_perceptual'] = \
                self.lmbda_perceptual * distances.mean()
        # This batch has been counted.
        if (self.discriminator is not None
                and self.num_batches > self.adversarial_begin):
            losses.update(self._adversarial_losses(x, output))
        return losses

    def _rate_losses(self, x: Tensor, output: CodecOutput) -> dict:
        """Weighed rate, and the rate of each layer for the logs."""
        size = tuple(x.shape[-2:])

        def bpp(names: set[str]) -> Tensor:
            likelihoods = {
                name: one
                for name, one in output.likelihoods.items() if name in names
            }
            bits = count_bits(likelihoods, [size] * len(x), size)
            return bits.mean() / (size[0] * size[1])

        names = set(output.likelihoods)
        extra = names & set(self.codec.optional_streams)
        rate = bpp(names)
        logs = dict(bpp=rate.detach())
        if extra:
            logs['bpp_base'] = bpp(names - extra).detach()
        return dict(loss_rate=self.lmbda_rate * rate, **logs)

    def _adversarial_losses(self, x: Tensor,
                            output: CodecOutput) -> dict[str, Tensor]:
        # Cached, so that both are judged by the same spectral norms; no
        # gradient goes through the original.
        with self._frozen_discriminator() as discriminator, cached():
            with torch.no_grad():
                _, real = discriminator.judge(x, output.y_hat)
            logits, fake = discriminator.judge(output.x_hat, output.y_hat)
        return dict(
            loss_adversarial=self.lmbda_adversarial *
            self.adversarial.generator(logits),
            loss_matching=self.lmbda_matching *
            feature_matching_loss(real, fake))
