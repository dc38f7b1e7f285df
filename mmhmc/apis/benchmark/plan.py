"""Benchmark configs, read and checked before anything runs."""
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from mmengine.config import Config, ConfigDict

from mmhmc.datasets import IMAGE_SUFFIXES, list_files
from mmhmc.evaluation import list_published
from mmhmc.former_names import former_arguments, former_keys
from mmhmc.refinement import build_refinement
from mmhmc.structures import CodingCondition
from mmhmc.whole_files import read_json
from ..codec_loading import CodecSource
from ..config_files import locate, read_config
from ..host_analysis import PROTOCOLS

#: Keys of a point; conditions of the codec first.
_CONDITIONS = tuple(f.name for f in fields(CodingCondition))
_POINT_KEYS = (*_CONDITIONS, 'checkpoint', 'cfg_options', 'datasets', 'layers',
               'refinement')
_CODEC_KEYS = ('codec', 'points', 'adapter', 'without_adapter', 'refinement')
_TASK_KEYS = ('config', 'checkpoint', 'dataset', 'metrics', 'cfg_options')
_DATASET_KEYS = ('root', 'annotations', 'num_images')
_PLAN_KEYS = ('work_dir', 'anchor', 'datasets', 'codecs', 'tasks',
              'image_metrics', 'protocol', 'complexity', 'published')
#: Measures of image quality that a plan may ask for.
#: The last one is of EfficientNet-Lite0, trained on ImageNet.
IMAGE_METRICS = ('psnr', 'ms_ssim', 'lpips', 'feature_distance')
#: PSNR of what a codec in the model decodes, for people.
CODED_PSNR = 'quality/psnr'


@dataclass(frozen=True)
class ImageSet:
    """Images to code.

    Args:
        name: What results call it.
        root: Folder of the images.
        files: Their names, relative to ``root``.
        annotations: COCO JSON that lists them, if one did.
    """

    name: str
    root: str
    files: tuple[str, ...]
    annotations: str | None = None


@dataclass(frozen=True)
class Point:
    """A codec at one rate: a point of a curve.

    Args:
        codec: Row of the tables.
        name: Of the point.
        source: The codec and its weights.
        condition: Run-time controls, None if there are none.
        adapter: Config of what stands between image and machine.
        without_adapter: Row in which the same bits are shown to the machine
            as they are; None for no such row.
        datasets: Names of the image sets that are coded.
        refinement: Arguments of a search for better latents; None for none.
        layers: After how many layers its files are cut; None: they are whole.
    """

    codec: str
    name: str
    source: CodecSource
    condition: CodingCondition | None = None
    adapter: dict | None = None
    without_adapter: str | None = None
    datasets: tuple[str, ...] = ()
    refinement: dict | None = None
    layers: int | None = None

    @property
    def rows(self) -> tuple[str, ...]:
        """Rows of the tables that it fills."""
        if self.without_adapter is None:
            return (self.codec, )
        return self.codec, self.without_adapter


@dataclass(frozen=True)
class Task:
    """A test of a host model on a set of images.

    Args:
        name: What results call it.
        config: Host config, see :func:`mmhmc.apis.read_config`.
        checkpoint: The host's weights.
        dataset: Name of the image set that the host tests on.
        metrics: Names of the metrics that tables show: the host's, and
            ``quality/psnr`` of a codec in the model.
        cfg_options: Settings of the config to override.
    """

    name: str
    config: str
    checkpoint: str
    dataset: str
    metrics: tuple[str, ...]
    cfg_options: dict = field(default_factory=dict)

    @property
    def host_metrics(self) -> tuple[str, ...]:
        """The metrics that the host has without a codec, too."""
        return tuple(name for name in self.metrics if name != CODED_PSNR)


@dataclass(frozen=True)
class Plan:
    """A whole benchmark.

    Args:
        work_dir: Folder of all results.
        anchor: Codec that others are compared with.
        datasets: By name.
        points: All points of all codecs.
        tasks: All tasks.
        image_metrics: Of :data:`IMAGE_METRICS`.
        protocol: One of :data:`PROTOCOLS`.
        complexity: Height and width in pixels for which cost is measured;
            None leaves it out.
        published: Names of published curves to draw beside.
        settings: The config as it was written, for the record.
    """

    work_dir: Path
    anchor: str | None
    datasets: dict[str, ImageSet]
    points: tuple[Point, ...]
    tasks: tuple[Task, ...]
    image_metrics: tuple[str, ...]
    protocol: str
    complexity: tuple[int, int] | None
    published: tuple[str, ...]
    settings: dict

    @property
    def rows(self) -> list[str]:
        """Rows of the tables, in the order of the config."""
        return list(dict.fromkeys(r for p in self.points for r in p.rows))


