"""The images on which a codec does worst."""
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmhmc.evaluation import RateCurve, Results, bd_quality


@dataclass(frozen=True)
class WorstImage:
    """An image, and how a codec did on it.

    Args:
        codec: Name of the codec.
        point: Point that is shown, that of the lowest rate.
        dataset: Name of the data set.
        image: Name of the image.
        bpp: Its rate at this point in bits per pixel.
        psnr: Its quality at this point in dB.
        gain: dB above the anchor at equal rate, mean over the rates that both
            have on this image; negative is a loss. None for the anchor, and
            where there is no such mean.
        original: File of the image.
        decoded: File of what became of it.
    """

    codec: str
    point: str
    dataset: str
    image: str
    bpp: float
    psnr: float
    gain: float | None
    original: Path
    decoded: Path


def worst_images(results: Results,
                 dataset: str,
                 anchor: str,
                 folder: str | Path,
                 num_images: int = 1) -> list[WorstImage]:
    """Images with the largest loss against the anchor, for each codec.

    For the anchor, and where no image can be compared with it, those of the
    lowest PSNR. Codecs whose decoded images were not kept are left out.

    Args:
        results: What the benchmark wrote.
        dataset: Name of the data set.
        anchor: Codec compared with.
        folder: Where the originals are.
        num_images: How many for each codec.
    """
    found = []
    anchors = _curves(results, anchor, dataset)
    for codec in results.codecs:
        curves = _curves(results, codec, dataset)
        rated = []
        for name, curve in curves.items():
            gain = None
            if codec != anchor and name in anchors:
                gain = _gain(anchors[name], curve)
            rated.append(
                (gain is None, gain if gain is not None else curve.quality[0],
                 name, gain))
        for *_, name, gain in sorted(rated)[:num_images]:
            worst = _shown(results, codec, dataset, curves[name], name,
                           Path(folder), gain)
            found += [] if worst is None else [worst]
    return found


def _curves(results: Results, codec: str,
            dataset: str) -> dict[str, RateCurve]:
    """PSNR over the rate of each image by itself."""
    points = {}
    for row in results.coded:
        if (row['codec'], row['dataset']) == (codec, dataset) \
                and row.get('psnr') is not None:
            points.setdefault(row['image'], []).append(row)
    curves = {}
    for name, rows in points.items():
        try:
            curves[name] = RateCurve(
                codec,
                [8 * r['bytes'] / (r['width'] * r['height']) for r in rows],
                [r['psnr'] for r in rows], [r['point'] for r in rows], 'psnr')
        except ValueError:  # coded without loss: nothing to look at
            continue
    return curves


def _gain(anchor: RateCurve, test: RateCurve) -> float | None:
    try:
        return bd_quality(anchor, test, 'pchip').value
    except ValueError:
        return None


def _shown(results: Results, codec: str, dataset: str, curve: RateCurve,
           name: str, folder: Path, gain: float | None) -> WorstImage | None:
    """The image at its lowest rate, if it was kept."""
    rows: Sequence[dict] = results.images(codec, curve.labels[0], dataset)
    for row in rows:
        if row['image'] == name and row.get('decoded'):
            return WorstImage(codec, curve.labels[0], dataset, name,
                              float(curve.bpp[0]), float(curve.quality[0]),
                              gain, folder / name,
                              results.path.parent / row['decoded'])
    return None
