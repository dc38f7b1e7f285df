"""Labels of the built-in images for segmentors and classifiers."""
import json
from pathlib import Path

import numpy as np
from numpy import ndarray
from PIL import Image

from mmhmc.whole_files import sha256_of
from .sample_images import CLASSES
from .stamped_folders import STAMP, is_finished, make_folder

#: Of the semantic labels; that of a pixel is the index.
SEMANTIC_CLASSES = ('background', *CLASSES)


def make_sample_labels(root: str | Path, labels: (str | Path)) -> Path:
    """Write labels beside a sample set, unless they are there already.

    They appear under their name only when they are finished, so several
    processes may call this at once.

    .. code-block:: none

        labels/
          train/000001.png ...    class of each pixel, 0 is background
          val/000001.png ...
          train.txt, val.txt      image, class of its largest object from 0
          sample_instances.json   that of the set: these are its labels

    Args:
        root: Finished set of :func:`make_sample_instances`.
        labels: Folder for the labels; replaced if it belongs to another set.

    Returns:
        ``labels`` as an absolute path.

    Raises:
        FileExistsError: If ``labels`` holds files of somebody else.
        FileNotFoundError: If there is no set in ``root``.
    """
    root, labels = Path(root).resolve(), Path(labels).resolve()
    wanted = dict(of=sha256_of(root / STAMP))
    if labels.exists() and not (labels / STAMP).exists():
        raise FileExistsError(f'{labels} must be missing, or hold labels of a '
                              'sample data set. Name another folder, or move '
                              'it away.')

    def write(unfinished: Path) -> None:
        for split in ('train', 'val'):
            _write_split(root, unfinished, split)

    if not is_finished(labels, wanted):
        make_folder(labels, wanted, write)
    return labels


def _write_split(root: Path, labels: Path, split: str) -> None:
    (labels / split).mkdir(parents=True)
    path = root / 'annotations' / f'instances_{split}.json'
    content = json.loads(path.read_text())
    lines = []
    for image in content['images']:
        objects = [
            a for a in content['annotations'] if a['image_id'] == image['id']
        ]
        classes = np.zeros((image['height'], image['width']), np.uint8)
        for item in objects:
            classes[_mask(item['segmentation'])] = item['category_id']
        Image.fromarray(classes).save(labels / split / image['file_name'])
        largest = max(objects, key=lambda item: item['area'])
        lines.append(f'{image["file_name"]} {largest["category_id"] - 1}\n')
    (labels / f'{split}.txt').write_text(''.join(lines))


def _mask(segmentation: dict) -> ndarray:
    """COCO's run lengths, down the columns, as a mask (H, W)."""
    runs = segmentation['counts']
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(segmentation['size'], order='F')
