"""Hashes of all that decides a result, so that it is not made again."""
import hashlib
import json
import os
import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mmhmc.codecs import build_codec
from mmhmc.codecs.standard import StandardCodec
from mmhmc.part_weights import pretrained
from mmhmc.refinement import build_refinement
from mmhmc.registry import MODELS
from mmhmc.version import __version__
from mmhmc.whole_files import sha256_of
from mmhmc.zoo import find_compressai, find_model, is_compressai, is_zoo_name
from mmhmc.zoo.index import ZOO
from ..config_files import locate, read_codec, read_config
from .plan import Plan, Point, Task, plain_values

_PACKAGES = ('torch', 'compressai', 'numpy', 'pillow', 'imageio-ffmpeg',
             'mmengine', 'onedl-mmengine', 'mmcv', 'onedl-mmcv', 'mmdet',
             'onedl-mmdetection', 'mmsegmentation', 'onedl-mmsegmentation',
             'mmpretrain', 'onedl-mmpretrain', 'pycocotools')


def fingerprint(value: Any) -> str:
    """16 hexadecimal digits that stand for settings."""
    text = json.dumps(plain_values(value), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def point_settings(point: Point) -> dict:
    """All settings that decide the decoded images of a point, for JSON.

    Raises:
        OSError: If its weights cannot be read.
        RuntimeError: If a program that it needs is missing.
        ValueError: If its config is not right.
    """
    config = read_codec(point.source.config, point.source.cfg_options)
    checkpoint = point.source.checkpoint or locate(
        point.source.config).checkpoint
    init_cfg = config.pop('init_cfg', None)
    if checkpoint is None and pretrained(init_cfg):
        checkpoint = pretrained(init_cfg).get('checkpoint')
    settings = dict(codec=config.to_dict(), adapter=point.adapter)
    kind = config.type
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    if issubclass(kind or object, StandardCodec):
        # Programs and libraries that code, with their versions.
        settings['coder'] = build_codec(config).settings()
    if checkpoint is not None:
        settings['sha256'] = file_hash(checkpoint)
    if point.refinement is not None:
        settings['refinement'] = build_refinement(point.refinement).settings()
    if point.layers is not None:
        settings['layers'] = point.layers
    if point.condition is not None:
        settings['condition'] = vars(point.condition)
    return settings


def task_key(task: Task, plan: Plan) -> str:
    """Fingerprint of a test.

    Raises:
        OSError: If the checkpoint or the config cannot be read.
        ValueError: If the config is not right.
    """
    images = plan.datasets[task.dataset]
    return fingerprint([
        read_config(task.config, task.cfg_options).to_dict(),
        file_hash(task.checkpoint),
        task.host_metrics, plan.protocol, images.root,
        [state_of(str(Path(images.root) / image)) for image in images.files],
        images.annotations and file_hash(images.annotations)
    ])


def state_of(path: str) -> list:
    """Path and hash of a file; its path alone if it cannot be read."""
    try:
        return [path, content_hash(path)]
    except OSError:
        return [path]


def file_hash(path: str) -> str:
    """SHA-256 of a file or a model of a zoo; else the address itself."""
    if is_zoo_name(path):
        return find_model(path.removeprefix(ZOO)).sha256
    if is_compressai(path):
        # Its first digits, and which tables are made of it.
        weights = find_compressai(path)
        return f'{weights.sha256}{" new-tables" * weights.new_tables}'
    if '://' in path:
        return path
    return content_hash(path)


def content_hash(path: str) -> str:
    """SHA-256 of a file, which is read once as long as it stays."""
    state = os.stat(path)
    return _hash_of(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=None)
def _hash_of(path: str, size: int, changed_ns: int) -> str:
    return sha256_of(path)


def versions() -> dict[str, str]:
    """Versions of what may decide a result, as far as it is installed."""
    found = dict(mmhmc=__version__, python=platform.python_version())
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
