"""A codec alone that learns against a discriminator."""
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from mmhmc.codecs import ImageCodec
from mmhmc.functional import count_bits
from mmhmc.losses import random_pad_crop_resize
from mmhmc.losses.rate_distortion import check_lmbda, distortion_loss, psnr
from mmhmc.registry import MODELS, build_part
from mmhmc.structures import CodingCondition, Condition
from .adversarial_codec_model import AdversarialCodecModel

#: A codec that knows no `beta` is trained as if this were it.
_BETA_OF_THE_WEIGHTS = 2.56


@MODELS.register_module()
class GenerativeCodecModel(AdversarialCodecModel):
    """A codec for people: rate, distortion, perceptual and adversarial loss.

    .. code-block:: none

        x ─► codec ─► y_hat, x_hat ─┬─► rate, MSE, perceptual distance
                 ▲                  └─► discriminator of this quality
              quality, drawn for each batch

    Stage 1 of the multi-path aggregation codec (MPA), equations 6 and 7 of
    its slides, and its first half where ``discriminator`` is None:

    ``lmbda_rate[q] * R + lmbda_distortion * 255^2 * MSE + lmbda_perceptual *
    LPIPS + lmbda_adversarial * L_G``, with R in bits per pixel, and the
    codec's own losses, e.g. the ratio loss of its masks. The defaults are the
    published weights.

    Codec and discriminator learn on alternate batches, see
    :class:`AdversarialCodecModel`. They need an optimizer each::

        optim_wrapper = dict(
            constructor='mmhmc.AlternatingOptimWrapperConstructor',
            optimizer=dict(type='Adam', lr=1e-4),
            clip_grad=dict(max_norm=1.),
            discriminator=dict(clip_grad=None))
        find_unused_parameters = True           # for several processes

    The quality of a batch follows from the number of batches so far. So it is
    the same on all processes, and a run that is resumed draws the same
    qualities as one that is not. With different qualities a discriminator
    would see the images of a few processes, but its gradient would be divided
    by the number of all.

    For a codec whose decoder is told the weight of realism (MRIC),
    ``train_condition=dict(beta=[...])`` draws it, and perceptual and
    adversarial losses are weighed by ``beta / 2.56``.

    Args:
        codec: Codec, or its config.
        perceptual: Loss that compares images, or its config; None leaves
            it out.
        discriminator: Discriminator, or its config; numbers of latent
            channels and qualities are filled in. None: only the codec learns.
        adversarial: Adversarial loss, or its config.
        quality_range: First and last integer quality that are drawn, for
            codecs whose rate varies; None for codecs that know no quality.
        lmbda_rate: Weight of the rate for each quality, none negative; one
            if there is no ``quality_range``.
        lmbda_distortion: Weight of ``255^2 * MSE``, not negative.
        lmbda_perceptual: Weight of the perceptual distance, not negative.
        lmbda_adversarial: Weight of L_G, the codec's adversarial loss, not
            negative.
        max_shift: Images are padded and cropped by up to so many pixels
            before they are compared, see
            :func:`~mmhmc.losses.random_pad_crop_resize`.
        **kwargs: The other arguments of :class:`CodecModel`; in training the
            quality of ``condition`` is drawn.

    Raises:
        ValueError: If a weight is negative, the range is empty, or the
            weights of the rate are not one for each quality.
    """

    def __init__(self,
                 codec: ImageCodec | dict,
                 perceptual: dict | nn.Module
                 | None = dict(type='mmhmc.LPIPSLoss'),
                 discriminator: dict | nn.Module
                 | None = dict(type='mmhmc.PatchDiscriminator'),
                 adversarial: dict
                 | nn.Module = dict(type='mmhmc.NonSaturatingLoss'),
                 quality_range: tuple[int, int] | None = (1, 8),
                 lmbda_rate: Sequence[float] = (18., 9.32, 4.83, 2.5, 1.3,
                                                0.67, 0.35, 0.18),
                 lmbda_distortion: float = 0.01,
                 lmbda_perceptual: float = 4.26,
                 lmbda_adversarial: float = 2.56,
                 max_shift: int = 15,
                 **kwargs) -> None:
        super().__init__(codec, **kwargs)
        first, last = quality_range or (1, 1)
        if first > last or len(lmbda_rate) != last - first + 1:
            raise ValueError(
                '`lmbda_rate` must have a weight for each quality of '
                f'`quality_range`; there are {len(lmbda_rate)} for '
                f'{quality_range}.')
        self.quality_range = quality_range
        self.lmbda_rate = tuple(
            check_lmbda('lmbda_rate', value) for value in lmbda_rate)
        self.lmbda_distortion = check_lmbda('lmbda_distortion',
                                            lmbda_distortion)
        self.lmbda_perceptual = check_lmbda('lmbda_perceptual',
                                            lmbda_perceptual)
        self.lmbda_adversarial = check_lmbda('lmbda_adversarial',
                                             lmbda_adversarial)
        self.max_shift = max_shift
        self.perceptual = build_part(perceptual)
        self.adversarial = build_part(adversarial)
        if isinstance(discriminator, dict):
            sizes = dict(
                latent_channels=self.codec.latent_channels,
                num_qualities=len(self.lmbda_rate))
            discriminator = {**sizes, **discriminator}
        self.discriminator = build_part(discriminator)

    def _draw_condition(self) -> Condition:
        condition = super()._draw_condition()
        if self.quality_range is None:
            return condition
        generator = torch.Generator().manual_seed(self.num_batches)
        index = torch.randint(
            len(self.lmbda_rate), (), generator=generator).item()
        return replace(
            condition or CodingCondition(),
            quality=self.quality_range[0] + index)

    def _judged_quality(self, condition: Condition) -> int:
        if self.quality_range is None:
            return 1
        return condition.quality - self.quality_range[0] + 1

    def _generator_losses(self, x: Tensor,
                          condition: Condition) -> dict[str, Tensor]:
        output = self.codec(x, condition)
        size = tuple(x.shape[-2:])
        bits = count_bits(output.likelihoods, [size] * len(x), size)
        bpp = bits.mean() / (size[0] * size[1])
        mse = (x.float() - output.x_hat.float()).square().mean()
        lmbda_rate = self.lmbda_rate[self._judged_quality(condition) - 1]
        losses = dict(
            loss_rate=lmbda_rate * bpp,
            loss_distortion=distortion_loss(mse, self.lmbda_distortion),
            bpp=bpp.detach(),
            psnr=psnr(mse))
        losses.update({
            f'loss_{name}': loss
            for name, loss in output.extra_losses.items()
        })
        realism = 1.
        if condition is not None and condition.beta is not None:
            realism = condition.beta / _BETA_OF_THE_WEIGHTS
        if self.perceptual is not None:
            distances = self.perceptual(
                *random_pad_crop_resize((x, output.x_hat), self.max_shift))
            losses['loss_perceptual'] = \
                realism * self.lmbda_perceptual * distances.mean()
        if self.discriminator is not None:
            losses['loss_adversarial'] = realism * self.lmbda_adversarial * \
                self._adversarial_loss(output, condition)
        return losses
