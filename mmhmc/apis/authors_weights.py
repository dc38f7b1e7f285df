"""Weights of the authors' own code of MPA and TinyLIC, for our codecs.

Both compute the same function; only names differ, and how an image is padded.
"""
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from mmhmc.checkpoints import read_checkpoint, write_safetensors
from mmhmc.codecs import build_codec
from mmhmc.part_weights import load_part, weights_of
from .compressai_weights import write_codec_config

METHODS = ('mpa', 'tinylic')
#: Tasks of the authors' MPA, in the order of their numbers.
TASKS = ('mse', 'cls', 'seg')
#: What TinyLIC's files do not tell.
TINYLIC_WARNING = (
    'TinyLIC was corrected on 10 November 2022. Files of before have the same '
    'names and are of another network: with them images come out wrong. '
    'Nothing in a file tells one from the other; use it only if it is newer.')

#: What can be made anew, and what follows from the architecture.
_DROPPED = ('_quantized_cdf', '_offset', '_cdf_length', 'scale_table', 'mask')
#: Spatial contexts by the authors' numbers.
_CONTEXTS = dict(zip('12345', ('y0.0', 'y0.1', 'y0.2', 'y1.0', 'y2.0')))
_GAINS = dict(
    Gain='gain',
    InverseGain='inverse_gain',
    HyperGain='hyper_gain',
    InverseHyperGain='inverse_hyper_gain')


def _task(number: str) -> str:
    return TASKS[int(number)]


#: Patterns in the authors' names and what stands there here, one after the
#: other.
_CODEC_NAMES: tuple[tuple[str, str | Callable], ...] = (
    (r'^module\.', ''),
    (r'^([gh]_[as])(\d+)\.', r'\1.\2.'),
    (r'\.residual_group\.', '.'),
    (r'\.mlp\.fc1\.', '.mlp.0.'),
    (r'\.mlp\.fc2\.', '.mlp.2.'),
    (r'^(g_s\.\d+)\.blocks\.(\d+)\.fastmlp\.mlp_list\.(\d+)\.',
     lambda m: f'{m[1]}.sides.{_task(m[3])}.{m[2]}.'),
    (r'^(g_a\.\d+)\.blocks\.(\d+)\.fastmlp\.', r'\1.sides.low.\2.'),
    (r'(\.sides\.\w+\.\d+)\.fc1\.0\.', r'\1.0.'),
    (r'(\.sides\.\w+\.\d+)\.fc1\.1\.', r'\1.1.0.'),
    (r'(\.sides\.\w+\.\d+)\.fc2\.', r'\1.1.2.'),
    (r'^(g_s\.\d+)\.score_predictor\.(\d+)\.0\.',
     lambda m: f'{m[1]}.predictors.{_task(m[2])}.'),
    (r'^(g_a\.\d+)\.score_predictor\.0\.', r'\1.predictors.low.'),
    (r'(\.predictors\.\w+)\.in_conv\.', r'\1.local.'),
    (r'(\.predictors\.\w+)\.out_conv\.', r'\1.score.'),
    (r'^sc_transform_([1-5])\.',
     lambda m: f'spatial_context.{_CONTEXTS[m[1]]}.'),
    (r'^entropy_parameters_(\d+)\.',
     lambda m: f'entropy_parameters.y{int(m[1]) - 1}.'),
    (r'^cc_transforms\.(\d+)\.', r'channel_context.y\1.'),
    (r'^\w*Gain$', lambda m: _GAINS.get(m[0], m[0])),
)
_DISCRIMINATOR_NAMES: tuple[tuple[str, str | Callable], ...] = (
    (r'^module\.', ''),
    (r'^context_conv\.(\d+)\.', r'copies.\1.context.0.'),
    (r'^conv(\d+)\.(\d+)\.',
     lambda m: f'copies.{m[2]}.layers.{2 * int(m[1]) - 2}.'),
    (r'^conv_out\.(\d+)\.', r'copies.\1.head.'),
    (r'\.weight_orig$', '.parametrizations.weight.original'),
    (r'\.weight_([uv])$', r'.parametrizations.weight.0._\1'),
)


@dataclass(frozen=True)
class AuthorsWeights:
    """What a file of the authors' code holds, by the names used here.

    Args:
        method: Which of :data:`METHODS` it is of.
        codec: Config of the codec.
        state: Its weights, without entropy tables.
        discriminator: Weights of the
            :class:`~mmhmc.losses.PatchDiscriminator`, if there are any.
    """

    method: str
    codec: dict
    state: dict[str, Tensor]
    discriminator: dict[str, Tensor] = field(default_factory=dict)


