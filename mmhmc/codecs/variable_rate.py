"""What codecs share that have many rates in one set of weights."""
from collections.abc import Iterator, Sequence
from numbers import Real

import torch
from torch import Tensor, nn

from mmhmc.bitstream import Bitstream, BitstreamError
from mmhmc.structures import CodecOutput, CodingCondition, Condition
from .base import ImageCodec
from .layers.gain import Quality, fit_gains, gains_at
from .streams import Refinement

#: Qualities of a codec that has several rates and does not say how many.
NUM_QUALITIES = 8
#: Behind the name of a codec in its files if it has gains.
_VARIABLE = '-vr'
#: Last parts of the names of gains, in a codec and in its blocks.
_GAINS = ('gain', 'inverse_gain', 'hyper_gain', 'inverse_hyper_gain',
          'gamma_1', 'gamma_2')
#: Gains between symbols and ``y_hat``.
_EXACT_GAINS = ('inverse_hyper_gain', )


class VariableRateCodec(ImageCodec):
    """Part of a codec with the qualities 1 (lowest rate) to Q, and between.

    .. code-block:: none

        y ─► * gain ─► quantised ─► y_hat ─► * inverse_gain ─► g_s
        z ─► * hyper_gain ─► quantised ─► z_hat ─► * inverse_hyper_gain ─► h_s

    The quality is ``condition.quality``, the highest if there is none. A file
    says its quality. Each quality has a gain for each channel on either side
    of the quantisers; between two qualities gains are interpolated
    geometrically. All are 1 at first, and weights of the codec with one rate
    load: then all qualities are that rate, from which training begins.

    Reference:
        Z. Cui, J. Wang, S. Gao, T. Guo, Y. Feng, B. Bai: "Asymmetric Gained
        Deep Image Compression With Continuous Rate Adaptation", CVPR 2021.
        https://arxiv.org/abs/2003.02012
    """

    #: Qualities Q; 0 for a codec with one rate.
    num_qualities: int = 0
    #: Fields of a condition that the codec knows.
    controls: tuple[str, ...] = ('quality', )
    encoder_parts = (*ImageCodec.encoder_parts, 'gain', 'hyper_gain')

    @property
    def mixes_qualities(self) -> bool:
        """See :attr:`ImageCodec.mixes_qualities`."""
        return self.num_qualities > 0

    @property
    def variable_rate(self) -> bool:
        """Whether there are several rates."""
        return self.num_qualities > 0

    def set_qualities(self, variable_rate: bool,
                      num_qualities: int | None) -> None:
        """Take the arguments of a codec that may have several rates.

        Args:
            variable_rate: Whether there are several rates.
            num_qualities: How many; :data:`NUM_QUALITIES` if not given.

        Raises:
            ValueError: If they are not a positive number, or there is but
                one rate.
        """
        if not variable_rate:
            if num_qualities is not None:
                raise ValueError(
                    f'`num_qualities` is {num_qualities!r}, but this codec '
                    'has one rate; set `variable_rate=True`, or leave it out.')
            return
        if num_qualities is None:
            num_qualities = NUM_QUALITIES
        if not isinstance(num_qualities, int) or num_qualities < 1:
            raise ValueError('`num_qualities` must be a positive integer, got '
                             f'{num_qualities!r}.')
        self.num_qualities = num_qualities
        self.codec_id = f'{self.codec_id}{_VARIABLE}'

    def add_gains(self, **channels: int) -> None:
        """Add the gains of some latents.

        Args:
            **channels: Channels of each latent, by the beginning of its
                gains' names: ``''`` for ``y``, ``'hyper_'`` for ``z``.
        """
        for latent, count in channels.items():
            for name in (f'{latent}gain', f'inverse_{latent}gain'):
                self.register_parameter(
                    name, nn.Parameter(torch.ones(self.num_qualities, count)))

    @torch.no_grad()
    def set_gains(self, gains: Sequence[float]) -> None:
        """Let the quantiser of ``y`` begin at a gain for each quality.

        Args:
            gains: Q numbers, positive: of all channels before the quantiser,
                and their inverses behind it.
        """
        rows = self.gain.new_tensor(gains)[:, None]
        self.gain.copy_(rows.expand_as(self.gain))
        self.inverse_gain.copy_(1 / rows.expand_as(self.gain))

    def scale(self, t: Tensor, name: str, quality: Quality | None) -> Tensor:
        """Multiply the channels of a latent by a gain.

        Args:
            t: Shape (B, C, h, w).
            name: Of the gain, e.g. ``'inverse_gain'``. A codec without it
                leaves ``t`` as it is.
            quality: One for all, or one for each of B images; None leaves
                ``t`` as it is.

        Returns:
            Same shape.
        """
        gains = getattr(self, name, None)
        if quality is None or gains is None:
            return t
        exact = name in _EXACT_GAINS and self.in_integers
        return t * gains_at(gains, quality, exact)[..., None, None]

    def quality_of(self, condition: Condition) -> Quality | None:
        """What a condition says or the highest; None with one rate."""
        if not self.num_qualities:
            return None
        if condition is None or condition.quality is None:
            return float(self.num_qualities)
        if isinstance(condition.quality, Real):
            return float(condition.quality)
        return condition.quality

    def controls_of(self, condition: Condition) -> dict:
        """Controls of transforms and entropy networks: the quality, if any.

        They are keyword arguments of :meth:`run_transform`,
        :meth:`quantise_latent` and :meth:`decode_latent`.
        """
        if not self.num_qualities:
            return {}
        return dict(quality=self.quality_of(condition))

    def compress(self,
                 x: Tensor | Sequence[Tensor],
                 condition: Condition = None,
                 refinement: Refinement | None = None) -> list[Bitstream]:
        """See :meth:`ImageCodec.compress`."""
        # Before the quality is rounded.
        self.check_condition(condition)
        if condition is not None and isinstance(condition.quality, Sequence):
            raise ValueError('`compress` codes all images at one quality, got '
                             f'{condition.quality}; call it for each.')
        return super().compress(x, condition, refinement)

    def write(self,
              output: CodecOutput,
              size: tuple[int, int],
              condition: Condition = None) -> Bitstream:
        """See :meth:`ImageCodec.write`; the quality is always stored."""
        quality = self.quality_of(condition)
        if quality is not None:
            condition = CodingCondition(quality=quality)
        return super().write(output, size, condition)

    def check_images(self, x: Tensor, condition: Condition) -> None:
        """See :meth:`ImageCodec.check_images`."""
        if not self.num_qualities:
            super().check_images(x, condition)
            return
        super().check_images(x, None)
        self.check_condition(condition)
        quality = self.quality_of(condition)
        if not isinstance(quality, Real) and len(quality) != len(x):
            raise ValueError(f'`quality` has {len(quality)} values for a '
                             f'batch of {len(x)} images; give one for each, '
                             'or one for all.')

    def check_condition(self, condition: Condition) -> None:
        """Refuse controls that this codec does not have.

        Raises:
            ValueError: With the control and its value.
        """
        if condition is None or not self.num_qualities:
            return
        for name, value in vars(condition).items():
            if value is not None and name not in self.controls:
                raise ValueError(
                    f'{type(self).__name__} has the run-time controls '
                    f'{list(self.controls)}, but no `{name}`, got {value!r}.')
        quality = condition.quality
        if isinstance(quality, Sequence) and not self.mixes_qualities:
            raise ValueError(f'{type(self).__name__} takes one `quality` for '
                             f'all images of a batch, got {quality!r}.')
        each = quality if isinstance(quality, Sequence) else [quality]
        if quality is not None and not all(self._has(q) for q in each):
            raise ValueError(
                f'`quality` must be a number from 1 to {self.num_qualities} '
                f'for {type(self).__name__}, got {quality!r}.')

    def _has(self, quality: float | None) -> bool:
        return isinstance(quality, Real) and 1 <= quality <= self.num_qualities

    def decoding_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """See :meth:`ImageCodec.decoding_tensors`."""
        for name in _EXACT_GAINS:
            if hasattr(self, name):
                yield name, getattr(self, name)

    def _check_origin(self, bitstream: Bitstream, names: list[str]) -> None:
        super()._check_origin(bitstream, names)
        if self.num_qualities and not self._has(bitstream.quality):
            raise BitstreamError(
                f'{type(self).__name__} has the qualities 1 to '
                f'{self.num_qualities}; the file says {bitstream.quality}.')

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        fit_gains(self, state_dict, prefix, _GAINS, self.num_qualities,
                  'variable_rate=True, ')
        super()._load_from_state_dict(state_dict, prefix, *args)


def what_adapters_know(codec: ImageCodec, condition: Condition) -> dict:
    """Controls with which an image was coded, by name, for what follows.

    Args:
        codec: The codec.
        condition: Its controls; None for its own choice.

    Returns:
        What the condition says, and the quality of a codec with several.
    """
    controls = {} if condition is None else dict(vars(condition))
    if isinstance(codec, VariableRateCodec) and codec.variable_rate:
        controls['quality'] = codec.quality_of(condition)
    return controls
