"""Checkpoints that were trained with CompressAI, for our codecs."""
from pathlib import Path

import torch
from torch import Tensor

from mmhmc.checkpoints import read_checkpoint, write_safetensors
from mmhmc.codecs import build_codec
from mmhmc.part_weights import load_part, weights_of
from mmhmc.whole_files import write_whole
from .codec_loading import load_codec

#: What codecs with one gain for all channels have, and others have not.
_GAINED = ('Gain', 'QuantABCD.0.weight')
_ELIC = 'latent_codec.y.latent_codec.y{}.context_prediction.weight'


def read_compressai_weights(path: str | Path) -> dict[str, Tensor]:
    """Weights that CompressAI saved, by the names of the installed release.

    Args:
        path: What its training examples save, or a file of its model zoo, of
            any release.

    Returns:
        Tensors by name, without ``module.`` before them.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it would run code, or holds no weights.
    """
    from compressai.zoo import load_state_dict as renamed
    return renamed(weights_of(read_checkpoint(path), path))


def codec_of_compressai(state: dict[str, Tensor], name: (str | Path)) -> dict:
    """Config of the codec that weights of CompressAI belong to.

    Args:
        state: By the names of :func:`read_compressai_weights`.
        name: Where they come from, for errors.

    Returns:
        Type and sizes, found from names and shapes.

    Raises:
        ValueError: If there is no such codec here.
    """
    if _ELIC.format(0) in state:
        return _elic(state)
    kind = _kind(state)
    if kind is None:
        raise ValueError(
            f'{name} holds weights of no network of CompressAI that mmhmc has '
            'a codec for, which are bmshj2018-factorized, '
            'bmshj2018-hyperprior, mbt2018-mean, mbt2018 (with -vbr, too), '
            'cheng2020-anchor, cheng2020-attn and elic2022-official.')
    if kind.startswith('Cheng2020'):
        sizes = dict(hidden_channels=len(state['g_a.0.conv1.weight']))
    else:
        sizes = dict(
            hidden_channels=len(state['g_a.0.weight']),
            latent_channels=len(state['g_a.6.weight']))
    return dict(type=f'mmhmc.{kind}', **sizes)


def export_compressai_weights(path: str | Path,
                              out: str | Path,
                              codec: dict | None = None) -> list[Path]:
    """Make a codec of ours out of a checkpoint of CompressAI.

    Entropy tables are kept; where there are none, they are made of the
    quantiles that the file brings, whose medians are kept.

    Args:
        path: See :func:`read_compressai_weights`.
        out: File for the weights, ``.safetensors``. It is not kept unless it
            codes an image to the same bytes as ``path``.
        codec: Config of the codec; None finds it, see
            :func:`codec_of_compressai`, and writes it beside the weights.

    Returns:
        The weights, and the config if it was found.

    Raises:
        OSError: If a file cannot be read or written.
        RuntimeError: If the result codes otherwise.
        ValueError: If the weights do not fit, or are of no codec here.
    """
    out = Path(out)
    if out.suffix != '.safetensors':
        raise ValueError(f'`out` must end in .safetensors, got {out}.')
    state = read_compressai_weights(path)
    settings = codec or codec_of_compressai(state, path)
    settings = {k: v for k, v in settings.items() if k != 'init_cfg'}
    built = build_codec(settings).eval()
    load_part(built, state, path, prefix='')
    if not all(table.cdf.numel() for table in built.entropy_tables().values()):
        built.update_entropy_tables(update_quantiles=False)
    write_safetensors(built.state_dict(), out)
    copy = load_codec(dict(codec=settings), out)
    x = torch.linspace(0, 1, 3 * 128 * 192).reshape(1, 3, 128, 192)
    if copy.compress(x) != built.compress(x):
        out.unlink()
        raise RuntimeError(f'{out} does not code as {path}.')
    return [out] if codec else [out, write_codec_config(settings, out)]


def write_codec_config(codec: dict, weights: Path) -> Path:
    """Write a config of a codec beside its weights.

    Args:
        codec: Config of the codec; ``init_cfg`` gets the weights.
        weights: Their file; both may be moved together.

    Returns:
        The config, ``.py``.
    """
    path = weights.with_suffix('.py')
    # mmengine puts the folder of the config in.
    init = dict(
        type='Pretrained', checkpoint=f'{{{{ fileDirname }}}}/{weights.name}')
    write_whole(path, f'codec = {dict(codec, init_cfg=init)!r}\n'.encode())
    return path


def _kind(state: dict[str, Tensor]) -> str | None:
    """Our class for a network of CompressAI; None if there is none."""
    has_context = 'context_prediction.weight' in state
    if 'QuantABCD.0.weight' in state:
        fixed = _kind({k: v for k, v in state.items() if k not in _GAINED})
        steps = 'gayn2zqstep.0.weight' in state
        return f'{fixed}VBR' if steps != has_context else None
    if 'Gain' in state:
        return None
    if 'g_a.0.conv1.weight' in state and has_context:
        attends = any(key.startswith('g_a.3.conv_a.') for key in state)
        return 'Cheng2020Attention' if attends else 'Cheng2020Anchor'
    if not {'g_a.0.weight', 'g_a.1.beta', 'g_a.6.weight'} <= state.keys():
        return None
    if has_context:
        return 'JointAutoregressive'
    if 'h_s.4.weight' not in state:
        return 'FactorizedPrior'
    has_means = len(state['h_s.4.weight']) > len(state['g_a.6.weight'])
    return 'MeanScaleHyperprior' if has_means else 'ScaleHyperprior'


def _elic(state: dict[str, Tensor]) -> dict:
    """ELIC with the widths of its groups and of what predicts them."""
    groups = []
    while (key := _ELIC.format(len(groups))) in state:
        groups.append(state[key].shape[1])
    context = [
        tuple(
            len(state[f'latent_codec.y.channel_context.y{k}.{layer}.weight'])
            for layer in (0, 2)) for k in range(1, len(groups))
    ]
    return dict(
        type='mmhmc.ELIC',
        hidden_channels=len(state['g_a.0.weight']),
        latent_channels=sum(groups),
        groups=groups,
        context_channels=context)
