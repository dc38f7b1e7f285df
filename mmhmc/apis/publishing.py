"""Weights for publication: no training state, complete, with a hash."""
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from mmhmc.checkpoints import (STEP, in_steps, read_checkpoint,
                               write_safetensors)
from mmhmc.codecs import ImageCodec, build_codec
from mmhmc.evaluation import count_kmac, count_parameters
from mmhmc.part_weights import TABLES, find_part
from mmhmc.whole_files import sha256_of
from mmhmc.zoo import fetch_weights
from mmhmc.zoo.index import ZOO
from .codec_loading import load_codec
from .config_files import read_codec

#: Larger files do not belong into a repository.
MAX_BYTES = 8_000_000
#: Half precision would change which symbols are how probable.
_PROBABILITIES = ('entropy_bottleneck.', 'gaussian_conditional.')
#: A weight of fewer numbers is worth no precision: layers that see or make
#: pixels are small, and half of what 8 bits cost a codec was theirs.
_LARGE = 5000


def only_weights(
        checkpoint: dict,
        only: Sequence[str] = (),
        rename: tuple[str, str] | None = None) -> OrderedDict[str, Tensor]:
    """The weights of a checkpoint, without its training state.

    Besides the optimizer, logs and the like these are the running averages
    that old hosts kept among the weights, as ``ema_...``.

    Args:
        checkpoint: What was saved: a model, or a dict with ``state_dict``.
        only: Parts to keep, as ``backbone.codec``; empty for all.
        rename: What names begin with, and what they shall begin with; an
            empty first part puts the second before all.

    Raises:
        ValueError: If there are no weights, or a part has none.
    """
    state = checkpoint.get('state_dict', checkpoint)
    weights = OrderedDict(
        (key, value) for key, value in state.items()
        if torch.is_tensor(value) and not key.startswith('ema_'))
    for part in only:
        if not any(_is_of(key, part) for key in weights):
            parts = sorted({key.partition('.')[0] for key in weights})
            raise ValueError(f'The checkpoint has no part {part!r}; it begins '
                             f'with {parts}.')
    if only:
        weights = OrderedDict((key, value) for key, value in weights.items()
                              if any(_is_of(key, part) for part in only))
    if not weights:
        raise ValueError('The checkpoint holds no weights.')
    # By the versions of the modules torch and hosts rename old keys.
    versions = getattr(state, '_metadata', OrderedDict())
    if rename is not None:
        weights = _renamed(weights, *rename)
        versions = OrderedDict(
            (_begun(name + '.', *rename).removesuffix('.'), version)
            for name, version in versions.items())
    # Modules without weights, as those of other parts, have nothing to load.
    weights._metadata = OrderedDict(
        (name, version) for name, version in versions.items()
        if not name or any(_is_of(key, name) for key in weights))
    return weights


def in_half(weights: OrderedDict[str, Tensor]) -> OrderedDict[str, Tensor]:
    """Weights as float16, but for vectors and what gives probabilities.

    Raises:
        ValueError: If a weight is too large for float16.
    """
    halves = OrderedDict()
    for key, value in weights.items():
        if value.dtype == torch.float32 and value.ndim > 1 and not any(
                part in key for part in _PROBABILITIES):
            value = value.half()
            if not value.isfinite().all():
                raise ValueError(f'{key!r} does not fit into float16.')
        halves[key] = value
    halves._metadata = getattr(weights, '_metadata', OrderedDict())
    return halves


def in_eight_bits(
    weights: OrderedDict[str, Tensor], but: Sequence[str] = ()
) -> OrderedDict[str, Tensor]:
    """Large weights in 8 bits, others as :func:`in_half` has them.

    Large are those of at least 5000 numbers. Each output channel (of a
    transposed convolution, input channel) has a step of its own;
    :func:`mmhmc.checkpoints.read_checkpoint` makes numbers of the steps.

    Args:
        weights: Names and values.
        but: Parts that stay as :func:`in_half` has them, by dotted name:
            layers of which one number outweighs all others of its channel,
            so that little of those would be left.

    Raises:
        ValueError: If a weight is too large for float16, or a part has none.
    """
    for part in but:
        if not any(_is_of(key, part) for key in weights):
            raise ValueError(
                f'No weight is of the part {part!r} that is to stay out of 8 '
                f'bits; names begin as {next(iter(weights), "nothing")!r}.')
    small = OrderedDict()
    for key, value in in_half(weights).items():
        stays = any(_is_of(key, part) for part in but)
        if (value.dtype == torch.half and value.numel() >= _LARGE
                and not stays):
            small[key], small[key + STEP] = in_steps(weights[key])
        else:
            small[key] = value
    small._metadata = getattr(weights, '_metadata', OrderedDict())
    return small


