"""Images through codecs and a host, shown on a page."""
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from numpy import ndarray
from PIL import Image
from torch import Tensor

from mmhmc.codecs import ImageCodec
from mmhmc.evaluation import PSNRMetric
from mmhmc.former_names import former_arguments
from mmhmc.functional import to_pixels
from mmhmc.progress import progress
from mmhmc.refinement import (LatentRefinement, RefinedImage, SketchMap,
                              build_refinement)
from mmhmc.structures import CodingCondition
from mmhmc.visualization import (DemoFigure, DemoImage, FoundObject, bits_map,
                                 draw_bits, refinement_figures,
                                 write_demo_page)
from .equal_bytes import StandardFile, hevc_within, jpeg_within
from .host_reader import HostReader
from .inference_inputs import (EncodedImage, InputItem, list_items, load_image,
                               to_bgr)
from .inferencer import HMCInferencer
from .model_loading import ModelConfig
from .predictions import PredictionPainter, plain_prediction

#: What ``mmhmc demo`` shows.
DEFAULT_MODEL = 'dcvc-uf-small_dynadapt_coco'
_PHOTOGRAPHS = ('coffee', 'astronaut', 'cat')
#: More would make a page that a phone cannot load.
_MAX_IMAGES = 60
_SCORE_THR = 0.4
_SAME_PLACE = 0.5  # overlap of two boxes around one object
_MAX_FOUND = 20


@dataclass(frozen=True)
class Demo:
    """What a demonstration has made.

    Args:
        page: HTML file.
        streams: The encoded images.
        images: What the page shows, with bytes, rates and findings.
    """

    page: Path
    streams: Sequence[Path]
    images: Sequence[DemoImage]


@former_arguments(image='images')
def run_demo(images: str | Path | Sequence[str | Path] | None = None,
             model: ModelConfig = DEFAULT_MODEL,
             checkpoint: str | None = None,
             out_dir: str | Path = 'mmhmc_demo',
             device: str | None = None,
             show_progress: bool = True,
             force: bool = False,
             refinement: LatentRefinement | dict | int | None = None) -> Demo:
    """Encode images, decode them for people and for a machine, and show it.

    Writes for each image ``a.png`` the bitstream ``a.png.hmc`` and the decoded
    image ``a.png``, and for all ``index.html``: the original beside what was
    decoded, and beside JPEG and HEVC of at most the same size, with what the
    machine finds in each.

    Args:
        images: Files or folders, at most 60 images; None for the photographs
            that come with this package.
        model: Name of a model of the zoo, or a config, see
            :class:`HMCInferencer`.
        checkpoint: Weights, for a config.
        out_dir: Folder of the results; made if it is not there.
        device: See :class:`HMCInferencer`.
        show_progress: Whether to show progress on stderr.
        force: Whether to replace a page, and files that differ.
        refinement: A search for better files; a number of steps searches for
            the model of the page, where it sees images. The page shows what
            the search has changed, and what matters to the model.

    Returns:
        Files, and what the page shows.

    Raises:
        FileExistsError: If there is a page, or a file differs, without
            ``force``.
        OSError: If a file cannot be read, written or downloaded.
        ValueError: If the model is unknown, a file is no image, or there are
            too many.
    """
    if images is None:
        images = built_in_photographs()
    given = list(images) if isinstance(images, (list, tuple)) else images
    items = list_items(given, streams=False)
    if len(items) > _MAX_IMAGES:
        raise ValueError(
            f'{len(items)} images are too many for one page, which shows up '
            f'to {_MAX_IMAGES}. Name some of them; `mmhmc encode` takes any '
            'number.')
    page = Path(out_dir) / 'index.html'
    if page.exists() and not force:
        raise FileExistsError(f'{page} exists. Move it away, name another '
                              'folder, or replace it with `force=True` '
                              '(--force).')
    hmc = HMCInferencer(model, checkpoint, device)
    search = None
    if refinement is not None:
        search = _Search(_for_its_model(refinement, hmc, model, checkpoint))
    encoded = hmc.encode(
        given, out_dir, show_progress=False, force=force, refinement=search)
    show = _Demonstration(hmc, Path(out_dir), force, search)
    with progress('demo', len(items), show_progress) as advance:
        for item, one in zip(items, encoded):
            show.add(item, one)
            advance()
    name = 'CONFIG' if isinstance(model, (dict, Config)) else str(model)
    page = write_demo_page(page, 'One bitstream, for people and for machines',
                           _note(encoded, name, hmc.has_task, show.remarks),
                           show.images,
                           _commands(name, checkpoint, items[0], encoded[0]))
    return Demo(page, [one.path for one in encoded], show.images)


