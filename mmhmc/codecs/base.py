"""The contract that every codec keeps."""
import copy
import hashlib
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from difflib import get_close_matches
from fractions import Fraction
from functools import partial
from math import isqrt
from typing import Any, Optional, Union

import torch
from torch import Tensor, nn

from mmhmc.bitstream import (QUALITY_STEP, Bitstream, BitstreamError,
                             CdfTables, SymbolDecoder, device_fingerprint,
                             encode_symbols, former_fingerprint)
from mmhmc.former_names import CODEC_MEMBERS, former_member, rename_overrides
from mmhmc.functional import crop_to, extend_edges, padded_size, run_in_tiles
from mmhmc.functional.devices import answers_at_once, hurrying, is_hurrying
from mmhmc.part_weights import WholeModule
from mmhmc.registry import MODELS
from mmhmc.structures import CodecOutput, CodingCondition
from .layers import Derived, saturation
from .layers.attention_stage import known_controls

#: Whether the file that is being read is portable; None: none is.
_PORTABLE: ContextVar[Optional[bool]] = ContextVar('portable', default=None)

#: Beyond it float32 skips integers; no sensible symbol is anywhere near.
_MOST_SYMBOL = 1 << 24
_NOT_SENSIBLE = (
    "Check the codec's weights: what chooses its tables and means "
    'gives no sensible numbers, and this would decode to garbage.')


@contextmanager
def use_integers(portable: bool) -> Iterator[None]:
    """Choose tables by integers or in floating point, whatever a codec says.

    Args:
        portable: See :attr:`ImageCodec.portable`.
    """
    token = _PORTABLE.set(portable)
    try:
        yield
    finally:
        _PORTABLE.reset(token)


