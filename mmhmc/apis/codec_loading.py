"""A trained codec from a config and a checkpoint."""
import copy
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

import torch
from mmengine.config import Config, ConfigDict
from torch import Tensor

from mmhmc.checkpoints import read_checkpoint
from mmhmc.codecs import ImageCodec, build_codec
from mmhmc.machine import Arithmetic, choose_arithmetic
from mmhmc.registry import is_pretrained

#: Where a config names its codec; the first that is there counts, since a
#: leaf keeps the `codec` of its base beside what it made of it.
_PLACES = ('model.backbone.codec', 'model.codec', 'codec')
_PREFIXES = ('backbone.codec.', 'codec.')
_TABLES = ('_quantized_cdf', '_offset', '_cdf_length', 'scale_table')
#: What the Python of a config may raise.
_CONFIG_ERRORS = (SyntaxError, NameError, AttributeError, LookupError,
                  TypeError, ImportError)


@dataclass(frozen=True)
class CodecSource:
    """What a codec is loaded from, in a form that other processes can take.

    Args:
        config: File, or what was read from one; see :func:`load_codec`.
        checkpoint: File or address of the weights; None for those that the
            config names.
        cfg_options: Settings of the config to override, by dotted name.
        device: Where it runs, ``'cpu'``, ``'cuda'`` or ``'cuda:1'``.
        bf16: Let the transforms between picture and latent compute in
            bfloat16 where the device does so natively, see
            :mod:`mmhmc.machine`.
    """

    config: Union[str, Path, dict]
    checkpoint: Optional[str] = None
    cfg_options: Optional[dict] = None
    device: str = 'cpu'
    bf16: bool = False

    def load(self) -> ImageCodec:
        """Build the codec; raises what :func:`load_codec` raises."""
        with warnings.catch_warnings():
            # CompressAI's, on being imported: nothing for who codes pictures.
            warnings.simplefilter('ignore', FutureWarning)
            codec = load_codec(self.config, self.checkpoint, self.device,
                               self.cfg_options)
        if self.bf16:
            allow_bf16(codec, self.device)
        return codec


def allow_bf16(codec: ImageCodec, device: str) -> Arithmetic:
    """Let a codec's transforms compute in bfloat16 where that is native.

    Args:
        codec: Its :attr:`ImageCodec.transform_dtype` is set.
        device: Where it runs.

    Returns:
        What was chosen.

    Raises:
        ValueError: If ``MMHMC_COMPUTE`` says what cannot be.
    """
    chosen = choose_arithmetic(device)
    codec.transform_dtype = torch.bfloat16 if chosen.bf16 else None
    return chosen


def load_codec(config: Union[str, Path, dict],
               checkpoint: Union[str, Path, None] = None,
               device: str = 'cpu',
               cfg_options: Optional[dict] = None,
               update_quantiles: bool = True) -> ImageCodec:
    """Load a trained codec, ready to code.

    Args:
        config: Config file, ``Config`` or dict with the codec at
            ``model.backbone.codec``, ``model.codec`` or ``codec``; the first
            that is there counts.
        checkpoint: File or address of the weights: of a model with the codec
            at one of these places, or of the codec alone, as CompressAI
            writes it. None takes that of the codec's ``init_cfg``; a codec
            without weights needs none.
        device: Where the codec goes.
        cfg_options: Settings of the config to override, by dotted name.
        update_quantiles: False keeps the quantiles of a checkpoint without
            tables, which was trained elsewhere with an auxiliary loss.

    Returns:
        The codec in evaluation mode, with the tables of the checkpoint or, if
        it has none, new ones.

    Raises:
        OSError: If a file does not exist or cannot be read.
        ValueError: If the config has no codec, it cannot be built, there are
            no weights, or they do not fit.
    """
    if torch.device(device).type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f'The device is {device}, but torch finds no GPU. '
                         'Use cpu.')
    settings = codec_settings(config, cfg_options)
    init = settings.pop('init_cfg', None)
    try:
        codec = build_codec(settings)
    except TypeError as error:
        raise ValueError(
            f'The codec of {config} cannot be built: {error}') from error
    # A codec may have no weights.
    if checkpoint is not None or codec.state_dict():
        prefix = None
        if checkpoint is None:
            checkpoint, prefix = _pretrained(init, config)
        state = _own_weights(read_checkpoint(checkpoint), checkpoint, prefix)
        _load_strictly(codec, state, checkpoint)
    codec.to(device).eval()
    if not all(table.cdf.numel() for table in codec.entropy_tables().values()):
        codec.update_entropy_tables(update_quantiles)
    return codec


