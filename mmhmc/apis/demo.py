"""One image through a codec and a host, shown on a page."""
import io
import shlex
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from numpy import ndarray
from PIL import Image
from torch import Tensor

from mmhmc.datasets import read_image
from mmhmc.evaluation import PSNRMetric
from mmhmc.functional import to_pixels
from mmhmc.visualization import (ERROR_GAIN, DemoFigure, Table, bits_map,
                                 draw_bits, draw_error, write_demo_page)
from .inference_inputs import EncodedImage
from .inferencer import HMCInferencer
from .model_loading import ModelConfig
from .predictions import PredictionPainter, plain_prediction

#: What ``mmhmc demo`` shows.
DEFAULT_MODEL = 'cheng2020-attn_dynadapt_coco_0.0009'
_SCORE_THR = 0.3
_MAX_ROWS = 20


@dataclass(frozen=True)
class Demo:
    """Files and tables of a demonstration.

    Args:
        page: HTML file.
        stream: The coded image.
        sizes: Bytes, rate and quality of the files, as on the page.
        findings: Predictions of the host; no rows if there is no host.
    """

    page: Path
    stream: Path
    sizes: Table
    findings: Table


def run_demo(image: str | Path | None = None,
             model: ModelConfig = DEFAULT_MODEL,
             checkpoint: str | None = None,
             out_dir: str | Path = 'mmhmc_demo',
             device: str | None = None) -> Demo:
    """Encode an image, decode it for people and for a machine, and show it.

    Writes the bitstream ``a.png.hmc``, the decoded image ``a.png``, and
    ``a.png.html`` with the original, the decoded image, what the machine
    sees and finds, where the bits went, the error, and JPEG of about the same
    size.

    Args:
        image: Image file; None for one that scikit-image carries.
        model: Name of a model of the zoo, or a config, see
            :class:`HMCInferencer`.
        checkpoint: Weights, for a config.
        out_dir: Folder of the results; made if it is not there.
        device: See :class:`HMCInferencer`.

    Returns:
        Files and tables.

    Raises:
        OSError: If a file cannot be read, written or downloaded.
        ValueError: If the model is unknown or the file is no image.
    """
    path = Path(image) if image is not None else built_in_image()
    x = read_image(path)
    hmc = HMCInferencer(model, checkpoint, device)
    quiet = dict(show_progress=False)
    encoded, = hmc.encode(path, out_dir, **quiet)
    x_hat, = hmc.decode(encoded, out_dir, **quiet)
    coded = hmc.coded_image(x)
    figures, sizes = _coding(hmc, path, coded[0], x_hat[..., ::-1], encoded)
    findings = Table(('Found', 'Score'), [])
    if hmc.has_task:
        machine, findings = _analysis(hmc, encoded, x_hat[..., ::-1])
        figures.insert(2, machine)
    name = 'CONFIG' if isinstance(model, (dict, Config)) else str(model)
    page = write_demo_page(
        Path(out_dir) / f'{path.name}.html', f'{path.name} by {name}',
        f'The bitstream is {encoded.path.name}, beside this page; decoded '
        'image and findings come from it alone.', figures,
        [sizes, *([findings] if findings.rows else [])],
        _commands(path, name, checkpoint, encoded))
    return Demo(page, encoded.path, sizes, findings)


def built_in_image() -> Path:
    """A photograph of a person that scikit-image carries.

    Raises:
        FileNotFoundError: If it is not there.
    """
    spec = find_spec('skimage')
    if spec is not None:
        folder = Path(spec.submodule_search_locations[0])
        path = folder / 'data/camera.png'
        if path.is_file():
            return path
    raise FileNotFoundError(
        'The built-in image comes with scikit-image, which is not '
        "installed: `pip install 'mmhmc[sample]'`, or name an image.")


def _coding(hmc: HMCInferencer, path: Path, x: Tensor, decoded: ndarray,
            encoded: EncodedImage) -> tuple[list[DemoFigure], Table]:
    original = to_pixels(x)
    output, _ = hmc.code(x[None])
    bits = bits_map(output.likelihoods, encoded.bitstream.coded_size).numpy()
    jpeg, jpeg_bytes = _jpeg_of_size(original, encoded.num_bytes)
    rows = [
        _row(f'{path.name}, as given',
             path.stat().st_size, encoded),
        _row(encoded.path.name, encoded.num_bytes, encoded, original, decoded),
        _row('JPEG of about that size', jpeg_bytes, encoded, original, jpeg)
    ]
    rate = f'{rows[1][1]} bytes, {rows[1][2]} bpp'
    figures = [
        DemoFigure('Original', f'{path.name}: {rows[0][1]} bytes', original),
        DemoFigure('Decoded, for people', f'{rate}, {rows[1][3]} dB', decoded),
        DemoFigure('Error', f'Of the decoded image, {ERROR_GAIN} times.',
                   draw_error(original, decoded)),
        DemoFigure(
            'JPEG', f'{jpeg_bytes} bytes, {rows[2][2]} bpp, '
            f'{rows[2][3]} dB', jpeg)
    ]
    if bits.size > 1:
        figures.insert(
            2,
            DemoFigure(
                'Where the bits went',
                f'Black: none; yellow: {bits.max():.2f} bits per pixel.',
                draw_bits(bits, original.shape[:2],
                          encoded.bitstream.coded_size)))
    return figures, Table(('File', 'Bytes', 'bpp', 'PSNR (dB)'), rows)


