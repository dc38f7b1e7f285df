"""The second stage of a benchmark: tests of hosts on decoded images."""
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmhmc.datasets import path_below
from mmhmc.datasets.image_files import is_marked_as_turned
from mmhmc.engine.parts import find_codec_wrappers
from mmhmc.evaluation import CocoScore, MeanIoUScore
from mmhmc.evaluation.metric_direction import lower_of
from mmhmc.registry import type_name
from mmhmc.whole_files import write_whole
from ..config_files import read_codec, read_config
from ..mixing import metrics_of, mix_codec
from ..sample_data import innermost_datasets
from ..training import build_runner
from .images import load_point
from .plan import ImageSet, Plan, Point, Task
from .records import ERRORS, LOST, failure

#: Metric of the rate of a codec in the model.
_BPP = 'rate/bpp'


@dataclass(frozen=True)
class TaskRun:
    """One test of a host.

    Args:
        task: What is tested.
        row: Row of the tables; None for uncompressed images.
        point: Which codec at which rate; None for uncompressed images.
        key: Fingerprint of all that decides the result.
    """

    task: Task
    row: str | None
    point: Point | None
    key: str

    @property
    def origin(self) -> dict:
        """Keys of its record."""
        return dict(
            codec=self.row,
            point=None if self.point is None else self.point.name,
            dataset=self.task.dataset,
            task=self.task.name)

    def lost(self) -> list[dict]:
        """Records of a test that ended its process."""
        return [failure('task', LOST, **self.origin)]

    @property
    def label(self) -> str:
        """Name of its files."""
        if self.row is None:
            return f'uncompressed/{self.task.name}'
        return f'{self.row}/{self.point.name}/{self.task.name}'


