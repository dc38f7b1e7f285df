"""A small instance segmentation data set that needs no download."""
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy import ndarray
from PIL import Image

from .sample_images import BACKGROUNDS, CLASSES, Dice, SampleObject, draw_image
from .stamped_folders import STAMP, is_finished, make_folder

# Raise it with every change of pixels or annotations: sets on disk are then
# made anew.
VERSION = 2
_FOLDERS = ('annotations', 'train', 'val')
_INFO = dict(
    description='mmhmc sample: textured squares, triangles, discs and crosses '
    'on photographs. Two classes share their shape and differ only in their '
    'texture. Masks are of the visible part; an object of which less '
    'than 35 % would stay visible does not occur. Train and val use '
    'different photographs behind the objects and different parts of the '
    'textures.',
    version=str(VERSION),
    contributor='Photographs: sample pictures of scikit-image, see '
    'https://scikit-image.org/docs/stable/api/skimage.data.html for their '
    'sources and licences (public domain, CC0 or no known restrictions).',
    backgrounds={
        split: list(names)
        for split, names in BACKGROUNDS.items()
    })


def make_sample_instances(root: str | Path,
                          num_train: int = 240,
                          num_val: int = 48,
                          seed: int = 0,
                          on_image: Callable[[], None] | None = None) -> Path:
    """Make the sample data set, unless it is there already.

    The set appears under its name only when it is finished, so several
    processes may call this at once: the first one wins, the others return
    its set. A set of another version, of other arguments or with files
    missing is replaced. Image ``i`` does not depend on how many there are.

    .. code-block:: none

        root/
          train/000001.png ...    RGB, 256 x 256
          val/000001.png ...
          annotations/instances_train.json, instances_val.json    COCO format
          sample_instances.json    version, arguments, size of each file

    Args:
        root: Folder of the data set.
        num_train: Number of train images, at least 1.
        num_val: Number of val images, at least 1.
        seed: Another seed gives other images.
        on_image: Called after each image that was drawn.

    Returns:
        ``root`` as an absolute path.

    Raises:
        ValueError: If a number is too small.
        FileExistsError: If ``root`` holds files of somebody else.
        ModuleNotFoundError: If scikit-image is not installed.
    """
    if min(num_train, num_val) < 1 or seed < 0:
        raise ValueError(
            '`num_train` and `num_val` must be at least 1 and `seed` at '
            f'least 0, got {num_train}, {num_val} and {seed}.')
    root = Path(root).resolve()
    wanted = dict(
        version=VERSION, num_train=num_train, num_val=num_val, seed=seed)
    if is_finished(root, wanted):
        return root
    _refuse_foreign_files(root)

    def write(unfinished: Path) -> None:
        for split, count in (('train', num_train), ('val', num_val)):
            _write_split(unfinished, split, count, seed, on_image)

    make_folder(root, wanted, write)
    return root


def digest_sample_instances(root: str | Path) -> str:
    """SHA-256 over the decoded pixels and the annotations of a sample set.

    It does not depend on how PNG files are compressed or JSON is laid out.

    Args:
        root: Folder of a finished data set.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for split in BACKGROUNDS:
        path = Path(root) / 'annotations' / f'instances_{split}.json'
        content = json.loads(path.read_text())
        digest.update(json.dumps(content, sort_keys=True).encode())
        for image in content['images']:
            with Image.open(Path(root) / split / image['file_name']) as file:
                digest.update(np.asarray(file).tobytes())
    return digest.hexdigest()


def _write_split(root: Path, split: str, count: int, seed: int,
                 on_image: Callable[[], None] | None) -> None:
    (root / split).mkdir(parents=True)
    images, annotations = [], []
    for index in range(count):
        dice = Dice(seed, list(BACKGROUNDS).index(split), index)
        image, objects = draw_image(split, dice)
        name = f'{index + 1:06d}.png'
        Image.fromarray(image).save(root / split / name)
        height, width = image.shape[:2]
        images.append(
            dict(id=index + 1, file_name=name, height=height, width=width))
        for item in objects:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=index + 1,
                    **_annotation(item)))
        if on_image is not None:
            on_image()
    content = dict(
        info=_INFO,
        licenses=[],
        categories=[
            dict(id=number, name=name, supercategory=shape)
            for number, (name, (shape, _)) in enumerate(CLASSES.items(), 1)
        ],
        images=images,
        annotations=annotations)
    path = root / 'annotations' / f'instances_{split}.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


def _annotation(item: SampleObject) -> dict:
    """What COCO's format says about one object, without its ids."""
    rows = np.flatnonzero(item.mask.any(axis=1))
    columns = np.flatnonzero(item.mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return dict(
        category_id=list(CLASSES).index(item.category) + 1,
        bbox=[left, top,
              int(columns[-1]) - left + 1,
              int(rows[-1]) - top + 1],
        area=int(item.mask.sum()),
        segmentation=dict(
            size=list(item.mask.shape), counts=_run_lengths(item.mask)),
        iscrowd=0)


def _run_lengths(mask: ndarray) -> list[int]:
    """Lengths of the runs down the columns; the first is of background."""
    flat = np.concatenate([[False], mask.ravel(order='F')])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(changes, prepend=0, append=mask.size).tolist()


def _refuse_foreign_files(root: Path) -> None:
    if not root.exists():
        return
    names = {path.name for path in root.iterdir()}
    if names and (STAMP not in names or names - {STAMP, *_FOLDERS}):
        raise FileExistsError(
            f'{root} must be missing, empty or a sample data set, but holds '
            f'{sorted(names)[:6]}. Name another folder, or move these files '
            'away.')
