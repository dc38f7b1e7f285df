"""Any host's config, with a codec in front of its backbone."""
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Union

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from mmhmc.registry import type_name, type_scope
from .config_files import find_codec, locate, read_config

#: Names that hosts have for the module that sees the image.
_BACKBONES = ('backbone', 'image_encoder', 'vision_backbone', 'vision_encoder',
              'visual_encoder')
_HOSTS = ('mmdet', 'mmpretrain', 'mmseg')
#: Wrappers that hold a codec.
WRAPPERS = ('CodecBackbone', 'LatentBackbone', 'CodecModel')
CODEC_HOOKS = ('RateLossHook', 'EntropyTableHook', 'FiniteLossHook',
               'RandomStateHook')
_LOSSES = ('lmbda_rate', 'lmbda_distortion', 'lmbda_task')
#: These supply arrays that are RGB already, and load no file.
_RGB_DATASETS = ('CIFAR10', 'CIFAR100')
_METRICS = ('BitrateMetric', 'PSNRMetric', 'MSSSIMMetric')
_CODEC_LR = 1e-4

#: A config, see :func:`mmhmc.apis.config_files.locate`.
Part = Union[dict, str, Path]


def mix_codec(cfg: Config,
              codec: Part,
              adapter: Part | None = None,
              losses: dict | None = None) -> Config:
    """Put a codec into a host's config; all else stays as it is.

    - The backbone is wrapped in ``mmhmc.CodecBackbone``, wherever the model
      has it (``model.backbone``, ``model.detector.backbone``,
      ``model.image_encoder`` ...), with the normalisation and the channel
      order of the host's data preprocessor, wherever the config has that.
    - ``RateLossHook``, ``EntropyTableHook``, ``FiniteLossHook`` and
      ``RandomStateHook`` go before the host's ``custom_hooks``; the first
      takes its arguments from ``objective``.
    - ``BitrateMetric``, ``PSNRMetric`` and ``MSSSIMMetric`` go behind the
      host's metrics, for validation and test if there are any.
    - The host's optimizer settings hold for the host's parameters, under the
      names that they had. Codec and adapter get a learning rate of 1e-4 and
      no weight decay: ``optim_wrapper.paramwise_cfg.codec`` and ``.adapter``.

    A config says the same in three lines, of which ``tools/train.py``,
    ``tools/test.py`` and :func:`mmhmc.apis.training.load_config` take notice:

    .. code-block:: python

        _base_ = ['mmdet::retinanet/retinanet_r18_fpn_1x_coco.py',
                  '../_base_/codecs/scale-hyperprior.py']
        mix_codec = dict(losses=dict(lmbda_distortion=0.0067))

    There ``codec`` and ``adapter`` default to the variables of these names.
    For the host's own tools, give them the result: ``dump`` it, or take the
    one that training leaves in its work directory.

    Args:
        cfg: A host's config, see :func:`read_config`; it is not changed.
        codec: Settings of a codec, or what stands for a config with one: the
            name of a model (its weights come along), ``compressai://NAME``,
            a file, see :func:`mmhmc.apis.config_files.locate`.
        adapter: Settings of an adapter, or a config that defines
            ``adapter``.
        losses: ``lmbda_rate``, ``lmbda_distortion``, ``lmbda_task`` of
            ``RateLossHook``.

    Returns:
        A new config, which can be dumped and read again.

    Raises:
        FileNotFoundError: If a file does not exist.
        TypeError: If ``cfg`` is no Config.
        ValueError: If there is no backbone, it is wrapped already, no codec
            is defined, or the normalisation cannot be told.
    """
    if not isinstance(cfg, Config):
        raise TypeError('`cfg` must be a Config of mmengine, got '
                        f'{type(cfg).__name__}. Read it by `read_config`.')
    unknown = set(losses or {}) - set(_LOSSES)
    if unknown:
        raise ValueError(f'`losses` has the unknown keys {sorted(unknown)}; '
                         f'it may have {list(_LOSSES)}.')
    wrapper = dict(type='mmhmc.CodecBackbone', codec=_part(codec, 'codec'))
    if adapter is not None:
        wrapper['adapter'] = _part(adapter, 'adapter')
    # Config.copy() shares what is nested.
    cfg = deepcopy(cfg)
    _keep_imports(cfg, codec, adapter)
    holder, key = backbone_place(cfg)
    wrapper['input_norm'] = _input_norm(cfg)
    holder[key] = ConfigDict(wrapper, backbone=holder[key])
    hooks = [dict(type=f'mmhmc.{name}') for name in CODEC_HOOKS]
    hooks[0]['settings'] = 'objective'
    cfg.objective = ConfigDict(losses or {})
    cfg.custom_hooks = [*hooks, *(cfg.get('custom_hooks') or [])]
    for name in ('val_evaluator', 'test_evaluator'):
        if cfg.get(name) is not None:
            cfg[name] = _with_metrics(cfg[name], name)
    if isinstance(cfg.get('optim_wrapper'), dict):
        _keep_host_settings(cfg.optim_wrapper, adapter is not None)
    return cfg


