"""Tasks that were trained apart, in one MPA checkpoint."""
from pathlib import Path

import torch
from torch import Tensor

from mmhmc.checkpoints import read_checkpoint, write_safetensors
from mmhmc.codecs.mpa import belongs_to
from mmhmc.part_weights import weights_of
from mmhmc.whole_files import whole_file

#: Every MPA has it, and nothing else.
_LANDMARK = 'inverse_hyper_gain'


def merge_tasks(base: str | Path, out: str | Path,
                tasks: dict[str, str | Path]) -> None:
    """Put tasks that were trained apart into one MPA checkpoint.

    Of each file only the path of its task is taken; all else in its codec
    must be as in the base, entropy tables aside, for a path fits no other
    codec.

    Args:
        base: Checkpoint that the tasks were trained from, with one MPA.
        out: File to write, ``.pth`` or ``.safetensors``; it has the names of
            the base, so that of a codec alone stays one.
        tasks: Checkpoint of each task. ``'NAME/OTHER'`` takes the path of
            OTHER and calls it NAME.

    Raises:
        OSError: If a file cannot be read or written.
        ValueError: If a file holds no MPA, or one that was not trained from
            the base.
    """
    trained = {task: (str(path), _read(path)) for task, path in tasks.items()}
    merged = _merged(_read(base), trained)
    out = Path(out)
    if out.suffix == '.safetensors':
        write_safetensors(merged, out)
    else:
        with whole_file(out) as part:
            torch.save(dict(state_dict=merged), part)


def _split_codec(state_dict: dict[str, Tensor],
                 source: str) -> tuple[str, dict[str, Tensor]]:
    """What stands before the codec's names, and its weights without it."""
    prefixes = [
        key.removesuffix(_LANDMARK) for key in state_dict
        if key.split('.')[-1] == _LANDMARK
    ]
    if len(prefixes) != 1:
        raise ValueError(f'{source} must hold one MPA codec, but holds '
                         f'{len(prefixes)}.')
    prefix, = prefixes
    return prefix, {
        key.removeprefix(prefix): value
        for key, value in state_dict.items() if key.startswith(prefix)
    }


def _may_differ(key: str) -> bool:
    """Whether a codec's name is of some task's path, or of a table."""
    if key.startswith('g_s.'):
        return '.predictors.' in key or '.sides.' in key
    return key.startswith('gaussian_conditional.') or key in (
        'entropy_bottleneck.quantiles', 'entropy_bottleneck._offset',
        'entropy_bottleneck._quantized_cdf', 'entropy_bottleneck._cdf_length')


def _take_path(base: dict[str, Tensor],
               trained: dict[str, Tensor],
               task: str,
               source: str,
               name: str | None = None) -> dict[str, Tensor]:
    """The path of a task that was trained from ``base``, called ``name``."""
    path = {k: v for k, v in trained.items() if belongs_to(k, task)}
    if not path:
        raise ValueError(f'{source} has no path of the task {task!r}.')
    for key, value in base.items():
        if _may_differ(key):
            continue
        if key not in trained or not torch.equal(trained[key], value):
            raise ValueError(
                f'{source} was not trained from this base, or not with all '
                f'else frozen: {key!r} is another. Train it with '
                f'`trained_task={task!r}` from the base checkpoint.')
    if name is None:
        return path
    return {_renamed(key, task, name): value for key, value in path.items()}


def _renamed(key: str, task: str, name: str) -> str:
    """A codec's name of a part of a task's path, for another task."""
    for kind in ('predictors', 'sides'):
        key = key.replace(f'.{kind}.{task}.', f'.{kind}.{name}.')
    return key


def _merged(base: dict[str, Tensor],
            trained: dict[str, tuple[str, dict]]) -> dict[str, Tensor]:
    """The base with the path of each task.

    Args:
        base: State dict with one MPA.
        trained: For each task, ``'NAME'`` or ``'NAME/OTHER'``, where it comes
            from and its state dict.
    """
    prefix, codec = _split_codec(base, 'The base')
    merged = dict(base)
    for task, (source, state_dict) in trained.items():
        _, other = _split_codec(state_dict, source)
        name, _, task = task.partition('/')
        path = _take_path(codec, other, task or name, source, name)
        merged.update({prefix + key: value for key, value in path.items()})
    return merged


def _read(path: str | Path) -> dict[str, Tensor]:
    return weights_of(read_checkpoint(path), path)
