"""A layered codec alone that learns against a discriminator."""
from typing import Optional, Union

import torch
from torch import Tensor
from torch.nn.utils.parametrize import cached

from mmhmc.codecs import ImageCodec, build_codec
from mmhmc.functional import count_bits
from mmhmc.losses import match_features
from mmhmc.registry import MODELS
from mmhmc.structures import CodecOutput, CodingCondition
from .codec_model import _RGB
from .generative_codec_model import (GenerativeCodecModel, _build, _Part,
                                     _without_gradients)


@MODELS.register_module()
class LayeredCodecModel(GenerativeCodecModel):
    """Stages 1 and 2 of layered generative coding: a codec for people.

    ``lmbda_rate * (R_z + R_y + R_t) + lmbda_l1 * |x - x_hat| + lmbda_mse *
    255^2 * MSE + lmbda_perceptual * LPIPS + lmbda_adversarial * L_G +
    lmbda_matching * L_F``, with rates in bits per pixel, absolute differences
    of images in [-1, 1], and L_F the distance of the discriminator's
    features. Weights of the paper are not known: the defaults are those of
    related open code of its authors, and ``lmbda_rate`` sets the rate.

    Codec and discriminator take turns as in :class:`GenerativeCodecModel`,
    which also says what optimizers they need; the first
    ``adversarial_begin`` batches are the codec's alone, without L_G and L_F.

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
        data_preprocessor: See :class:`CodecModel`.
        test_cfg: See :class:`CodecModel`.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If a weight is negative or not finite.
    """

    def __init__(self,
                 codec: Union[ImageCodec, dict],
                 perceptual: Optional[_Part] = dict(type='mmhmc.LPIPSLoss'),
                 discriminator: Optional[_Part] = dict(
                     type='mmhmc.TwoScaleDiscriminator'),
                 adversarial: _Part = dict(type='mmhmc.HingeLoss'),
                 lmbda_rate: float = 4.,
                 lmbda_l1: float = 10.,
                 lmbda_mse: float = 0.,
                 lmbda_perceptual: float = 1.,
                 lmbda_adversarial: float = 1.,
                 lmbda_matching: float = 10.,
                 adversarial_begin: int = 0,
                 data_preprocessor: dict = _RGB,
                 test_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        codec = build_codec(codec)
        if isinstance(discriminator, dict):
            channels = dict(
                latent_channels=codec.latent_channels,
                seen_channels=getattr(codec, 'semantic_channels', None))
            discriminator = _build({**channels, **discriminator})
        self.lmbda_l1, self.lmbda_matching = lmbda_l1, lmbda_matching
        self.adversarial_begin = adversarial_begin
        super().__init__(
            codec,
            perceptual,
            discriminator,
            adversarial,
            quality_range=None,
            lmbda_rate=(lmbda_rate, ),
            lmbda_distortion=lmbda_mse,
            lmbda_perceptual=lmbda_perceptual,
            lmbda_adversarial=lmbda_adversarial,
            max_shift=0,
            data_preprocessor=data_preprocessor,
            test_cfg=test_cfg,
            init_cfg=init_cfg)

    def weights(self) -> dict[str, float]:
        """See :meth:`GenerativeCodecModel.weights`."""
        return dict(
            super().weights(),
            lmbda_l1=self.lmbda_l1,
            lmbda_matching=self.lmbda_matching)

    @property
    def turn(self) -> str:
        """See :attr:`GenerativeCodecModel.turn`."""
        if self.num_batches < self.adversarial_begin:
            return 'generator'
        return super().turn

    def _generator_losses(self, x: Tensor,
                          condition: Optional[CodingCondition],
                          index: int) -> dict[str, Tensor]:
        output = self.codec(x, condition)
        losses = self._rate_losses(x, output)
        difference = x.float() - output.x_hat.float()
        mse = difference.square().mean()
        # In [-1, 1] it is twice what it is in [0, 1].
        losses['loss_l1'] = self.lmbda_l1 * 2 * difference.abs().mean()
        if self.lmbda_distortion:
            losses['loss_distortion'] = self.lmbda_distortion * 255**2 * mse
        losses['psnr'] = -10 * mse.detach().clamp(min=1e-10).log10()
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
        return dict(loss_rate=self.lmbda_rate[0] * rate, **logs)

    def _adversarial_losses(self, x: Tensor,
                            output: CodecOutput) -> dict[str, Tensor]:
        # Cached, so that both are judged by the same spectral norms; no
        # gradient goes through the original.
        with _without_gradients(self.discriminator), cached():
            with torch.no_grad():
                _, real = self.discriminator.judge(x, output.y_hat)
            logits, fake = self.discriminator.judge(output.x_hat, output.y_hat)
        return dict(
            loss_adversarial=self.lmbda_adversarial *
            self.adversarial.generator(logits),
            loss_matching=self.lmbda_matching * match_features(real, fake))
