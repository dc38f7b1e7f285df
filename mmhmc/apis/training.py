"""Training by a config, in stages where it asks for them."""
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from mmengine.config import Config
from mmengine.dist import barrier
from mmengine.logging import print_log

from mmhmc.checkpoints import use_for_mmengine
from mmhmc.datasets import check_coco, make_sample_instances
from mmhmc.datasets.sample_labels import make_sample_labels
from mmhmc.engine.cpu_ranks import distribute_on_cpu
from mmhmc.former_names import former_arguments
from mmhmc.machine import choose_arithmetic
from mmhmc.registry import type_name, type_scope
from mmhmc.whole_files import read_json, sha256_of, write_whole
from .checkpoint_parts import check_start
from .config_files import locate, merge_options, read_located, shown_name
from .mixing import mix_codec
from .options import set_options, split_options
from .sample_data import use_sample_data

_SPLITS = ('train', 'val', 'test')


class TrainingError(RuntimeError):
    """A run cannot start; the message says why and what to do."""


@former_arguments(path='source', name='source')
def load_config(source: str | Path | dict,
                options: dict | None = None,
                work_dir: str | None = None,
                lmbda: float | None = None,
                codec: str | None = None,
                adapter: str | None = None,
                sample_data: bool = False) -> Config:
    """Read a config as the hosts' tools do, and mix a codec into it.

    Weights that come with a name are ``locate(source).checkpoint``.

    Args:
        source: Name of a model or a config, config file, ``PACKAGE::FILE``,
            ``compressai://NAME``, ``Config`` or dict, see
            :func:`mmhmc.apis.config_files.locate`.
        options: ``--cfg-options``; those that fit the host change it before
            a codec is mixed in, all others the mixed config.
        work_dir: Where results go; ``work_dirs/NAME`` if neither this nor
            the file says so, with the codec's name behind it if one is given
            here, and the rate's own folder below it.
        lmbda: ``lmbda_distortion`` of every ``RateLossHook``.
        codec: A codec for :func:`mix_codec`, as ``source``; without one,
            ``mix_codec`` of the config says what to mix, if anything.
        adapter: Config that defines an ``adapter``.
        sample_data: Load the built-in images, see
            :func:`mmhmc.apis.sample_data.use_sample_data`.

    Returns:
        The config, with ``work_dir`` set.

    Raises:
        FileNotFoundError: If a file is missing.
        ModuleNotFoundError: If a host is not installed.
        TrainingError: If there is a rate, and no codec to have it.
        ValueError: If there is no such name, or an option does not fit.
    """
    found = locate(source)
    cfg = read_located(found)
    if sample_data:
        cfg = use_sample_data(cfg)
    parts = _given_parts(cfg, codec, adapter)
    options = {**found.options, **(options or {})}
    if parts:
        host, options = split_options(cfg, options)
        merge_options(cfg, host)
        # An option may change what the config mixes in.
        cfg = _mixed(cfg, _given_parts(cfg, codec, adapter))
    set_options(cfg, options)
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        names = [found.name]
        if codec is not None:
            names.append(locate(codec).name)
        cfg.work_dir = str(Path('work_dirs') / '_'.join(names))
        if lmbda is not None and _codec_hooks(cfg):
            cfg.work_dir = f'{cfg.work_dir}/lmbda_{lmbda:g}'
    if lmbda is not None and not _codec_hooks(cfg):
        raise TrainingError(
            f'--lmbda was given, but {shown_name(source)} has no '
            'RateLossHook.')
    _set_lmbda(cfg, lmbda)
    return cfg


def _given_parts(cfg: Config, codec: str | None, adapter: str | None) -> dict:
    parts = {}
    if 'mix_codec' in cfg:
        own = {name: cfg.get(name) for name in ('codec', 'adapter')}
        parts = {**own, **cfg.mix_codec}
    given = dict(codec=codec, adapter=adapter)
    return {**parts, **{name: one for name, one in given.items() if one}}


