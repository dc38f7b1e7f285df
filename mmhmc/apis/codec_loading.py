"""A trained codec from a config and a checkpoint."""
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict

from mmhmc.codecs import ImageCodec, build_codec
from mmhmc.machine import Arithmetic, choose_arithmetic
from mmhmc.part_weights import load_pretrained, pretrained
from .config_files import read_config

#: Where a config names its codec; the first that is there counts, since a
#: leaf keeps the `codec` of its base beside what it made of it.
_PLACES = ('model.backbone.codec', 'model.codec', 'codec')


@dataclass(frozen=True)
class CodecSource:
    """Config and checkpoint of a codec, in a form that processes can exchange.

    Args:
        config: File, or what was read from one; see :func:`load_codec`.
        checkpoint: File or address of the weights; None for those that the
            config names.
        cfg_options: Settings of the config to override, by dotted name.
        device: Where it runs, ``'cpu'``, ``'cuda'`` or ``'cuda:1'``.
        bf16: Let the transforms between image and latent compute in
            bfloat16 where the device does so natively, see
            :mod:`mmhmc.machine`.
    """

    config: str | Path | dict
    checkpoint: str | None = None
    cfg_options: dict | None = None
    device: str = 'cpu'
    bf16: bool = False

    def load(self) -> ImageCodec:
        """Build the codec; raises what :func:`load_codec` raises."""
        with warnings.catch_warnings():
            # CompressAI's, on being imported: nothing for who codes images.
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


def load_codec(config: str | Path | dict,
               checkpoint: str | Path | None = None,
               device: str = 'cpu',
               cfg_options: dict | None = None,
               update_quantiles: bool = True) -> ImageCodec:
    """Load a trained codec, ready to code.

    Args:
        config: Config file, ``Config`` or dict with the codec at
            ``model.backbone.codec``, ``model.codec`` or ``codec``; the first
            that is there counts. Or ``compressai://NAME`` for a codec that
            CompressAI publishes, see :func:`mmhmc.zoo.find_compressai`.
        checkpoint: File or address of the weights: of a model that holds the
            codec, or of the codec alone, as CompressAI writes it. None takes
            that of the codec's ``init_cfg``; a codec without weights needs
            none.
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
    if checkpoint is not None:
        load_pretrained(codec, dict(checkpoint=checkpoint))
    elif codec.state_dict():  # a codec may have no weights
        init = pretrained(init)
        if init is None:
            raise ValueError(
                f'There is no checkpoint, and the codec of {_name_of(config)} '
                "has no `init_cfg=dict(type='Pretrained', checkpoint=...)`: "
                'random weights would code. Give the checkpoint.')
        load_pretrained(codec, init)
    codec.to(device).eval()
    if not all(table.cdf.numel() for table in codec.entropy_tables().values()):
        codec.update_entropy_tables(update_quantiles)
    return codec


def codec_settings(config: str | Path | dict,
                   cfg_options: dict | None) -> ConfigDict:
    """Config of the codec in a config; see :func:`load_codec`.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If there is no codec, or the options do not fit.
    """
    cfg = read_config(config, cfg_options)
    for place in _PLACES:
        node = cfg
        for name in place.split('.'):
            node = node.get(name) if isinstance(node, (Config, dict)) else None
        if isinstance(node, dict):
            return node
    raise ValueError(f'{_name_of(config)} has no codec; expected one of '
                     f'{", ".join(_PLACES)}.')


def _name_of(config: str | Path | dict) -> str:
    """A config in few words; its text would fill the screen."""
    if isinstance(config, (str, Path)):
        return str(config)
    return getattr(config, 'filename', None) or 'the config'
