"""Every picture under a folder, without annotations."""
import os
from collections import Counter
from pathlib import Path

from mmengine.dataset import BaseDataset

from mmhmc.registry import DATASETS


@DATASETS.register_module()
class ImageFolder(BaseDataset):
    """All pictures under a folder and its subfolders, sorted by path.

    For training a codec alone and for test sets such as Kodak. The folder is
    ``data_root``, or ``data_root`` joined with ``data_prefix['img_path']``;
    the other arguments are those of mmengine's ``BaseDataset``. An item has
    ``img_path`` and ``img_id``, its place in the sorted list.

    Example:
        >>> ImageFolder(
        ...     data_root='data/kodak',
        ...     pipeline=[
        ...         dict(type='LoadImageFromFile'),
        ...         dict(type='mmhmc.PackImageInputs'),
        ...     ])

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If no folder is named, if it holds no picture, or if there
            is an ``ann_file``, which would change nothing.
    """

    SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.webp')

    def load_data_list(self) -> list[dict]:
        """List the pictures."""
        if self.ann_file:
            raise ValueError('ImageFolder has no annotations, got `ann_file` '
                             f'{self.ann_file!r}. Leave it out.')
        if not self.data_prefix.get('img_path'):
            raise ValueError('ImageFolder needs `data_root` or '
                             '`data_prefix=dict(img_path=...)`, got neither.')
        folder = Path(self.data_prefix['img_path'])
        if not folder.is_dir():
            raise FileNotFoundError(
                f'Picture folder {folder.absolute()} does not exist. Check '
                '`data_root` and `data_prefix=dict(img_path=...)`.')
        # os.walk, as Path.rglob does not follow linked folders before
        # Python 3.13.
        paths = [
            Path(parent) / name
            for parent, _, names in os.walk(folder, followlinks=True)
            for name in names
        ]
        pictures = sorted(p for p in paths
                          if p.suffix.lower() in self.SUFFIXES)
        if not pictures:
            seen = Counter(p.suffix or 'no suffix' for p in paths)
            raise ValueError(
                f'Folder {folder.absolute()} and its subfolders hold no '
                f'picture: expected files with one of {self.SUFFIXES}, found '
                f'{len(paths)} other files {dict(seen.most_common(5))}.')
        return [
            dict(img_path=str(path), img_id=number)
            for number, path in enumerate(pictures)
        ]
