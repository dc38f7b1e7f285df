"""Image formats that Pillow reads and writes."""
from abc import abstractmethod
from importlib.metadata import version
from io import BytesIO

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError, features
from torch import Tensor

from mmhmc.bitstream import BitstreamError
from mmhmc.functional import to_pixels
from mmhmc.registry import MODELS
from .base import StandardCodec

#: Errors of Pillow and its plugins for files that they cannot decode.
_FILE_ERRORS = (OSError, ValueError, SyntaxError, RuntimeError, EOFError,
                Image.DecompressionBombError)
_SUBSAMPLINGS = ('4:4:4', '4:2:2', '4:2:0')


class PillowCodec(StandardCodec):
    """Base class of formats with 8 bits, coded by the library Pillow.

    Before coding, images are rounded to 8 bits; decoded ones are multiples
    of 1/255.
    """

    #: The format's name in Pillow, and in its table of features.
    _format = ''
    _feature = ''

    @abstractmethod
    def _switches(self) -> dict:
        """Arguments of ``Image.save`` beside the quality."""

    def settings(self) -> dict:
        """All that decides the bytes, and the libraries that make them.

        Raises:
            RuntimeError: If the library is missing.
        """
        self._load_format()
        return dict(
            type=type(self).__name__,
            quality=self.quality,
            **self._switches(),
            encoder=self._library_version(),
            version=f'Pillow {version("pillow")}')

    def encode_file(self, x: Tensor, quality: int) -> bytes:
        """See :class:`StandardCodec`."""
        self._load_format()
        file = BytesIO()
        try:
            Image.fromarray(to_pixels(x[0])).save(
                file, self._format, quality=quality, **self._switches())
        except (OSError, ValueError, RuntimeError) as error:
            raise RuntimeError(
                f'{self._library_version()} cannot code an image of size '
                f'{tuple(x.shape[-2:])}: {error}. Check its size and the '
                'settings of the codec.') from error
        return file.getvalue()

    def decode_file(self, data: bytes, size: tuple[int, int]) -> Tensor:
        """See :class:`StandardCodec`."""
        self._load_format()
        try:
            with Image.open(BytesIO(data), formats=[self._format]) as image:
                found = image.mode, (image.height, image.width)
                if found != ('RGB', tuple(size)):
                    raise BitstreamError(
                        f'The file is an image of mode and size {found}, '
                        f'expected {("RGB", tuple(size))}.')
                samples = np.array(image)
        except BitstreamError:
            raise
        except UnidentifiedImageError as error:
            raise BitstreamError(
                f'The file of {len(data)} bytes is no {self._format}, or '
                'damaged at its beginning.') from error
        except _FILE_ERRORS as error:
            raise BitstreamError(
                f'The file of {len(data)} bytes cannot be decoded as '
                f'{self._format}: {error}. It is damaged.') from error
        return torch.from_numpy(samples).permute(2, 0, 1)[None].float() / 255

    def _load_format(self) -> None:
        """See that Pillow knows the format."""
        if not features.check(self._feature):
            raise RuntimeError(
                f'This Pillow was built without {self._format}: `pip install '
                "'pillow>=11.3'` brings one with it.")

    def _library_version(self) -> str:
        return f'{self._feature} {features.version(self._feature)}'


@MODELS.register_module()
class JPEG(PillowCodec):
    """JPEG, by libjpeg-turbo; sequential, with Huffman tables of its own.

    Args:
        quality: 0 to 100, the scale of libjpeg's quantisation tables.
        subsampling: Chroma, ``'4:4:4'``, ``'4:2:2'`` or ``'4:2:0'``.
        optimize: Whether every file has its best Huffman tables.
        init_cfg: Not used: there are no weights.

    Raises:
        ValueError: If an argument is out of range or unknown.
    """

    codec_id = 'jpeg'
    _format, _feature = 'JPEG', 'libjpeg_turbo'

    def __init__(self,
                 quality: int = 50,
                 subsampling: str = '4:4:4',
                 optimize: bool = True,
                 init_cfg=None) -> None:
        super().__init__(quality, init_cfg)
        self.subsampling = _checked_subsampling(subsampling)
        self.optimize = bool(optimize)

    def _load_format(self) -> None:
        """Every Pillow knows JPEG."""

    def _switches(self) -> dict:
        return dict(subsampling=self.subsampling, optimize=self.optimize)


