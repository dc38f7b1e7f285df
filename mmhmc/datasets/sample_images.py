"""Images with textured objects at known places, from real photographs.

Everything is integer arithmetic on decoded PNGs, so the pixels are the same
on every machine and with every version of numpy. The JPEGs that scikit-image
carries are not used: decoders differ in their last bit.
"""
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from PIL import Image

IMAGE_SIDE = 256
OBJECT_SIZES = (24, 110)  # smallest and largest diameter in pixels
OBJECTS_PER_IMAGE = (2, 5)
MIN_VISIBLE_PERCENT = 35

# Two classes share their shape: only the texture tells them apart, so a codec
# that loses texture costs accuracy.
CLASSES = {
    'brick_square': ('square', 'brick'),
    'page_triangle': ('triangle', 'page'),
    'grass_disc': ('disc', 'grass'),
    'gravel_disc': ('disc', 'gravel'),
    'coin_cross': ('cross', 'coins'),
}
BACKGROUNDS = {
    'train':
    ('astronaut', 'clock_motion', 'coffee', 'ihc', 'moon', 'motorcycle_left'),
    'val': ('camera', 'cell', 'chelsea'),
}
# By how much a texture is shrunk, so that a small object shows enough of it.
_TEXTURE_SHRINK = {'brick': 4, 'page': 2, 'grass': 1, 'gravel': 2, 'coins': 3}
# Val textures come from the last two fifths of the columns, train textures
# from the others.
_TRAIN_COLUMNS = (3, 5)

_PHOTOGRAPHS_SHA256 = (
    'd589ee83e4e1dfdc14534523faee5f426a7ad06bbbc1c3c0a013763ea2579f26')

_UNIT = 1 << 12  # of the fixed-point numbers in which coordinates turn
_SUBPIXELS = 4  # per pixel and side, for the edge of a shape
_ATTEMPTS = 50  # to find a place for an object that leaves others visible


@dataclass
class SampleObject:
    """One object of an image.

    Args:
        category: Its class, a key of ``CLASSES``.
        mask: Where it is visible, bool, shape (H, W).
    """

    category: str
    mask: ndarray


class Dice:
    """Random integers that stay the same in every version of numpy.

    numpy promises that of the raw bits of PCG64, not of ``Generator``'s
    methods (NEP 19).

    Args:
        key: What the numbers depend on, integers that are not negative.
    """

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(key))

    def between(self, low: int, high: int) -> int:
        """An integer in [low, high], both included."""
        return low + int(self._bits.random_raw()) % (high - low + 1)

    def choice(self, items: Sequence[Any]) -> Any:
        """One of ``items``."""
        return items[self.between(0, len(items) - 1)]

    def rotation(self) -> tuple[int, int]:
        """Cosine and sine of an angle, in units of ``_UNIT``.

        The angles are those of Pythagorean triples, which need no functions
        whose last bit depends on the machine.
        """
        n, k = 64, self.between(0, 63)
        cosine = (n * n - k * k) * _UNIT // (n * n + k * k)
        sine = 2 * n * k * _UNIT // (n * n + k * k)
        for _ in range(self.between(0, 3)):
            cosine, sine = -sine, cosine
        return cosine, sine


def draw_image(split: str, dice: Dice) -> tuple[ndarray, list[SampleObject]]:
    """Draw one image.

    Args:
        split: ``'train'`` or ``'val'``: which photographs to use.
        dice: Source of every random decision.

    Returns:
        RGB image, uint8, shape (H, W, 3), and its objects from back to
        front.
    """
    image = _background(split, dice)
    objects: list[SampleObject] = []
    full_areas: list[int] = []
    for _ in range(dice.between(*OBJECTS_PER_IMAGE)):
        category = dice.choice(tuple(CLASSES))
        coverage = _place_shape(CLASSES[category][0], objects, full_areas,
                                dice)
        if coverage is None:  # the image is full
            break
        mask = coverage * 2 >= _SUBPIXELS**2
        for other in objects:
            other.mask &= ~mask
        objects.append(SampleObject(category, mask))
        full_areas.append(int(mask.sum()))
        _paint(image, coverage, _texture(CLASSES[category][1], split), dice)
    return image, objects


