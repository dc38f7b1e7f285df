"""Layers of a latent: which factors there are, and how a file says so."""
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import islice
from numbers import Integral

import torch
from torch import Tensor

from mmhmc.bitstream import Bitstream, BitstreamError, LayerTables


@dataclass(frozen=True)
class LevelFactors:
    """Factors by the scale that an element's Gaussian has.

    Args:
        levels: Numbers of tables of scales, rising, from 1. From each of them
            the next factor holds.
        factors: Odd, from 1; one more than ``levels``.
    """

    levels: tuple[int, ...]
    factors: tuple[int, ...]

    def at(self, level: int) -> int:
        """Factor of elements whose scale has this table."""
        return self.factors[bisect_right(self.levels, level)]


#: A factor for all elements of the latent, or one for each channel, or some
#: by the scale.
Factor = int | tuple[int, ...] | LevelFactors
#: Factors of a codec between its layers, from the base; none: one layer.
Layers = tuple[Factor, ...]
#: Layers of the file that is being read; None: no file is read.
_OF_FILE: ContextVar[Layers | None] = ContextVar('layers', default=None)

#: Largest factor, and largest width of a bin of the base.
_MOST_FACTOR, _MOST_WIDTH = 255, 1 << 15
#: Levels at which factors change, in all layers, and the last table of scales
#: that a file can name: so many widths always have tables.
_MOST_LEVELS, _LAST_LEVEL = 15, 255
#: Begins a base whose factors are known by a checksum, or go by the scale.
_BY_CHECKSUM, _BY_LEVEL = b'\0', b'\xff'
#: Stream of the base.
BASE = 'y0'


def check_layers(layers: Sequence, channels: int) -> Layers:
    """Factors between layers, as a codec keeps them.

    Args:
        layers: Odd factors from 3; or for each of the channels one from 1;
            or a dict of ``levels`` and ``factors``, see
            :class:`LevelFactors`.
        channels: Channels of the latent.

    Raises:
        ValueError: If one is even or too small, there are not as many as
            channels or levels, or their product is beyond the limit.
    """
    if isinstance(layers, (str, Integral)):
        raise ValueError('`layers` must be a list of odd factors, one less '
                         f'than there are layers, got {layers!r}.')
    found = tuple(map(_as_factor, layers))
    for factor in found:
        each = factor.factors if isinstance(factor, LevelFactors) else \
            factor if isinstance(factor, tuple) else (factor, )
        if not all(
                isinstance(k, Integral) and k % 2 and 0 < k <= _MOST_FACTOR
                for k in each) or set(each) == {1}:
            raise ValueError(
                'The factors of `layers` must be odd integers from 3 to '
                f'{_MOST_FACTOR}, or for each channel or level one from 1 '
                f'that are not all 1, got {_short(factor)}.')
        if isinstance(factor, tuple) and len(factor) != channels:
            raise ValueError(f'`layers` has {len(factor)} factors for the '
                             f'{channels} channels of the latent; give one '
                             'for each, or one for all.')
    levels = [
        level for factor in found if isinstance(factor, LevelFactors)
        for level in factor.levels
    ]
    if len(levels) > _MOST_LEVELS:
        raise ValueError(f'`layers` has {len(levels)} levels at which factors '
                         f'change, more than {_MOST_LEVELS}; use fewer.')
    width = max(
        widths_of(kind, level)[0] for kind in channel_kinds(found, channels)[0]
        for level in (0, *levels))
    if width > _MOST_WIDTH:
        raise ValueError(f'The factors of `layers` multiply to {width}, more '
                         f'than {_MOST_WIDTH}; use fewer or smaller ones.')
    return found


def _as_factor(factor: int | Sequence | Mapping | LevelFactors) -> Factor:
    if isinstance(factor, Mapping):
        if factor.keys() != {'levels', 'factors'}:
            raise ValueError('Factors by the scale are a dict of `levels` and '
                             f'`factors`, got {_short(factor)}.')
        factor = LevelFactors(*(tuple(factor[key])
                                for key in ('levels', 'factors')))
    elif isinstance(factor, Sequence):
        factor = tuple(factor)
    if isinstance(factor, LevelFactors):
        levels = factor.levels
        if not levels or not all(
                isinstance(level, Integral) and low < level <= _LAST_LEVEL
                for low, level in zip((0, *levels), levels)):
            raise ValueError('`levels` must be rising integers from 1 to '
                             f'{_LAST_LEVEL}, got {_short(levels)}.')
        if len(factor.factors) != len(levels) + 1:
            raise ValueError(f'{len(levels)} levels need one factor more, '
                             f'got {_short(factor.factors)}.')
    return factor


def _short(factor: object) -> str:
    text = repr(factor)
    return text if len(text) < 60 else f'{text[:56]}...'


def widths_of(layers: Layers, level: int) -> tuple[int, ...]:
    """Width of the bins of each layer, where channels have no own factors.

    Args:
        layers: Factors between them.
        level: Number of the table of the scale.
    """
    widths = [1]
    for factor in reversed(layers):
        if isinstance(factor, LevelFactors):
            factor = factor.at(level)
        widths.insert(0, widths[0] * factor)
    return tuple(widths)


def channel_kinds(layers: Layers,
                  channels: int) -> tuple[list[Layers], list[int]]:
    """The factors that channels have, and for each channel which it has."""
    each = [
        tuple(factor[channel] if isinstance(factor, tuple) else factor
              for factor in layers) for channel in range(channels)
    ]
    kinds = list(dict.fromkeys(each))
    return kinds, [kinds.index(one) for one in each]