class HostTester:
    """Tests one host after another.

    Args:
        plan: The benchmark.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __call__(self, run: TaskRun) -> list[dict]:
        """Test a host on the images of a point.

        Returns:
            One record: ``task``, or ``failure``.
        """
        try:
            found = self._test(run)
        except ERRORS as error:
            return [failure('task', error, **run.origin)]
        return [dict(run.origin, kind='task', key=run.key, **found)]

    def _test(self, run: TaskRun) -> dict:
        cfg = read_config(run.task.config, run.task.cfg_options)
        folder = self._plan.work_dir / 'tasks' / run.label
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        in_model = run.row is not None and \
            self._plan.protocol == 'in the model'
        if in_model:
            cfg = _with_codec(cfg, run)
        elif run.row is not None:
            _read_decoded(cfg, self._plan, run)
        _prepare(cfg, run.task, folder)
        runner = build_runner(cfg)
        if in_model:
            _load_codec(runner.model, run.point)
        images = self._plan.datasets[run.task.dataset]
        names = _image_names(runner.test_dataloader.dataset, images)
        scores, meter = ImageScores(), FirstBatchMeter()
        runner.register_hook(scores, 'LOWEST')
        if run.row is None:
            runner.register_hook(meter, 'LOWEST')
        metrics = _numbers(runner.test())
        lower = lower_of(runner.test_evaluator.metrics, metrics)
        content = dict(scores.collected(folder), images=names)
        metrics.update(_unrounded(metrics, content, folder, cfg))
        nothing = _without_detections(content, folder)
        for name in run.task.metrics:
            if name not in metrics and name.startswith(nothing):
                metrics[name] = 0.
        # Images that nobody has coded have no quality.
        wanted = run.task.host_metrics if run.row is None else \
            run.task.metrics
        _check_metrics(run.task, wanted, metrics)
        path = folder / 'images.json'
        write_whole(path, json.dumps(content).encode())
        record = dict(
            metrics=metrics,
            lower_is_better=lower,
            predictions=path.relative_to(self._plan.work_dir).as_posix(),
            num_images=len(names))
        if nothing:
            record['note'] = 'The host found nothing in any image.'
            print_log(f'{run.label}: {record["note"]}', logger='current')
        if _BPP in metrics:
            record['bpp'] = metrics[_BPP]
        if meter.macs is not None:
            record['kmac'] = meter.macs / 1000 / meter.pixels
        return record


def _numbers(metrics: dict) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, (int, float, np.number))
    }


def _unrounded(metrics: dict, content: dict, folder: Path,
               cfg: Config) -> dict[str, float]:
    """Metrics that a host rounds, computed from its results of each image."""
    exact = {}
    for kind, name in content['detections'].items():
        truth = [
            metric.ann_file for metric in metrics_of(cfg.test_evaluator)
            if metric.get('ann_file')
        ]
        found = json.loads((folder / name).read_text())
        if truth and (f'coco/{kind}_mAP' in metrics or not found):
            try:
                score = CocoScore(truth[0], found, kind, content['images'])
            except ValueError:
                # The annotations name images otherwise than the folder.
                continue
            exact[f'coco/{kind}_mAP'] = score.score(
                np.arange(len(score.images)))
    if 'mIoU' in metrics and content.get('IoUMetric'):
        areas = np.array(content['IoUMetric'])
        exact['mIoU'] = MeanIoUScore(areas[:, 0],
                                     areas[:, 1]).score(np.arange(len(areas)))
    return exact


def _without_detections(content: dict, folder: Path) -> tuple[str, ...]:
    """Names of metrics without a result.

    COCO's metric has none where there is no detection in any image.
    """
    return tuple(f'coco/{kind}_mAP'
                 for kind, name in content['detections'].items()
                 if not json.loads((folder / name).read_text()))


def _image_names(dataset, images: ImageSet) -> list[str]:
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    names = [path_below(path, images.root) or path for path in paths]
    apart = sorted(set(names) ^ set(images.files))
    if apart:
        raise ValueError(
            f"The host's config tests {len(set(names))} images, the data "
            f'set {images.name!r} has {len(images.files)}; {len(apart)} '
            f'are in one of them only, first {apart[0]}. Rate and accuracy '
            'would be of different images: give both the same annotations.')
    return names


def _read_decoded(cfg: Config, plan: Plan, run: TaskRun) -> None:
    decoded = plan.work_dir / 'decoded' / run.row / run.point.name / \
        run.task.dataset
    step = dict(
        type='mmhmc.UseDecodedImage',
        root=plan.datasets[run.task.dataset].root,
        decoded=str(decoded))
    for dataset in innermost_datasets(cfg.test_dataloader):
        if 'pipeline' not in dataset:
            raise ValueError(f'{run.task.config} has a data set without '
                             '`pipeline` in its `test_dataloader`.')
        _check_reader(dataset.pipeline, plan.datasets[run.task.dataset])
        dataset.pipeline = [step, *dataset.pipeline]


def _check_reader(pipeline: list[dict], images: ImageSet) -> None:
    """See that the host would turn the originals as they were turned."""
    usual = dict(imdecode_backend='cv2', color_type='color')
    given = {
        key: step[key]
        for step in pipeline if type_name(step).startswith('LoadImage')
        for key, value in usual.items() if step.get(key, value) != value
    }
    if not given:
        return
    marked = (
        name for name in images.files
        if is_marked_as_turned(Path(images.root) / name))
    first = next(marked, None)
    if first is not None:
        raise ValueError(
            f'{first} is marked as turned, and the host reads images with '
            f'{given}, which may turn it otherwise than it was coded. Turn '
            'its pixels upright and remove the mark.')


def _with_codec(cfg: Config, run: TaskRun) -> Config:
    point = run.point
    codec = read_codec(point.source.config, point.source.cfg_options)
    codec.pop('init_cfg', None)
    adapter = point.adapter if run.row == point.codec else None
    cfg = mix_codec(cfg, codec, adapter)
    test_cfg = dict(refinement=point.refinement, layers=point.layers)
    test_cfg = {k: v for k, v in test_cfg.items() if v is not None}
    if test_cfg:
        for wrapper in _wrappers(cfg.model):
            wrapper.test_cfg = test_cfg
    if point.condition is not None:
        for wrapper in _wrappers(cfg.model):
            wrapper.condition = {
                name: value
                for name, value in vars(point.condition).items()
                if value is not None
            }
    return cfg


def _wrappers(model: dict) -> Iterator[dict]:
    if type_name(model) == 'CodecBackbone':
        yield model
    for part in model.values():
        if isinstance(part, dict):
            yield from _wrappers(part)


def _load_codec(model: nn.Module, point: Point) -> None:
    """Give a mixed model the weights of a point.

    A host's checkpoint, which is loaded later, has none of them.
    """
    codec, adapter = load_point(point)
    model = model.module if is_model_wrapper(model) else model
    for coder in find_codec_wrappers(model):
        coder.codec.load_state_dict(codec.state_dict())
        if coder.adapter is not None:
            coder.adapter.load_state_dict(adapter.state_dict())


def _prepare(cfg: Config, task: Task, folder: Path) -> None:
    """Test quietly, in this process, and keep predictions."""
    cfg.work_dir = str(folder)
    cfg.load_from = task.checkpoint
    cfg.resume = False
    cfg.launcher = 'none'
    cfg.log_level = 'ERROR'
    cfg.pop('visualizer', None)
    hooks = dict(cfg.get('default_hooks') or {})
    hooks.pop('visualization', None)
    cfg.default_hooks = hooks
    cfg.test_dataloader.num_workers = 0
    cfg.test_dataloader.persistent_workers = False
    for metric in metrics_of(cfg.test_evaluator):
        if type_name(metric).endswith('CocoMetric'):
            metric.outfile_prefix = str(folder / 'coco')


def _check_metrics(task: Task, wanted: tuple[str, ...], metrics: dict) -> None:
    missing = [name for name in wanted if name not in metrics]
    if missing:
        raise ValueError(f'{task.config} gives no metrics {missing}; it gives '
                         f'{sorted(metrics)}. Correct `metrics` of the task.')
    for name in wanted:
        # What pycocotools says where there is nothing to find; others, such
        # as the kernel distance, may be below 0.
        if metrics[name] == -1 or math.isnan(metrics[name]):
            raise ValueError(f'{task.config}: {name} is {metrics[name]}, as '
                             'it is where annotations hold no objects. '
                             'Give a data set with annotations.')


class FirstBatchMeter(Hook):
    """Counts the operations of a host on its first batch of images.

    After the run ``macs`` has multiply-accumulates of convolutions, matrix
    products and attention as torch's counter sees them, and ``pixels`` those
    of the images' files.
    """

    def __init__(self) -> None:
        self.macs: float | None = None
        self.pixels = 0
        self._counter: FlopCounterMode | None = None

    def before_test_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Begin with the first batch."""
        if batch_idx == 0:
            self._counter = FlopCounterMode(display=False)
            self._counter.__enter__()

    def after_test_iter(self, runner, batch_idx, outputs, **_) -> None:
        """End with it."""
        if batch_idx == 0:
            self._counter.__exit__(None, None, None)
            self.macs = self._counter.get_total_flops() / 2
            self.pixels = sum(
                math.prod(sample.ori_shape[:2]) for sample in outputs)


