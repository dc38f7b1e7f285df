"""A trained model, with a codec in it, from a config and a checkpoint.

Nothing that is in a checkpoint is run: the config comes from the zoo or from
the user, and weights are read as data.
"""
import copy
import warnings
from pathlib import Path
from typing import Union

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS, DefaultScope
from torch import nn

from mmhmc.checkpoints import read_checkpoint, use_for_mmengine
from mmhmc.engine.parts import adapter_changes_nothing, find_codec_wrapper
from mmhmc.models import CodecModel, ImageCoding
from mmhmc.part_weights import weights_of
from .checkpoint_parts import (complete_codecs, complete_host, is_of_host,
                               load_all)
from .codec_loading import load_codec
from .mixing import host_of
from .sample_data import innermost_datasets

ModelConfig = Union[str, Path, dict]


def choose_device(device: str | None) -> torch.device:
    """The device that is asked for; a GPU if there is one and none is.

    Raises:
        ValueError: If a GPU is asked for and is not there.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device is None:
        return torch.device('cuda' if count else 'cpu')
    chosen = torch.device(device)
    if chosen.type == 'cuda' and (chosen.index or 0) >= count:
        raise ValueError(
            f'The device is {device}, but torch finds {count or "no"} '
            f'GPU{"s" * (count != 1)}. Use cpu.')
    return chosen


def load_model(cfg: Config, checkpoint: str | Path | None,
               device: torch.device) -> nn.Module:
    """Build a model and give it its weights.

    Args:
        cfg: Config with ``model``; or of a codec alone, with ``codec``.
        checkpoint: File or address; None takes ``load_from`` of the config.
        device: Where it goes.

    Returns:
        The model in evaluation mode, with entropy tables, and with
        ``dataset_meta``: classes and colours, as far as they are known.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If there are no weights, or they do not fit.
    """
    use_for_mmengine()
    checkpoint = checkpoint or cfg.get('load_from')
    scope = DefaultScope.overwrite_default_scope(host_of(cfg))
    with scope, warnings.catch_warnings():
        # CompressAI's, on being imported.
        warnings.simplefilter('ignore', FutureWarning)
        if _is_codec_alone(cfg):
            return _load_codec_model(cfg, checkpoint, device)
        model = MODELS.build(_settings(cfg))
        coder = find_codec_wrapper(model)
        saved = {} if checkpoint is None else read_checkpoint(checkpoint)
        if checkpoint is None and model.state_dict():
            raise ValueError(
                'The config has no weights, and no `checkpoint` was given: '
                'random weights would predict. Give a checkpoint that was '
                'trained with this config, or the name of a model of the zoo.')
        if saved:
            _load_weights(model, saved, checkpoint, cfg.get('load_from'))
        model.dataset_meta = _dataset_meta(cfg, saved)
    if coder.uses_adapter and adapter_changes_nothing(coder):
        raise ValueError(
            f'The adapter would change nothing: {checkpoint} holds none that '
            'has learnt. Give a checkpoint with a trained adapter, or switch '
            "it off: options={'model.backbone.test_cfg.adapter': False}")
    if device.type == 'cpu':
        model = revert_sync_batchnorm(model)
    model = model.to(device).eval()
    tables = coder.codec.entropy_tables().values()
    if not all(table.cdf.numel() for table in tables):
        coder.codec.update_entropy_tables()
    return model


def _is_codec_alone(cfg: Config) -> bool:
    model = cfg.get('model')
    if model is None:
        return 'codec' in cfg
    kind = model.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, ImageCoding)


def _load_codec_model(cfg: Config, checkpoint: str | Path | None,
                      device: torch.device) -> CodecModel:
    """A codec without a host, and without the parts that only train it."""
    settings = cfg.get('model') or {}
    parts = {k: settings[k] for k in ('condition', ) if k in settings}
    model = CodecModel(load_codec(cfg, checkpoint, str(device)), **parts)
    model.dataset_meta = {}
    return model.to(device).eval()


def _settings(cfg: Config) -> ConfigDict:
    """Config of the model; mmpretrain's have the preprocessor beside it."""
    if 'model' not in cfg:
        raise ValueError('The config has no `model` and no `codec`; it has '
                         f'{sorted(cfg)}.')
    settings = copy.deepcopy(cfg.model)
    if 'data_preprocessor' in cfg:
        settings.setdefault('data_preprocessor', cfg.data_preprocessor)
    # Else hosts look for weights of the backbone, which are replaced anyway.
    settings.pop('pretrained', None)
    return settings


def _load_weights(model: nn.Module, saved: dict, name: str | Path,
                  host: str | None) -> None:
    state = weights_of(saved, name)
    apart, rest = complete_codecs(model, state, name)
    host_is_apart = complete_host(model, rest, name, host)
    unexpected = load_all(
        model, rest, name, lambda key: key.startswith(apart) or
        (host_is_apart and is_of_host(key, model)))
    if unexpected:
        print_log(
            f'{name} holds {len(unexpected)} tensors that the config does '
            f'not have, first {unexpected[0]}; they are not used.',
            logger='current')


def _dataset_meta(cfg: Config, saved: dict) -> dict:
    """Classes and colours, by data set, config and checkpoint."""
    meta = {}
    loader = cfg.get('test_dataloader') or {}
    for dataset in innermost_datasets(loader) if loader else ():
        kind = dataset.get('type')
        kind = DATASETS.get(kind) if isinstance(kind, str) else kind
        meta.update(getattr(kind, 'METAINFO', {}))
        meta.update(dataset.get('metainfo') or {})
    known = saved.get('meta', {})
    known = known.get('dataset_meta') if isinstance(known, dict) else None
    if isinstance(known, dict):
        meta.update({key.lower(): value for key, value in known.items()})
    if isinstance(meta.get('palette'), (list, tuple)):
        # A file's JSON knows no tuples, and hosts take lists for many colours.
        meta['palette'] = [tuple(colour) for colour in meta['palette']]
    classes = meta.get('classes')
    # A file of class names, as some data sets take it, is not read here.
    return meta if isinstance(classes, (list, tuple)) else {}
