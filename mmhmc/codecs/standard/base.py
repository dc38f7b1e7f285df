"""The base class of standard codecs."""
import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from mmhmc.bitstream import Bitstream, BitstreamError, CdfTables
from mmhmc.former_names import former_arguments
from mmhmc.structures import CodecOutput, CodingCondition, Condition
from ..base import ImageCodec

_STREAM = 'file'
#: Height, width and length of the file come before its bytes.
_HEADER = 3


class StandardCodec(ImageCodec):
    """Base class of codecs whose bits are made by a program or a library.

    .. code-block:: none

        x ──► encode_file ──► the encoder's own file ──► decode_file ──► x_hat
                                      │
                        Bitstream.streams['file'], untouched

    The latent is the file itself, so the contract of :class:`ImageCodec`
    holds: every byte has the likelihood 1/256, estimated bits are eight times
    the bytes, and images and bits of a ``forward`` are real. There are no
    weights and no gradient: a standard codec works in evaluation mode only.

    Images of every size are encoded; padding that an encoder needs is added
    and removed here. The rate is that of the file, without the container
    around it: :meth:`num_bytes`.

    A subclass has ``quality_range`` and implements :meth:`encode_file`,
    :meth:`decode_file`, :meth:`settings` and :meth:`decoding_settings`.

    Args:
        quality: The encoder's quality, a whole number in ``quality_range``.
            ``condition.quality`` overrides it for a call.
        init_cfg: Not used: there are no weights.

    Raises:
        ValueError: If the quality is out of range.
    """

    #: Smallest and largest quality.
    quality_range: tuple[int, int] = (0, 100)
    #: Whether a higher quality is a lower rate.
    falling_rate: bool = False

    # File and settings alone decide decoding.
    portable = True

    def __init__(self, quality: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.quality = self._checked_quality(quality)
        # Its device is that of decoded images; there is no other tensor.
        self.register_buffer('_place', torch.empty(0), persistent=False)

    @abstractmethod
    def encode_file(self, x: Tensor, quality: int) -> bytes:
        """Code an image.

        Args:
            x: RGB in [0, 1], shape (1, 3, H, W), on the CPU.
            quality: In ``quality_range``.

        Returns:
            The encoder's file.

        Raises:
            RuntimeError: If the encoder is missing or fails.
        """

    @abstractmethod
    def decode_file(self, data: bytes, size: tuple[int, int]) -> Tensor:
        """Decode what :meth:`encode_file` wrote.

        Args:
            data: The file.
            size: Height and width in pixels of the image.

        Returns:
            RGB in [0, 1], shape (1, 3, *size).

        Raises:
            BitstreamError: If the decoder does not take the file, or the
                image in it has another size.
            RuntimeError: If the decoder is missing.
        """

    @abstractmethod
    def settings(self) -> dict:
        """All settings that decide the bytes, for JSON."""

    def decoding_settings(self) -> dict:
        """Settings that a decoder needs and that are not in the file."""
        return {}

    def num_bytes(self, bitstream: Bitstream) -> int:
        """Length of the encoder's file; the container does not count."""
        return len(bitstream.streams[_STREAM])

    @former_arguments(rate='with_likelihoods')
    def encode_latents(self,
                       x: Tensor,
                       condition: Condition = None,
                       with_likelihoods: bool = True) -> CodecOutput:
        """As :meth:`ImageCodec.encode_latents`, of any size, to files.

        ``y_hat`` (B, 3 + n, 1, 1), int32, is height, width, the length of the
        file, and its bytes; ``likelihoods['file']`` (B, n, 1, 1) is 1/256
        where there is a byte.

        Raises:
            RuntimeError: In training mode, or if the encoder is missing or
                fails.
            ValueError: If ``x`` or the condition is not valid.
        """
        name = type(self).__name__
        if self.training:
            raise RuntimeError(
                f'{name} has no gradient and cannot be trained; call '
                '`codec.eval()`, or train with a learned codec.')
        self.check_input(x, condition)
        quality = self.quality
        if condition is not None and condition.quality is not None:
            quality = self._checked_quality(condition.quality)
        images = x.detach().float().clamp(0, 1).cpu()
        files = [self.encode_file(image[None], quality) for image in images]
        y_hat = _pack(files, tuple(x.shape[-2:])).to(x.device)
        output = CodecOutput(y_hat)
        if with_likelihoods:
            output.likelihoods[_STREAM] = _likelihoods(files).to(x.device)
        return output

    def decode_latents(self,
                       y_hat: Tensor,
                       condition: Condition = None) -> Tensor:
        """Decode the files in ``y_hat``, from :meth:`encode_latents`.

        The images are in [0, 1], float32, and not rounded to 8 bits.

        Raises:
            BitstreamError: If a decoder does not take its file.
            RuntimeError: If the decoder is missing.
        """
        return torch.cat([
            self.decode_file(data, size) for data, size in _unpack(y_hat)
        ]).to(y_hat.device)

    def write(self,
              output: CodecOutput,
              size: tuple[int, int],
              condition: Condition = None) -> Bitstream:
        """See :meth:`ImageCodec.write`; the file enters it as it is.

        Raises:
            ValueError: If there is not one image, or of another size.
        """
        (data, coded_size), *others = _unpack(output.y_hat)
        if others or coded_size != tuple(size):
            raise ValueError(
                f'A file of one image of size {tuple(size)} was expected, '
                f'got {1 + len(others)} of size {coded_size}.')
        return Bitstream(
            self.codec_id,
            coded_size, {_STREAM: data},
            weights=self.weights_hash(),
            quality=condition.quality if condition else None)

    def read(self,
             bitstream: Bitstream,
             condition: Condition = None) -> Tensor:
        """Take the file out of its container, (1, 3 + n, 1, 1), int32.

        Raises:
            BitstreamError: If it is of another codec, or of other settings.
        """
        self._check_origin(bitstream, [_STREAM])
        files = [bitstream.streams[_STREAM]]
        return _pack(files, bitstream.size).to(self._place.device)

    def read_latents(self,
                     decoders: dict,
                     coded_size: tuple[int, int],
                     condition: Condition = None) -> Tensor:
        """Refuses: no symbols were entropy-coded here.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(f'{type(self).__name__} has a file and no symbols; '
                           'use `read`.')

    def entropy_tables(self) -> dict[str, CdfTables]:
        """One table, in which every byte costs the same; nothing uses it."""
        steps = torch.arange(257, dtype=torch.int32) * 255
        cdf = torch.cat([steps, torch.tensor([1 << 16], dtype=torch.int32)])
        return {
            _STREAM:
            CdfTables(cdf[None], torch.tensor([258], dtype=torch.int32),
                      torch.tensor([0], dtype=torch.int32))
        }

    def decoding_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """None."""
        return iter(())

    def weights_hash(self) -> bytes:
        """First 4 bytes of a SHA-256 of :meth:`decoding_settings`."""
        text = json.dumps(self.decoding_settings(), sort_keys=True)
        return hashlib.sha256(text.encode()).digest()[:4]

    def check_images(self, x: Tensor, condition: Condition) -> None:
        """As :meth:`ImageCodec.check_images`; a quality is allowed.

        Raises:
            ValueError: If the condition has more, or one out of range.
        """
        super().check_images(x, None)
        if condition is None:
            return
        if replace(condition, quality=None) != CodingCondition():
            raise ValueError(f'{type(self).__name__} has no run-time control '
                             f'but `quality`, got {condition}.')
        if condition.quality is not None:
            self._checked_quality(condition.quality)

    def _checked_quality(self, quality: float) -> int:
        low, high = self.quality_range
        if not (isinstance(quality, Real) and low <= quality <= high
                and quality == int(quality)):
            raise ValueError(
                f'`quality` of {type(self).__name__} must be a whole number '
                f'from {low} to {high}, got {quality!r}.')
        return int(quality)

    def _check_weights(self, bitstream: Bitstream) -> None:
        if bitstream.weights != self.weights_hash():
            raise BitstreamError(
                f'The file was written by {type(self).__name__} with other '
                'settings; this codec decodes '
                f'{self.decoding_settings()}. Build it with those of the '
                'encoder.')


def _pack(files: Sequence[bytes], size: tuple[int, int]) -> Tensor:
    longest = max(map(len, files))
    rows = torch.zeros(len(files), _HEADER + longest, dtype=torch.int32)
    for row, data in zip(rows, files):
        row[:_HEADER] = torch.tensor([*size, len(data)])
        content = np.frombuffer(data, np.uint8).astype(np.int32)
        row[_HEADER:_HEADER + len(data)] = torch.from_numpy(content)
    return rows[:, :, None, None]


def _unpack(y_hat: Tensor) -> list[tuple[bytes, tuple[int, int]]]:
    files = []
    for row in y_hat.flatten(1).cpu():
        height, width, length = row[:_HEADER].tolist()
        data = row[_HEADER:_HEADER + length].to(torch.uint8)
        files.append((data.numpy().tobytes(), (height, width)))
    return files


def _likelihoods(files: Sequence[bytes]) -> Tensor:
    """1/256 for each byte, 1 for what fills up to the longest file."""
    lengths = torch.tensor([len(data) for data in files])
    is_byte = torch.arange(int(lengths.max())) < lengths[:, None]
    return torch.where(is_byte, 2.**-8, 1.)[:, :, None, None]
