"""Maps of importance from files: images, masks, boxes."""
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmhmc.datasets import IMAGE_SUFFIXES, read_image
from mmhmc.refinement import boxes_to_map
from mmhmc.whole_files import read_json

#: Weight of what boxes and masks hold; that of the rest is 1.
INSIDE = 8.
_SUFFIXES = (*IMAGE_SUFFIXES, '.npy', '.json')


def importance_file(importance: str | Path,
                    image: str | Path,
                    name: str | None = None) -> Path:
    """The file with the map of an image.

    Args:
        importance: The file, or a folder with a file for each image, named
            like it: for ``x/a.jpg`` ``x/a.png``, ``x/a.npy`` or ``x/a.json``;
            where there is none, ``a.png``, ``a.npy`` or ``a.json``.
        image: The image's file.
        name: Its path below the folder of images that was given; None: its
            file name.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If there are two.
    """
    path = Path(importance)
    if path.is_file():
        return path
    below = Path(name or Path(image).name).with_suffix('')
    found = _maps_called(path / below) or _maps_called(path / below.name)
    if not found:
        raise FileNotFoundError(
            f'There is no map of {image}: {importance} is no file and no '
            f'folder with {below}.png, {below}.npy or {below}.json.')
    if len(found) > 1:
        raise ValueError(f'{found[0]} and {found[1]} are both a map of '
                         f'{image}. Move one away.')
    return found[0]


def check_maps(importance: str | Path, images: Mapping[str, str]) -> None:
    """Refuse a map that several images of one name would share.

    What is wrong with a single image is no matter here.

    Args:
        importance: See :func:`importance_file`.
        images: Files of all images, by their paths below what was given.

    Raises:
        OSError: If a file of maps cannot be read.
        ValueError: If it is not clear which image a map belongs to, or a file
            for all images is a dictionary, but no COCO annotations.
    """
    map_of = _naming(Path(importance))
    if map_of is None:
        return
    users: dict[str, tuple[Path, str]] = {}
    for name, image in images.items():
        try:
            own = map_of(image, name)
        except (FileNotFoundError, ValueError):
            continue  # an error of this image alone
        user = Path(name).with_suffix(''), image
        other = users.setdefault(own, user)
        if other[0] != user[0]:
            raise ValueError(
                f'It is not clear whether {own} is the map of {other[1]} or '
                f'of {image}. Put maps into folders as the images are, or '
                "name these folders in COCO's `file_name`.")


def _naming(path: Path) -> Callable[[str, str], str] | None:
    """From an image and its name to that of its map; None: one for all."""
    if path.is_dir():
        return lambda image, name: str(importance_file(path, image, name))
    content = read_json(path) if _is_json(path) else None
    if not isinstance(content, dict):
        return None
    known, _ = _parts_of_coco(path, content)
    return lambda image, name: (
        f'image {_coco_id(path, known, image)} of {path}')


def _is_json(path: Path) -> bool:
    return path.suffix == '.json' and path.is_file()


def read_importance(importance: str | Path,
                    image: str | Path,
                    size: tuple[int, int],
                    name: str | None = None) -> Tensor:
    """Read what matters of an image.

    - An image of the same size: its brightness is the weight.
    - ``.npy``: weights (H, W), or masks (N, H, W), zero and not zero.
    - ``.json``: a list of boxes, each left, top, right, bottom in pixels; or
      COCO annotations. Of these the image counts whose ``file_name`` is like
      the path of this one, from its end.

    What boxes and masks hold weighs eight times as much as the rest. Without
    boxes all pixels weigh the same.

    Args:
        importance: See :func:`importance_file`.
        image: The image's file.
        size: Its height and width.
        name: See :func:`importance_file`.

    Returns:
        Weights, shape (1, 1, H, W).

    Raises:
        OSError: If there is no such file.
        ValueError: If it holds something else, or of another size, or if it
            is not clear which map it is.
    """
    path = importance_file(importance, image, name)
    if path.suffix == '.json':
        return boxes_to_map(_boxes(path, image), size, INSIDE)
    if path.suffix == '.npy':
        found = _array(path)
    else:
        found = read_image(path).mean(0)
    if tuple(found.shape) != tuple(size):
        raise ValueError(f'The map {path} has the size {tuple(found.shape)}, '
                         f'the image {image} has {tuple(size)}.')
    if not found.isfinite().all() or (found < 0).any() or not found.any():
        raise ValueError(f'The map {path} must be finite, not negative, and '
                         'positive somewhere.')
    return found[None, None]


def _array(path: Path) -> Tensor:
    try:
        found = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise ValueError(f'{path} is no array of numbers: {error}') from error
    if found.ndim == 3:
        found = 1 + (INSIDE - 1) * (found != 0).any(0)
    if found.ndim != 2 or found.dtype.kind not in 'buif':
        raise ValueError(f'{path} must hold weights (H, W) or masks (N, H, W),'
                         f' got {found.dtype} of shape {found.shape}.')
    return torch.from_numpy(found.astype(np.float32))


def _boxes(path: Path, image: str | Path) -> Sequence[Sequence[float]]:
    content = read_json(path)
    if isinstance(content, dict):
        known, boxes = _parts_of_coco(path, content)
        wanted = _coco_id(path, known, image)
        return [box for owner, box in boxes if owner == wanted]
    if not isinstance(content, list) or not all(
            isinstance(box, list) and all(
                isinstance(v, (int, float)) for v in box) for box in content):
        raise ValueError(f'{path} must hold a list of boxes, [[left, top, '
                         'right, bottom], ...], or COCO annotations.')
    return content


def _parts_of_coco(
        path: Path, content: dict
) -> tuple[list[tuple[Path, int]], list[tuple[int, list[float]]]]:
    """Files and numbers of images; numbers of images and their boxes."""
    try:
        images = [(Path(one['file_name']), one['id'])
                  for one in content['images']]
        boxes = [(one['image_id'], [x, y, x + width, y + height])
                 for one in content['annotations']
                 for x, y, width, height in [one['bbox']]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path} is no list of boxes, and no COCO '
                         f'annotations: {error!r}.') from error
    return images, boxes


def _coco_id(path: Path, known: Sequence[tuple[Path, int]],
             image: str | Path) -> int:
    """Number of the image whose path is like this one for longest."""
    place = Path(os.path.abspath(image))
    alike: dict[int, set[int]] = {}
    for file, number in known:
        alike.setdefault(_common_end(file, place), set()).add(number)
    most = max(alike, default=0)
    if not most:
        raise ValueError(f'{path} has no image {place.name}.')
    if len(alike[most]) > 1:
        raise ValueError(f'{path} has {len(alike[most])} images that may be '
                         f'{image}, by their `file_name`.')
    number, = alike[most]
    return number


def _common_end(one: Path, other: Path) -> int:
    """How many parts at the end of two paths are the same."""
    count = 0
    for first, second in zip(reversed(one.parts), reversed(other.parts)):
        if first != second:
            break
        count += 1
    return count


def _maps_called(place: Path) -> list[Path]:
    """Files with maps of a name without its ending."""
    paths = (place.with_name(place.name + suffix) for suffix in _SUFFIXES)
    return [path for path in paths if path.is_file()]