def _row(name: str,
         num_bytes: int,
         encoded: EncodedImage,
         original: ndarray | None = None,
         other: ndarray | None = None) -> tuple[str, ...]:
    height, width = encoded.original_size
    psnr = ''
    if original is not None:
        psnr = f'{_psnr(original, other):.2f}'
    return name, str(num_bytes), f'{8 * num_bytes / (height * width):.3f}', \
        psnr


def _analysis(hmc: HMCInferencer, encoded: EncodedImage,
              decoded: ndarray) -> tuple[DemoFigure, Table]:
    sample, = hmc.analyze(
        encoded, return_datasamples=True, show_progress=False)['predictions']
    seen, title = decoded, 'Found from the bitstream'
    text = 'No image was decoded for the machine.'
    if not hmc.sees_latents:
        text = 'The machine sees the decoded image.'
    if hmc.has_adapter:
        seen = hmc.decode(encoded, adapted=True, show_progress=False)[0]
        seen, title = seen[..., ::-1], 'Adapted, for the machine'
        text = 'What the machine sees, and what it finds there.'
    if seen.shape[:2] != tuple(encoded.original_size):
        # Findings are in pixels of the original.
        seen = np.asarray(
            Image.fromarray(np.ascontiguousarray(seen)).resize(
                encoded.original_size[::-1]))
    paint = PredictionPainter(hmc.cfg, hmc.dataset_meta)
    drawn = paint(np.ascontiguousarray(seen), sample, _SCORE_THR)
    return DemoFigure(title, text, drawn), _findings(
        plain_prediction(sample), hmc.dataset_meta.get('classes'))


def _findings(plain: dict, classes: list | None) -> Table:
    """Objects, or classes of pixels or of the image, the surest first."""

    def name(label: int) -> str:
        known = classes is not None and label < len(classes)
        return classes[label] if known else f'class {label}'

    header, rows = ('Found', 'Score'), []
    if 'scores' in plain:
        pairs = sorted(zip(plain['scores'], plain['labels']), reverse=True)
        rows = [(name(label), f'{score:.3f}') for score, label in pairs
                if score >= _SCORE_THR]
    elif 'sem_seg' in plain:
        header = ('Found', 'Share of the pixels')
        counts = Counter(plain['sem_seg'].flatten().tolist()).most_common()
        rows = [(name(int(label)), f'{count / plain["sem_seg"].size:.1%}')
                for label, count in counts]
    elif 'pred_scores' in plain:
        scores = plain['pred_scores']
        order = np.argsort(scores)[::-1][:5]
        rows = [(name(int(i)), f'{scores[i]:.3f}') for i in order]
    return Table(header, rows[:_MAX_ROWS])


def _jpeg_of_size(image: ndarray, num_bytes: int) -> tuple[ndarray, int]:
    """The best JPEG of at most this size; the smallest if there is none."""

    def coded(quality: int) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(image).save(
            buffer, 'JPEG', quality=quality, optimize=True)
        return buffer.getvalue()

    low, high = 1, 95
    while low < high:
        middle = (low + high + 1) // 2
        if len(coded(middle)) <= num_bytes:
            low = middle
        else:
            high = middle - 1
    data = coded(low)
    return np.asarray(Image.open(io.BytesIO(data))), len(data)


def _commands(path: Path, name: str, checkpoint: str | None,
              encoded: EncodedImage) -> str:
    stream = encoded.path
    given = repr(name)
    if checkpoint is not None:
        given = f'{given}, {str(checkpoint)!r}'
    return '\n'.join([
        f'mmhmc info {shlex.quote(str(stream))}',
        '',
        '# Python',
        'from mmhmc.apis import HMCInferencer',
        f'hmc = HMCInferencer({given})',
        f'encoded = hmc.encode({str(path)!r}, '
        f'out_dir={str(stream.parent)!r})',
        'images = hmc.decode(encoded)  # for people',
        "found = hmc.analyze(encoded)['predictions']  # from the bits alone",
    ])


def _psnr(one: ndarray, other: ndarray) -> float:
    x, x_hat = (
        torch.from_numpy(np.array(p)).permute(2, 0, 1)[None].float() / 255
        for p in (one, other))
    return PSNRMetric().measure(x, x_hat)