@lru_cache(maxsize=1)
def photographs() -> dict[str, ndarray]:
    """Load the photographs that scikit-image's wheel carries.

    Returns:
        By name, grey (H, W) or RGB (H, W, 3), uint8.

    Raises:
        ModuleNotFoundError: If scikit-image is not installed.
        FileNotFoundError: If it does not carry a photograph.
        RuntimeError: If its photographs are not those that are expected.
    """
    spec = find_spec('skimage')
    if spec is None:
        raise ModuleNotFoundError(
            'The sample data set is made from photographs that come with '
            'scikit-image, which is not installed: `pip install scikit-image`'
            " or `pip install 'mmhmc[sample]'`.")
    folder = Path(spec.submodule_search_locations[0]) / 'data'
    names = sorted({*_TEXTURE_SHRINK, *sum(BACKGROUNDS.values(), ())})
    missing = [n for n in names if not (folder / f'{n}.png').is_file()]
    if missing:
        raise FileNotFoundError(
            f'The sample data set needs {missing} as PNG files in {folder}, '
            'which this scikit-image does not carry. Install a version named '
            'in requirements/sample.txt.')
    images = {}
    for name in names:
        with Image.open(folder / f'{name}.png') as file:
            images[name] = np.array(file)
    digest = hashlib.sha256(b''.join(p.tobytes() for p in images.values()))
    if digest.hexdigest() != _PHOTOGRAPHS_SHA256:
        raise RuntimeError(
            f'The photographs in {folder} have SHA-256 {digest.hexdigest()}, '
            f'expected {_PHOTOGRAPHS_SHA256}; the sample data set would not '
            'be the same as elsewhere. Install a version of scikit-image '
            'named in requirements/sample.txt.')
    return images