def built_in_photographs() -> list[Path]:
    """Colour photographs that are part of this package, lossless WebP."""
    folder = Path(__file__).parents[1] / 'datasets/photographs'
    return [folder / f'{name}.webp' for name in _PHOTOGRAPHS]


def _for_its_model(refinement: LatentRefinement | dict | int,
                   hmc: HMCInferencer, model: ModelConfig,
                   checkpoint: str | None) -> LatentRefinement:
    """The search that is asked for; of steps alone, one for the model."""
    if isinstance(refinement, int) and hmc.has_task and not hmc.sees_latents:
        refinement = dict(
            steps=refinement, readers=[HostReader(model, checkpoint)])
    return build_refinement(refinement)


class _Search:
    """A search that remembers what it has found.

    Args:
        refinement: The search.
    """

    def __init__(self, refinement: LatentRefinement) -> None:
        self.refinement = refinement
        self._found: list[tuple[RefinedImage, CodingCondition | None]] = []

    def refine(self, codec: ImageCodec, x: Tensor,
               condition: CodingCondition | None) -> RefinedImage:
        """See :meth:`LatentRefinement.refine`."""
        found = self.refinement.refine(codec, x, condition)
        self._found.append((found, condition))
        return found

    def figures(self, codec: ImageCodec, x: Tensor) -> list[DemoFigure]:
        """What the search has changed in the next image (1, 3, H, W)."""
        found, condition = self._found.pop(0)
        readers = self.refinement.readers
        shown = SketchMap(readers[0])(x) if readers else None
        figures = refinement_figures(codec, x, found, shown, condition)
        # The page has the original and what was found already.
        return [
            figure for figure in figures
            if figure.title not in ('original', 'decoded, after')
        ]


