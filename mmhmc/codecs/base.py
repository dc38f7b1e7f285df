"""The contract that every codec keeps."""
from abc import abstractmethod
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Optional, Union

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmhmc.bitstream import (Bitstream, BitstreamError, CdfTables,
                             SymbolDecoder, encode_symbols)
from mmhmc.functional import crop_to, extend_edges, padded_size
from mmhmc.registry import MODELS
from mmhmc.structures import CodecOutput, CodingCondition


class ImageCodec(BaseModule):
    """Base class: picture to latents to bits, and back.

    .. code-block:: none

        x ──► encode_latents ──► y_hat ─────────────► decode_latents ──► x_hat
                   │                                        ▲
                   ▼ symbols                                │ y_hat
               write ──► Bitstream ──► bytes ──► read ──────┘

    A codec implements :meth:`encode_latents`, :meth:`decode_latents`,
    :meth:`read_latents` and :meth:`entropy_tables`; the rest follows. In
    training mode quantisation is noise, in evaluation mode it is rounding and
    everything is exact: what :meth:`read` returns equals ``y_hat`` of
    :meth:`encode_latents` to the last bit, on one machine and one picture at
    a time.

    Args:
        init_cfg: mmengine's initialisation, e.g. ``dict(type='Pretrained',
            checkpoint=..., prefix='codec.')``.
    """

    #: Both sides of a coded picture are multiples of this.
    downsampling_factor: int = 1

    @abstractmethod
    def encode_latents(
            self,
            x: Tensor,
            condition: Optional[CodingCondition] = None) -> CodecOutput:
        """Picture to quantised latents, without decoding a picture.

        Args:
            x: RGB in [0, 1], shape (B, 3, H, W), H and W multiples of
                ``downsampling_factor``.
            condition: Run-time controls, for codecs that have any.

        Returns:
            Output with ``y_hat`` and ``likelihoods``; for one picture in
            evaluation mode also ``symbols``.
        """

    @abstractmethod
    def decode_latents(self,
                       y_hat: Tensor,
                       condition: Optional[CodingCondition] = None) -> Tensor:
        """Quantised latents (B, M, h, w) to RGB (B, 3, H, W), not clamped."""

    @abstractmethod
    def read_latents(self, decoders: dict[str, SymbolDecoder],
                     coded_size: tuple[int, int]) -> Tensor:
        """Decode ``y_hat`` of one picture.

        Args:
            decoders: A decoder for each named stream.
            coded_size: Height and width in pixels that were coded.

        Returns:
            Shape (1, M, h, w).
        """

    @abstractmethod
    def entropy_tables(self) -> dict[str, CdfTables]:
        """Tables of each named stream, in decoding order."""

    @abstractmethod
    def update_entropy_tables(self) -> None:
        """Make tables from the present weights; needed before coding."""

    @abstractmethod
    def drop_entropy_tables(self) -> None:
        """Forget the tables, as in a codec that is newly built."""

    def forward(self,
                x: Tensor,
                condition: Optional[CodingCondition] = None) -> CodecOutput:
        """Encode and decode pictures.

        Args:
            x: RGB in [0, 1], shape (B, 3, H, W), H and W multiples of
                ``downsampling_factor``.
            condition: Run-time controls, for codecs that have any.

        Returns:
            Output with ``x_hat``, ``y_hat`` and ``likelihoods``.

        Raises:
            ValueError: If ``x`` is not finite or of the wrong shape.
        """
        output = self.encode_latents(x, condition)
        output.x_hat = self.decode_latents(output.y_hat, condition)
        return output

    @torch.no_grad()
    def compress(
            self,
            x: Tensor,
            condition: Optional[CodingCondition] = None) -> list[Bitstream]:
        """Code pictures of any size, padding inside.

        Args:
            x: RGB in [0, 1], shape (B, 3, H, W).
            condition: Run-time controls, for codecs that have any.

        Returns:
            One bitstream for each picture.

        Raises:
            RuntimeError: In training mode, or if tables are missing.
            ValueError: If ``x`` is not finite or of the wrong shape.
        """
        self.check_pictures(x, condition)
        size = tuple(x.shape[-2:])
        target = padded_size(size, self.downsampling_factor)
        x = extend_edges(x, [size] * len(x), target)
        # One at a time: a kernel may round differently for a batch, and the
        # decoder has no batch.
        return [
            self.write(self.encode_latents(picture[None], condition), size)
            for picture in x
        ]

    @torch.no_grad()
    def decompress(self,
                   bitstreams: Sequence[Bitstream],
                   condition: Optional[CodingCondition] = None) -> Tensor:
        """Decode pictures.

        Args:
            bitstreams: From :meth:`compress`, all of one picture size.
            condition: Run-time controls, for codecs that have any.

        Returns:
            RGB in [0, 1], shape (B, 3, H, W).

        Raises:
            BitstreamError: If a stream is of another codec or damaged.
            ValueError: If there is no stream, or the sizes differ.
        """
        sizes = {stream.size for stream in bitstreams}
        if len(sizes) != 1:
            raise ValueError('`decompress` needs streams of one picture size, '
                             f'got {sorted(sizes)}; decode them one by one.')
        return torch.cat([
            crop_to(
                self.decode_latents(self.read(stream), condition),
                stream.size).clamp(0, 1) for stream in bitstreams
        ])

    def write(self, output: CodecOutput, size: tuple[int, int]) -> Bitstream:
        """Entropy-code what :meth:`encode_latents` made of one picture.

        Args:
            output: Made in evaluation mode of a batch of one.
            size: Height and width in pixels of the unpadded picture.

        Raises:
            RuntimeError: In training mode, or if tables are missing.
        """
        tables = self.entropy_tables()
        if set(output.symbols) != set(tables):
            raise RuntimeError(
                'Coding needs the symbols of one picture in evaluation mode; '
                'call `codec.eval()` and encode one picture at a time.')
        streams = {
            name: encode_symbols(output.symbols[name], tables[name])
            for name in tables
        }
        return Bitstream(type(self).__name__, size, streams)

    def read(self, bitstream: Bitstream) -> Tensor:
        """Decode ``y_hat`` of one picture, shape (1, M, h, w).

        Raises:
            BitstreamError: If the stream is of another codec or damaged.
            RuntimeError: If tables are missing.
        """
        tables = self.entropy_tables()
        expected = (type(self).__name__, list(tables))
        got = (bitstream.codec, list(bitstream.streams))
        if got != expected:
            raise BitstreamError(
                f'This codec is {expected[0]} and reads the streams '
                f'{expected[1]}; the file is of {got[0]} with {got[1]}.')
        decoders = {
            name: SymbolDecoder(bitstream.streams[name], tables[name])
            for name in tables
        }
        return self.read_latents(
            decoders, padded_size(bitstream.size, self.downsampling_factor))

    def check_input(self, x: Tensor,
                    condition: Optional[CodingCondition]) -> None:
        """Refuse what cannot be coded as it is.

        Raises:
            ValueError: As :meth:`check_pictures`, or if the size does not fit
                the codec's stride.
        """
        self.check_pictures(x, condition)
        factor = self.downsampling_factor
        if x.shape[-2] % factor or x.shape[-1] % factor:
            raise ValueError(
                f'`x` has size {tuple(x.shape[-2:])}; both sides must be '
                f'multiples of {factor} for {type(self).__name__}. Use '
                '`mmhmc.functional.padded_size` and `extend_edges` first.')

    def check_pictures(self, x: Tensor,
                       condition: Optional[CodingCondition]) -> None:
        """Refuse what cannot be coded at any size.

        Raises:
            TypeError: If ``x`` holds integers.
            ValueError: If ``x`` has the wrong shape or is not finite, or if
                there is a condition and the codec knows none.
        """
        if x.ndim != 4 or x.shape[1] != 3:
            raise ValueError('`x` must be RGB pictures of shape (B, 3, H, W), '
                             f'got {tuple(x.shape)}.')
        if not x.is_floating_point():
            raise TypeError(f'`x` must be floating, in [0, 1], got {x.dtype}; '
                            'divide 8-bit pictures by 255.')
        if not torch.isfinite(x).all():
            bad = torch.isfinite(x).logical_not().sum(dim=(1, 2, 3)).tolist()
            raise ValueError(
                '`x` must be finite; the pictures of this batch have '
                f'{bad} values that are NaN or infinite. Check the files and '
                'the augmentation.')
        if condition is not None:
            raise ValueError(f'{type(self).__name__} has no run-time controls,'
                             f' got {condition}.')


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