def read_authors_weights(path: str | Path) -> AuthorsWeights:
    """Read a checkpoint of the authors' code of MPA or TinyLIC, as data.

    - MPA: https://github.com/NJUVISION/MPA, of stage 1 (the codec for people,
      ``MPA(tasks=())`` here) or 2 (with the tasks ``mse``, ``cls``, ``seg``).
    - TinyLIC: https://github.com/lumingzzz/TinyLIC, of 10 November 2022 or
      later, see :data:`TINYLIC_WARNING`.

    Entropy tables are left out: they are empty or older than the weights.

    Args:
        path: File by ``torch.save``: ``state_dict`` and, for MPA, perhaps
            ``state_dict_D``; or weights alone.

    Returns:
        What is in it, by the names used here.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it would run code, is of another network, or lacks the
            attention's bias ``rpb``.
    """
    saved = read_checkpoint(path)
    theirs = weights_of(saved, path)
    _check_bias(theirs, path)
    state = {
        name: value
        for name, value in _renamed(theirs, _CODEC_NAMES).items()
        if name.rpartition('.')[2] not in _DROPPED
    }
    codec = _codec_of(state, path)
    method = 'mpa' if codec['type'] == 'mmhmc.MPA' else 'tinylic'
    return AuthorsWeights(
        method, codec, state,
        _renamed(saved.get('state_dict_D') or {}, _DISCRIMINATOR_NAMES))


def export_authors_weights(path: str | Path,
                           out: str | Path,
                           method: str | None = None) -> list[Path]:
    """Make a codec of ours out of a checkpoint of the authors.

    Entropy tables are made of the quantiles that the file brings, whose
    medians are kept: weights were trained with them. The authors' own tables
    have fewer scales, so bitstreams cannot be exchanged; images are the same.

    Args:
        path: See :func:`read_authors_weights`.
        out: File for the weights, ``.safetensors``; the config of the codec,
            which names them, goes beside it, ``.py``. With a discriminator
            the weights are those of a ``GenerativeCodecModel``, for
            ``load_from``, which codecs find theirs in.
        method: One of :data:`METHODS`, to be sure of it; None takes what is
            there.

    Returns:
        The config and the weights.

    Raises:
        OSError: If a file cannot be read or written.
        ValueError: If the file is of another method, or does not fit.
    """
    out = Path(out)
    if out.suffix != '.safetensors':
        raise ValueError(f'`out` must end in .safetensors, got {out}.')
    weights = read_authors_weights(path)
    if method not in (None, weights.method):
        raise ValueError(f'{path} holds weights of {weights.method}, not of '
                         f'{method}.')
    codec = build_codec(dict(weights.codec))
    load_part(codec, weights.state, path, prefix='')
    codec.update_entropy_tables(update_quantiles=False)
    state = codec.state_dict()
    if weights.discriminator:
        _check_discriminator(weights.discriminator,
                             weights.codec['latent_channels'], path)
        state = {f'codec.{name}': value for name, value in state.items()}
        state.update({
            f'discriminator.{name}': value
            for name, value in weights.discriminator.items()
        })
    write_safetensors(state, out)
    return [write_codec_config(weights.codec, out), out]


def _renamed(theirs: dict[str, Tensor], names: tuple) -> dict[str, Tensor]:
    renamed = {}
    for name, value in theirs.items():
        for pattern, here in names:
            name = re.sub(pattern, here, name)
        renamed[name] = value
    return renamed


def _check_bias(theirs: dict[str, Tensor], path: str | Path) -> None:
    """Refuse attention without bias: it was trained as another network."""
    for name in theirs:
        stem, qkv, _ = name.partition('.attn.qkv.weight')
        if qkv and f'{stem}.attn.rpb' not in theirs:
            raise ValueError(
                f'{path} is of another network: {stem}.attn has no relative '
                'position bias `rpb`. It was trained without it, and codecs '
                'here have it.')


def _codec_of(state: dict[str, Tensor], path: str | Path) -> dict:
    blocks = [
        len({
            name.split('.')[3]
            for name in state if name.startswith(f'{stage}.blocks.')
        }) for stage in ('g_a.1', 'g_a.3', 'g_a.5', 'g_a.7', 'h_a.1', 'h_a.3')
    ]
    widths = [
        len(state.get(f'{layer}.weight', ()))
        for layer in ('g_a.0', 'g_a.2', 'g_a.4', 'g_a.6', 'h_a.0')
    ]
    if not all(blocks) or not all(widths):
        raise ValueError(f'{path} holds no weights of the authors\' MPA or '
                         'TinyLIC.')
    *hidden, latent, hyper = widths
    sizes = dict(
        hidden_channels=hidden,
        latent_channels=latent,
        hyper_channels=hyper,
        depths=blocks)
    tasks = [
        task for task in TASKS
        if any(f'.predictors.{task}.' in name for name in state)
    ]
    if tasks or 'gain' in state:
        return dict(type='mmhmc.MPA', tasks=tasks, **sizes)
    return dict(type='mmhmc.TinyLIC', **sizes)


def _check_discriminator(state: dict[str, Tensor], latent_channels: int,
                         path: str | Path) -> None:
    from mmhmc.losses import PatchDiscriminator
    of_a_copy = re.compile(r'copies\.0\.(context\.0\.weight|'
                           r'layers\.\d\.parametrizations\.weight\.original)')
    widths = [
        len(state[name]) for name in sorted(state) if of_a_copy.fullmatch(name)
    ]
    if len(widths) < 2:
        raise ValueError(f"`state_dict_D` of {path} has no weights of MPA's "
                         'discriminator.')
    copies = len({name.split('.')[1] for name in state})
    discriminator = PatchDiscriminator(latent_channels, copies, widths[0],
                                       widths[1:])
    load_part(discriminator, state, f'`state_dict_D` of {path}', prefix='')