@MODELS.register_module()
class WebP(PillowCodec):
    """Lossy WebP, by libwebp.

    A frame of VP8, and so always 4:2:0 with 8 bits: in PSNR over RGB it falls
    behind towards high rates.

    Args:
        quality: 0 to 100; 100 is not lossless.
        method: Effort from 0 to 6, the slowest and best.
        init_cfg: Not used: there are no weights.

    Raises:
        ValueError: If an argument is out of range.
    """

    codec_id = 'webp'
    _format, _feature = 'WEBP', 'webp'

    def __init__(self,
                 quality: int = 50,
                 method: int = 6,
                 init_cfg=None) -> None:
        super().__init__(quality, init_cfg)
        self.method = _checked_effort('method', method, 0, 6)

    def _switches(self) -> dict:
        return dict(method=self.method)


@MODELS.register_module()
class AVIF(PillowCodec):
    """AVIF, a frame of AV1: by libaom through libavif, BT.601, full range.

    Args:
        quality: 0 to 100; 100 is not lossless.
        subsampling: Chroma, ``'4:4:4'``, ``'4:2:2'`` or ``'4:2:0'``.
        speed: From 0, the slowest and best, to 10. On Kodak images 4 takes
            ten times as long as 6 and gives 0.4 dB more.
        tune: What libaom aims at: ``'psnr'``, ``'ssim'``, or ``'iq'``, which
            is meant for people and costs PSNR.
        init_cfg: Not used: there are no weights.

    Raises:
        ValueError: If an argument is out of range or unknown.
    """

    codec_id = 'avif'
    _format, _feature = 'AVIF', 'avif'

    def __init__(self,
                 quality: int = 50,
                 subsampling: str = '4:4:4',
                 speed: int = 6,
                 tune: str = 'psnr',
                 init_cfg=None) -> None:
        super().__init__(quality, init_cfg)
        self.subsampling = _checked_subsampling(subsampling)
        self.speed = _checked_effort('speed', speed, 0, 10)
        if tune not in ('psnr', 'ssim', 'iq'):
            raise ValueError("`tune` must be 'psnr', 'ssim' or 'iq', got "
                             f'{tune!r}.')
        self.tune = tune

    def _switches(self) -> dict:
        return dict(
            subsampling=self.subsampling,
            speed=self.speed,
            codec='aom',
            max_threads=1,
            advanced=dict(tune=self.tune))


@MODELS.register_module()
class JPEGXL(PillowCodec):
    """Lossy JPEG XL, by libjxl through the package pillow-jxl-plugin.

    It codes in the XYB colour space, 4:4:4, and aims at what people see: its
    PSNR lags behind that of codecs which aim at PSNR.

    Args:
        quality: 0 to 99, libjxl's scale that is like JPEG's; it stands for
            a distance, of 1 at quality 90, as in ``cjxl``. 100 would be
            lossless.
        effort: From 1 to 9, the slowest and best.
        init_cfg: Not used: there are no weights.

    Raises:
        ValueError: If an argument is out of range.
    """

    codec_id = 'jxl'
    quality_range = (0, 99)
    _format = 'JXL'

    def __init__(self,
                 quality: int = 50,
                 effort: int = 7,
                 init_cfg=None) -> None:
        super().__init__(quality, init_cfg)
        self.effort = _checked_effort('effort', effort, 1, 9)

    def _load_format(self) -> None:
        try:
            # It makes the format known to Pillow.
            import pillow_jxl  # noqa: F401
        except ImportError as error:
            raise RuntimeError(
                'JPEG XL needs the package pillow-jxl-plugin, which is not '
                'installed: `pip install pillow-jxl-plugin`.') from error

    def _library_version(self) -> str:
        return f'pillow-jxl-plugin {version("pillow-jxl-plugin")}'

    def _switches(self) -> dict:
        return dict(effort=self.effort, num_threads=1)


def _checked_subsampling(subsampling: str) -> str:
    if subsampling not in _SUBSAMPLINGS:
        raise ValueError(f'`subsampling` must be one of {_SUBSAMPLINGS}, got '
                         f'{subsampling!r}.')
    return subsampling


def _checked_effort(name: str, value: int, low: int, high: int) -> int:
    if not (isinstance(value, int) and low <= value <= high):
        raise ValueError(f'`{name}` must be a whole number from {low} to '
                         f'{high}, got {value!r}.')
    return value