def _part(part: Part, name: str) -> dict:
    where = f'`{name}`'
    if isinstance(part, (str, Path)):
        where = str(part)
        part = _read_part(part, name)
    if not isinstance(part, dict) or 'type' not in part:
        raise ValueError(
            f'{where} defines no {name}: expected `{name} = '
            "dict(type='mmhmc....', ...)`, as in configs/_base_/, got "
            f'{part!r}.')
    return deepcopy(part)


def _read_part(source: str | Path, name: str) -> dict | None:
    """A part of a config; a codec of the zoo takes its weights along."""
    cfg, found = read_config(source), locate(source)
    if name != 'codec':
        return cfg.get(name)
    codec = find_codec(cfg)
    if codec is not None and found.checkpoint and not any(
            key.endswith('codec.init_cfg.checkpoint')
            for key in found.options):
        codec.init_cfg = dict(type='Pretrained', checkpoint=found.checkpoint)
    return codec


def _keep_imports(cfg: Config, *parts: Part | None) -> None:
    """Add the imports of the files of parts to a mixed config."""
    for part in parts:
        if not isinstance(part, (str, Path)):
            continue
        wanted = read_config(part).get('custom_imports')
        if wanted is None:
            continue
        own = cfg.get('custom_imports') or dict(imports=[])
        names = [
            name for given in (own, wanted)
            for name in ([given['imports']] if isinstance(
                given['imports'], str) else given['imports'])
        ]
        cfg.custom_imports = dict(own, imports=list(dict.fromkeys(names)))


# The backbone.


def backbone_place(cfg: Config) -> tuple:
    """The dictionary that holds a host's backbone, and its key there.

    Args:
        cfg: The host's config.

    Raises:
        ValueError: If there is none, or it is wrapped.
    """
    model = cfg.get('model')
    found = None
    if isinstance(model, dict):
        _refuse_wrapped(model)
        found = _find_backbone(model)
    if found is None:
        has = list(model) if isinstance(model, dict) else None
        raise ValueError(
            'This config has no backbone to put a codec in front of: looked '
            f'for {list(_BACKBONES)} in `model` and below it; `model` has '
            f'{has}.')
    return found


def _find_backbone(model: dict) -> tuple | None:
    """The dictionary or list that holds the uppermost backbone, and its key.
    """
    level = [model]
    while level:
        for part in level:
            for name in _BACKBONES:
                backbone, holder, key = part.get(name), part, name
                if isinstance(backbone, (list, tuple)) and backbone:
                    # mmpretrain's retriever has backbone and neck in a list.
                    if isinstance(backbone, tuple):
                        part[name] = list(backbone)
                    holder, key = part[name], 0
                    backbone = holder[key]
                if not isinstance(backbone, dict) or 'type' not in backbone:
                    continue
                _refuse_wrapped(backbone)
                # Else it is a model, with a backbone of its own.
                if not any(n in backbone for n in _BACKBONES):
                    return holder, key
        # A distilled model's teacher sees the uncompressed image.
        level = [
            value for part in level for key, value in part.items()
            if isinstance(value, dict) and not key.startswith('teacher')
        ]
    return None


def _refuse_wrapped(part: dict) -> None:
    if type_name(part) in WRAPPERS:
        raise ValueError(
            f'There is a codec in this config already: {part["type"]}. Mix '
            'the codec into the bare host config, or change this one: '
            '--cfg-options model.backbone.codec.type=...')


def host_of(cfg: Config) -> str | None:
    """Package of the host that a config is for; None if it does not say.

    Lazy configs have no ``default_scope``, their types say where they are
    from.
    """
    model = cfg.get('model')
    while isinstance(model, dict) and isinstance(model.get('module'), dict):
        model = model['module']
    scope = type_scope(model or {})
    return cfg.get('default_scope') or (scope if scope in _HOSTS else None)


def metrics_of(evaluator: dict | list | None) -> list[dict]:
    """Configs of all metrics of an evaluator."""
    if isinstance(evaluator, dict):
        if 'metrics' not in evaluator:
            return [evaluator]
        evaluator = evaluator['metrics']
        if isinstance(evaluator, dict):
            return [evaluator]
    return list(evaluator or ())


