"""Inputs of an inferencer: files, folders, globs, arrays and bitstreams."""
import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import takewhile
from pathlib import Path
from typing import Union

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from mmhmc.bitstream import Bitstream, BitstreamError
from mmhmc.datasets import IMAGE_SUFFIXES, list_files, read_image
from mmhmc.functional import to_pixels
from .file_pairs import STREAM_SUFFIX, checked_path, pair_files

Size = tuple[int, int]


@dataclass(frozen=True)
class EncodedImage:
    """A bitstream, with facts on its image that are not in it.

    Args:
        name: Name of the image, relative to what was given.
        bitstream: The coded image.
        original_size: Height and width in pixels of the image that was
            given; the bitstream's own differs if a host's pipeline resized
            the image before it was coded.
        num_bytes: Bytes of the file, or, of a standard codec, of the
            encoder's file in it.
        bits: Estimated bits of what was coded; None for a file that was only
            read.
        path: The file, if one was written or read.
    """

    name: str
    bitstream: Bitstream
    original_size: Size
    num_bytes: int
    bits: float | None = None
    path: Path | None = None

    @property
    def bpp(self) -> float:
        """Real bits per pixel of the original image."""
        return 8 * self.num_bytes / _area(self.original_size)

    @property
    def rate(self) -> dict:
        """Real and estimated rate, each under its own name.

        ``num_bytes``; ``bpp`` per pixel of the original image and
        ``bpp_coded`` per pixel that was coded, both of the real bytes;
        ``bpp_estimated`` of the estimated bits, None if unknown.
        """
        estimated = None
        if self.bits is not None:
            estimated = self.bits / _area(self.original_size)
        return dict(
            num_bytes=self.num_bytes,
            bpp=self.bpp,
            bpp_coded=8 * self.num_bytes / _area(self.bitstream.size),
            bpp_estimated=estimated)


One = Union[str, Path, ndarray, bytes, Bitstream, EncodedImage]
Inputs = Union[One, Sequence[One]]


@dataclass(frozen=True)
class InputItem:
    """One image or one bitstream that was given.

    Args:
        name: Name of the image, for outputs: ``sub/a.png``, also for
            ``sub/a.png.hmc``; of arrays a number, ``00000000.png``.
        source: What was given, files as a path.
    """

    name: str
    source: One

    @property
    def is_stream(self) -> bool:
        """Whether it is a bitstream, by its kind or its file's ending."""
        if isinstance(self.source, Path):
            return self.source.suffix.lower() == STREAM_SUFFIX
        return isinstance(self.source, (bytes, Bitstream, EncodedImage))


def list_items(inputs: Inputs,
               images: bool = True,
               streams: bool = True) -> list[InputItem]:
    """List all inputs in their order; folders and globs sorted.

    A folder or a glob of images and their bitstreams gives the images, if
    both are wanted.

    Args:
        inputs: A file, folder, glob (``'photos/**/*.png'``), BGR array
            (H, W, 3) uint8, bitstream, or a list of those.
        images: Whether images are wanted.
        streams: Whether bitstreams are.

    Returns:
        An item for each image and each bitstream.

    Raises:
        ValueError: If there is nothing, or nothing of what is wanted in a
            folder, or one of the other kind is given.
    """
    several = isinstance(inputs, (list, tuple))
    suffixes = IMAGE_SUFFIXES * images + (STREAM_SUFFIX, ) * streams
    items = [
        item for number, one in enumerate(inputs if several else [inputs])
        for item in _items(one, number, suffixes)
    ]
    if not items:
        raise ValueError('There are no inputs: the list is empty.')
    for item in items:
        if not (streams if item.is_stream else images):
            kinds = 'a bitstream', 'an image'
            is_one, wanted = kinds if item.is_stream else kinds[::-1]
            raise ValueError(f'{item.name} is {is_one}; expected {wanted}'
                             f'{" (.hmc)" * streams}.')
    return items


def check_names(items: Sequence[InputItem]) -> None:
    """Refuse two inputs whose outputs would have one name.

    Raises:
        ValueError: With the first such name.
    """
    seen = set()
    for item in items:
        if item.name in seen:
            raise ValueError(
                f'Two inputs are called {item.name}, and one would replace '
                'the output of the other. Give their common folder, or '
                'different output folders.')
        seen.add(item.name)