def without_base(weights: OrderedDict[str, Tensor],
                 name: str) -> tuple[OrderedDict[str, Tensor], dict[str, str]]:
    """Weights without those of the codec that a model of the zoo has, too.

    E.g. of an encoder that was trained before a decoder that was not.

    Args:
        weights: See :func:`only_weights`; with entropy tables, not yet in
            half precision or in 8 bits.
        name: The model, ``NAME`` or ``mmhmc://NAME``.

    Returns:
        The other weights, and ``based_on`` of :func:`publish_weights`.

    Raises:
        OSError: If the model's weights cannot be read.
        ValueError: If there is no such model, no weight is equal, or the
            weights have no entropy tables: those of the model may not be
            theirs.
    """
    name = ZOO + name.removeprefix(ZOO)
    base = read_checkpoint(name)['state_dict']
    prefix, own = _codec_prefix(base), _codec_prefix(weights)
    for key in base:
        if key.rpartition('.')[2] in TABLES and \
                own + key.removeprefix(prefix) not in weights:
            raise ValueError('The checkpoint has no entropy tables, as '
                             f'{key!r} of {name}. Give one that a training '
                             'has saved.')
    others = OrderedDict()
    others._metadata = getattr(weights, '_metadata', OrderedDict())
    for key, value in weights.items():
        same = base.get(prefix + key.removeprefix(own)) if key.startswith(
            own) else None
        if same is None or not torch.equal(same, value):
            others[key] = value
    if len(others) == len(weights):
        raise ValueError(f'No weight of the checkpoint is one of {name}, too.')
    file = fetch_weights(name.removeprefix(ZOO))
    return others, {
        'name': name,
        'sha256': sha256_of(file),
        'prefix': prefix,
        'as': own
    }


def publish_weights(weights: OrderedDict[str, Tensor],
                    out: str | Path,
                    config: str | None = None,
                    options: dict | None = None,
                    dataset_meta: dict | None = None,
                    based_on: dict[str, str] | None = None) -> dict[str, Any]:
    """Write weights, and give their row of a metafile.

    With a config that has a codec, the codec is loaded strictly, and the
    entropy tables that a checkpoint may lack are made and written, so that
    every machine decodes by the same ones. Weights may be those of an adapter
    alone; then the codec is that of the config's ``init_cfg``.

    Args:
        weights: See :func:`only_weights`, :func:`in_half` and
            :func:`in_eight_bits`.
        out: File, ``.safetensors``; it appears whole or not at all.
        config: Config of the model; None writes without a trial.
        options: Settings of the config to override, by dotted name.
        dataset_meta: See :func:`mmhmc.checkpoints.write_safetensors`.
        based_on: See :func:`without_base`; None for a whole model.

    Returns:
        Row of a metafile; a value that a person has to fill in is ``'?'``.

    Raises:
        OSError: If a file cannot be read or written.
        ValueError: If the weights do not fit the codec of the config.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    metadata = {'Training Data': '?', 'Training Command': '?'}
    if config is not None:
        if _hold_a_codec(weights, config, options):
            with TemporaryDirectory() as folder:
                trial = Path(folder) / out.name
                write_safetensors(weights, trial, based_on=based_on)
                codec = load_codec(config, trial, cfg_options=options)
            if based_on is None:
                weights = _with_tables(weights, codec)
        else:
            codec = load_codec(config, cfg_options=options)
        metadata.update(_costs(codec))
    write_safetensors(weights, out, dataset_meta, based_on)
    row = {
        'Name': out.stem,
        'In Collection': '?',
        'Config': str(config or '?'),
        'Options': options or {},
        'Summary': '?',
        'Metadata': metadata,
        'Results': [dict(Task='?', Dataset='?', Metrics={'bpp': '?'})],
        'Weights': f'model_zoo/{out.name}',
        'Size': out.stat().st_size,
        'SHA256': sha256_of(out),
    }
    if not options:
        del row['Options']
    return row


def _is_of(key: str, part: str) -> bool:
    return key == part or key.startswith(part.rstrip('.') + '.')


def _begun(name: str, old: str, new: str) -> str:
    return new + name[len(old):] if name.startswith(old) else name


def _renamed(weights: OrderedDict[str, Tensor], old: str,
             new: str) -> OrderedDict[str, Tensor]:
    if not any(key.startswith(old) for key in weights):
        raise ValueError(f'No weight begins with {old!r}; the first is '
                         f'{next(iter(weights))!r}.')
    return OrderedDict(
        (_begun(key, old, new), value) for key, value in weights.items())


def _hold_a_codec(weights: OrderedDict[str, Tensor], config: str,
                  options: dict | None) -> bool:
    settings = dict(read_codec(config, options), init_cfg=None)
    return find_part(build_codec(settings), weights) is not None


def _codec_prefix(weights: OrderedDict[str, Tensor]) -> str:
    return next((p for p in ('backbone.codec.', 'codec.') if any(
        key.startswith(p) for key in weights)), '')


def _with_tables(weights: OrderedDict[str, Tensor],
                 codec: ImageCodec) -> OrderedDict[str, Tensor]:
    prefix = _codec_prefix(weights)
    complete = OrderedDict(weights)
    complete._metadata = getattr(weights, '_metadata', OrderedDict())
    for key, value in codec.state_dict().items():
        if key.rpartition('.')[2] in TABLES:
            complete[prefix + key] = value
    return complete


def _costs(codec: ImageCodec) -> dict[str, Any]:
    kmac = {
        part: round(value, 2)
        for part, value in count_kmac(codec, (512, 768)).items()
        if part != 'adapter'
    }
    return {
        'Codec Parameters': sum(count_parameters(codec).values()),
        'KMAC per pixel': kmac
    }
