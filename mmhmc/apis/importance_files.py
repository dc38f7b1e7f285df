"""Maps of importance from files: images, masks, boxes."""
from collections.abc import Sequence
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


def importance_file(importance: str | Path, image: str | Path) -> Path:
    """The file with the map of an image.

    Args:
        importance: The file, or a folder with a file for each image, named
            like it: ``a.png``, ``a.npy`` or ``a.json`` for ``a.jpg``.
        image: The image's file.

    Raises:
        FileNotFoundError: If there is none.
    """
    path, stem = Path(importance), Path(image).stem
    if path.is_file():
        return path
    for suffix in _SUFFIXES:
        if (path / f'{stem}{suffix}').is_file():
            return path / f'{stem}{suffix}'
    raise FileNotFoundError(
        f'There is no map of {image}: {importance} is no file and no folder '
        f'with {stem}.png, {stem}.npy or {stem}.json.')


def read_importance(importance: str | Path, image: str | Path,
                    size: tuple[int, int]) -> Tensor:
    """Read what matters of an image.

    - An image of the same size: its brightness is the weight.
    - ``.npy``: weights (H, W), or masks (N, H, W), zero and not zero.
    - ``.json``: a list of boxes, each left, top, right, bottom in pixels; or
      COCO annotations, whose boxes for this file name count.

    What boxes and masks hold weighs eight times as much as the rest.

    Args:
        importance: See :func:`importance_file`.
        image: The image's file.
        size: Its height and width.

    Returns:
        Weights, shape (1, 1, H, W).

    Raises:
        OSError: If there is no such file.
        ValueError: If it holds something else, or of another size.
    """
    path = importance_file(importance, image)
    if path.suffix == '.json':
        return boxes_to_map(_boxes(path, Path(image).name), size, INSIDE)
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


def _boxes(path: Path, name: str) -> Sequence[Sequence[float]]:
    content = read_json(path)
    if isinstance(content, dict):
        try:
            content = _boxes_of_coco(content, name)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{path} is no list of boxes, and no COCO '
                             f'annotations: {error!r}.') from error
    if not isinstance(content, list) or not all(
            isinstance(box, list) and all(
                isinstance(v, (int, float)) for v in box) for box in content):
        raise ValueError(f'{path} must hold a list of boxes, [[left, top, '
                         'right, bottom], ...], or COCO annotations.')
    if not content:
        raise ValueError(f'{path} has no boxes for {name}.')
    return content


def _boxes_of_coco(content: dict, name: str) -> list[list[float]]:
    wanted = {
        image['id']
        for image in content['images'] if Path(image['file_name']).name == name
    }
    return [[x, y, x + width, y + height]
            for x, y, width, height in (one['bbox']
                                        for one in content['annotations']
                                        if one['image_id'] in wanted)]
