"""Intra images of video codecs, by ffmpeg or by reference software."""
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from mmhmc.bitstream import BitstreamError
from mmhmc.functional import crop_to, extend_edges, rgb_to_yuv, yuv_to_rgb
from mmhmc.functional.colour import check_colour
from .base import StandardCodec
from .frames import bytes_to_planes, planes_to_bytes
from .programs import (ProgramFailure, describe_ffmpeg, describe_program,
                       find_ffmpeg, run_program)

_PIXEL_FORMATS = {
    '444': 'yuv444p',
    '422': 'yuv422p',
    '420': 'yuv420p',
    '400': 'gray'
}
#: Both encoders take frames whose sides are multiples of 2 and at least 32.
_STRIDE, _SMALLEST = 2, 32
#: ffmpeg ignores switches of x265 that it does not know, with such a message.
_COMPLAINTS = ('Unknown option', 'Invalid value')


class VideoIntra(StandardCodec):
    """Base class: one intra frame at a constant quantisation parameter (QP).

    .. code-block:: none

        x ──► pad ──► RGB to YUV ──► raw frame ──► encoder ──► file
                                                                 │
        x_hat ◄── crop ◄── YUV to RGB ◄── raw frame ◄── decoder ◄┘

    Colours are converted here (:func:`mmhmc.functional.rgb_to_yuv`); encoder
    and decoder see raw planes of integers, so no conversion hides in them,
    and nothing is written into the file about colours. An image is continued
    by its last row and column to an even size of at least 32 x 32.

    The quality is the QP: a *higher* one is a *lower* rate.

    With ``encoder`` or ``decoder``, HM or VTM are used instead of ffmpeg's
    libraries, with our size, format and QP on the command line after the
    configuration files. A stream whose internal bit depth differs from
    ``bit_depth`` needs the reference decoder, too.

    Args:
        quality: QP.
        chroma: ``'444'``, ``'422'``, ``'420'``, or ``'400'``, which drops the
            colours.
        bit_depth: Bits of a sample, 8 or 10.
        preset: Speed of the encoder in ffmpeg; a reference encoder has its
            configuration instead.
        matrix: ``'bt601'`` or ``'bt709'``.
        full_range: Whether samples use all integers.
        options: More switches of the encoder, by name; they override ours.
        encoder: Path of a reference encoder.
        decoder: Path of a reference decoder.
        encoder_config: Configuration file of the reference encoder, or
            several.
        timeout: Seconds that coding or decoding an image may take.
        init_cfg: Not used: there are no weights.

    Raises:
        ValueError: If an argument is out of range or unknown, or the encoder
            has no such format.
    """

    falling_rate = True
    #: The format's name in ffmpeg, and that of its encoder.
    _format = ''
    _library = ''
    _presets: tuple[str, ...] = ()
    #: Limit of the encoder, for the message if ffmpeg fails.
    _limit = ''

    def __init__(self,
                 quality: int,
                 chroma: str,
                 bit_depth: int,
                 preset: str,
                 matrix: str = 'bt709',
                 full_range: bool = True,
                 options: dict | None = None,
                 encoder: str | None = None,
                 decoder: str | None = None,
                 encoder_config: str | Sequence[str] | None = None,
                 timeout: float = 600.,
                 init_cfg: dict | None = None) -> None:
        super().__init__(quality, init_cfg)
        check_colour(matrix, bit_depth, chroma)
        if bit_depth not in (8, 10):
            raise ValueError(f'`bit_depth` must be 8 or 10, got {bit_depth}.')
        if preset not in self._presets:
            raise ValueError(f'`preset` must be one of {self._presets}, got '
                             f'{preset!r}.')
        if (encoder is None) != (encoder_config is None):
            raise ValueError(
                '`encoder` and `encoder_config` belong together, the '
                'reference encoder and its configuration; got '
                f'{encoder!r} and {encoder_config!r}.')
        if timeout <= 0:
            raise ValueError(f'`timeout` must be positive, got {timeout}.')
        if isinstance(encoder_config, (str, Path)):
            encoder_config = [encoder_config]
        self.chroma, self.bit_depth = chroma, bit_depth
        self.matrix, self.full_range = matrix, bool(full_range)
        self.preset, self.options = preset, dict(options or {})
        self.encoder, self.decoder = encoder, decoder
        self.encoder_config = list(encoder_config or [])
        self.timeout = timeout

    @abstractmethod
    def _library_arguments(self, quality: int) -> list[str]:
        """Arguments of ffmpeg that choose and set up its encoder."""

    def settings(self) -> dict:
        """All that decides the bytes, and which programs make them.

        Raises:
            OSError: If a configuration file cannot be read.
            RuntimeError: If a program is missing.
        """
        decoder = self.decoder and describe_program(self.decoder)
        result = dict(
            type=type(self).__name__,
            quality=self.quality,
            **self.decoding_settings(),
            options=self.options,
            decoder=decoder or describe_ffmpeg(find_ffmpeg()))
        if self.encoder is None:
            return dict(
                result,
                encoder=self._library,
                version=describe_ffmpeg(find_ffmpeg()),
                preset=self.preset,
                arguments=self._library_arguments(self.quality))
        return dict(
            result,
            encoder=Path(self.encoder).name,
            version=describe_program(self.encoder),
            encoder_config={
                Path(name).name: Path(name).read_text()
                for name in self.encoder_config
            })

    def decoding_settings(self) -> dict:
        """Settings that convert decoded planes to an image."""
        return dict(
            chroma=self.chroma,
            bit_depth=self.bit_depth,
            matrix=self.matrix,
            full_range=self.full_range)

    def encode_file(self, x: Tensor, quality: int) -> bytes:
        """See :class:`StandardCodec`."""
        size = x.shape[-2], x.shape[-1]
        frame_size = _frame_size(size)
        planes = rgb_to_yuv(
            extend_edges(x, [size], frame_size), self.matrix, self.full_range,
            self.bit_depth, self.chroma)
        frame = planes_to_bytes(planes, self.bit_depth)
        if self.encoder is None:
            return self._encode_by_ffmpeg(frame, frame_size, quality,
                                          self._filters(x, frame_size))
        return self._encode_by_reference(frame, frame_size, quality)

    def decode_file(self, data: bytes, size: tuple[int, int]) -> Tensor:
        """See :class:`StandardCodec`."""
        decode = (
            self._decode_by_ffmpeg
            if self.decoder is None else self._decode_by_reference)
        try:
            frame = decode(data)
        except ProgramFailure as error:
            raise BitstreamError(f'The file of {len(data)} bytes cannot be '
                                 f'decoded: {error}') from error
        planes = bytes_to_planes(frame, _frame_size(size), self.chroma,
                                 self.bit_depth)
        return crop_to(
            yuv_to_rgb(planes, self.matrix, self.full_range, self.bit_depth),
            size)

    def _filters(self, x: Tensor, frame_size: tuple[int, int]) -> list[str]:
        """Filters of ffmpeg between the frame of an image and the encoder."""
        return []

    def _encode_by_ffmpeg(self, frame: bytes, size: tuple[int, int],
                          quality: int, filters: Sequence[str]) -> bytes:
        pixels = _PIXEL_FORMATS[self.chroma]
        if self.bit_depth > 8:
            pixels += f'{self.bit_depth}le'
        command = [
            find_ffmpeg(), '-hide_banner', '-loglevel', 'warning', '-f',
            'rawvideo', '-pix_fmt', pixels, '-s', f'{size[1]}x{size[0]}', '-i',
            'pipe:0', '-threads', '1',
            *(['-vf', ','.join(filters)] if filters else []),
            *self._library_arguments(quality), '-f', self._format, 'pipe:1'
        ]
        remedy = (f'Check `options`, and that it has {self._library}.'
                  f'{self._limit}')
        return run_program(command, frame, self.timeout, remedy, _COMPLAINTS)

    def _decode_by_ffmpeg(self, data: bytes) -> bytes:
        # Naming no pixel format for the output leaves the samples alone.
        command = [
            find_ffmpeg(), '-hide_banner', '-loglevel', 'error', '-xerror',
            '-err_detect', 'explode', '-threads', '1', '-f', self._format,
            '-i', 'pipe:0', '-f', 'rawvideo', 'pipe:1'
        ]
        return run_program(command, data, self.timeout, 'It may be damaged.')

    def _encode_by_reference(self, frame: bytes, size: tuple[int, int],
                             quality: int) -> bytes:
        remedy = 'Check `encoder_config` and `options`.'
        with TemporaryDirectory() as folder:
            source, target = Path(folder, 'frame.yuv'), Path(folder, 'file')
            source.write_bytes(frame)
            switches = dict(
                InputFile=source,
                SourceWidth=size[1],
                SourceHeight=size[0],
                InputBitDepth=self.bit_depth,
                InputChromaFormat=self.chroma,
                FrameRate=1,
                FramesToBeEncoded=1,
                ConformanceWindowMode=1,
                QP=quality,
                BitstreamFile=target,
                ReconFile='')
            switches.update(self.options)
            command = [self.encoder]
            for name in self.encoder_config:
                command += ['-c', name]
            command += [f'--{k}={value}' for k, value in switches.items()]
            run_program(command, None, self.timeout, remedy)
            return _read_output(target, self.encoder, remedy)

    def _decode_by_reference(self, data: bytes) -> bytes:
        remedy = 'The file may be damaged.'
        with TemporaryDirectory() as folder:
            source, target = Path(folder, 'file'), Path(folder, 'frame.yuv')
            source.write_bytes(data)
            command = [
                self.decoder, '-b', source, '-o', target, '-d',
                str(self.bit_depth)
            ]
            run_program(command, None, self.timeout, remedy)
            return _read_output(target, self.decoder, remedy)


def join_options(options: dict) -> str:
    """Switches in the form that ffmpeg hands to a library, ``a=1:b=2``."""
    return ':'.join(f'{name}={value}' for name, value in options.items())


def _frame_size(size: tuple[int, int]) -> tuple[int, int]:
    height, width = (
        max(_SMALLEST, -(-side // _STRIDE) * _STRIDE) for side in size)
    return height, width


def _read_output(path: Path, program: str, remedy: str) -> bytes:
    data = path.read_bytes() if path.exists() else b''
    if not data:
        raise ProgramFailure(f'`{program}` ended with exit code 0, but wrote '
                             f'nothing. {remedy}')
    return data
