"""The first stage of a benchmark: images to files and back."""
import json
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmhmc.bitstream import Bitstream
from mmhmc.checkpoints import read_checkpoint
from mmhmc.codecs import ImageCodec
from mmhmc.datasets import read_image, write_image
from mmhmc.evaluation import MSSSIMMetric, PSNRMetric
from mmhmc.functional import crop_to, to_8_bits
from mmhmc.models.image_coding import build_adapter, run_adapter
from mmhmc.part_weights import find_part, load_part, weights_of
from mmhmc.refinement import LatentRefinement, build_refinement
from mmhmc.structures import Condition
from mmhmc.whole_files import sha256_of
from ..config_files import locate
from .plan import Plan, Point
from .records import ERRORS, LOST, failure, one_line


@dataclass(frozen=True)
class ImageTask:
    """One image to encode and decode.

    Args:
        point: By which codec, at which rate.
        key: Fingerprint of the point's settings.
        dataset: Name of its image set.
        image: Name of its file in the image set.
        path: Its file.
        folder: Where decoded images go.
    """

    point: Point
    key: str
    dataset: str
    image: str
    path: str
    folder: str

    @property
    def origin(self) -> dict:
        """Keys of its records, but for the image."""
        return dict(
            codec=self.point.codec,
            point=self.point.name,
            dataset=self.dataset)

    def lost(self) -> list[dict]:
        """Records of an image that ended its process."""
        return [failure('coding', LOST, **self.origin, image=self.image)]

    def decoded(self, row: str) -> str:
        """Decoded image of a row, relative to ``folder``."""
        return (f'decoded/{row}/{self.point.name}/{self.dataset}/'
                f'{self.image}.png')


class LoadedPoint(NamedTuple):
    """A codec with weights and tables, and its adapter, if there is one."""

    codec: ImageCodec
    adapter: nn.Module | None