class _Demonstration:
    """Decodes and analyzes one image after the other."""

    def __init__(self, hmc: HMCInferencer, out_dir: Path, force: bool,
                 search: _Search | None) -> None:
        self.hmc, self.out_dir, self.force = hmc, out_dir, force
        self.search = search
        self.images: list[DemoImage] = []
        self.remarks: dict[str, str] = {}
        self._sees_images = hmc.has_task and not hmc.sees_latents

    def add(self, item: InputItem, encoded: EncodedImage) -> None:
        """Show one more image."""
        given = load_image(item)
        x = self.hmc.coded_image(given)
        original = self._original(item, given, to_pixels(x[0]))
        figures = [original, *self._decoded(encoded, original)]
        for title, encode in (('JPEG', jpeg_within), ('HEVC', hevc_within)):
            try:
                file = encode(x.cpu(), encoded.num_bytes)
            except RuntimeError as error:
                self.remarks[title] = f'{title} is not shown: {error}'
            else:
                figures.append(self._standard(title, file, encoded, original))
        self.images.append(
            DemoImage(item.name, figures, self._maps(x, encoded),
                      _parts(encoded)))

    def _original(self, item: InputItem, given: Tensor,
                  pixels: ndarray) -> DemoFigure:
        size = Path(item.source).stat().st_size
        found = self._find(to_bgr(given)) if self._sees_images else ()
        return DemoFigure('Original', item.name, pixels, size,
                          8 * size / given[0].numel(), None, found)

    def _decoded(self, encoded: EncodedImage,
                 original: DemoFigure) -> list[DemoFigure]:
        """What people get and what a machine sees, from one bitstream."""
        hmc, quiet = self.hmc, dict(show_progress=False)
        x_hat, = hmc.decode(encoded, self.out_dir, force=self.force, **quiet)
        people = partial(_figure, 'mmhmc', 'what people see', x_hat[..., ::-1],
                         encoded.num_bytes, encoded, original)
        if not hmc.has_task:
            return [people(())]
        sample, = hmc.analyze(
            encoded, return_datasamples=True, **quiet)['predictions']
        found = self._objects(sample, encoded.original_size)
        drawn = self._drawn(sample, x_hat, encoded, original)
        if not hmc.has_adapter:
            return [people(found), *drawn]
        x_bar, = hmc.decode(encoded, adapted=True, **quiet)
        machine = _figure('mmhmc, adapted',
                          'what the machine sees, from the same bytes',
                          x_bar[..., ::-1], encoded.num_bytes, encoded,
                          original, found)
        return [people(self._find(x_hat)), machine, *drawn]

    def _drawn(self, sample: BaseDataElement, x_hat: ndarray,
               encoded: EncodedImage,
               original: DemoFigure) -> list[DemoFigure]:
        """Masks and classes of pixels, which boxes do not show."""
        objects = sample.get('pred_instances', {})
        if 'pred_sem_seg' not in sample and 'masks' not in objects:
            return []
        # Predictions are in pixels of the file that was given.
        seen = _resized(x_hat[..., ::-1], encoded.original_size)
        paint = PredictionPainter(self.hmc.cfg, self.hmc.dataset_meta)
        pixels = _resized(
            paint(seen, sample, _SCORE_THR), original.pixels.shape[:2])
        return [
            DemoFigure('Predicted', 'as the host draws it', pixels,
                       encoded.num_bytes, encoded.bpp)
        ]

    def _standard(self, title: str, file: StandardFile, encoded: EncodedImage,
                  original: DemoFigure) -> DemoFigure:
        pixels = to_pixels(file.x_hat[0])
        found = ()
        if self._sees_images:
            found = self._find(pixels[..., ::-1])
        return _figure(title, 'no larger than the bitstream', pixels,
                       file.num_bytes, encoded, original, found)

    def _find(self, image: ndarray) -> list[FoundObject]:
        """What the bare host finds in a BGR image."""
        sample, = self.hmc.analyze_images([image])
        return self._objects(sample, image.shape[:2])

    def _objects(self, sample: BaseDataElement,
                 size: Sequence[int]) -> list[FoundObject]:
        return find_objects(
            plain_prediction(sample), self.hmc.dataset_meta.get('classes'),
            size)

    def _maps(self, x: Tensor, encoded: EncodedImage) -> list[DemoFigure]:
        if self.search is not None:
            return self.search.figures(self.hmc.codec, x)
        output, _ = self.hmc.code(x)
        if not output.likelihoods:
            return []
        covered = encoded.bitstream.coded_size
        bits = bits_map(output.likelihoods, covered).numpy()
        if bits.size == 1:
            return []
        text = f'Black: none. Yellow: {bits.max():.2f} bits per pixel.'
        return [
            DemoFigure('Bits', text,
                       draw_bits(bits, tuple(x.shape[-2:]), covered))
        ]


def find_objects(plain: dict, classes: list | None,
                 size: Sequence[int]) -> list[FoundObject]:
    """Objects, or classes of pixels or of the image, the surest first.

    Args:
        plain: See :func:`plain_prediction`.
        classes: Names of classes.
        size: Height and width in pixels that boxes refer to.

    Returns:
        At most 20. The score of a class of pixels is its share of them.
    """

    def name(label: int) -> str:
        known = classes is not None and label < len(classes)
        return classes[label] if known else f'class {label}'

    found = []
    if 'bboxes' in plain:
        height, width = size
        scale = np.array([width, height, width, height])
        found = [
            FoundObject(name(label), score,
                        tuple(box / scale)) for label, score, box in zip(
                            plain['labels'], plain['scores'], plain['bboxes'])
            if score >= _SCORE_THR
        ]
    elif 'sem_seg' in plain:
        counts = Counter(plain['sem_seg'].flatten().tolist())
        found = [
            FoundObject(name(int(label)), count / plain['sem_seg'].size)
            for label, count in counts.items()
        ]
    elif 'pred_scores' in plain:
        scores = plain['pred_scores']
        found = [
            FoundObject(name(int(label)), scores[label])
            for label in np.argsort(scores)[::-1][:5]
        ]
    return sorted(found, key=lambda one: -one.score)[:_MAX_FOUND]