def _mixed(cfg: Config, parts: dict) -> Config:
    cfg.pop('mix_codec', None)
    unknown = set(parts) - {'codec', 'adapter', 'losses'}
    if unknown:
        raise ValueError(f'`mix_codec` has the unknown keys {sorted(unknown)};'
                         " it may have ['codec', 'adapter', 'losses'].")
    if parts.get('codec') is None:
        raise ValueError('There is no codec to mix in: give --codec FILE, or '
                         'a config with `codec` and `mix_codec`.')
    return mix_codec(cfg, **parts)


def prepare_data(cfg: Config, splits: Sequence[str] = _SPLITS) -> None:
    """Make the built-in data set, or see that COCO is there.

    Args:
        cfg: Config; ``sample_data_root`` in it asks for the built-in set,
            ``sample_labels_root`` for labels of it, ``data_help`` says how to
            get another set than COCO 2017.
        splits: Loaders whose files are needed.

    Raises:
        FileNotFoundError: If a COCO-format data set is not complete.
    """
    if 'sample_data_root' in cfg:
        make_sample_instances(cfg.sample_data_root)
        if 'sample_labels_root' in cfg:
            make_sample_labels(cfg.sample_data_root, cfg.sample_labels_root)
        return
    for root, names in _coco_files(cfg, splits).items():
        # Val and test loaders ask for the same files.
        ann_files, prefixes = (list(dict.fromkeys(n)) for n in names)
        help_text = cfg.get('data_help')
        check_coco(root, ann_files, prefixes,
                   **(dict(how_to_get=help_text) if help_text else {}))


def _coco_files(
        cfg: Config,
        splits: Sequence[str]) -> dict[str, tuple[list[str], list[str]]]:
    files = {}
    for split in splits:
        dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset', {})
        while 'dataset' in dataset:
            dataset = dataset['dataset']
        if type_name(dataset) != 'CocoDataset' or \
                type_scope(dataset) not in ('', 'mmdet'):
            continue
        prefix = (dataset.get('data_prefix') or {}).get('img')
        # The host itself tells what another way of naming them lacks.
        if prefix and {'data_root', 'ann_file'} <= set(dataset) and \
                not dataset.get('backend_args'):
            ann_files, prefixes = files.setdefault(dataset['data_root'],
                                                   ([], []))
            ann_files.append(dataset['ann_file'])
            prefixes.append(prefix)
    return files


def run_training(cfg: Config, source: str | Path | dict,
                 **common) -> str | None:
    """Train by a config, after the stages that it needs.

    A config may list ``stages``, each a ``name``, a ``config`` beside it, and
    a ``result``: the key of this config that is set to the stage's last
    checkpoint. A stage whose key already has a value is left out, so a
    trained codec or detector can be given on the command line. With
    ``resume``, finished stages are kept and an unfinished one goes on.

    Args:
        cfg: From :func:`load_config`.
        source: What it was read from.
        **common: ``amp``, ``auto_scale_lr``, ``resume`` (bool or a
            checkpoint), ``launcher``, ``lmbda``: for this run and its stages.

    Returns:
        Path of the last checkpoint; None if the config saves none.

    Raises:
        FileNotFoundError: If data are missing.
        TrainingError: If the options do not fit the config.
    """
    prepare_data(cfg, ('train', 'val'))
    stages = cfg.get('stages') or []
    for number, stage in enumerate(stages, 1):
        if _get(cfg, stage['result']):
            continue
        print_log(f'Stage {stage["name"]} ({number} of {len(stages)} before '
                  f'{shown_name(source)})')
        checkpoint = _run_stage(stage, cfg, source, common)
        if checkpoint is None:
            raise TrainingError(
                f'Stage {stage["name"]} saved no checkpoint for what comes '
                'after it: give its config a CheckpointHook that saves the '
                'last one.')
        cfg.merge_from_dict({stage['result']: checkpoint})
    return _run_once(cfg, **common)


def _run_stage(stage: dict, cfg: Config, source: str | Path | dict,
               common: dict) -> str | None:
    config = locate(source).folder / stage['config']
    stage_cfg = load_config(
        config, work_dir=str(Path(cfg.work_dir) / stage['name']))
    # A stage without a codec has no rate.
    _set_lmbda(stage_cfg, common.get('lmbda'))
    if common.get('resume'):
        common = {**common, 'resume': True}
    return run_training(stage_cfg, config, **common)


