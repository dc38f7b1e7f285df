"""A codec alone that learns against a discriminator."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Optional, Union

import torch
from torch import Tensor, nn

from mmhmc.codecs import ImageCodec
from mmhmc.functional import count_bits
from mmhmc.losses import shift_together
from mmhmc.registry import MODELS
from mmhmc.structures import CodecOutput, CodingCondition
from .codec_model import _RGB, CodecModel

_Part = Union[dict, nn.Module]
#: A codec that knows no `beta` is trained as if this were it.
_BETA_OF_THE_WEIGHTS = 2.56


@MODELS.register_module()
class GenerativeCodecModel(CodecModel):
    """A codec for people that learns rate, images' looks and realism.

    .. code-block:: none

        x ─► codec ─► y_hat, x_hat ─┬─► rate, MSE, perceptual distance
                 ▲                  └─► discriminator of this quality
              quality, drawn for each batch

    Stage 1 of the multi-path aggregation codec (MPA), equations 6 and 7 of
    its slides, and its first half where ``discriminator`` is None:

    ``lmbda_rate[q] * R + lmbda_distortion * 255^2 * MSE + lmbda_perceptual *
    LPIPS + lmbda_adversarial * L_G``, with R in bits per pixel, and what the
    codec adds of itself, e.g. the ratio loss of its masks. The defaults are
    the published weights.

    Codec and discriminator learn on successive batches, :attr:`turn` says
    which; the discriminator's batches are coded without gradients, and on the
    codec's its weights ask for none, so neither ever sees a gradient of the
    other's loss. They need an optimizer each::

        optim_wrapper = dict(
            constructor='mmhmc.AlternatingOptimWrapperConstructor',
            optimizer=dict(type='Adam', lr=1e-4),
            clip_grad=dict(max_norm=1.),
            discriminator=dict(clip_grad=None))
        find_unused_parameters = True           # for several processes

    The quality of a batch follows from the number of batches so far, which is
    part of the state dict: so it is the same on all processes, and a run that
    is resumed draws what it would have drawn. Were it not the same, a
    discriminator would see the images of a few processes, but its gradient
    would be divided by the number of all.

    For a codec whose decoder is told the weight of realism (MRIC),
    ``train_condition=dict(beta=[...])`` draws it, and perceptual and
    adversarial losses are weighed by ``beta / 2.56``.

    Losses come from this model. ``RateLossHook`` describes at test time what
    was coded, for the metrics; its weights do not count here.

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
        lmbda_adversarial: Weight of what the codec minimises of the
            adversarial loss, not negative.
        max_shift: Images are shifted by up to so many pixels before they
            are compared, see :func:`~mmhmc.losses.shift_together`.
        data_preprocessor: See :class:`CodecModel`.
        test_cfg: See :class:`CodecModel`.
        condition: See :class:`CodecModel`; in training its quality is drawn.
        train_condition: See :class:`CodecModel`.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If a weight is negative, the range is empty, or the
            weights of the rate are not one for each quality.
    """

    def __init__(self,
                 codec: Union[ImageCodec, dict],
                 perceptual: Optional[_Part] = dict(type='mmhmc.LPIPSLoss'),
                 discriminator: Optional[_Part] = dict(
                     type='mmhmc.PatchDiscriminator'),
                 adversarial: _Part = dict(type='mmhmc.NonSaturatingLoss'),
                 quality_range: Optional[tuple[int, int]] = (1, 8),
                 lmbda_rate: Sequence[float] = (18., 9.32, 4.83, 2.5, 1.3,
                                                0.67, 0.35, 0.18),
                 lmbda_distortion: float = 0.01,
                 lmbda_perceptual: float = 4.26,
                 lmbda_adversarial: float = 2.56,
                 max_shift: int = 15,
                 data_preprocessor: dict = _RGB,
                 test_cfg: Optional[dict] = None,
                 condition: Optional[dict] = None,
                 train_condition: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(
            codec,
            data_preprocessor,
            test_cfg,
            condition=condition,
            train_condition=train_condition,
            init_cfg=init_cfg)
        self.quality_range = quality_range
        self.lmbda_rate = tuple(lmbda_rate)
        self.lmbda_distortion = lmbda_distortion
        self.lmbda_perceptual = lmbda_perceptual
        self.lmbda_adversarial = lmbda_adversarial
        self.max_shift = max_shift
        self._check_weights()
        self.perceptual = _build(perceptual)
        self.adversarial = _build(adversarial)
        if isinstance(discriminator, dict):
            sizes = dict(
                latent_channels=self.codec.latent_channels,
                num_qualities=len(self.lmbda_rate))
            discriminator = {**sizes, **discriminator}
        self.discriminator = _build(discriminator)
        # Of Python: on a GPU it would have to be waited for.
        self.num_batches = 0

    def _check_weights(self) -> None:
        """Refuse weights that make no objective.

        Raises:
            ValueError: With what is wrong.
        """
        first, last = self.quality_range or (1, 1)
        if first > last or len(self.lmbda_rate) != last - first + 1:
            raise ValueError(
                '`lmbda_rate` must have a weight for each quality of '
                f'`quality_range`; there are {len(self.lmbda_rate)} for '
                f'{self.quality_range}.')
        for name, value in self.weights().items():
            if not 0 <= value < float('inf'):
                raise ValueError(
                    f'`{name}` weighs a part of the loss and '
                    f'must be finite and at least 0, got {value}.')

    def weights(self) -> dict[str, float]:
        """Weights of the objective, of which none may be negative."""
        return dict(
            lmbda_rate=min(self.lmbda_rate),
            lmbda_distortion=self.lmbda_distortion,
            lmbda_perceptual=self.lmbda_perceptual,
            lmbda_adversarial=self.lmbda_adversarial)

    @property
    def turn(self) -> str:
        """Which part learns from the next batch.

        ``'generator'``, which is the codec, or ``'discriminator'``.
        """
        if self.discriminator is None or self.num_batches % 2 == 0:
            return 'generator'
        return 'discriminator'

    def forward(self,
                inputs: Tensor,
                data_samples: Optional[list] = None,
                mode: str = 'tensor') -> Union[dict, list]:
        """Code images; see :meth:`CodecModel.forward`.

        Args:
            inputs: From the data preprocessor, shape (B, 3, H, W); in mode
                ``'loss'`` H and W are multiples of the codec's stride.
            data_samples: One for each image.
            mode: ``'tensor'``, ``'loss'`` or ``'predict'``.

        Returns:
            In mode ``'loss'`` the losses of the part whose turn it is, and
            logs.

        Raises:
            ValueError: If the mode is unknown, or images are not finite or
                do not fit the stride.
        """
        if mode != 'loss':
            return super().forward(inputs, data_samples, mode)
        x = self.input_norm.to_image(inputs)
        turn, index = self.turn, self._draw_index()
        self.num_batches += 1
        condition = self.choose_condition(training=True)
        if self.quality_range is not None:
            condition = replace(
                condition or CodingCondition(),
                quality=self.quality_range[0] + index)
        if turn == 'discriminator':
            return self._discriminator_losses(x, condition, index)
        return self._generator_losses(x, condition, index)

    def _draw_index(self) -> int:
        """Which quality comes next, counted from 0."""
        generator = torch.Generator().manual_seed(self.num_batches)
        return torch.randint(
            len(self.lmbda_rate), (), generator=generator).item()

    def _generator_losses(self, x: Tensor,
                          condition: Optional[CodingCondition],
                          index: int) -> dict[str, Tensor]:
        output = self.codec(x, condition)
        size = tuple(x.shape[-2:])
        bits = count_bits(output.likelihoods, [size] * len(x), size)
        bpp = bits.mean() / (size[0] * size[1])
        mse = (x.float() - output.x_hat.float()).square().mean()
        losses = dict(
            loss_rate=self.lmbda_rate[index] * bpp,
            loss_distortion=self.lmbda_distortion * 255**2 * mse,
            bpp=bpp.detach(),
            psnr=-10 * mse.detach().clamp(min=1e-10).log10())
        losses.update({
            f'loss_{name}': loss
            for name, loss in output.extra_losses.items()
        })
        realism = 1.
        if condition is not None and condition.beta is not None:
            realism = condition.beta / _BETA_OF_THE_WEIGHTS
        if self.perceptual is not None:
            distances = self.perceptual(
                *shift_together((x, output.x_hat), self.max_shift))
            losses['loss_perceptual'] = \
                realism * self.lmbda_perceptual * distances.mean()
        if self.discriminator is not None:
            losses['loss_adversarial'] = \
                realism * self.lmbda_adversarial * self._fooled(output, index)
        return losses

    def _save_to_state_dict(self, destination: dict, prefix: str,
                            keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f'{prefix}num_batches'] = torch.tensor(self.num_batches)

    def _load_from_state_dict(self, state_dict: dict, prefix: str,
                              local_metadata: dict, strict: bool,
                              missing_keys: list, unexpected_keys: list,
                              error_msgs: list) -> None:
        key = f'{prefix}num_batches'
        super()._load_from_state_dict(state_dict, prefix, local_metadata,
                                      strict, missing_keys, unexpected_keys,
                                      error_msgs)
        if key in state_dict:
            self.num_batches = int(state_dict[key])
            if key in unexpected_keys:
                unexpected_keys.remove(key)
        else:
            missing_keys.append(key)

    def _fooled(self, output: CodecOutput, index: int) -> Tensor:
        """What the codec minimises of the adversarial loss."""
        with _without_gradients(self.discriminator):
            logits = self.discriminator(output.x_hat, output.y_hat, index + 1)
        return self.adversarial.generator(logits)

    def _discriminator_losses(self, x: Tensor,
                              condition: Optional[CodingCondition],
                              index: int) -> dict[str, Tensor]:
        with torch.no_grad():
            output = self.codec(x, condition)
        # In one forward, so that both are judged by the same spectral norms.
        logits = self.discriminator(
            torch.cat((x, output.x_hat)),
            torch.cat((output.y_hat, output.y_hat)), index + 1)
        real, fake = logits.chunk(2)
        right = torch.cat((real > 0, fake < 0)).float().mean()
        return dict(
            loss_discriminator=self.adversarial.discriminator(real, fake),
            discriminator_accuracy=right)


def _build(part: Optional[_Part]) -> Optional[nn.Module]:
    return MODELS.build(part) if isinstance(part, dict) else part


@contextmanager
def _without_gradients(module: nn.Module) -> Iterator[None]:
    """Gradients pass through a module, but its weights ask for none."""
    asking = [p for p in module.parameters() if p.requires_grad]
    try:
        for parameter in asking:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_()
