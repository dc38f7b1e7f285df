"""Images to bitstreams and back: what codecs write, read and refuse."""
import hashlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from mmhmc.bitstream import (QUALITY_STEP, Bitstream, BitstreamError,
                             CdfTables, SymbolDecoder, device_fingerprint,
                             encode_symbols, former_fingerprint)
from mmhmc.functional import crop_to, extend_edges, padded_size
from mmhmc.registry import build_refinement
from mmhmc.structures import CodecOutput, CodingCondition, Condition
from .embedded import Layers
from .layers import saturation

#: Whether the file that is being read is portable; None: no file is read.
_PORTABLE: ContextVar[bool | None] = ContextVar('portable', default=None)

#: Beyond it float32 skips integers; no sensible symbol is anywhere near.
_MOST_SYMBOL = 1 << 24
_NOT_SENSIBLE = (
    "Check the codec's weights: the networks that choose tables and means "
    'give no sensible numbers, and this would decode to garbage.')


class Refinement(Protocol):
    """A search for the latent of one image, at encode time."""

    def refine(self, codec: 'StreamCoder', x: Tensor, condition: Condition):
        """Code an image (1, 3, H, W); the result has a ``bitstream``."""


@contextmanager
def use_integers(portable: bool) -> Iterator[None]:
    """Choose tables by integers or in floating point, for all codecs.

    Args:
        portable: See :attr:`ImageCodec.portable`.
    """
    token = _PORTABLE.set(portable)
    try:
        yield
    finally:
        _PORTABLE.reset(token)