def load_image(item: InputItem) -> Tensor:
    """Image of an item, RGB in [0, 1], float32, shape (3, H, W).

    Raises:
        OSError: If the file cannot be read.
        TypeError: If it is neither a file nor an array.
        ValueError: If it is no image, or an array of another kind.
    """
    source = item.source
    if isinstance(source, Path):
        return read_image(source)
    if source.dtype != np.uint8 or source.ndim != 3 or source.shape[-1] != 3 \
            or not source.size:
        raise ValueError(
            'An array must be a BGR image as mmcv reads it, uint8 of shape '
            f'(H, W, 3), got {source.dtype} of shape {source.shape}.')
    planes = np.ascontiguousarray(source[..., ::-1].transpose(2, 0, 1))
    return torch.from_numpy(planes).float().div_(255)


def load_stream(item: InputItem) -> EncodedImage:
    """Bitstream of an item; without estimated bits if it is a file.

    Raises:
        BitstreamError: If it is damaged or none.
        OSError: If the file cannot be read.
    """
    source = item.source
    if isinstance(source, EncodedImage):
        return source
    path = source if isinstance(source, Path) else None
    if path is not None:
        source = path.read_bytes()
    if isinstance(source, bytes):
        try:
            source = Bitstream.from_bytes(source, partial=True)
        except BitstreamError as error:
            raise BitstreamError(f'{path or item.name}: {error}') from error
    return EncodedImage(
        item.name, source, source.size, source.num_bytes, path=path)


def to_bgr(x: Tensor) -> ndarray:
    """Image (3, H, W), RGB in [0, 1], as BGR, uint8, (H, W, 3)."""
    return to_pixels(x.flip(0))


def _items(given: One, number: int,
           suffixes: Sequence[str]) -> Iterator[InputItem]:
    if isinstance(given, (str, Path)):
        for path, name in _files(given, suffixes):
            yield InputItem(name.removesuffix(STREAM_SUFFIX), path)
    elif isinstance(given, EncodedImage):
        yield InputItem(given.name, given)
    elif isinstance(given, (ndarray, bytes, Bitstream)):
        yield InputItem(f'{number:08d}.png', given)
    else:
        raise TypeError(
            'An input must be a file, folder or glob, an array, or a '
            f'bitstream; got a {type(given).__name__}.')


def _files(given: str | Path,
           suffixes: Sequence[str]) -> Iterator[tuple[Path, str]]:
    path = checked_path(given)
    if path.exists() or not glob.has_magic(str(given)):
        found = [(Path(pair.source), pair.output)
                 for pair in pair_files([path], suffixes, str)]
    else:
        fixed = Path(
            *takewhile(lambda part: not glob.has_magic(part), path.parts))
        found = [(one, one.relative_to(fixed).as_posix())
                 for one in _matching(path, fixed, suffixes)]
        if not found:
            raise ValueError(f'{given} matches no file that ends in one of '
                             f'{", ".join(suffixes)}.')
    images = [one for one in found if one[0].suffix != STREAM_SUFFIX]
    return iter(images or found)


def _matching(pattern: Path, fixed: Path,
              suffixes: Sequence[str]) -> list[Path]:
    """Files that fit a glob; ``**`` follows links as folders are walked."""
    if '**' not in pattern.parts:
        found = sorted(map(Path, glob.glob(str(pattern))))
        return [one for one in found if one.suffix.lower() in suffixes]
    parts = pattern.relative_to(fixed).parts
    files = list_files(fixed, suffixes) if fixed.is_dir() else []
    return [one for one in files if _fits(one.relative_to(fixed).parts, parts)]


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path fits a glob; only a point fits a point at the front."""
    if not pattern:
        return not parts
    if pattern[0] == '**':
        return _fits(parts, pattern[1:]) or (len(parts) > 0
                                             and not parts[0].startswith('.')
                                             and _fits(parts[1:], pattern))
    if not parts or (parts[0][0] == '.' and pattern[0][0] != '.'):
        return False
    return fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _area(size: Size) -> int:
    return size[0] * size[1]
