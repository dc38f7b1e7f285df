"""Files of a wanted size, or of a wanted PSNR."""
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor

from mmhmc.bitstream import QUALITY_STEP, Bitstream
from mmhmc.codecs import ImageCodec
from mmhmc.codecs.standard import StandardCodec
from mmhmc.evaluation import PSNRMetric
from mmhmc.functional import to_8_bits
from mmhmc.refinement import LatentRefinement, exchange_rate
from mmhmc.structures import CodingCondition, Condition

#: A file is near enough within this part of what is wanted. Of a PSNR it is
#: the part of the mean squared error.
TOLERANCE = 0.02
#: The weight of what is lost is between these parts of the codec's own.
_LMBDA_RANGE = (1 / 16, 16.)
_MOST_TRIALS = 16


@dataclass(frozen=True)
class RateTarget:
    """What a file is to have; one of the first three.

    Args:
        bpp: Bits of the whole file per pixel.
        num_bytes: Bytes of the whole file, as it is written: with the header
            of a bitstream, also around the file of a standard codec.
        psnr: PSNR in dB of the decoded image of 8 bits.
        at_most: Whether no file may be larger, or of a lower PSNR.

    Raises:
        ValueError: If not exactly one is given, or it is not positive.
    """

    bpp: float | None = None
    num_bytes: int | None = None
    psnr: float | None = None
    at_most: bool = False

    def __post_init__(self) -> None:
        given = self._given
        if len(given) != 1:
            raise ValueError('Give one of `bpp`, `num_bytes` and `psnr`, got '
                             f'{given or "none"}.')
        name, value = next(iter(given.items()))
        if not 0 < value < math.inf:
            raise ValueError(f'`{name}` must be positive and finite, got '
                             f'{value!r}.')

    @property
    def _given(self) -> dict[str, float]:
        return {
            f.name: value
            for f in fields(self) if f.name != 'at_most' and (
                value := getattr(self, f.name)) is not None
        }

    def __str__(self) -> str:
        units = dict(bpp='bpp', num_bytes='bytes', psnr='dB')
        (name, value), = self._given.items()
        return f'{value:g} {units[name]}'


@dataclass(frozen=True)
class Trial:
    """One file that was tried.

    Args:
        bitstream: The file.
        value: What it has: bpp, bytes or dB.
        excess: Logarithm of what it has over what is wanted, of rates; of a
            PSNR that of the mean squared error that is wanted over its own.
            Above 0 the file is too large.
    """

    bitstream: Bitstream
    value: float
    excess: float


def code_to_target(codec: ImageCodec,
                   x: Tensor,
                   target: RateTarget,
                   condition: Condition = None,
                   refinement: LatentRefinement | None = None,
                   importance: Tensor | None = None) -> Trial:
    """Code an image so that its file is as large as wanted.

    A codec with several qualities is asked for one, between two where it can
    be; with a refinement it is refined there. A codec with one rate is
    searched for by the weight of what is lost, from a sixteenth to sixteen
    times its own.

    Args:
        codec: In evaluation mode, with tables.
        x: RGB in [0, 1], shape (1, 3, H, W).
        target: What is wanted.
        condition: Run-time controls but for the quality.
        refinement: A search for better latents; a codec with one rate needs
            one, without ``max_psnr_loss``. A codec with several qualities
            takes what is found only if it is better than without a search at
            the same quality.
        importance: Weight of each pixel, for the refinement.

    Returns:
        The file that is nearest, within 2 % unless the qualities are whole
        numbers and none is so near.

    Raises:
        ValueError: If no quality and no weight comes near, with the nearest;
            or see :func:`check_target`.
    """
    check_target(codec, refinement)
    trials = _Trials(codec, x, target, condition, refinement, importance)
    search = trials.qualities if _has_qualities(codec) else trials.weights
    return search()


def check_target(codec: ImageCodec,
                 refinement: LatentRefinement | None) -> None:
    """Refuse a search that cannot lead to a wanted size of any kind.

    Args:
        codec: What is to code.
        refinement: Its search, if there is one.

    Raises:
        ValueError: If the codec has one rate, and no refinement, or one with
            ``max_psnr_loss``: at a wanted rate there is no file without a
            search with which its PSNR could be compared.
    """
    if _has_qualities(codec):
        return
    name = type(codec).__name__
    if refinement is None:
        raise ValueError(
            f'{name} has one rate: a wanted size needs a refinement '
            '(`--refine 30`), whose weight of the distortion changes, or a '
            'codec with several qualities.')
    if refinement.max_psnr_loss is not None:
        raise ValueError(
            '`max_psnr_loss` (`--max-psnr-loss`) and a target exclude each '
            f'other here: {name} has one rate, and another rate has another '
            'PSNR. Leave it away, ask for a PSNR (`--target-psnr`), or take a '
            'codec with several qualities.')