def _run_once(cfg: Config,
              amp: bool = False,
              auto_scale_lr: bool = False,
              resume: bool | str | None = None,
              launcher: str = 'none',
              lmbda: float | None = None) -> str | None:
    """One run of mmengine's runner, unless a resumed one has finished."""
    import torch
    from mmengine.runner import Runner
    cfg.launcher = launcher
    if amp:
        _use_amp(cfg, torch.cuda.is_available())
    if auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise TrainingError('--auto-scale-lr needs `auto_scale_lr` with '
                                '`base_batch_size` in the config.')
        cfg.auto_scale_lr.enable = True
    marks = _marks(cfg)
    finished = _finished(cfg.work_dir, marks) if resume is True else None
    if finished:
        print_log(f'{cfg.work_dir} has finished already: {finished}')
        return finished
    if resume:
        # What was given to begin with (a host's checkpoint) is in what is
        # resumed; where there is nothing to resume, it begins the run.
        cfg.resume = isinstance(resume, str) or _has_checkpoint(cfg.work_dir)
        if cfg.resume:
            cfg.load_from = resume if isinstance(resume, str) else None
    before = _last_checkpoint(cfg.work_dir)
    if before is not None and not resume:
        print_log(f'{cfg.work_dir} holds an earlier run, whose checkpoints '
                  'are replaced; --resume would have gone on with it.')
    runner = build_runner(cfg)
    if isinstance(runner, Runner):
        with _telling_what_cannot_be_built():
            # The data, before the model begins to train.
            runner.train_loop
    if cfg.get('load_from') and not cfg.get('resume') and isinstance(
            runner.model, torch.nn.Module):
        check_start(runner.model, cfg.load_from)
    runner.train()
    # Only one process saves, and the others may be here before it has.
    barrier()
    last = _last_checkpoint(cfg.work_dir)
    if last is None or (last == before and not cfg.get('resume')):
        print_log(
            f'The run saved no checkpoint to {cfg.work_dir}.',
            logger='current')
        return None
    if int(os.environ.get('RANK', 0)) == 0:
        write_whole(
            Path(cfg.work_dir) / 'finished.json',
            json.dumps(dict(checkpoint=last[0], **marks)).encode())
    return last[0]


def build_runner(cfg: Config):
    """Runner of a config, also when this process has had others.

    Raises:
        TrainingError: If a part is unknown, or is given what it does not take.
        ValueError: If a part refuses what it is given.
    """
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner
    use_for_mmengine()
    distribute_on_cpu(cfg)
    if isinstance(cfg.get('visualizer'), dict):
        # mmengine hands out visualizers by name, and an old one would go on
        # writing to the folder of an earlier run.
        cfg.visualizer.name = f'visualizer-{uuid4().hex[:8]}'
    with _telling_what_cannot_be_built():
        return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(
            cfg)


@contextmanager
def _telling_what_cannot_be_built() -> Iterator[None]:
    """Turn errors of mmengine about a config into one line."""
    try:
        yield
    except ValueError as error:
        raise ValueError(_in_one_line(error)) from error
    except (LookupError, TypeError, AttributeError, AssertionError,
            ImportError) as error:
        raise TrainingError('The config cannot be built: '
                            f'{_in_one_line(error)}') from error


def _in_one_line(error: BaseException) -> str:
    text = str(error.args[0] if error.args else error)
    return ' '.join(text.split()) or type(error).__name__


def _use_amp(cfg: Config, cuda: bool) -> None:
    if cuda:
        chosen = choose_arithmetic('cuda')
        print_log(f'--amp: {chosen.dtype if chosen.bf16 else "float16"} '
                  f'({chosen.reason})')
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        # bfloat16 has the range of float32: there is nothing to scale.
        cfg.optim_wrapper.loss_scale = dict(
            enabled=False) if chosen.bf16 else 'dynamic'
        cfg.optim_wrapper.dtype = 'bfloat16' if chosen.bf16 else 'float16'
        return
    hooks = cfg.get('custom_hooks') or []
    if not any(type_name(hook) == 'AutocastHook' for hook in hooks):
        cfg.custom_hooks = [*hooks, dict(type='mmhmc.AutocastHook')]