def compare_objects(
        found: Sequence[FoundObject],
        wanted: Sequence[FoundObject]) -> tuple[list[FoundObject], list[str]]:
    """Mark objects that are in the original, too, and name those missing.

    Two objects are one if class and place agree: their boxes overlap by half
    of their union, or they have none. Each counts once.

    Args:
        found: In a decoded image, the surest first.
        wanted: In the original.
    """
    left, marked = list(wanted), []
    for one in found:
        same = [
            other for other in left
            if other.name == one.name and _overlap(one, other) >= _SAME_PLACE
        ]
        if same:
            left.remove(max(same, key=partial(_overlap, one)))
        marked.append(replace(one, is_known=bool(same)))
    return marked, [other.name for other in left]


def _overlap(one: FoundObject, other: FoundObject) -> float:
    """Intersection over union of two boxes; 1 where there are none."""
    if not (one.box and other.box):
        return 1.
    low = np.maximum(one.box[:2], other.box[:2])
    high = np.minimum(one.box[2:], other.box[2:])
    shared = np.prod(np.maximum(high - low, 0))
    areas = (np.prod(np.subtract(b.box[2:], b.box[:2])) for b in (one, other))
    return float(shared / max(sum(areas) - shared, 1e-12))


def _figure(title: str, text: str, pixels: ndarray, num_bytes: int,
            encoded: EncodedImage, original: DemoFigure,
            found: Sequence[FoundObject]) -> DemoFigure:
    height, width = encoded.original_size
    found, missing = compare_objects(found, original.found)
    return DemoFigure(title, text, pixels, num_bytes,
                      8 * num_bytes / (height * width),
                      _psnr(original.pixels, pixels), found, missing)


def _resized(pixels: ndarray, size: Sequence[int]) -> ndarray:
    height, width = size
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((width, height)))


def _parts(encoded: EncodedImage) -> list[tuple[str, int]]:
    """Bytes of the header and of each latent, which add up to the file."""
    streams = {
        f'latent {name}': len(data)
        for name, data in encoded.bitstream.streams.items()
    }
    header = encoded.bitstream.num_bytes - sum(streams.values())
    return [('header', header), *streams.items()]


def _note(encoded: Sequence[EncodedImage], name: str, has_task: bool,
          remarks: dict) -> str:
    rates = [f'{one.bpp:.2f}' for one in encoded]
    rate = ' to '.join(sorted({min(rates), max(rates)}))
    boxes = ' Boxes show what the same model finds in each.' * has_task
    return ' '.join([
        f'Encoded by {name} at {rate} bits per pixel, and decoded from the '
        f'bitstream alone. The files of JPEG and HEVC are no larger.{boxes}',
        *remarks.values()
    ])


def _commands(name: str, checkpoint: str | None, item: InputItem,
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
        f'encoded = hmc.encode({str(item.source)!r}, '
        f'out_dir={str(stream.parent)!r})',
        'images = hmc.decode(encoded)  # for people',
        "found = hmc.analyze(encoded)['predictions']  # from the bits alone",
    ])


def _psnr(one: ndarray, other: ndarray) -> float:
    x, x_hat = (
        torch.from_numpy(np.array(p)).permute(2, 0, 1)[None].float() / 255
        for p in (one, other))
    return PSNRMetric().measure(x, x_hat)