@former_arguments(cfg='source', path='source')
def read_plan(source: str | Path | dict,
              cfg_options: dict | None = None,
              work_dir: str | None = None) -> Plan:
    """Read and check a benchmark config.

    .. code-block:: python

        work_dir = 'work_dirs/benchmarks/mine'
        anchor = 'HEVC'
        datasets = dict(kodak=dict(root='data/kodak'))
        codecs = dict(
            HEVC=dict(codec=dict(type='mmhmc.HEVCIntra'),
                      points=dict(qp37=dict(quality=37),
                                  qp32=dict(quality=32))),
            ours=dict(codec='configs/hmc/mine.py',
                      points=dict(low=dict(checkpoint='low.pth'))))
        tasks = dict(
            box=dict(config='mmdet::...', checkpoint='...', dataset='coco',
                     metrics=['coco/bbox_mAP']))

    A data set's images are those in the folder ``root``, or those of its
    COCO ``annotations``; ``num_images`` takes the first ones. A codec is a
    config or a file with one. A point has ``quality``, ``task``, ``alpha``,
    ``beta``, ``checkpoint``, ``cfg_options``, ``layers`` after which files
    are cut, and ``datasets`` if it is not for all. A codec's ``adapter``
    shows the machine another image, and ``without_adapter`` names a row for
    the same bits without it. The ``refinement`` of a codec or a point has the
    arguments of a
    :class:`~mmhmc.refinement.LatentRefinement`, by which images are coded.

    Args:
        source: Config as above, see :func:`mmhmc.apis.config_files.locate`;
            with ``image_metrics`` (default psnr and ms_ssim),
            ``protocol`` (default before the pipeline), ``complexity``
            (height and width of an image, if cost is to be measured), and
            ``published`` (names of published curves to draw beside).
        cfg_options: Settings to override, by dotted name.
        work_dir: Other folder of the results.

    Returns:
        The benchmark, with its images listed.

    Raises:
        FileNotFoundError: If there is no such file, no image, or no
            annotation.
        ValueError: If something is missing, unknown or does not fit.
    """
    cfg = read_config(source, cfg_options)
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif isinstance(source, (str, Path)) and 'work_dir' not in cfg:
        cfg.work_dir = f'work_dirs/benchmarks/{locate(source).name}'
    # What a config imports, or names with a `_`, is a matter of its own.
    given = former_keys(
        {
            key: value
            for key, value in cfg.items()
            if not (key.startswith('_') or isinstance(value, ModuleType))
        },
        picture_metrics='image_metrics')
    _check_keys('The config', given, _PLAN_KEYS,
                ('work_dir', 'datasets', 'codecs'))
    for name in ('datasets', 'codecs', 'tasks'):
        _check_mapping(f'`{name}`',
                       cfg.get(name) or {} if name == 'tasks' else cfg[name])
    datasets = {
        _checked_name(name): _read_images(name, entry)
        for name, entry in cfg.datasets.items()
    }
    points = tuple(point for name, entry in cfg.codecs.items()
                   for point in _read_points(name, entry, datasets))
    tasks = tuple(
        _read_task(name, entry, datasets)
        for name, entry in (cfg.get('tasks') or {}).items())
    _check_rows(points)
    rows = {row for point in points for row in point.rows}
    anchor = cfg.get('anchor')
    if anchor is not None and anchor not in rows:
        raise ValueError(f'`anchor` is {anchor!r}, which is none of the '
                         f'codecs {sorted(rows)}.')
    size = cfg.get('complexity')
    if size is not None and (not isinstance(size,
                                            (list, tuple)) or len(size) != 2):
        raise ValueError('`complexity` must be height and width in pixels, '
                         f'got {size!r}.')
    metrics = given.get('image_metrics', ('psnr', 'ms_ssim'))
    protocol = cfg.get('protocol', PROTOCOLS[0])
    return Plan(
        work_dir=Path(cfg.work_dir),
        anchor=anchor,
        datasets=datasets,
        points=points,
        tasks=tasks,
        image_metrics=_one_of('`image_metrics`', metrics, IMAGE_METRICS),
        protocol=_one_of('`protocol`', [protocol], PROTOCOLS)[0],
        complexity=None if size is None else tuple(size),
        published=_one_of('`published`', cfg.get('published', ()),
                          tuple(entry['name'] for entry in list_published())),
        settings={
            key: plain_values(cfg[key])
            for key in _PLAN_KEYS if key in cfg
        })


def _read_images(name: str, entry: Mapping) -> ImageSet:
    entry = former_keys(entry, num_pictures='num_images')
    _check_keys(f'The data set {name!r}', entry, _DATASET_KEYS, ('root', ))
    root = Path(entry['root'])
    annotations = entry.get('annotations')
    if annotations is not None:
        files = _files_of_coco(Path(annotations))
    elif root.is_dir():
        files = [
            path.relative_to(root).as_posix()
            for path in list_files(root, IMAGE_SUFFIXES)
        ]
    else:
        files = []
    if not files:
        raise FileNotFoundError(
            f'The data set {name!r} has no images; looked in '
            f'{annotations or root}.')
    count = entry.get('num_images', len(files))
    if not isinstance(count, int) or count < 1:
        raise ValueError(f'`num_images` of {name!r} must be a positive '
                         f'integer, got {count!r}.')
    return ImageSet(name, str(root), tuple(files[:count]), annotations)