def _background(split: str, dice: Dice) -> ndarray:
    """A square of a photograph, turned and tinted: uint8, (H, W, 3)."""
    photograph = photographs()[dice.choice(BACKGROUNDS[split])]
    if photograph.ndim == 2:
        photograph = np.stack([photograph] * 3, axis=-1)
    height, width = photograph.shape[:2]
    top = dice.between(0, height - IMAGE_SIDE)
    left = dice.between(0, width - IMAGE_SIDE)
    image = photograph[top:top + IMAGE_SIDE, left:left + IMAGE_SIDE]
    image = np.rot90(image, dice.between(0, 3))
    if dice.between(0, 1):
        image = image[:, ::-1]
    gains = np.array([dice.between(192, 288) for _ in range(3)], np.int64)
    return np.clip(image * gains // 256, 0, 255).astype(np.uint8)


@lru_cache(maxsize=None)
def _texture(name: str, split: str) -> ndarray:
    """The split's part of a texture with mean 0 and deviation 256: int64."""
    texture = photographs()[name].astype(np.int64)
    shrink = _TEXTURE_SHRINK[name]
    height, width = (side // shrink for side in texture.shape)
    texture = texture[:height * shrink, :width * shrink].reshape(
        height, shrink, width, shrink).sum(axis=(1, 3))
    texture = texture - texture.sum() // texture.size
    deviation = isqrt(int((texture**2).sum()) // texture.size)
    texture = texture * 256 // deviation
    border = width * _TRAIN_COLUMNS[0] // _TRAIN_COLUMNS[1]
    return texture[:, :border] if split == 'train' else texture[:, border:]


def _place_shape(shape: str, objects: Sequence[SampleObject],
                 full_areas: Sequence[int], dice: Dice) -> ndarray | None:
    """Find a place that leaves enough of each other object visible.

    Returns:
        How many subpixels of each pixel the shape covers, int64, shape
        (H, W); None if there is no such place.
    """
    for _ in range(_ATTEMPTS):
        patch = _shape_coverage(shape, dice.between(*OBJECT_SIZES),
                                dice.rotation())
        side = len(patch)
        top = dice.between(0, IMAGE_SIDE - side)
        left = dice.between(0, IMAGE_SIDE - side)
        coverage = np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.int64)
        coverage[top:top + side, left:left + side] = patch
        free = coverage * 2 < _SUBPIXELS**2
        if all((o.mask & free).sum() * 100 >= MIN_VISIBLE_PERCENT * area
               for o, area in zip(objects, full_areas)):
            return coverage
    return None


def _shape_coverage(shape: str, diameter: int,
                    rotation: tuple[int, int]) -> ndarray:
    """How many subpixels of each pixel a shape covers.

    Args:
        shape: ``'square'``, ``'triangle'``, ``'disc'`` or ``'cross'``.
        diameter: Of the disc in pixels; the others have about its extent.
        rotation: Cosine and sine in units of ``_UNIT``.

    Returns:
        Integers in [0, ``_SUBPIXELS`` ** 2], shape (side, side).
    """
    side = diameter * 6 // 5 + 2
    cosine, sine = rotation
    # Centres of the subpixels, in half subpixels from the patch's centre.
    points = 2 * np.arange(side * _SUBPIXELS, dtype=np.int64) + 1
    points -= side * _SUBPIXELS
    x, y = points[None, :], points[:, None]
    right, down = cosine * x + sine * y, cosine * y - sine * x
    u, v = np.abs(right), np.abs(down)
    radius = diameter * _SUBPIXELS * _UNIT
    if shape == 'square':
        inside = np.maximum(u, v) <= radius * 5 // 6
    elif shape == 'triangle':
        # Farther from the centre than an edge, sin 60 = 3547 / 4096; the
        # corners are 1.16 radii away.
        beyond = np.maximum(down, (3547 * u // 2048 - down) // 2)
        inside = beyond <= radius * 29 // 50
    elif shape == 'disc':
        inside = u * u + v * v <= radius * radius
    else:
        inside = (np.maximum(u, v) <= radius) & (
            np.minimum(u, v) <= radius * 3 // 8)
    return inside.reshape(side, _SUBPIXELS, side, _SUBPIXELS).sum(
        axis=(1, 3), dtype=np.int64)


def _paint(image: ndarray, coverage: ndarray, texture: ndarray,
           dice: Dice) -> None:
    """Blend a turned and tinted piece of a texture into ``image``."""
    rows, columns = (
        np.flatnonzero(coverage.any(axis=axis)) for axis in (1, 0))
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    alpha = coverage[window][..., None]
    behind = image[window].astype(np.int64)
    piece = _turned_piece(texture, alpha.shape[:2], dice)[..., None]
    colour = _contrasting_colour(
        (behind * alpha).sum(axis=(0, 1)) // alpha.sum(), dice)
    contrast = dice.between(24, 40)  # deviation of the texture's grey levels
    painted = np.clip(colour + piece * contrast // 256, 0, 255)
    full = _SUBPIXELS**2
    image[window] = (painted * alpha + behind *
                     (full - alpha) + full // 2) // full


def _turned_piece(texture: ndarray, size: tuple[int, int],
                  dice: Dice) -> ndarray:
    """A piece of a texture at a random place and angle, interpolated.

    Args:
        texture: Integers, shape (h, w); continued by reflection.
        size: Height and width of the piece.
        dice: Source of place and angle.

    Returns:
        Integers in the texture's range, shape ``size``.
    """
    cosine, sine = dice.rotation()
    y = np.arange(size[0], dtype=np.int64)[:, None]
    x = np.arange(size[1], dtype=np.int64)[None, :]
    rows = dice.between(0, len(texture) - 1) * _UNIT + cosine * y - sine * x
    columns = (
        dice.between(0, texture.shape[1] - 1) * _UNIT + sine * y + cosine * x)
    row, column = rows // _UNIT, columns // _UNIT
    down, right = rows % _UNIT, columns % _UNIT
    top, bottom = (_reflect(r, len(texture)) for r in (row, row + 1))
    near, far = (_reflect(c, texture.shape[1]) for c in (column, column + 1))
    upper = texture[top, near] * (_UNIT - right) + texture[top, far] * right
    lower = (
        texture[bottom, near] * (_UNIT - right) + texture[bottom, far] * right)
    return (upper * (_UNIT - down) + lower * down) // _UNIT**2


def _reflect(index: ndarray, length: int) -> ndarray:
    """Map any index into [0, length) by reflection at both ends."""
    index = index % (2 * length)
    return np.minimum(index, 2 * length - 1 - index)


def _contrasting_colour(behind: ndarray, dice: Dice) -> ndarray:
    """A colour whose channels differ from ``behind`` by 40 on average."""
    while True:
        colour = np.array([dice.between(48, 208) for _ in range(3)], np.int64)
        if np.abs(colour - behind).sum() >= 120:
            return colour
