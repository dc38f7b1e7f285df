"""Published rate curves, to draw and to compare with."""
import json
from functools import cache
from importlib.resources import files

import numpy as np

from .rate_curve import RateCurve


def published_curve(name: str,
                    dataset: str = 'kodak',
                    metric: str = 'psnr') -> RateCurve:
    """A curve that others measured.

    Args:
        name: As :func:`list_published` gives it: ``'HM'``, ``'VTM'``,
            ``'BPG444'``, ``'balle2018'``, ``'cheng2020-attn'``, ...
        dataset: ``'kodak'`` or ``'coco_val2017'``.
        metric: ``'psnr'``, ``'ms_ssim'`` or ``'ms_ssim_db'`` of Kodak,
            ``'coco/bbox_mAP'`` or ``'coco/segm_mAP'``, in [0, 1], of COCO.

    Returns:
        The curve; its labels say what the points were coded with.

    Raises:
        ValueError: If there is no such curve.
    """
    for entry in list_published():
        if (entry['name'], entry['dataset']) == (name, dataset):
            if metric not in entry['metrics']:
                raise ValueError(
                    f'Published curve {name!r} of {dataset!r} has '
                    f'{", ".join(entry["metrics"])}, no {metric!r}.')
            quality = np.asarray(entry['metrics'][metric])
            return RateCurve(name, entry['bpp'], quality, entry['labels'],
                             metric)
    known = [
        entry['name'] for entry in list_published()
        if entry['dataset'] == dataset
    ]
    raise ValueError(f'No published curve {name!r} of {dataset!r}. ' + (
        f'There are {", ".join(known)}.' if known else 'Its data sets are '
        f'{", ".join(sorted({e["dataset"] for e in list_published()}))}.'))


def list_published() -> list[dict]:
    """All curves that come with the package.

    Returns:
        For each a dict with ``name``, ``dataset``, ``note`` (how it was
        coded), ``labels``, ``bpp``, ``metrics`` (values of each point by
        name), ``averaging``, and ``source`` (title, repository, commit, file
        in it, licence).
    """
    curves = []
    for content in map(json.loads, _contents()):
        for curve in content['curves']:
            source = dict(content['source'], file=curve.pop('file'))
            if 'ms_ssim' in curve['metrics']:
                values = np.asarray(curve['metrics']['ms_ssim'])
                curve['metrics']['ms_ssim_db'] = in_decibel(values).tolist()
            curves.append(
                dict(curve, averaging=content['averaging'], source=source))
    return curves


def published_uncompressed(dataset: str, metric: str) -> float | None:
    """Published value of uncompressed images; None if there is none.

    Args:
        dataset: See :func:`published_curve`.
        metric: See :func:`published_curve`.
    """
    for content in map(json.loads, _contents()):
        value = content.get('uncompressed', {}).get(dataset, {}).get(metric)
        if value is not None:
            return value
    return None


def in_decibel(similarity: np.ndarray) -> np.ndarray:
    """MS-SSIM in dB, ``-10 log10(1 - MS-SSIM)``: differences near 1 count.

    Args:
        similarity: Values below 1, any shape.
    """
    return -10 * np.log10(1 - similarity)


@cache
def _contents() -> tuple[str, ...]:
    """Each file, one per source, by name."""
    folder = files(__package__) / 'published'
    names = sorted(path.name for path in folder.iterdir())
    return tuple((folder / name).read_text(encoding='utf-8') for name in names
                 if name.endswith('.json'))