class StreamCoder(nn.Module):
    """Codes images to bitstreams and back: a base of :class:`ImageCodec`.

    .. code-block:: none

        compress:   image ──► encode_latents ──► write ──► Bitstream
        decompress: Bitstream ──► read ──► decode_latents ──► image
    """

    #: Name of the codec in its files; short, for it is in every file.
    codec_id: str = ''
    #: Streams at the end of a file without which it can be decoded.
    optional_streams: tuple[str, ...] = ()
    _layers: Layers = ()
    #: Whether streams that are written decode identically on every machine.
    portable: bool = False

    @property
    def in_integers(self) -> bool:
        """Whether integers choose the tables now.

        Never in training; else if the file that is being read is portable,
        or, when none is read, the codec.
        """
        asked = _PORTABLE.get()
        return not self.training and (self.portable
                                      if asked is None else asked)

    @property
    def layers(self) -> Layers:
        """Odd factors between the layers of the latent; none: it has one.

        Those of the file that is being read, or, when none is read, of the
        codec. See :class:`HyperpriorCodec`, which can have some.
        """
        return self._layers

    @layers.setter
    def layers(self, layers: Sequence) -> None:
        """Code the latent in layers from now on.

        Raises:
            ValueError: If this codec cannot, or a factor is not odd.
        """
        if layers:
            raise ValueError(
                f'{type(self).__name__} cannot code its latent in layers of '
                f'integers, got `layers={layers!r}`; a codec with a Gaussian '
                'conditional can, e.g. MeanScaleHyperprior.')

    @torch.no_grad()
    def compress(self,
                 x: Tensor | Sequence[Tensor],
                 condition: Condition = None,
                 refinement: Refinement | dict | int | None = None
                 ) -> list[Bitstream]:
        """Encode images of any size; padding is done here.

        Args:
            x: RGB in [0, 1], shape (B, 3, H, W), or a list of images
                (3, H, W) that may differ in size.
            condition: Run-time controls, for codecs that have any; the
                quality is rounded to steps of 1/256.
            refinement: Searches for the latent that serves best, e.g. a
                :class:`~mmhmc.refinement.LatentRefinement`, its arguments, or
                its number of steps.

        Returns:
            One bitstream for each image.

        Raises:
            RuntimeError: In training mode, or if tables are missing.
            ValueError: If ``x`` is not finite or of the wrong shape.
        """
        condition = as_stored(condition)
        images = [x] if isinstance(x, Tensor) else [p[None] for p in x]
        images = [self._in_own_type(batch) for batch in images]
        for batch in images:
            self.check_images(batch, condition)
        # One at a time, as in the decoder: a kernel may round differently for
        # a batch.
        singles = [image[None] for batch in images for image in batch]
        if refinement is not None:
            search = build_refinement(refinement)
            return [
                search.refine(self, one, condition).bitstream
                for one in singles
            ]
        return [self._compress_one(one, condition) for one in singles]

    def _compress_one(self, x: Tensor, condition: Condition) -> Bitstream:
        size = x.shape[-2], x.shape[-1]
        target = padded_size(size, self.downsampling_factor)
        with saturation() as ratios:
            output = self.encode_latents(
                extend_edges(x, [size], target), condition, False)
        if ratios and (largest := torch.stack(ratios).amax().item()) > 1:
            warnings.warn(
                f'Activations of {type(self).__name__} reach {largest:.3g} '
                'times the range of its integers and are clamped. The stream '
                'decodes everywhere, but may be larger than it need be: check '
                "the codec's weights, and that `x` lies in [0, 1].",
                stacklevel=3)
        return self.write(output, size, condition)

    @torch.no_grad()
    def decompress(self,
                   bitstreams: Sequence[Bitstream],
                   condition: Condition = None,
                   layers: int | None = None) -> Tensor | list[Tensor]:
        """Decode images.

        Args:
            bitstreams: From :meth:`compress`.
            condition: Run-time controls, for codecs that have any; the
                quality is that of the file.
            layers: How many layers of each file to decode; None: all that
                are there.

        Returns:
            RGB in [0, 1], shape (B, 3, H, W); where the sizes differ a list
            of images (3, H, W).

        Raises:
            BitstreamError: If a stream is of another codec or other weights,
                or damaged.
            RuntimeError: If tables are missing.
            ValueError: If there is no stream, or a file has not so many
                layers.
        """
        if not bitstreams:
            raise ValueError('`decompress` needs at least one stream.')
        if layers is not None:
            bitstreams = [one.keep_layers(layers) for one in bitstreams]
        images = [
            crop_to(
                self.decode_latents(
                    self.read(stream, condition),
                    _with_quality_of(stream, condition)),
                stream.size).clamp_(0, 1) for stream in bitstreams
        ]
        if len(images) == 1:
            return images[0]
        if len({stream.size for stream in bitstreams}) == 1:
            return torch.cat(images)
        return [image[0] for image in images]

    def num_bytes(self, bitstream: Bitstream) -> int:
        """Bytes that count: those of the whole file."""
        return bitstream.num_bytes

    def settings(self) -> dict:
        """Settings that decide the bytes beside the weights, for JSON.

        Empty, unless a codec calls programs or libraries of its own.
        """
        return {}

    def write(self,
              output: CodecOutput,
              size: tuple[int, int],
              condition: Condition = None) -> Bitstream:
        """Entropy-code the output of :meth:`encode_latents` for one image.

        Args:
            output: From evaluation mode and a batch of one.
            size: Height and width in pixels of the unpadded image.
            condition: That of :meth:`encode_latents`; its quality is stored.

        Returns:
            The bitstream, with :meth:`weights_hash`.

        Raises:
            RuntimeError: In training mode, or if tables are missing.
            ValueError: If a symbol is beyond 2^24, or the latent not finite.
        """
        tables = self._present_tables()
        if set(output.symbols) != set(tables):
            raise RuntimeError(
                'Coding needs the symbols of one image in evaluation mode; '
                'call `codec.eval()` and encode one image at a time.')
        for name in tables:
            _check_symbols(name, output.symbols[name].symbols)
        if output.y_hat is not None and not output.y_hat.isfinite().all():
            raise ValueError(f'`y_hat` is not finite. {_NOT_SENSIBLE}')
        streams = {
            name: encode_symbols(output.symbols[name], tables[name])
            for name in tables
        }
        return Bitstream(
            self.codec_id or type(self).__name__,
            size,
            streams,
            padded_size(size, self.downsampling_factor),
            self.weights_hash(),
            quality=condition.quality if condition else None,
            device=None if self.in_integers else self._fingerprint())

    def read(self,
             bitstream: Bitstream,
             condition: Condition = None) -> Tensor:
        """Decode ``y_hat`` of one image, shape (1, M, h, w).

        A stream in floating point is read in floating point, also by a
        portable codec.

        Raises:
            BitstreamError: If the stream is of another codec or other
                weights, or damaged; if it is not portable and was written on
                another device or with other settings.
            RuntimeError: If tables are missing.
        """
        with use_integers(bitstream.device is None):
            return self._read(bitstream, condition)

    def _read(self, bitstream: Bitstream, condition: Condition) -> Tensor:
        tables = self._present_tables()
        self._check_origin(bitstream, list(tables))
        decoders = {
            name: SymbolDecoder(payload, tables[name])
            for name, payload in bitstream.streams.items()
        }
        try:
            y_hat = self.read_latents(decoders, bitstream.coded_size,
                                      _with_quality_of(bitstream, condition))
        except BitstreamError:
            raise
        except ValueError as error:
            # Indexes outside the tables follow from symbols that no encoder
            # wrote.
            raise BitstreamError(
                f'The symbols of this stream make no sense: {error}'
            ) from error
        for decoder in decoders.values():
            decoder.finish()
        return y_hat

    def _present_tables(self) -> dict[str, CdfTables]:
        tables = self.entropy_tables()
        if not all(table.cdf.numel() for table in tables.values()):
            raise RuntimeError(
                'There are no entropy tables yet; call '
                '`update_entropy_tables()` after training or loading.')
        return tables

    def _check_origin(self, bitstream: Bitstream, names: list[str]) -> None:
        """Refuse bitstreams that this codec did not write."""
        name = type(self).__name__
        codec_id = self.codec_id or name
        if bitstream.codec != codec_id:
            raise BitstreamError(
                f'This codec is {name} ({codec_id!r}); the file is of '
                f'{bitstream.codec!r}.')
        got = [*bitstream.streams, *(layer.name for layer in bitstream.cut)]
        if got != names:
            raise BitstreamError(f'{name} reads the streams {names}; the file '
                                 f'is of {codec_id!r} with {got}.')
        lacking = [
            layer.name for layer in bitstream.cut
            if layer.name not in self.optional_streams
        ]
        if lacking:
            raise BitstreamError(f'The file was cut: {name} cannot decode it '
                                 f'without the streams {lacking}.')
        coded_size = padded_size(bitstream.size, self.downsampling_factor)
        if bitstream.coded_size != coded_size:
            raise BitstreamError(
                f'An image of {bitstream.size} is coded as {coded_size} by '
                f'{name}; the file says {bitstream.coded_size}.')
        self._check_weights(bitstream)

    def _check_weights(self, bitstream: Bitstream) -> None:
        name, ours = type(self).__name__, self.weights_hash()
        if bitstream.weights != ours:
            raise BitstreamError(
                f'The file is of {name} with the weights and tables '
                f'{bitstream.weights.hex()}; those of this codec are '
                f'{ours.hex()}. Load the checkpoint that wrote it, and its '
                'tables rather than new ones.')
        if bitstream.device is None:
            return
        if bitstream.device == former_fingerprint(self._table_weight()):
            warnings.warn(
                'This stream is in floating point and of a version that noted '
                'no number of threads: with another number than that of its '
                'encoder it decodes to garbage. Encode the image again, '
                'portably.',
                stacklevel=5)
        elif bitstream.device != self._fingerprint():
            raise BitstreamError(
                'This stream is in floating point (`portable=False`) and was '
                'written on another device or with other settings: number of '
                'threads, memory format, kernels, precision or version of '
                'torch. Here it would decode to garbage. Decode it where it '
                'was written, or encode the image again with a portable '
                'codec.')

    def _table_weight(self) -> Tensor:
        """Weight of a convolution of a network that chooses tables."""
        weights = [t for _, t in self.decoding_tensors() if t.ndim == 4]
        return weights[0] if weights else torch.empty(0)

    def _fingerprint(self) -> bytes:
        compiled = any(
            getattr(part, '_compiled_call_impl', None) is not None
            for part in self.modules())
        return device_fingerprint(self._table_weight(), compiled)

    def weights_hash(self) -> bytes:
        """Hash of all that decides decoding: the first 4 bytes of a SHA-256.

        Of :meth:`decoding_tensors` and :attr:`arithmetic`.
        """
        tensors, arithmetic = dict(self.decoding_tensors()), self.arithmetic

        def digest() -> bytes:
            result = hashlib.sha256(arithmetic)
            for name, tensor in tensors.items():
                kind = f'{name} {tensor.dtype} {tuple(tensor.shape)}'
                content = tensor.detach().cpu().contiguous().flatten()
                result.update(kind.encode())
                result.update(content.view(torch.uint8).numpy().tobytes())
            return result.digest()[:4]

        return self._cache.get(f'hash of the weights {arithmetic}',
                               list(tensors.values()), digest)

    @property
    def arithmetic(self) -> bytes:
        """Name of the rules by which weights and symbols become ``y_hat``."""
        return b''


def _check_symbols(name: str, symbols: Tensor) -> None:
    """Refuse symbols that were NaN or huge before they were rounded."""
    if symbols.numel():
        low, high = (int(end) for end in symbols.aminmax())
        if not -_MOST_SYMBOL < low <= high < _MOST_SYMBOL:
            raise ValueError(
                f'The symbols of stream {name!r} reach from {low} to {high}. '
                f'{_NOT_SENSIBLE}')


def as_stored(condition: Condition) -> Condition:
    """Controls with the quality rounded as in a file."""
    if condition is None or condition.quality is None:
        return condition
    steps = round(condition.quality / QUALITY_STEP)
    return replace(condition, quality=steps * QUALITY_STEP)


def _with_quality_of(bitstream: Bitstream, condition: Condition) -> Condition:
    if bitstream.quality is None:
        return condition
    return replace(condition or CodingCondition(), quality=bitstream.quality)
