"""CelebAMask-HQ: images of faces, with a class for each pixel."""
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from numpy import ndarray
from PIL import Image

from mmhmc.former_names import former_value
from mmhmc.registry import DATASETS
from mmhmc.whole_files import read_json

#: Classes of pixels in the order of their values; ``l_`` and ``r_`` as in the
#: names of the published masks.
FACE_PARTS = ('background', 'skin', 'nose', 'eye_g', 'l_eye', 'r_eye',
              'l_brow', 'r_brow', 'l_ear', 'r_ear', 'mouth', 'u_lip', 'l_lip',
              'hair', 'hat', 'ear_r', 'neck_l', 'neck', 'cloth')
#: Parts that only some faces have: glasses, hats, earrings, necklaces.
ACCESSORIES = ('eye_g', 'hat', 'ear_r', 'neck_l')
#: Points of a face that are found from its parts.
FACE_POINTS = ('l_eye', 'r_eye', 'nose', 'mouth_left', 'mouth_right')
TARGETS = ('parsing', 'accessories', 'attributes', 'points', 'multi_task')
#: Label of pixels without a class; losses and metrics leave them out.
IGNORED = 255
# Numbers of the first images of CelebA's own val and test.
_FIRST_VAL, _FIRST_TEST = 162771, 182638


def celeba_split(number: int) -> str:
    """``'train'``, ``'val'`` or ``'test'`` of an image of CelebA.

    Args:
        number: Of the image in CelebA, from 0: ``orig_idx`` of
            ``CelebA-HQ-to-CelebA-mapping.txt``.
    """
    if number < _FIRST_VAL:
        return 'train'
    return 'val' if number < _FIRST_TEST else 'test'


def merge_parts(masks: Mapping[str, ndarray]) -> ndarray:
    """Classes of pixels out of the published masks, one for each part.

    Where masks overlap, the class with the higher value wins, as in the data
    set's own code.

    Args:
        masks: For parts of a face a mask, true on its pixels, (H, W).

    Returns:
        Classes, uint8, shape (H, W).

    Raises:
        ValueError: If a part is unknown, sizes differ or there is no mask.
    """
    unknown = set(masks) - set(FACE_PARTS[1:])
    sizes = {mask.shape for mask in masks.values()}
    if unknown or len(sizes) != 1:
        raise ValueError(
            'The masks of an image must be of one size and of parts of '
            f'{list(FACE_PARTS[1:])}; got the sizes {sorted(sizes)} and the '
            f'unknown parts {sorted(unknown)}.')
    labels = np.zeros(sizes.pop(), np.uint8)
    for value, part in enumerate(FACE_PARTS):
        if part in masks:
            labels[np.asarray(masks[part], bool)] = value
    return labels


def find_accessories(labels: ndarray) -> list[int]:
    """1 for each of :data:`ACCESSORIES` that is there, else 0.

    Args:
        labels: Classes of pixels, shape (H, W).
    """
    seen = set(np.unique(labels))
    return [int(FACE_PARTS.index(part) in seen) for part in ACCESSORIES]


def face_points(labels: ndarray) -> ndarray | None:
    """Points of a face, found from its parts.

    The data set has no landmarks of its own. These are centres of the eyes
    and the nose, and the left and right end of mouth and lips.

    Args:
        labels: Classes of pixels, shape (H, W).

    Returns:
        Column and row of each of :data:`FACE_POINTS` as a share of width and
        height, float32, shape (5, 2); None if one cannot be seen.
    """
    mouth = _positions(labels, 'mouth', 'u_lip', 'l_lip')
    parts = [_positions(labels, name) for name in ('l_eye', 'r_eye', 'nose')]
    if not all(map(len, (*parts, mouth))):
        return None
    ends = [
        mouth[mouth[:, 0] == column].mean(axis=0)
        for column in (mouth[:, 0].min(), mouth[:, 0].max())
    ]
    points = np.stack([*(part.mean(axis=0) for part in parts), *ends])
    return ((points + 0.5) / labels.shape[::-1]).astype(np.float32)


def _positions(labels: ndarray, *parts: str) -> ndarray:
    """Column and row of all pixels of some parts, shape (n, 2)."""
    values = [FACE_PARTS.index(part) for part in parts]
    return np.argwhere(np.isin(labels, values))[:, ::-1]


def read_labels(path: str | Path) -> ndarray:
    """Classes of pixels, uint8, shape (H, W).

    Raises:
        ValueError: If a value is neither a class nor :data:`IGNORED`.
    """
    labels = np.asarray(Image.open(path))
    wrong = np.setdiff1d(labels, [*range(len(FACE_PARTS)), IGNORED])
    if labels.ndim != 2 or len(wrong):
        raise ValueError(
            f'{path} must have one channel with classes 0 to '
            f'{len(FACE_PARTS) - 1}, or {IGNORED} for none; got shape '
            f'{labels.shape} and the values {wrong.tolist()[:8]}.')
    return labels


def _parsing(path: Path) -> dict:
    """Keys that mmseg's ``LoadAnnotations`` needs."""
    return dict(
        seg_map_path=str(path),
        label_map=None,
        reduce_zero_label=False,
        seg_fields=[])