class _Trials:
    """Files of one image, each tried once."""

    def __init__(self, codec: ImageCodec, x: Tensor, target: RateTarget,
                 condition: Condition, refinement: LatentRefinement | None,
                 importance: Tensor | None) -> None:
        self._codec, self._x, self._target = codec, x, target
        self._condition, self._refinement = condition, refinement
        self._importance = importance
        self._found: dict[float, Trial] = {}

    def qualities(self) -> Trial:
        """Search by the quality."""
        low, high, step = _range_of(self._codec)
        # Of a video codec a higher QP is a lower rate.
        turned = low > high
        sign = -1 if turned else 1

        def at(place: float) -> Trial:
            quality = low + sign * round(place / step) * step
            return self._tried(quality, lambda: self._by_quality(quality))

        return self._bisect(at, abs(high - low), step, 'quality')

    def weights(self) -> Trial:
        """Search by the weight of what is lost."""
        low, high = (math.log(part) for part in _LMBDA_RANGE)

        def at(place: float) -> Trial:
            return self._tried(place, lambda: self._by_weight(low + place))

        return self._bisect(at, high - low, 0., 'weight of the distortion')

    def _bisect(self, at: Callable[[float], Trial], span: float, step: float,
                what: str) -> Trial:
        """Find the place in [0, span] where the excess is 0; it rises.

        By secants of the excess, kept within what brackets it.
        """
        first, last = at(0.), at(span)
        if self._enough(first) or first.excess > 0:
            return self._end(what, False)
        if self._enough(last) or last.excess < 0:
            return self._end(what, False)
        left, right = (0., first), (span, last)
        for trial in range(_MOST_TRIALS):
            (low, lower), (high, upper) = left, right
            if high - low <= step:
                break
            share = (self._aim - lower.excess) / max(
                upper.excess - lower.excess, 1e-12)
            # Now and then by halves: secants may creep along a bent curve.
            share = 0.5 if trial % 3 == 2 else min(max(share, 0.05), 0.95)
            place = low + share * (high - low)
            if step:
                place = min(max(place, low + step), high - step)
                place = round(place / step) * step
                if not low < place < high:
                    break
            found = at(place)
            if self._enough(found):
                break
            if found.excess > self._aim:
                right = (place, found)
            else:
                left = (place, found)
        return self._end(what, step >= 1)

    def _tried(self, key: float, code: Callable[[], Bitstream]) -> Trial:
        if key not in self._found:
            self._found[key] = self._measured(code())
        return self._found[key]

    def _by_quality(self, quality: float) -> Bitstream:
        given = vars(self._condition) if self._condition else {}
        condition = CodingCondition(**dict(given, quality=quality))
        if self._refinement is None:
            return self._codec.compress(self._x, condition)[0]
        return self._refinement.refine(self._codec, self._x, condition,
                                       self._importance).bitstream

    def _by_weight(self, log_part: float) -> Bitstream:
        refinement = self._refinement.with_lmbda(
            math.exp(log_part) * self._own_lmbda)
        return refinement.search(self._codec, self._x, self._condition,
                                 self._importance)

    @cached_property
    def _own_lmbda(self) -> float:
        return self._refinement.lmbda or exchange_rate(self._codec, self._x,
                                                       self._condition)

    @torch.no_grad()
    def _measured(self, stream: Bitstream) -> Trial:
        target, size = self._target, stream.num_bytes
        if target.psnr is not None:
            x_hat = to_8_bits(
                self._codec.decompress([stream], self._condition))
            psnr = PSNRMetric().measure(self._x, x_hat)
            excess = (psnr - target.psnr) / 10 * math.log(10)
            return Trial(stream, psnr, excess)
        if target.bpp is not None:
            value, wanted = 8 * size / self._x[0, 0].numel(), target.bpp
        else:
            value, wanted = size, target.num_bytes
        return Trial(stream, value, math.log(value / wanted))

    def _enough(self, trial: Trial) -> bool:
        return abs(math.expm1(trial.excess)) <= TOLERANCE and \
            self._allowed(trial)

    def _allowed(self, trial: Trial) -> bool:
        """Whether it is on the side that is asked for."""
        if not self._target.at_most:
            return True
        too_much = -trial.excess if self._target.psnr is not None \
            else trial.excess
        return too_much <= 0

    @property
    def _aim(self) -> float:
        """Where to go: to the middle of what is near enough."""
        if not self._target.at_most:
            return 0.
        side = 1 if self._target.psnr is not None else -1
        return side * TOLERANCE / 2

    def _end(self, what: str, is_whole: bool) -> Trial:
        """The nearest one."""
        fitting = [one for one in self._found.values() if self._allowed(one)]
        best = min(
            fitting or self._found.values(), key=lambda one: abs(one.excess))
        if not fitting or not (is_whole or self._enough(best)):
            nearest = min(
                self._found.values(), key=lambda one: abs(one.excess))
            side = ''
            if self._target.at_most:
                side = ', on the side that was asked for'
            raise ValueError(
                f'No {what} of {type(self._codec).__name__} reaches '
                f'{self._target} at this image{side}; the nearest is '
                f'{nearest.value:.6g}.')
        return best


def _has_qualities(codec: ImageCodec) -> bool:
    return isinstance(codec, StandardCodec) or \
        bool(getattr(codec, 'num_qualities', 0))


def _range_of(codec: ImageCodec) -> tuple[float, float, float]:
    """Quality of the lowest and of the highest rate, and the least step."""
    if not isinstance(codec, StandardCodec):
        return 1., float(codec.num_qualities), QUALITY_STEP
    low, high = codec.quality_range
    if codec.falling_rate:
        low, high = high, low
    return float(low), float(high), 1.
