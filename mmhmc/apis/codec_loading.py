"""A trained codec from a config and a checkpoint."""
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from mmhmc.checkpoints import read_checkpoint
from mmhmc.codecs import ImageCodec, build_codec
from mmhmc.machine import Arithmetic, choose_arithmetic
from mmhmc.part_weights import (load_part, load_pretrained, pretrained,
                                weights_of, whole_part)
from .config_files import ConfigSource, locate, read_codec, shown_name


@dataclass(frozen=True)
class CodecSource:
    """Config and checkpoint of a codec, in a form that processes can exchange.

    Args:
        config: Name, address, file or dict, see
            :func:`mmhmc.apis.config_files.locate`.
        checkpoint: File, address or name of the weights; None for those that
            come with the config, or that it names.
        cfg_options: Settings of the config to override, by dotted name.
        device: Where it runs, ``'cpu'``, ``'cuda'`` or ``'cuda:1'``.
        bf16: Let the transforms between image and latent compute in
            bfloat16 where the device does so natively, see
            :mod:`mmhmc.machine`.
        layers: How many layers its files have, with the factor 3 between
            them; None: as the config says.
    """

    config: str | Path | dict
    checkpoint: str | None = None
    cfg_options: dict | None = None
    device: str = 'cpu'
    bf16: bool = False
    layers: int | None = None

    def load(self) -> ImageCodec:
        """Build the codec; raises what :func:`load_codec` raises."""
        with _quiet_imports():
            codec = load_codec(self.config, self.checkpoint, self.device,
                               self.cfg_options)
        if self.bf16:
            allow_bf16(codec, self.device)
        return self._with_layers(codec)

    def build(self) -> ImageCodec:
        """The codec without weights, to see whether it can be what is asked.

        Raises:
            OSError: If a config cannot be read.
            ValueError: If there is no codec, or it cannot be built, or has no
                such layers.
        """
        settings = read_codec(self.config, self.cfg_options)
        settings.pop('init_cfg', None)
        with _quiet_imports():
            codec = _build(settings, self.config)
        return self._with_layers(codec).eval()

    def _with_layers(self, codec: ImageCodec) -> ImageCodec:
        if self.layers is not None:
            codec.layers = [3] * (self.layers - 1)
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
        config: Name of a model, ``compressai://NAME``, config file,
            ``PACKAGE::FILE``, ``Config`` or dict, see
            :func:`mmhmc.apis.config_files.locate`, with the codec at
            ``model.backbone.codec``, ``model.codec`` or ``codec``; the first
            that is there counts.
        checkpoint: File, address or name of the weights: of a model that
            holds the codec, or of the codec alone, as CompressAI writes it.
            None takes those that come with a name, or that the codec's
            ``init_cfg`` names; a codec without weights needs none.
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
    settings = read_codec(config, cfg_options)
    init = settings.pop('init_cfg', None)
    codec = _build(settings, config)
    if checkpoint is not None:
        load_pretrained(codec, dict(checkpoint=checkpoint))
    elif codec.state_dict():  # a codec may have no weights
        _load_own(codec, locate(config), pretrained(init))
    codec.to(device).eval()
    if not all(table.cdf.numel() for table in codec.entropy_tables().values()):
        codec.update_entropy_tables(update_quantiles)
    return codec


@contextmanager
def _quiet_imports() -> Iterator[None]:
    """Without CompressAI's warnings, which are nothing for who codes images.
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)
        yield


def _build(settings: dict, config: str | Path | dict) -> ImageCodec:
    try:
        return build_codec(settings)
    except TypeError as error:
        raise ValueError(
            f'The codec of {shown_name(config)} cannot be built: {error}'
        ) from error


def _load_own(codec: ImageCodec, source: ConfigSource,
              init: dict | None) -> None:
    """Load the weights that come with a config, or else its ``init_cfg``."""
    own = source.checkpoint
    if own is not None:
        state = weights_of(read_checkpoint(own), own)
        place = whole_part(codec, state)
        if place is not None:
            load_part(codec, state, own, place, others=True)
            return
    if init is None:
        raise ValueError(
            'There are no weights: the codec of '
            f'{shown_name(source.config)} has no '
            "`init_cfg=dict(type='Pretrained', checkpoint=...)`, and random "
            'weights would code. Train it, or give the checkpoint.')
    load_pretrained(codec, init)
