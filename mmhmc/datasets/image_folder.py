"""Every image under a folder, without annotations."""
import logging
from collections import Counter
from pathlib import Path

import cv2
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmhmc.file_paths import list_files
from mmhmc.registry import DATASETS
from .image_files import IMAGE_SUFFIXES, read_image

#: What a pipeline's first step raises; mmcv's own asserts.
_UNREADABLE = (OSError, ValueError, AssertionError, cv2.error)


@DATASETS.register_module()
class ImageFolder(BaseDataset):
    """All images under a folder and its subfolders, sorted by path.

    For training a codec alone and for test sets such as Kodak. The folder is
    ``data_root``, or ``data_root`` joined with ``data_prefix['img_path']``;
    the other arguments are those of mmengine's ``BaseDataset``. An item has
    ``img_path`` and ``img_id``, its place in the sorted list. Endings are
    those that `mmhmc encode` takes, and links are followed as
    :func:`~mmhmc.datasets.list_files` does.

    Args:
        *args: As of ``BaseDataset``.
        skip_unreadable: In training, let another image take the place of a
            file that cannot be read, and name the file in the log; if not,
            it ends the run. A test always ends: its results would be of other
            images.
        **kwargs: As of ``BaseDataset``.

    Example:
        >>> ImageFolder(
        ...     data_root='data/kodak',
        ...     pipeline=[
        ...         dict(type='LoadImageFromFile'),
        ...         dict(type='mmhmc.PackImageInputs'),
        ...     ])

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If no folder is named, if it holds no image, or if there
            is an ``ann_file``, which would change nothing.
    """

    SUFFIXES = IMAGE_SUFFIXES

    def __init__(self, *args, skip_unreadable: bool = False, **kwargs) -> None:
        self.skip_unreadable = skip_unreadable
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the images."""
        if self.ann_file:
            raise ValueError('ImageFolder has no annotations, got `ann_file` '
                             f'{self.ann_file!r}. Leave it out.')
        if not self.data_prefix.get('img_path'):
            raise ValueError('ImageFolder needs `data_root` or '
                             '`data_prefix=dict(img_path=...)`, got neither.')
        folder = Path(self.data_prefix['img_path'])
        if not folder.is_dir():
            raise FileNotFoundError(
                f'Image folder {folder.absolute()} does not exist. Check '
                '`data_root` and `data_prefix=dict(img_path=...)`.')
        images = list_files(folder, self.SUFFIXES)
        if not images:
            paths = list_files(folder)
            seen = Counter(p.suffix or 'no suffix' for p in paths)
            raise ValueError(
                f'Folder {folder.absolute()} and its subfolders hold no '
                f'image: expected files with one of {self.SUFFIXES}, found '
                f'{len(paths)} other files {dict(seen.most_common(5))}.')
        return [
            dict(img_path=str(path), img_id=number)
            for number, path in enumerate(images)
        ]

    def prepare_data(self, idx: int) -> dict | None:
        """See mmengine; a file that cannot be read is named.

        Raises:
            ValueError: If it cannot, and is not to be skipped.
        """
        try:
            return super().prepare_data(idx)
        except _UNREADABLE as error:
            reason = self._reason(idx)
            if reason is None:
                raise
            if self.skip_unreadable and not self.test_mode:
                print_log(f'Skipped: {reason}', 'current', logging.WARNING)
                return None
            raise ValueError(
                f'{reason} Remove it; in training, `skip_unreadable=True` '
                'goes on without it.') from error

    def _reason(self, idx: int) -> str | None:
        """Why a file cannot be read; None if it can."""
        try:
            read_image(self.get_data_info(idx)['img_path'])
        except (OSError, ValueError) as error:
            return str(error)
        return None
