"""Image files to tensors and back; what would be lost raises an error."""
import io
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import torch
from mmengine.logging import print_log
from PIL import Image, PngImagePlugin
from torch import Tensor

from mmhmc.bitstream.container import MAX_PIXELS, MAX_SIDE
from mmhmc.functional import to_pixels
from mmhmc.whole_files import write_whole

#: Endings by which images are found in folders.
IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
_FORMATS = ('BMP', 'JPEG', 'PNG', 'TIFF', 'WEBP')
_OPAQUE, _WITH_ALPHA = ('1', 'L', 'P', 'RGB'), ('LA', 'PA', 'RGBA')
_NOTE = 'mmhmc'
_PNG = b'\x89PNG\r\n\x1a\n'
#: Of one text or profile of a PNG and of all, in bytes; Pillow refuses more.
_MAX_TEXT, _MAX_TEXTS = 1 << 19, 1 << 25
#: Tag of EXIF and TIFF, and what turns an image upright by its value.
_ORIENTATION = 274
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90
}
# Errors that Pillow raises for damaged files.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, ArithmeticError,
            LookupError, TypeError)
_PILLOW_LIMIT = threading.RLock()


def read_image(path: str | Path) -> Tensor:
    """Read an image as a codec takes it.

    PNG, JPEG, WebP, BMP and TIFF of 8 or 16 bits a channel. Grey becomes
    three equal channels, a palette is expanded, and alpha is dropped where
    all of it is opaque. Values are taken as they are stored; colour profiles
    are not applied. Of a JPEG that holds more images, the first is read.

    An image that is marked as turned is turned upright where hosts do so,
    which read by OpenCV: by EXIF in JPEG and PNG and by TIFF's own tag, not
    by EXIF in WebP and not by XMP. A line names an image whose mark is not
    heeded.

    Args:
        path: File.

    Returns:
        RGB in [0, 1], float32, shape (3, H, W).

    Raises:
        OSError: If the file does not exist or cannot be opened.
        ValueError: If it is no image, damaged, too large, animated, partly
            transparent, or of another colour space or depth.
    """
    path = Path(path)
    with _opened(path) as image:
        _check_header(image, path)
        if _has_16_bits(image):
            pixels, most = _read_16_bits(image, path), 65535
        else:
            pixels, most = _read_8_bits(image, path), 255
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=-1)
    if pixels.shape[-1] == 4:
        alpha = pixels[..., 3]
        if count := int((alpha < most).sum()):
            raise ValueError(
                f'{path} is transparent in {count} of {alpha.size} pixels, '
                'and a codec keeps no transparency. Put it on a background '
                'first.')
        pixels = pixels[..., :3]
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(planes).div_(most)


def read_size(path: str | Path) -> tuple[int, int]:
    """Height and width of what :func:`read_image` gives, by the header.

    Raises:
        OSError: If the file does not exist or cannot be opened.
        ValueError: If it is no image.
    """
    path = Path(path)
    with _opened(path) as image:
        width, height = image.size
        # Of TIFF, Pillow gives the upright size.
        if image.format != 'TIFF' and _orientation(image, path) > 4:
            return width, height
        return height, width


def is_marked_as_turned(path: str | Path) -> bool:
    """Whether a file says that its image is turned, heeded or not.

    Raises:
        OSError: If the file does not exist or cannot be opened.
        ValueError: If it is no image.
    """
    with _opened(Path(path)) as image:
        return _mark(image, path) != 1


def write_image(path: str | Path, x: Tensor, note: str | None = None) -> None:
    """Write an 8-bit PNG; the file appears whole or not at all.

    Args:
        path: File, ending in ``.png``.
        x: RGB, shape (3, H, W); clamped to [0, 1] and rounded.
        note: Text to keep with the pixels, for :func:`read_note`.

    Raises:
        ValueError: If the name, the shape or a value does not fit.
    """
    if Path(path).suffix.lower() != '.png':
        raise ValueError(f'{path} is to be a PNG; its name must end in .png.')
    write_whole(path, encode_png(x, note))