class ImageScores(Hook):
    """Keeps the result of a metric on each image, for intervals.

    - COCO: files of detections;
    - segmentation: areas of intersection and union of each class;
    - classification: whether the best class is right;
    - the rate of a codec in the model, in bpp of the original image, and the
      PSNR of what it decodes.
    """

    def __init__(self) -> None:
        self._rows: dict[str, list] = {}

    def after_test_iter(self, runner, *_, **__) -> None:
        """Take what a metric has added."""
        for metric in runner.test_evaluator.metrics:
            read = _READERS.get(type(metric).__name__)
            if read is not None:
                rows = self._rows.setdefault(type(metric).__name__, [])
                rows.extend(map(read, metric.results[len(rows):]))

    def collected(self, folder: Path) -> dict:
        """All scores, as JSON takes them."""
        return dict(
            self._rows,
            detections={
                path.suffixes[-2][1:]: path.name
                for path in sorted(folder.glob('coco.*.json'))
            })


def _areas(result: tuple) -> list[list[int]]:
    """Of mmseg's IoUMetric: intersection, union, predicted, labelled."""
    return [[int(round(float(v))) for v in area] for area in result]


def _is_right(result: dict) -> int:
    """Of mmpretrain's Accuracy."""
    if 'pred_score' in result:
        best = int(result['pred_score'].argmax())
    else:
        best = int(result['pred_label'])
    return int(best == int(result['gt_label']))


def _bpp(result: list[dict]) -> float | None:
    """Of our BitrateMetric, mean over the frames of a sample.

    None where nothing was really coded.
    """
    if not result or any(frame['num_bytes'] is None for frame in result):
        return None
    return sum(8 * frame['num_bytes'] / math.prod(frame['original_size'])
               for frame in result) / len(result)


def _psnr(result: list[float]) -> float:
    """Of our PSNRMetric, mean over the frames of a sample."""
    return sum(result) / len(result)


_READERS = dict(
    IoUMetric=_areas, Accuracy=_is_right, BitrateMetric=_bpp, PSNRMetric=_psnr)
