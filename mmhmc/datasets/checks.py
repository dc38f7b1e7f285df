"""Say early, and in full, which files of COCO are missing."""
from collections.abc import Sequence
from pathlib import Path

COCO2017_ANN_FILES = ('annotations/instances_train2017.json',
                      'annotations/instances_val2017.json')
COCO2017_IMG_PREFIXES = ('train2017/', 'val2017/')
_HOW_TO_GET_COCO = (
    'Get COCO 2017 with `python tools/dataset_converters/coco2017.py '
    '--download --out data/coco`, or link your copy to that folder.')


def missing_coco_files(
        data_root: str | Path,
        ann_files: Sequence[str] = COCO2017_ANN_FILES,
        img_prefixes: Sequence[str] = COCO2017_IMG_PREFIXES) -> list[Path]:
    """List what a COCO data set lacks.

    Args:
        data_root: Folder of the data set.
        ann_files: Annotation files, relative to ``data_root``.
        img_prefixes: Image folders, relative to ``data_root``; an empty
            one counts as missing.

    Returns:
        The missing files and folders, in the order of the arguments.
    """
    root = Path(data_root)
    missing = [
        root / name for name in ann_files if not (root / name).is_file()
    ]
    for name in img_prefixes:
        folder = root / name
        if not folder.is_dir() or next(folder.iterdir(), None) is None:
            missing.append(folder)
    return missing


def check_coco(data_root: str | Path,
               ann_files: Sequence[str] = COCO2017_ANN_FILES,
               img_prefixes: Sequence[str] = COCO2017_IMG_PREFIXES,
               how_to_get: str = _HOW_TO_GET_COCO) -> None:
    """Refuse to start without COCO, or another set in its format.

    Args:
        data_root: Folder of the data set.
        ann_files: Annotation files, relative to ``data_root``.
        img_prefixes: Image folders, relative to ``data_root``.
        how_to_get: Sentence for another set than COCO 2017.

    Raises:
        FileNotFoundError: If anything is missing.
    """
    missing = missing_coco_files(data_root, ann_files, img_prefixes)
    if not missing:
        return
    names = '\n  '.join(str(path) for path in missing)
    raise FileNotFoundError(
        f'The data set in {Path(data_root).absolute()} is not complete. '
        f'Looked for {[*ann_files, *img_prefixes]}; missing or empty:\n  '
        f'{names}\n{how_to_get}\n'
        'Without it you can run configs/hmc/mask-rcnn_dynadapt_sample.py '
        '(`make train`), which makes its own data set.')