def write_png(path: str | Path,
              image: Image.Image,
              note: str | None = None) -> None:
    """Write an image of Pillow; the file appears whole or not at all.

    Args:
        path: File.
        image: Of a mode that PNG has.
        note: As of :func:`write_image`.
    """
    write_whole(path, encode_png(image, note))


def encode_png(image: Image.Image | Tensor, note: str | None = None) -> bytes:
    """Content of a PNG file.

    Args:
        image: Image of Pillow, or RGB, shape (3, H, W), as of
            :func:`write_image`.
        note: As of :func:`write_image`.

    Raises:
        ValueError: If the shape or a value does not fit.
    """
    if isinstance(image, Tensor):
        if image.ndim != 3 or image.shape[0] != 3 or \
                not torch.isfinite(image).all():
            raise ValueError('`x` must be RGB of shape (3, H, W) with finite '
                             f'values, got {tuple(image.shape)}.')
        image = Image.fromarray(to_pixels(image))
    texts = PngImagePlugin.PngInfo()
    if note is not None:
        texts.add_text(_NOTE, note)
    content = io.BytesIO()
    image.save(content, 'PNG', pnginfo=texts)
    return content.getvalue()


def read_note(path: str | Path) -> str | None:
    """Text that :func:`write_image` kept; None if there is none.

    Raises:
        OSError: If the file does not exist or cannot be opened.
        ValueError: If it is no image.
    """
    with _opened(Path(path)) as image:
        return image.info.get(_NOTE)


def has_note(path: str | Path, note: str) -> bool:
    """Whether a file is an image with this note; False if there is none."""
    try:
        return read_note(path) == note
    except (FileNotFoundError, ValueError):
        return False


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Header of an image; its pixels are not decoded yet."""
    # A missing file, a folder or missing rights: Python's own words are clear.
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ValueError(f'{path} is a pipe or a device; expected a file.')
    with path.open('rb') as file:
        try:
            with _our_limit():
                image = Image.open(
                    _without_large_texts(file), formats=_FORMATS)
        except _DAMAGED as error:
            empty = 'empty' if not path.stat().st_size else 'no image'
            raise ValueError(
                f'{path} is {empty}; expected PNG, JPEG, WebP, BMP or TIFF '
                'with 8 or 16 bits a channel.') from error
        if image.format == 'TIFF':
            # By this Pillow turns the pixels as soon as it has them.
            image.info.pop('xmp', None)
        yield image


def _without_large_texts(file: BinaryIO) -> BinaryIO:
    """A PNG without texts and colour profiles that Pillow finds too large.

    None of them changes a pixel, so they are no reason to refuse the file.
    """
    chunks, large, total = list(_chunks(file)), set(), 0
    for at, size, kind in chunks:
        length = _text_length(file, at, size, kind)
        total += length
        if length >= _MAX_TEXT or (length and total >= _MAX_TEXTS):
            large.add(at)
    file.seek(0)
    if not large:
        return file
    kept = [file.read(len(_PNG))]
    for at, size, _ in chunks:
        if at not in large:
            file.seek(at)
            kept.append(file.read(size + 12))
    return io.BytesIO(b''.join(kept))


def _chunks(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Place, length and kind of a PNG's chunks; nothing of other files."""
    at = len(_PNG)
    if file.read(at) != _PNG:
        return
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack('>I4s', head)
        yield at, size, kind
        at += size + 12
        file.seek(at)


def _text_length(file: BinaryIO, at: int, size: int, kind: bytes) -> int:
    """Bytes of a text or a profile, up to the limit; 0 for other chunks."""
    if kind not in (b'tEXt', b'zTXt', b'iTXt', b'iCCP'):
        return 0
    file.seek(at + 8)
    _, _, data = file.read(size).partition(b'\0')
    if kind == b'tEXt' or (kind == b'iTXt' and data[:1] != b'\1'):
        return size
    if kind == b'iTXt':
        # Flag and method of compression, language, translated name.
        data = data[2:].partition(b'\0')[2].partition(b'\0')[2]
    else:
        data = data[1:]
    try:
        return len(zlib.decompressobj().decompress(data, _MAX_TEXT))
    except zlib.error:
        return size


@contextmanager
def _our_limit() -> Iterator[None]:
    """Pillow's limit on pixels is lower than a bitstream's."""
    with _PILLOW_LIMIT:
        old, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = old


