"""Put tasks that were trained apart into one MPA checkpoint.

python tools/model_converters/merge_mpa.py BASE OUT --task NAME=FILE
    [--task NAME=FILE ...]

NAME/OTHER=FILE takes the path of OTHER and calls it NAME: so a task with few
images can begin as one with more.

BASE is what the tasks were trained from. Of each FILE only the path of its
task is taken; all else in its codec must be as in BASE, entropy tables aside,
for a path fits no other codec. OUT has the names of BASE, so that of a codec
alone stays one; it ends in .pth or .safetensors.
"""
from pathlib import Path

import torch
from torch import Tensor

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.checkpoints import read_checkpoint, write_safetensors
from mmhmc.codecs.mpa import belongs_to
from mmhmc.whole_files import whole_file

#: Every MPA has it, and nothing else.
_LANDMARK = 'inverse_hyper_gain'


def split_codec(state_dict: dict[str, Tensor],
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


def may_differ(key: str) -> bool:
    """Whether a codec's name is of some task's path, or of a table."""
    if key.startswith('g_s.'):
        return '.predictors.' in key or '.sides.' in key
    return key.startswith('gaussian_conditional.') or key in (
        'entropy_bottleneck.quantiles', 'entropy_bottleneck._offset',
        'entropy_bottleneck._quantized_cdf', 'entropy_bottleneck._cdf_length')


def take_path(base: dict[str, Tensor],
              trained: dict[str, Tensor],
              task: str,
              source: str,
              name: str | None = None) -> dict[str, Tensor]:
    """The path of a task that was trained from ``base``, called ``name``."""
    path = {k: v for k, v in trained.items() if belongs_to(k, task)}
    if not path:
        raise ValueError(f'{source} has no path of the task {task!r}.')
    for key, value in base.items():
        if may_differ(key):
            continue
        if key not in trained or not torch.equal(trained[key], value):
            raise ValueError(
                f'{source} was not trained from this base, or not with all '
                f'else frozen: {key!r} is another. Train it with '
                f'`trained_task={task!r}` from the base checkpoint.')
    if name is None:
        return path
    return {renamed(key, task, name): value for key, value in path.items()}


def renamed(key: str, task: str, name: str) -> str:
    """A codec's name of a part of a task's path, for another task."""
    for kind in ('predictors', 'sides'):
        key = key.replace(f'.{kind}.{task}.', f'.{kind}.{name}.')
    return key


def merge(base: dict[str, Tensor],
          trained: dict[str, tuple[str, dict]]) -> dict[str, Tensor]:
    """The base with the path of each task.

    Args:
        base: State dict with one MPA.
        trained: For each task, ``'NAME'`` or ``'NAME/OTHER'``, where it comes
            from and its state dict.
    """
    prefix, codec = split_codec(base, 'The base')
    merged = dict(base)
    for task, (source, state_dict) in trained.items():
        _, other = split_codec(state_dict, source)
        name, _, task = task.partition('/')
        path = take_path(codec, other, task or name, source, name)
        merged.update({prefix + key: value for key, value in path.items()})
    return merged


def read(path: Path) -> dict[str, Tensor]:
    """Weights of a checkpoint, with or without what else it may hold."""
    checkpoint = read_checkpoint(path)
    return checkpoint.get('state_dict', checkpoint)


def main() -> None:
    parser = tool_parser(__doc__)
    parser.add_argument('base', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument(
        '--task', action='append', required=True, metavar='NAME[/OTHER]=FILE')
    args = parser.parse_args()
    if args.out.suffix not in ('.pth', '.safetensors'):
        parser.error('`out` must end in .pth or .safetensors, got '
                     f'{args.out}')
    pairs = [pair.partition('=') for pair in args.task]
    if not all(name and file for name, _, file in pairs):
        parser.error(
            f'`--task` must be NAME=FILE or NAME/OTHER=FILE, got {args.task}')
    args.task = {name: Path(file) for name, _, file in pairs}
    if len(args.task) < len(pairs):
        parser.error('`--task` names one task twice')
    trained = {
        task: (str(path), read(path))
        for task, path in args.task.items()
    }
    merged = merge(read(args.base), trained)
    if args.out.suffix == '.safetensors':
        write_safetensors(merged, args.out)
    else:
        with whole_file(args.out) as part:
            torch.save(dict(state_dict=merged), part)


if __name__ == '__main__':
    run_tool(main)