class ImageCodec(WholeModule):
    """Base class: image to latents to bits, and back.

    .. code-block:: none

        x ──► encode_latents ──► y_hat ─────────────► decode_latents ──► x_hat
                   │                                        ▲
                   ▼ symbols                                │ y_hat
               write ──► Bitstream ──► bytes ──► read ──────┘

    A codec implements :meth:`encode_latents`, :meth:`decode_latents`,
    :meth:`read_latents`, :meth:`entropy_tables` and
    :meth:`decoding_tensors`; the rest follows. In training mode quantisation
    is noise, or rounding that gradients pass; in evaluation mode it is
    rounding and everything is exact: what
    :meth:`read` returns equals ``y_hat`` of :meth:`encode_latents` to the
    last bit; if the codec is :attr:`portable`, on all machines and in any
    batch, otherwise on one machine and one image at a time.

    Args:
        init_cfg: mmengine's initialisation, e.g. ``dict(type='Pretrained',
            checkpoint=...)``, of the codec or of a model that holds it.
    """

    #: Both sides of a coded image are multiples of this.
    downsampling_factor: int = 1
    #: What a file calls the codec; short, for it is in every file.
    codec_id: str = ''
    #: Streams at the end of a file without which it can be decoded.
    optional_streams: tuple[str, ...] = ()
    #: Pixels beyond which nothing around a pixel reaches it in a transform.
    receptive_radius: int = 0
    #: Side in pixels of the tiles in which large images go through the
    #: transforms, in evaluation without gradients. ``'auto'``: by
    #: :attr:`tile_memory`; a number: images of more than twice its square;
    #: None: never.
    tile_size: Union[int, str, None] = 'auto'
    #: Bytes of memory up to which a transform works on a whole image.
    tile_memory: int = 896 << 20
    #: Side below which tiles overlap more than they save.
    least_tile_size: int = 512
    #: Bytes that a transform takes for each pixel of an image, about.
    bytes_per_pixel: int = 512
    #: Type in which the transforms between image and latent compute in
    #: evaluation, e.g. ``torch.bfloat16``; None: that of their weights.
    transform_dtype: Optional[torch.dtype] = None
    #: Whether streams that are written decode identically on every machine.
    portable: bool = False

    def __init__(self, init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self._derived = Derived()

    def __init_subclass__(cls, **kwargs) -> None:
        super().__init_subclass__(**kwargs)
        rename_overrides(cls, CODEC_MEMBERS)

    def __getattr__(self, name: str) -> Any:
        if name in CODEC_MEMBERS:
            return former_member(self, name, CODEC_MEMBERS)
        return super().__getattr__(name)

    @abstractmethod
    def encode_latents(self,
                       x: Tensor,
                       condition: Optional[CodingCondition] = None,
                       with_likelihoods: bool = True) -> CodecOutput:
        """Image to quantised latents, without decoding an image.

        Args:
            x: RGB in [0, 1], shape (B, 3, H, W), H and W multiples of
                ``downsampling_factor``.
            condition: Run-time controls, for codecs that have any.
            with_likelihoods: False leaves them out; all else is the same.

        Returns:
            Output with ``y_hat`` and ``likelihoods``; for one image in
            evaluation mode also ``symbols``.
        """

    def estimate_latents(
            self,
            x: Tensor,
            condition: Optional[CodingCondition] = None) -> CodecOutput:
        """What a codec that stands still shows, while other parts learn.

        As :meth:`encode_latents`, but in floating point and for a whole
        batch, without symbols, and on a GPU without a wait. A codec that
        codes position after position comes near to it in fewer steps.

        Args:
            x: As of :meth:`encode_latents`.
            condition: As well.

        Returns:
            Output with ``y_hat`` and ``likelihoods``.
        """
        with use_integers(False), hurrying():
            return self.encode_latents(x, condition)

    @abstractmethod
    def decode_latents(self,
                       y_hat: Tensor,
                       condition: Optional[CodingCondition] = None) -> Tensor:
        """Quantised latents (B, M, h, w) to RGB (B, 3, H, W), not clamped."""

    def decode_with_losses(
        self,
        y_hat: Tensor,
        condition: Optional[CodingCondition] = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As :meth:`decode_latents`, and what decoding adds to the objective.

        Returns:
            The images, and losses as ``extra_losses`` of an output.
        """
        return self.decode_latents(y_hat, condition), {}

    @abstractmethod
    def read_latents(self,
                     decoders: dict[str, SymbolDecoder],
                     coded_size: tuple[int, int],
                     condition: Optional[CodingCondition] = None) -> Tensor:
        """Decode ``y_hat`` of one image.

        Args:
            decoders: A decoder for each named stream of the file.
            coded_size: Height and width in pixels that were coded.
            condition: With the quality that the file says.

        Returns:
            Shape (1, M, h, w).
        """

    @abstractmethod
    def entropy_tables(self) -> dict[str, CdfTables]:
        """Tables of each named stream, in decoding order."""

    @abstractmethod
    def decoding_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All that decides how symbols become ``y_hat``, by name.

        Tables, and weights of what chooses among them; not what only the
        encoder or only the image needs.
        """

    @abstractmethod
    def update_entropy_tables(self, update_quantiles: bool = True) -> None:
        """Make tables from the present weights; needed before coding.

        Args:
            update_quantiles: False keeps the quantiles of the factorised
                priors, their medians among them, as weights bring them that
                were trained elsewhere with an auxiliary loss.
        """

    def refresh_entropy_tables(self) -> None:
        """Make tables if there are none or weights have changed since.

        Tables that a checkpoint brings are those of its weights.
        """
        self.update_entropy_tables()

    def load_training_state(self, state_dict: dict[str, Tensor]) -> None:
        """Load a state in which tables may be older than the weights.

        That is one of a training that this codec, or what it was copied
        from, is in; it knows for which weights it has made its tables.
        """
        self.load_state_dict(state_dict)

    @property
    def tables_can_change(self) -> bool:
        """Whether training may change the weights that tables come from."""
        return False

    @abstractmethod
    def drop_entropy_tables(self) -> None:
        """Forget the tables, as in a codec that is newly built."""

    def forward(self,
                x: Tensor,
                condition: Optional[CodingCondition] = None) -> CodecOutput:
        """Encode and decode images.

        Args:
            x: RGB in [0, 1], of any floating type, shape (B, 3, H, W), H and
                W multiples of ``downsampling_factor``.
            condition: Run-time controls, for codecs that have any.

        Returns:
            Output with ``x_hat``, ``y_hat`` and ``likelihoods``.

        Raises:
            ValueError: If ``x`` is not finite or of the wrong shape.
        """
        output = self.encode_latents(self._in_own_type(x), condition)
        output.x_hat, losses = self.decode_with_losses(output.y_hat, condition)
        output.extra_losses.update(losses)
        return output

    def make_portable(self, images: Optional[Tensor] = None) -> None:
        """Do nothing but warn: learned codecs are portable as they are.

        Args:
            images: Ignored.
        """
        warnings.warn(
            '`make_portable` does nothing any more: learned codecs are '
            'portable without it, unless built with `portable=False`.',
            DeprecationWarning,
            stacklevel=2)

    @property
    def in_integers(self) -> bool:
        """Whether integers choose the tables now.

        Outside training as :attr:`portable` says, or as the file needs it
        that is being read.
        """
        asked = _PORTABLE.get()
        return not self.training and (self.portable
                                      if asked is None else asked)

    @torch.no_grad()
    def compress(
            self,
            x: Union[Tensor, Sequence[Tensor]],
            condition: Optional[CodingCondition] = None) -> list[Bitstream]:
        """Code images of any size, padding inside.

        Args:
            x: RGB in [0, 1], shape (B, 3, H, W), or a list of images
                (3, H, W) that may differ in size.
            condition: Run-time controls, for codecs that have any; the
                quality is rounded to steps of 1/256.

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
        # One at a time: a kernel may round differently for a batch, and the
        # decoder has no batch.
        return [
            self._compress_one(image[None], condition) for batch in images
            for image in batch
        ]

    def _in_own_type(self, x: Tensor) -> Tensor:
        """Images in the type of the weights, e.g. of float16 or float64."""
        own = next((p.dtype for p in self.parameters()), x.dtype)
        return x.to(own) if x.is_floating_point() else x

    def _compress_one(self, x: Tensor,
                      condition: Optional[CodingCondition]) -> Bitstream:
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
    def decompress(
        self,
        bitstreams: Sequence[Bitstream],
        condition: Optional[CodingCondition] = None
    ) -> Union[Tensor, list[Tensor]]:
        """Decode images.

        Args:
            bitstreams: From :meth:`compress`.
            condition: Run-time controls, for codecs that have any; the
                quality is that of the file.

        Returns:
            RGB in [0, 1], shape (B, 3, H, W); where the sizes differ a list
            of images (3, H, W).

        Raises:
            BitstreamError: If a stream is of another codec or other weights,
                or damaged.
            RuntimeError: If tables are missing.
            ValueError: If there is no stream.
        """
        if not bitstreams:
            raise ValueError('`decompress` needs at least one stream.')
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
        """What else decides the bytes, as JSON takes it, for the record.

        Nothing, unless a codec calls programs or libraries of its own.
        """
        return {}

    def write(self,
              output: CodecOutput,
              size: tuple[int, int],
              condition: Optional[CodingCondition] = None) -> Bitstream:
        """Entropy-code what :meth:`encode_latents` made of one image.

        Args:
            output: Made in evaluation mode of a batch of one.
            size: Height and width in pixels of the unpadded image.
            condition: That of :meth:`encode_latents`; its quality is stored.

        Returns:
            The bitstream, with the hash of what decodes it.

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
             condition: Optional[CodingCondition] = None) -> Tensor:
        """Decode ``y_hat`` of one image, shape (1, M, h, w).

        A stream in floating point is read so, whatever the codec writes.

        Raises:
            BitstreamError: If the stream is of another codec or other
                weights, or damaged; if it is not portable and was written on
                another device or with other settings.
            RuntimeError: If tables are missing.
        """
        with use_integers(bitstream.device is None):
            return self._read(bitstream, condition)

    def _read(self, bitstream: Bitstream,
              condition: Optional[CodingCondition]) -> Tensor:
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
            # Only symbols that no encoder wrote lead to impossible tables.
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
        """Refuse what this codec did not write.

        Raises:
            BitstreamError: With what is different.
        """
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
        if bitstream.device == former_fingerprint(self._prior_weight()):
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

    def _prior_weight(self) -> Tensor:
        """A convolution's weight of what chooses tables."""
        weights = [t for _, t in self.decoding_tensors() if t.ndim == 4]
        return weights[0] if weights else torch.empty(0)

    def _fingerprint(self) -> bytes:
        compiled = any(
            getattr(part, '_compiled_call_impl', None) is not None
            for part in self.modules())
        return device_fingerprint(self._prior_weight(), compiled)

    def weights_hash(self) -> bytes:
        """First 4 bytes of a SHA-256 of what decides decoding.

        That is :meth:`decoding_tensors`, and :attr:`arithmetic`.
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

        return self._derived.get(f'hash of the weights {arithmetic}',
                                 list(tensors.values()), digest)

    @property
    def arithmetic(self) -> bytes:
        """Name of the rules by which weights and symbols become ``y_hat``."""
        return b''

    def run_transform(self, part: nn.Module, x: Tensor, scale: Fraction,
                      **controls) -> Tensor:
        """Run a transform between image and latent.

        Outside training in :attr:`transform_dtype`, and in tiles if the
        image is large.

        Args:
            part: E.g. ``g_a``.
            x: Image or latent, shape (B, C, H, W).
            scale: Output side per input side.
            controls: Of a :class:`~mmhmc.codecs.layers.Transform`, e.g.
                ``quality``.

        Returns:
            Shape (B, C', scale * H, scale * W), float32 if
            :attr:`transform_dtype` is set.
        """
        if self.training:
            return part(x, **controls)
        run = partial(self._run_in_dtype, part, **controls)
        # A side of the input in pixels.
        unit = max(1, int(scale))
        pixels = x.shape[-2] * x.shape[-1] * unit**2
        side = self._tile_for(pixels, len(x))
        if side is None or torch.is_grad_enabled():
            return run(x)
        return run_in_tiles(run, x, scale, side // unit,
                            self.receptive_radius // unit)

    def _tile_for(self, pixels: int, images: int) -> Optional[int]:
        """Side of the tiles for images of so many pixels; None: whole."""
        if self.tile_size != 'auto':
            few = self.tile_size is None or pixels <= 2 * self.tile_size**2
            return None if few else self.tile_size
        room = self.tile_memory // (self.bytes_per_pixel * images)
        if pixels <= max(room, 2 * self.least_tile_size**2):
            return None
        # An image so large takes memory of its own, and so do its pieces'
        # surroundings.
        side = isqrt(room * 2 // 5) - 2 * self.receptive_radius
        side -= side % max(64, self.downsampling_factor)
        return max(side, self.least_tile_size)

    def _run_in_dtype(self, part: nn.Module, x: Tensor, **controls) -> Tensor:
        if self.transform_dtype is None:
            return part(x, **controls)
        # Convolutions follow the format of the map; weights stay as they are.
        x = x.contiguous(memory_format=torch.channels_last)
        *layers, last = part if isinstance(part, nn.Sequential) else [part]
        # Eight bits are too few for pixels, and for a sum with a bias around
        # which pixels or latents lie; both cost little in float32.
        if layers and isinstance(layers[0], nn.Conv2d):
            x = layers.pop(0)(x)
        bias = getattr(last, 'bias', None)
        with torch.autocast(x.device.type, self.transform_dtype):
            for layer in layers:
                x = layer(x, **known_controls(layer, controls))
            controls = known_controls(last, controls)
            if bias is None:
                return last(x, **controls).float()
            x = _without_bias(last)(x, **controls)
        return x.float() + bias.view(-1, 1, 1)

    def check_input(self, x: Tensor,
                    condition: Optional[CodingCondition]) -> None:
        """Refuse what cannot be coded as it is.

        Raises:
            ValueError: As :meth:`check_images`, if there is no image, or
                if the size does not fit the codec's stride.
        """
        self.check_images(x, condition)
        if not len(x):
            raise ValueError('`x` is a batch without images, of shape '
                             f'{tuple(x.shape)}; expected one or more.')
        factor = self.downsampling_factor
        if x.shape[-2] % factor or x.shape[-1] % factor:
            raise ValueError(
                f'`x` has size {tuple(x.shape[-2:])}; both sides must be '
                f'multiples of {factor} for {type(self).__name__}. Use '
                '`mmhmc.functional.padded_size` and `extend_edges` first.')

    def may_look_at(self, x: Tensor) -> bool:
        """Whether numbers of ``x`` may be looked at: in training on a GPU not,
        as it would have to be waited for.
        """
        return answers_at_once(x) or not (self.training or is_hurrying())

    def check_images(self, x: Tensor,
                     condition: Optional[CodingCondition]) -> None:
        """Refuse what cannot be coded at any size.

        In training a GPU is not waited for: that ``x`` is not finite is seen
        by the losses.

        Raises:
            TypeError: If ``x`` holds integers.
            ValueError: If ``x`` has the wrong shape or is not finite, or if
                there is a condition and the codec knows none.
        """
        if x.ndim != 4 or x.shape[1] != 3 or 0 in x.shape[1:]:
            raise ValueError('`x` must be RGB images of shape (B, 3, H, W), '
                             f'which must be positive, got {tuple(x.shape)}.')
        if not x.is_floating_point():
            raise TypeError(f'`x` must be floating, in [0, 1], got {x.dtype}; '
                            'divide 8-bit images by 255.')
        # A sum is quick, and finite only if every term is.
        if self.may_look_at(x) and not (x.sum().isfinite()
                                        or torch.isfinite(x).all()):
            bad = torch.isfinite(x).logical_not().sum(dim=(1, 2, 3)).tolist()
            raise ValueError(
                '`x` must be finite; the images of this batch have '
                f'{bad} values that are NaN or infinite. Check the files and '
                'the augmentation.')
        if condition is not None:
            raise ValueError(f'{type(self).__name__} has no run-time controls,'
                             f' got {condition}.')


def _without_bias(layer: nn.Module) -> nn.Module:
    """The same layer, weights and hooks, but for its bias.

    The layer itself stays what it is: others may be computing with it.
    """
    bare = copy.copy(layer)
    bare._parameters = dict(layer._parameters, bias=None)
    return bare


def _check_symbols(name: str, symbols: Tensor) -> None:
    """Refuse what was no number, or too large for one, before it was rounded.

    Raises:
        ValueError: If there is such a symbol.
    """
    if symbols.numel():
        low, high = (int(end) for end in symbols.aminmax())
        if not -_MOST_SYMBOL < low <= high < _MOST_SYMBOL:
            raise ValueError(
                f'The symbols of stream {name!r} reach from {low} to {high}. '
                f'{_NOT_SENSIBLE}')


def as_stored(
        condition: Optional[CodingCondition]) -> Optional[CodingCondition]:
    """Controls with the quality that a file can say."""
    if condition is None or condition.quality is None:
        return condition
    steps = round(condition.quality / QUALITY_STEP)
    return replace(condition, quality=steps * QUALITY_STEP)


def _with_quality_of(
        bitstream: Bitstream,
        condition: Optional[CodingCondition]) -> Optional[CodingCondition]:
    if bitstream.quality is None:
        return condition
    return replace(condition or CodingCondition(), quality=bitstream.quality)


def build_codec(codec: Union[ImageCodec, dict]) -> ImageCodec:
    """Build a codec from its config; a built one is returned as it is.

    Raises:
        TypeError: If it is neither, or names something that is no codec.
        ValueError: If the name is not registered.
    """
    if isinstance(codec, ImageCodec):
        return codec
    if not isinstance(codec, dict) or 'type' not in codec:
        raise TypeError('`codec` must be an ImageCodec or a config with '
                        f'`type`, got {codec!r}.')
    name = codec['type']
    if isinstance(name, str) and MODELS.get(name) is None:
        known = sorted(name for name, entry in MODELS.module_dict.items()
                       if issubclass(entry, ImageCodec))
        near = get_close_matches(name.split('.')[-1], known, 1, 0.5)
        hint = f' Did you mean mmhmc.{near[0]}?' if near else ''
        raise ValueError(f'There is no codec {name!r}; the codecs are '
                         f'{", ".join(known)}, written mmhmc.NAME.{hint}')
    built = MODELS.build(codec)
    if not isinstance(built, ImageCodec):
        raise TypeError(f'{name!r} is a {type(built).__name__}, not a codec.')
    return built