def layers_of_file() -> Layers | None:
    """Layers of the file that is being read, if one is."""
    return _OF_FILE.get()


@contextmanager
def use_layers(layers: Layers) -> Iterator[None]:
    """Code in these layers, whatever those of a codec are."""
    token = _OF_FILE.set(layers)
    try:
        yield
    finally:
        _OF_FILE.reset(token)


def mark(bitstream: Bitstream, layers: Layers) -> Bitstream:
    """Put the factors in front of the base's payload.

    Their number and each of them, a byte each. Where some go by the scale,
    255, their number and for each how many levels it has, the levels, and its
    factors. Where channels have factors of their own, 0 and a checksum.
    """
    streams = dict(bitstream.streams)
    streams[BASE] = _note(layers) + streams[BASE]
    return replace(bitstream, streams=streams)


def _note(layers: Layers) -> bytes:
    if any(isinstance(factor, tuple) for factor in layers):
        return _BY_CHECKSUM + _checksum(layers)
    if not any(isinstance(factor, LevelFactors) for factor in layers):
        return bytes([len(layers), *layers])
    note = _BY_LEVEL + bytes([len(layers)])
    for factor in layers:
        levels, factors = (), (factor, )
        if isinstance(factor, LevelFactors):
            levels, factors = factor.levels, factor.factors
        note += bytes([len(levels), *levels, *factors])
    return note


def _noted(payload: bytes) -> list[int | LevelFactors]:
    """Factors that a base names, if it does not end within them."""
    said = iter(payload)
    count = next(said, 0)
    if count != _BY_LEVEL[0]:
        return list(islice(said, count))
    layers = []
    for _ in range(next(said, 0)):
        count = next(said, 0)
        levels = tuple(islice(said, count))
        factors = tuple(islice(said, count + 1))
        layers.append(
            LevelFactors(levels, factors) if levels else sum(factors))
    return layers


def unmark(bitstream: Bitstream, own: Layers,
           channels: int) -> tuple[Bitstream, Layers]:
    """Inverse of :func:`mark`; a file without layers stays as it is.

    Args:
        bitstream: What is read.
        own: Layers of the codec that reads it.
        channels: Channels of its latent.

    Raises:
        BitstreamError: If the base says nothing sensible, or the factors of
            channels are not those of the codec.
    """
    payload = bitstream.streams.get(BASE)
    if payload is None:
        if any(layer.name == BASE for layer in bitstream.cut):
            raise BitstreamError(f'The file was cut before stream {BASE!r}, '
                                 'its base: without it nothing is decoded.')
        return bitstream, ()
    if payload[:1] == _BY_CHECKSUM:
        if payload[1:5] != _checksum(own):
            raise BitstreamError(
                'The layers of this file have factors for each channel, which '
                'are not those of this codec. Build it with the `layers` of '
                'the codec that wrote it.')
        layers = own
    else:
        try:
            layers = check_layers(_noted(payload), channels)
        except ValueError as error:
            raise BitstreamError(f'Stream {BASE!r} names factors that '
                                 f'cannot be: {error}') from error
    note = _note(layers)
    if not layers or not payload.startswith(note):
        raise BitstreamError(f'Stream {BASE!r} does not say its factors as '
                             'files do: it is damaged.')
    streams = {**bitstream.streams, BASE: payload[len(note):]}
    return replace(bitstream, streams=streams), layers


def _checksum(layers: Layers) -> bytes:
    return zlib.crc32(repr(layers).encode()).to_bytes(4, 'little')


@dataclass
class LayeredLatent:
    """A latent in layers.

    Args:
        y_base: Latent of the base, shape (B, M, h, w), and so are those
            below.
        scales: Scales of its Gaussians.
        means: Their means, the centres of rounding.
        sees_base: Whether these follow from ``y_base``.
    """

    y_base: Tensor
    scales: Tensor
    means: Tensor
    sees_base: bool

    def of(self, select: Callable[[Tensor], Tensor]) -> 'LayeredLatent':
        """Some elements of it."""
        return LayeredLatent(
            select(self.y_base), select(self.scales), select(self.means),
            self.sees_base)

    def y_hat(self, tables: LayerTables, layer: int, bins: Tensor,
              coarse: Tensor, rows: Tensor) -> Tensor:
        """Latent of the first layers.

        Args:
            tables: Tables of the layers.
            layer: The last of them, from 0.
            bins: Its bins, int32.
            coarse: The bins of the base, int32.
            rows: Row of each element in the tables, int32.
        """
        if not layer:
            return self.y_base
        points = tables.points(layer, bins, rows)
        if not self.sees_base:
            return points + self.means
        return self.y_base + (points - tables.points(0, coarse, rows))


def nested_noise(y: Tensor, widths: Sequence[Tensor | int]) -> list[Tensor]:
    """A latent with noise, of each layer: in the bins of those before it.

    Uniform within a bin of the layer. The last one's bin of width 1 lies
    within that of the one before it, and so on, as in quantisation.

    Args:
        y: Shape (B, M, h, w).
        widths: Of the bins of each layer: a number, or (B, M, h, w).
    """
    noisy = [y + torch.rand_like(y) - 0.5]
    for finer, width in zip(widths[:0:-1], widths[-2::-1]):
        factor = width // finer
        place = (torch.rand_like(y) * factor).floor() - (factor - 1) // 2
        noisy.insert(0, noisy[0] + place * finer)
    return noisy