def _scope(cfg: Config, part: dict) -> str | None:
    """Host that a part of a config belongs to."""
    return type_scope(part) or part.get('_scope_') or cfg.get('default_scope')


# Normalisation of its input.


def _input_norm(cfg: Config) -> dict:
    """Mean, standard deviation and channel order of what the host sees."""
    settings = _preprocessor(cfg)
    to_rgb = settings.get('bgr_to_rgb') or settings.get('to_rgb')
    if settings.get('mean') is None:
        in_pipeline = [
            t for dataset in _datasets(cfg)
            for t in dataset.get('pipeline') or []
            if isinstance(t, dict) and type_name(t) == 'Normalize'
        ]
        if in_pipeline:
            settings = in_pipeline[0]
            to_rgb = to_rgb or settings.get('to_rgb', True)
    mean, std = settings.get('mean'), settings.get('std')
    if (mean is None) != (std is None):
        raise ValueError(
            'The data preprocessor needs both `mean` and `std`, or none of '
            f'them if the host does not normalise; got mean={mean} and '
            f'std={std}.')
    if mean is None:
        mean, std = [0.], [1.]
    if len(mean) not in (1, 3) or len(std) not in (1, 3):
        raise ValueError(
            'The data preprocessor must have one or three values of `mean` '
            f'and `std`, as images have channels; got mean={list(mean)} '
            f'and std={list(std)}.')
    names = {type_name(d) for d in _datasets(cfg)}
    rgb = to_rgb or names & set(_RGB_DATASETS)
    return dict(
        mean=[float(m) for m in mean] * (3 // len(mean)),
        std=[float(s) for s in std] * (3 // len(std)),
        channel_order='rgb' if rgb else 'bgr')


def _preprocessor(cfg: Config) -> dict:
    model = cfg.get('model')
    model = model if isinstance(model, dict) else {}
    found = model.get('data_preprocessor') or cfg.get('data_preprocessor')
    if found is None and _scope(cfg, model) == 'mmpretrain':
        # Its classifiers have one by default, which changes nothing.
        return {}
    # That of several branches holds the one that normalises.
    while isinstance(found, dict) and 'data_preprocessor' in found:
        found = found['data_preprocessor']
    if not isinstance(found, dict) or \
            type_name(found) == 'BaseDataPreprocessor':
        raise ValueError(
            'This config has no data preprocessor with `mean` and `std`, so '
            'it is not known what an image is: looked for an image\'s data '
            'preprocessor at `model.data_preprocessor` and '
            f'`data_preprocessor`, got {found!r}.')
    return found


def _datasets(cfg: Config) -> Iterator[dict]:
    """All datasets of a config, wrapped ones too."""
    loaders = (
        cfg.get(f'{split}_dataloader') for split in ('train', 'val', 'test'))
    waiting = list(loaders)
    while waiting:
        one = waiting.pop()
        if isinstance(one, (list, tuple)):
            waiting.extend(one)
        elif isinstance(one, dict):
            yield one
            waiting.extend([one.get('dataset'), one.get('datasets')])


# Metrics and the optimizer.


def _with_metrics(evaluator: dict | list, name: str):
    ours = [dict(type=f'mmhmc.{metric}') for metric in _METRICS]
    if isinstance(evaluator, (list, tuple)):
        return [*evaluator, *ours]
    if 'metrics' not in evaluator:
        return [evaluator, *ours]
    if type_name(evaluator) in ('', 'Evaluator'):
        evaluator['metrics'] = _with_metrics(evaluator['metrics'], name)
    else:
        print_log(
            f'`{name}` is a {type_name(evaluator)}, which has one metric '
            'for each data set; rate and image quality are not measured.',
            logger='current')
    return evaluator


def _keep_host_settings(optim_wrapper: dict, has_adapter: bool) -> None:
    """Let the host's constructor see the host as it was."""
    paramwise = ConfigDict(optim_wrapper.get('paramwise_cfg') or {})
    constructor = optim_wrapper.get('constructor')
    if constructor is not None:
        paramwise['constructor'] = constructor
    paramwise['codec'] = dict(lr=_CODEC_LR)
    if has_adapter:
        paramwise['adapter'] = dict(lr=_CODEC_LR)
    optim_wrapper['constructor'] = 'mmhmc.CodecOptimWrapperConstructor'
    optim_wrapper['paramwise_cfg'] = paramwise
