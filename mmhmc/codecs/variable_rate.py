"""What codecs share that have many rates in one set of weights."""
from collections.abc import Sequence
from numbers import Real

from torch import Tensor

from mmhmc.bitstream import Bitstream, BitstreamError
from mmhmc.structures import CodecOutput, CodingCondition, Condition
from .base import ImageCodec
from .layers.gain import Quality


class VariableRateCodec(ImageCodec):
    """Part of a codec with the qualities 1 (lowest rate) to Q, and between.

    The quality is ``condition.quality``, the highest if there is none. A file
    says its quality.
    """

    #: Qualities Q; 0 for a codec with one rate.
    num_qualities: int = 0
    #: Fields of a condition that the codec knows.
    controls: tuple[str, ...] = ('quality', )

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
        """See :meth:`CompressAICodec.controls_of`."""
        return dict(quality=self.quality_of(condition))

    def decode_latents(self,
                       y_hat: Tensor,
                       condition: Condition = None) -> Tensor:
        """See :meth:`ImageCodec.decode_latents`."""
        self.check_condition(condition)
        return super().decode_latents(y_hat, condition)

    def compress(self,
                 x: Tensor | Sequence[Tensor],
                 condition: Condition = None) -> list[Bitstream]:
        """See :meth:`ImageCodec.compress`."""
        # Before the quality is rounded.
        self.check_condition(condition)
        if condition is not None and isinstance(condition.quality, Sequence):
            raise ValueError('`compress` codes all images at one quality, got '
                             f'{condition.quality}; call it for each.')
        return super().compress(x, condition)

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

    def _check_origin(self, bitstream: Bitstream, names: list[str]) -> None:
        super()._check_origin(bitstream, names)
        if self.num_qualities and not self._has(bitstream.quality):
            raise BitstreamError(
                f'{type(self).__name__} has the qualities 1 to '
                f'{self.num_qualities}; the file says {bitstream.quality}.')