def codec_settings(config: Union[str, Path, dict],
                   cfg_options: Optional[dict]) -> ConfigDict:
    """Config of the codec in a config; see :func:`load_codec`.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If there is no codec, or the options do not fit.
    """
    if isinstance(config, (Config, dict)):
        cfg = copy.deepcopy(config)
        cfg = cfg if isinstance(cfg, Config) else Config(cfg)
    else:
        try:
            cfg = Config.fromfile(config)
        except _CONFIG_ERRORS as error:
            raise ValueError(f'{config} cannot be read as a config: '
                             f'{type(error).__name__}: {error}') from error
    try:
        # mmengine takes `_delete_` out of what it is given.
        cfg.merge_from_dict(copy.deepcopy(cfg_options or {}))
    except (TypeError, KeyError) as error:
        raise ValueError(f'The options {cfg_options} do not fit the config: '
                         f'{error}') from error
    for place in _PLACES:
        node = cfg
        for name in place.split('.'):
            node = node.get(name) if isinstance(node, (Config, dict)) else None
        if isinstance(node, dict):
            return node
    raise ValueError(f'{_name_of(config)} has no codec; expected one of '
                     f'{", ".join(_PLACES)}.')


def _pretrained(init: Optional[dict],
                config: Union[str, Path, dict]) -> tuple[str, Optional[str]]:
    """Checkpoint and prefix of an ``init_cfg``."""
    if not isinstance(init, dict) or not is_pretrained(init):
        raise ValueError(
            f'There is no checkpoint, and the codec of {_name_of(config)} '
            "has no `init_cfg=dict(type='Pretrained', checkpoint=...)`: "
            'random weights would code. Give the checkpoint.')
    return init['checkpoint'], init.get('prefix')


def _name_of(config: Union[str, Path, dict]) -> str:
    """A config in few words; its text would fill the screen."""
    if isinstance(config, (str, Path)):
        return str(config)
    return getattr(config, 'filename', None) or 'the config'


def _own_weights(checkpoint: dict, name: Union[str, Path],
                 prefix: Optional[str]) -> dict[str, Tensor]:
    """The codec's part of a checkpoint, under the codec's own names."""
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, dict) or not state or not all(
            isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f'{name} holds no weights; expected tensors by name, '
                         'or `state_dict` with them.')
    for beginning in _PREFIXES if prefix is None else (prefix, ):
        own = {
            key.removeprefix(beginning): value
            for key, value in state.items() if key.startswith(beginning)
        }
        if own:
            return own
    if prefix:
        raise ValueError(f'{name} has no weights that begin with {prefix!r}.')
    return dict(state)


def _load_strictly(codec: ImageCodec, state: dict[str, Tensor],
                   name: Union[str, Path]) -> None:
    if set(state) - set(codec.state_dict()):
        # The files of CompressAI's model zoo have older names.
        from compressai.zoo.pretrained import load_pretrained
        state = load_pretrained(state)
    try:
        missing, unexpected = codec.load_state_dict(state, strict=False)
    except RuntimeError as error:
        # A headline, then one line for each tensor.
        first = str(error).splitlines()[1:2] or [str(error)]
        raise ValueError(f'{name} does not fit the codec of the config: '
                         f'{first[0].strip()}') from error
    missing = [key for key in missing if key.rpartition('.')[2] not in _TABLES]
    if missing or unexpected:
        raise ValueError(
            f'{name} does not fit the codec of the config: missing '
            f'{_few(missing)}; not expected {_few(unexpected)}.')


def _few(names: list[str]) -> str:
    if not names:
        return 'nothing'
    more = f' and {len(names) - 3} more' if len(names) > 3 else ''
    return ', '.join(names[:3]) + more