@DATASETS.register_module()
class CelebAMaskHQ(BaseDataset):
    """CelebAMask-HQ as ``tools/dataset_converters/celebamask_hq.py`` has it.

    .. code-block:: none

        data_root/{train,val,test}/images/NAME.{png,jpg}
        data_root/{train,val,test}/labels/NAME.png     classes 0 to 18
        data_root/attributes.json       {"names": [...], "values": {NAME: []}}

    An item has ``img_path``, ``img_id``, and by its target:

    - ``'parsing'``: keys by which mmseg's ``LoadAnnotations`` reads labels;
    - ``'accessories'``: ``gt_score``, 1 for each of :data:`ACCESSORIES` that
      is there and else 0, for multi-label heads;
    - ``'attributes'``: ``gt_score`` for the 40 attributes of CelebA, of which
      the file is needed;
    - ``'points'``: ``gt_score``, the coordinates of :func:`face_points`;
      faces of which one is hidden are left out;
    - ``'multi_task'``: the keys of ``'parsing'``, and the numbers of
      ``'accessories'`` as ``gt_parts`` and of ``'points'`` as ``gt_points``,
      to be packed as meta information.

    Accessories and points are read from the labels when the data set is built.

    Reference:
        C.-H. Lee, Z. Liu, L. Wu, P. Luo: "MaskGAN: Towards Diverse and
        Interactive Facial Image Manipulation", CVPR 2020.
        https://arxiv.org/abs/1907.11922

    Args:
        data_root: Folder.
        split: ``'train'``, ``'val'`` or ``'test'``.
        target: What is to be learnt, one of :data:`TARGETS`.
        **kwargs: As of mmengine's ``BaseDataset``.

    Raises:
        FileNotFoundError: If a folder or a file is missing.
        ValueError: If an argument is none of those named, or a label is not
            valid, or of another size than its image.
    """

    METAINFO = dict(
        classes=FACE_PARTS,
        palette=[(0, 0, 0), (204, 0, 0), (76, 153, 0), (204, 204, 0),
                 (51, 51, 255), (204, 0, 204), (0, 255, 255), (255, 204, 204),
                 (102, 51, 0), (255, 0, 0), (102, 204, 0), (255, 255, 0),
                 (0, 0, 153), (0, 0, 204), (255, 51, 153), (0, 204, 204),
                 (0, 51, 0), (255, 153, 51), (0, 204, 0)])

    def __init__(self,
                 data_root: str,
                 split: str = 'train',
                 target: str = 'parsing',
                 **kwargs) -> None:
        target = former_value(
            'target', target, parts='accessories', several='multi_task')
        if target not in TARGETS:
            raise ValueError(f'`target` must be one of {list(TARGETS)}, got '
                             f'{target!r}.')
        if split not in ('train', 'val', 'test'):
            raise ValueError("`split` must be 'train', 'val' or 'test', got "
                             f'{split!r}.')
        self.split, self.target = split, target
        super().__init__(data_root=data_root, **kwargs)
        if target == 'accessories':
            self._metainfo['classes'] = ACCESSORIES
        elif target == 'attributes':
            self._metainfo['classes'] = tuple(self._read_attributes()['names'])
        elif target == 'points':
            self._metainfo['classes'] = FACE_POINTS

    def load_data_list(self) -> list[dict]:
        """List the images with their targets."""
        folder = Path(self.data_root, self.split)
        images = sorted(
            path for path in (folder / 'images').glob('[!.]*')
            if path.suffix in ('.png', '.jpg'))
        if not images:
            raise FileNotFoundError(
                f'There are no images in {folder / "images"}; make it by '
                'tools/dataset_converters/celebamask_hq.py.')
        scores = self._read_scores(folder, [p.stem for p in images])
        return [
            dict(img_path=str(path), img_id=number, **score)
            for number, (path, score) in enumerate(zip(images, scores))
            if score
        ]

    def _read_scores(self, folder: Path, names: list[str]) -> list[dict]:
        """Targets of each image; none for an image that is left out."""
        if self.target == 'attributes':
            values = self._read_attributes()['values']
            return [dict(gt_score=values[name]) for name in names]
        paths = [folder / f'labels/{name}.png' for name in names]
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise FileNotFoundError(
                f'{len(missing)} of {len(paths)} images have no labels, '
                f'first {missing[0]}.')
        if self.target == 'parsing':
            return [_parsing(path) for path in paths]
        if self.target == 'accessories':
            return [
                dict(gt_score=find_accessories(read_labels(p))) for p in paths
            ]
        labels = [read_labels(path) for path in paths]
        points = [face_points(one) for one in labels]
        points = [p if p is None else p.flatten().tolist() for p in points]
        if self.target == 'points':
            return [{} if p is None else dict(gt_score=p) for p in points]
        return [{} if p is None else dict(
            _parsing(path), gt_parts=find_accessories(one), gt_points=p)
                for path, one, p in zip(paths, labels, points)]

    def _read_attributes(self) -> dict:
        path = Path(self.data_root, 'attributes.json')
        if not path.is_file():
            raise FileNotFoundError(
                f'There is no {path}; the converter writes it from the '
                'published annotation. Without it, there are labels for '
                "target='accessories'.")
        return read_json(path)

    def prepare_data(self, idx: int) -> dict | None:
        """See mmengine; what is packed is checked.

        Raises:
            ValueError: If a label map does not fit its image.
        """
        packed = super().prepare_data(idx)
        sample = packed.get('data_samples') if packed else None
        if 'gt_sem_seg' in (sample or ()):
            size = tuple(packed['inputs'].shape[-2:])
            labels = sample.gt_sem_seg.data
            where = self.get_data_info(idx)['seg_map_path']
            if tuple(labels.shape[-2:]) != size:
                raise ValueError(
                    f'The label map {where} has size '
                    f'{tuple(labels.shape[-2:])}, its image {size}; resize '
                    'both, or convert the data set anew.')
            if ((labels >= len(FACE_PARTS)) & (labels != IGNORED)).any():
                raise ValueError(
                    f'The label map {where} has classes up to '
                    f'{labels.max().item()}, there are {len(FACE_PARTS)}.')
        return packed
