"""Layers of a latent: which factors there are, and how a file says so."""
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from numbers import Integral

import torch
from torch import Tensor

from mmhmc.bitstream import Bitstream, BitstreamError, LayerTables

#: A factor for all channels of the latent, or one for each.
Factor = int | tuple[int, ...]
#: Factors of a codec between its layers, from the base; none: one layer.
Layers = tuple[Factor, ...]
#: Layers of the file that is being read; None: no file is read.
_OF_FILE: ContextVar[Layers | None] = ContextVar('layers', default=None)

#: Largest factor, and largest width of a bin of the base.
_MOST_FACTOR, _MOST_WIDTH = 255, 1 << 15
#: Stream of the base.
BASE = 'y0'


def check_layers(layers: Sequence, channels: int) -> Layers:
    """Factors between layers, as a codec keeps them.

    Args:
        layers: Odd factors from 3, or for each of the channels one from 1.
        channels: Channels of the latent.

    Raises:
        ValueError: If one is even or too small, there are not as many as
            channels, or their product is beyond the limit.
    """
    if isinstance(layers, (str, Integral)):
        raise ValueError('`layers` must be a list of odd factors, one less '
                         f'than there are layers, got {layers!r}.')
    found = tuple(
        tuple(factor) if isinstance(factor, Sequence) else factor
        for factor in layers)
    for factor in found:
        each = factor if isinstance(factor, tuple) else (factor, )
        if not all(
                isinstance(k, Integral) and k % 2 and 0 < k <= _MOST_FACTOR
                for k in each) or set(each) == {1}:
            raise ValueError(
                'The factors of `layers` must be odd integers from 3 to '
                f'{_MOST_FACTOR}, or for each channel one from 1 that are not '
                f'all 1, got {_short(factor)}.')
        if isinstance(factor, tuple) and len(factor) != channels:
            raise ValueError(f'`layers` has {len(factor)} factors for the '
                             f'{channels} channels of the latent; give one '
                             'for each, or one for all.')
    width = max(_widths(found, c)[0] for c in range(channels))
    if width > _MOST_WIDTH:
        raise ValueError(f'The factors of `layers` multiply to {width}, more '
                         f'than {_MOST_WIDTH}; use fewer or smaller ones.')
    return found


def _short(factor: Factor) -> str:
    text = repr(factor)
    return text if len(text) < 60 else f'{text[:56]}...'


def _widths(layers: Layers, channel: int) -> tuple[int, ...]:
    """Width of the bins of each layer, in one channel."""
    widths = [1]
    for factor in reversed(layers):
        if isinstance(factor, tuple):
            factor = factor[channel]
        widths.insert(0, widths[0] * factor)
    return tuple(widths)


def channel_groups(layers: Layers,
                   channels: int) -> tuple[list[tuple], list[int]]:
    """The widths that occur, and for each channel which of them it has."""
    each = [_widths(layers, channel) for channel in range(channels)]
    widths = sorted(set(each))
    return widths, [widths.index(one) for one in each]


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

    Their number and each of them, a byte each; or 0 and a checksum, where
    channels have factors of their own.
    """
    if any(isinstance(factor, tuple) for factor in layers):
        note = b'\0' + _checksum(layers)
    else:
        note = bytes([len(layers), *layers])
    streams = dict(bitstream.streams)
    streams[BASE] = note + streams[BASE]
    return replace(bitstream, streams=streams)


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
    count = payload[0] if payload else None
    if count == 0:
        note = payload[:5]
        if note[1:] != _checksum(own):
            raise BitstreamError(
                'The layers of this file have factors for each channel, which '
                'are not those of this codec. Build it with the `layers` of '
                'the codec that wrote it.')
        layers = own
    else:
        note = payload[:1 + (count or 0)]
        try:
            layers = check_layers(tuple(note[1:]), channels)
        except ValueError as error:
            raise BitstreamError(f'Stream {BASE!r} names factors that '
                                 f'cannot be: {error}') from error
        if not layers or len(layers) != count:
            raise BitstreamError(f'Stream {BASE!r} ends within its factors.')
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