def _codec_hooks(cfg: Config) -> list:
    return [
        hook for hook in cfg.get('custom_hooks') or []
        if isinstance(hook, dict) and type_name(hook) == 'RateLossHook'
    ]


def _set_lmbda(cfg: Config, lmbda: float | None) -> None:
    if lmbda is not None:
        for hook in _codec_hooks(cfg):
            objective = cfg[hook.settings] if 'settings' in hook else hook
            objective.lmbda_distortion = lmbda


def _get(cfg: Config, key: str):
    value = cfg
    for name in key.split('.'):
        value = value.get(name) if value is not None else None
    return value


def _marks(cfg: Config) -> dict[str, str]:
    """Hashes of all that decides the result of a run; its length apart."""
    keys = dict(
        settings=('model', 'train_dataloader', 'optim_wrapper',
                  'custom_hooks'),
        schedule=('train_cfg', 'param_scheduler'))
    marks = {}
    named = [
        hook.settings for hook in cfg.get('custom_hooks') or []
        if 'settings' in hook
    ]
    keys['settings'] += tuple(named)
    for name, parts in keys.items():
        content = json.dumps([cfg.get(key) for key in parts], default=str)
        marks[name] = _mark(content)
    files = sorted(set(named_files([cfg.get('model'), cfg.get('load_from')])))
    marks['weights'] = _mark(
        str([cfg.get('load_from'), *map(sha256_of, files)]))
    return marks


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def named_files(settings) -> Iterator[str]:
    """Files that settings name, which may change under their names."""
    if isinstance(settings, dict):
        settings = list(settings.values())
    if isinstance(settings, (list, tuple)):
        for value in settings:
            yield from named_files(value)
    elif isinstance(settings, str) and os.path.isfile(settings):
        yield settings


def last_checkpoint(cfg: Config) -> str:
    """The last checkpoint that training has left in the work directory.

    Raises:
        FileNotFoundError: If there is none.
    """
    last = _last_checkpoint(cfg.work_dir)
    if last is None:
        raise FileNotFoundError(
            f'There are no weights, and {cfg.work_dir}/last_checkpoint does '
            'not exist: train first, or name a checkpoint.')
    return last[0]


def _has_checkpoint(work_dir: str) -> bool:
    last = _last_checkpoint(work_dir)
    if last is not None and not Path(last[0]).is_file():
        there = sorted(Path(work_dir).glob('*.pth'), key=os.path.getmtime)
        names = ', '.join(map(str, there[:-4:-1])) or 'none'
        raise TrainingError(
            f'{work_dir}/last_checkpoint names {last[0]!r}, which is no file, '
            f'as after a crash. Name the checkpoint, --resume FILE (latest: '
            f'{names}), or remove last_checkpoint to begin anew.')
    return last is not None


def _finished(work_dir: str, marks: dict[str, str]) -> str | None:
    """Checkpoint of a finished run; None if it is to go on for longer."""
    mark = Path(work_dir) / 'finished.json'
    try:
        content = read_json(mark)
        if not os.path.exists(content['checkpoint']):
            return None
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        # A crash has left half of it: the run goes on from its checkpoint.
        return None
    # What earlier versions wrote knows nothing of weights.
    weights = content.get('weights', marks['weights'])
    if (content.get('settings'), weights) != (marks['settings'],
                                              marks['weights']):
        raise TrainingError(
            f'{work_dir} holds a run that finished with other settings or '
            'began with other weights. Give '
            'another --work-dir, or remove that folder, or leave out '
            '--resume to train anew; to go on all the same, name the '
            f'checkpoint: --resume {content["checkpoint"]}')
    if content.get('schedule') != marks['schedule']:
        return None
    return content['checkpoint']


def _last_checkpoint(work_dir: str) -> tuple[str, int] | None:
    note = Path(work_dir) / 'last_checkpoint'
    if not note.is_file():
        return None
    return note.read_text().strip(), note.stat().st_mtime_ns