def _files_of_coco(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f'There are no annotations {path}.')
    try:
        images = read_json(path)['images']
        files = [image['file_name'] for image in images]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is no COCO annotation file with `images`, '
                         f'each with a `file_name`: {error!r}.') from error
    for name in files:
        # Decoded images get these names, and must not land elsewhere.
        if not isinstance(name, str) or '\\' in name or Path(
                name).is_absolute() or '..' in Path(name).parts:
            raise ValueError(f'{path} names the image {name!r}; expected a '
                             'path below the folder of the data set.')
    if len(set(files)) < len(files):
        raise ValueError(f'{path} names an image twice.')
    return files


def _read_points(name: str, entry: Mapping,
                 datasets: Mapping) -> Iterator[Point]:
    _check_keys(f'The codec {name!r}', entry, _CODEC_KEYS, ('codec', 'points'))
    bypass = entry.get('without_adapter')
    if bypass is not None and entry.get('adapter') is None:
        raise ValueError(f'The codec {name!r} has `without_adapter` and no '
                         '`adapter`.')
    for row in (name, bypass or name):
        _checked_name(row)
    codec = entry['codec']
    config = codec if isinstance(codec, str) else dict(
        codec=plain_values(codec))
    for label, point in entry['points'].items():
        what = f'The point {label!r} of {name!r}'
        _check_keys(what, point, _POINT_KEYS)
        wanted = tuple(point.get('datasets', datasets))
        _one_of(f'{what}: `datasets`', wanted, tuple(datasets))
        condition = {k: point[k] for k in _CONDITIONS if k in point}
        try:
            condition = CodingCondition(**condition) if condition else None
        except TypeError as error:
            raise ValueError(f'{what}: {error}') from error
        refinement = plain_values(
            point.get('refinement', entry.get('refinement')))
        if refinement is not None:
            # Says before the first image what it refuses.
            _check_mapping(f'{what}: `refinement`', refinement)
            build_refinement(refinement)
        yield Point(
            name, _checked_name(label),
            CodecSource(config, point.get('checkpoint'),
                        plain_values(point.get('cfg_options'))), condition,
            plain_values(entry.get('adapter')), bypass, wanted, refinement,
            _checked_layers(what, point.get('layers')))


def _checked_layers(what: str, layers: Any) -> int | None:
    if layers is not None and not (isinstance(layers, int) and layers > 0):
        raise ValueError(f'{what}: `layers` must be a positive integer, got '
                         f'{layers!r}.')
    return layers


def _check_rows(points: Sequence[Point]) -> None:
    """Every row of the tables is of one codec; folders may ignore case."""
    owners = {}
    for point in points:
        for row in point.rows:
            if owners.setdefault(row.lower(), point.codec) != point.codec:
                raise ValueError(f'Two codecs fill the row {row!r}; give one '
                                 'of them another name.')


def _read_task(name: str, entry: Mapping, datasets: Mapping) -> Task:
    _check_keys(f'The task {name!r}', entry, _TASK_KEYS,
                ('config', 'checkpoint', 'dataset', 'metrics'))
    _one_of(f'The task {name!r}: `dataset`', [entry['dataset']],
            tuple(datasets))
    return Task(
        _checked_name(name), entry['config'], entry['checkpoint'],
        entry['dataset'], tuple(entry['metrics']),
        plain_values(entry.get('cfg_options') or {}))


def _check_keys(what: str, entry: Any, known: tuple, needed: tuple = ()):
    _check_mapping(what, entry)
    unknown = set(entry) - set(known)
    missing = set(needed) - set(entry)
    if unknown or missing:
        raise ValueError(
            f'{what} lacks {sorted(missing)} and has the unknown keys '
            f'{sorted(unknown)}; it may have {list(known)}.')


def _check_mapping(what: str, entry: Any) -> None:
    if not isinstance(entry, Mapping):
        raise ValueError(f'{what} must be a dict, got {entry!r}.')


def _one_of(what: str, values, known: tuple) -> tuple:
    unknown = [value for value in values if value not in known]
    if unknown:
        raise ValueError(f'{what} has {unknown}; expected some of '
                         f'{list(known)}.')
    return tuple(values)


def _checked_name(name: str) -> str:
    """Names are folders, too."""
    if not isinstance(name, str) or not re.fullmatch(
            r'\w([\w .+,()=-]*[\w+)=-])?', name):
        raise ValueError(f'{name!r} is no name for results: use a text of '
                         'letters, digits, spaces and .+,()=- that does not '
                         'end in a point or a space.')
    return name


def plain_values(value: Any) -> Any:
    """Dicts, lists and plain values, as other processes and JSON take them."""
    if isinstance(value, (ConfigDict, Config)):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_values(item) for item in value]
    return value