class ImageCoder:
    """Encodes and decodes images; built once in each process.

    Args:
        plan: The benchmark.
    """

    def __init__(self, plan: Plan) -> None:
        self._metrics = plan.image_metrics
        self._loaded: tuple = (None, None)
        # By their settings: points share one, and the hosts that it asks.
        self._refinements: dict[str, LatentRefinement] = {}

    def __call__(self, task: ImageTask) -> list[dict]:
        """Encode and decode an image.

        Returns:
            Its records: one ``coded`` for each row that it fills, or one
            ``failure``.
        """
        try:
            loaded = self._load(task.point)
        except ERRORS as error:
            return [failure('coding', error, **task.origin)]
        try:
            return self._code(task, loaded)
        except ERRORS as error:
            return [failure('coding', error, **task.origin, image=task.image)]

    def _load(self, point: Point) -> LoadedPoint:
        """The codec of a point; the last one is kept."""
        name = point.codec, point.name
        if self._loaded[0] != name:
            # Two would need the memory of two.
            self._loaded = (None, None)
            self._loaded = (name, load_point(point))
        return self._loaded[1]

    @torch.no_grad()
    def _code(self, task: ImageTask, loaded: LoadedPoint) -> list[dict]:
        (codec, adapter), condition = loaded, task.point.condition
        x = read_image(task.path)[None]
        refinement, searched = self._refinement(task.point), {}
        start = time.perf_counter()
        if refinement is None:
            stream, = codec.compress(x, condition)
        else:
            found = refinement.refine(codec, x, condition)
            stream, searched = found.bitstream, dict(refined=found.summary())
        coded = time.perf_counter()
        if task.point.layers is not None:
            stream = stream.keep_layers(task.point.layers)
        stream = Bitstream.from_bytes(stream.to_bytes())
        y_hat = None
        if adapter is not None and adapter.placement != 'image':
            y_hat = codec.read(stream, condition)
        read = time.perf_counter()
        x_hat = codec.decompress([stream], condition)
        decoded = time.perf_counter()
        x_hat = to_8_bits(x_hat)
        qualities, errors = measure(self._metrics, x, x_hat)
        record = dict(
            task.origin,
            kind='coded',
            image=task.image,
            key=task.key,
            width=x.shape[-1],
            height=x.shape[-2],
            bytes=codec.num_bytes(stream),
            encode_ms=1000 * (coded - start),
            decode_ms=1000 * (decoded - read),
            **qualities,
            **searched)
        if errors:
            record['lacks'] = sorted(errors)
        seen = {task.point.rows[-1]: x_hat}
        if adapter is not None:
            seen[task.point.codec] = adapt(loaded, x_hat, y_hat, condition)
        failures = [
            failure(name, error, **task.origin)
            for name, error in errors.items()
        ]
        return failures + [
            self._finish(task, row, seen[row], dict(record, codec=row))
            for row in task.point.rows
        ]

    def _refinement(self, point: Point) -> LatentRefinement | None:
        """The search of a point; None if there is none."""
        if point.refinement is None:
            return None
        key = json.dumps(point.refinement, sort_keys=True)
        if key not in self._refinements:
            self._refinements[key] = build_refinement(point.refinement)
        return self._refinements[key]

    @staticmethod
    def _finish(task: ImageTask, row: str, seen: Tensor, record: dict) -> dict:
        name = task.decoded(row)
        path = Path(task.folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # A record without its image would be worse than neither.
        write_image(path, seen[0])
        return dict(record, decoded=name, decoded_sha256=sha256_of(path))


def load_point(point: Point) -> LoadedPoint:
    """Codec and adapter of a point, with their weights.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If weights do not fit, or there are none.
    """
    codec = point.source.load()
    if point.condition is not None:
        # Says before the first image what the codec refuses.
        codec.check_images(torch.zeros(1, 3, 1, 1), point.condition)
    adapter = build_adapter(point.adapter, codec)
    if adapter is not None and adapter.state_dict():
        source = point.source
        _load_adapter(adapter, source.checkpoint
                      or locate(source.config).checkpoint)
    return LoadedPoint(codec, None if adapter is None else adapter.eval())


def _load_adapter(adapter: nn.Module, checkpoint: str | None) -> None:
    if checkpoint is None:
        raise ValueError('An adapter needs a `checkpoint` with its weights.')
    state = weights_of(read_checkpoint(checkpoint), checkpoint)
    place = find_part(adapter, state)
    if place is None:
        raise ValueError(f'{checkpoint} holds no weights of an adapter '
                         f'like {type(adapter).__name__}.')
    load_part(adapter, state, checkpoint, place, others=not place)


def adapt(loaded: LoadedPoint, x_hat: Tensor, y_hat: Tensor | None,
          condition: Condition) -> Tensor:
    """The image for the machine, in 8 bits.

    Args:
        loaded: With an adapter.
        x_hat: Decoded image (1, 3, H, W), in 8 bits.
        y_hat: Its latent, if the adapter works on that.
        condition: Controls with which it was coded.
    """
    codec, adapter = loaded
    x_bar = run_adapter(adapter, codec, y_hat, x_hat, condition)
    return to_8_bits(crop_to(x_bar, x_hat.shape[-2:]))


def measure(names: tuple[str, ...], x: Tensor,
            x_hat: Tensor) -> tuple[dict[str, float], dict[str, str]]:
    """Quality of one image.

    Args:
        names: Of :data:`~mmhmc.apis.benchmark.plan.IMAGE_METRICS`.
        x: The image, RGB in [0, 1], shape (1, 3, H, W).
        x_hat: What was decoded, same shape.

    Returns:
        By name, without what the image is too small for; and by name why
        a metric cannot be had, e.g. for lack of its weights.
    """
    values, errors = {}, {}
    for name in names:
        try:
            value = _METRICS[name](x, x_hat)
        except ERRORS as error:
            errors[name] = one_line(error)
            continue
        if value == value:
            values[name] = value
    return values, errors


@cache
def _lpips_metric():
    # Its network is built once in each process.
    from mmhmc.evaluation import LPIPSMetric
    return LPIPSMetric()


@cache
def _feature_distance():
    from mmhmc.evaluation import LPIPSMetric
    return LPIPSMetric(loss=dict(type='mmhmc.EfficientNetLoss'))


_METRICS = dict(
    psnr=lambda x, x_hat: PSNRMetric().measure(x, x_hat),
    ms_ssim=lambda x, x_hat: MSSSIMMetric().measure(x[0], x_hat[0]),
    lpips=lambda x, x_hat: _lpips_metric().measure(x[0], x_hat[0]),
    feature_distance=lambda x, x_hat: _feature_distance().measure(
        x[0], x_hat[0]))