def _check_header(image: Image.Image, path: Path) -> None:
    width, height = image.size
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        raise ValueError(
            f'{path} has {height} x {width} pixels; no side may be longer '
            f'than {MAX_SIDE}, and no image larger than {MAX_PIXELS} '
            'pixels. Cut it into parts.')
    count = getattr(image, 'n_frames', 1)
    # MPO is JPEG with more images behind the first, as telephones write it.
    if count > 1 and image.format != 'MPO':
        raise ValueError(f'{path} holds {count} images; expected one. Save '
                         'each to a file of its own.')
    if image.mode not in _OPAQUE + _WITH_ALPHA and not (
            image.mode.startswith('I') and _has_16_bits(image)):
        raise ValueError(f'{path} has pixels of the kind {image.mode}; '
                         'expected grey or RGB with 8 or 16 bits a channel. '
                         'Convert it first.')


def _has_16_bits(image: Image.Image) -> bool:
    """Whether the file has; Pillow takes 8 of them where there is colour."""
    if not image.tile:
        return False
    layout = image.tile[0][3]
    return ';16' in (layout if isinstance(layout, str) else str(layout[0]))


def _mark(image: Image.Image, path: Path) -> int:
    """How a file says that its image is turned, from 1, upright, to 8."""
    try:
        mark = image.getexif().get(_ORIENTATION, 1)
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    return mark if mark in _UPRIGHT else 1


def _orientation(image: Image.Image, path: Path) -> int:
    """The mark, if OpenCV heeds it; else 1."""
    mark = _mark(image, path)
    if mark == 1 or image.format == 'TIFF':
        return mark
    # What it heeds depends on the format, its version, and the order of what
    # a file says: it says so itself.
    data = np.fromfile(path, dtype=np.uint8)
    seen, stored = (
        cv2.imdecode(data, cv2.IMREAD_COLOR | flag)
        for flag in (0, cv2.IMREAD_IGNORE_ORIENTATION))
    if seen is None or np.array_equal(seen, stored):
        return 1
    return mark


def _upright(image: Image.Image, path: Path) -> Image.Image:
    """An image as hosts see it."""
    orientation = _orientation(image, path)
    if orientation == 1 and _mark(image, path) != 1:
        print_log(
            f'{path} is marked as turned in a way that hosts do not heed; its '
            'pixels are taken as they are stored.',
            logger='current')
    image.load()
    # Of TIFF, Pillow has turned them.
    if orientation == 1 or image.format == 'TIFF':
        return image
    return image.transpose(_UPRIGHT[orientation])


def _read_8_bits(image: Image.Image, path: Path) -> np.ndarray:
    """Shape (H, W, 3) or (H, W, 4), uint8."""
    has_alpha = image.mode in _WITH_ALPHA or 'transparency' in image.info
    try:
        image = _upright(image, path)
        return np.asarray(image.convert('RGBA' if has_alpha else 'RGB'))
    except _DAMAGED as error:
        raise _damaged(path, error) from error


def _read_16_bits(image: Image.Image, path: Path) -> np.ndarray:
    """Shape (H, W) or (H, W, 3 or 4), uint16."""
    if 'transparency' in image.info:
        raise ValueError(f'{path} has 16 bits and a transparent colour. Save '
                         'it without transparency.')
    is_grey = image.mode.startswith('I')
    try:
        orientation = _orientation(image, path)
        # OpenCV takes a truncated file for a whole one.
        upright = _upright(image, path)
        if is_grey:
            return np.asarray(upright).astype(np.uint16)
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    if orientation != 1:
        raise ValueError(f'{path} has 16 bits and is marked as turned. Turn '
                         'its pixels upright and remove the mark.')
    pixels = cv2.imdecode(
        np.fromfile(path, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise ValueError(f'{path} has 16 bits in a form that OpenCV does not '
                         'read. Save it as an ordinary 16-bit PNG.')
    order = [2, 1, 0, 3][:pixels.shape[-1]]
    return pixels[..., order]


def _damaged(path: Path, error: BaseException) -> ValueError:
    return ValueError(f'{path} is damaged, its pixels cannot be read: {error}')
