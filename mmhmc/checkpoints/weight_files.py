"""Weights in ``.safetensors`` files, which cannot hold code."""
import json
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from mmhmc.whole_files import whole_file

#: Metadata key of everything in our files that is not a tensor.
_OWN = 'mmhmc'

_UINT16 = 1 << 16

#: Suffix of the name of the steps that belong to weights in 8 bits.
STEP = '@step'


def write_safetensors(state_dict: dict,
                      path: str | Path,
                      dataset_meta: dict | None = None,
                      based_on: dict | None = None) -> None:
    """Write weights as a file that cannot hold code.

    The versions of the modules, by which hosts rename old keys, are kept.
    Entropy tables lose the zeros behind the end of each row, which are most
    of them, and have 16 bits for 32; :func:`read_safetensors` restores them.

    Args:
        state_dict: Tensors by name.
        path: File, ``.safetensors``; it appears whole or not at all.
        dataset_meta: Names and colours of the classes, by which hosts label
            predictions, as values of JSON.
        based_on: The model that has the other weights, see
            :func:`~mmhmc.checkpoints.reading.read_checkpoint`: its ``name``
            and ``sha256``, what its names begin with (``prefix``), and what
            those of this file begin with (``as``).

    Raises:
        ValueError: If something else than a tensor is among them.
    """
    from safetensors.torch import save_file
    others = [k for k, v in state_dict.items() if not torch.is_tensor(v)]
    if others:
        raise ValueError(f'`state_dict` has {others[0]!r}, which is a '
                         f'{type(state_dict[others[0]]).__name__}; '
                         'safetensors holds tensors only.')
    # Copies, for safetensors refuses tensors that share memory.
    tensors = {
        key: value.detach().clone(memory_format=torch.contiguous_format)
        for key, value in state_dict.items()
    }
    for key, lengths in _tables(tensors):
        tensors[key] = _without_ends(tensors[key], lengths)
    meta = dict(module_versions=getattr(state_dict, '_metadata', {}))
    if dataset_meta:
        meta['dataset_meta'] = dataset_meta
    if based_on:
        meta['based_on'] = based_on
    # One entry: safetensors writes several in any order, and the same weights
    # would not have the same SHA-256.
    with whole_file(path) as part:
        save_file(tensors, part, {_OWN: json.dumps(meta)})
        # safetensors writes for the owner only.
        part.chmod(0o644)


def _tables(tensors: dict) -> Iterator[tuple[str, Tensor]]:
    """Names of entropy tables, with the lengths of their rows."""
    for key in list(tensors):
        lengths = tensors.get(
            key.removesuffix('_quantized_cdf') + '_cdf_length')
        if key.endswith('_quantized_cdf') and lengths is not None:
            yield key, lengths


def _without_ends(table: Tensor, lengths: Tensor) -> Tensor:
    """Rows up to their lengths, one behind the other.

    A table with other values than zeros there does not change. Rows that rise
    by less than 2**16 at a time, as cumulative frequencies do, are replaced
    by their differences.
    """
    if table.ndim != 2 or table.shape[:1] != lengths.shape:
        return table
    inside = _inside(lengths, table.shape[1])
    rows = table[inside]
    fits = table.numel() and lengths.max() == table.shape[1]
    if not fits or table[~inside].any():
        return table
    rises = table.diff(dim=1, prepend=torch.zeros_like(table[:, :1]))[inside]
    if table.dtype != torch.int32 or (rises < 0).any() or (rises
                                                           >= _UINT16).any():
        return rows
    # torch of the upstream lineage has no uint16.
    return torch.where(rises < _UINT16 // 2, rises,
                       rises - _UINT16).to(torch.int16)


def _with_ends(rows: Tensor, lengths: Tensor) -> Tensor:
    """Reverse :func:`_without_ends`."""
    if rows.ndim != 1 or not rows.numel():
        return rows
    if lengths.ndim != 1 or lengths.sum() != rows.numel() or (lengths
                                                              < 0).any():
        raise ValueError('the rows of an entropy table have other lengths')
    inside = _inside(lengths, int(lengths.max()))
    is_rises = rows.dtype == torch.int16
    if is_rises:
        rows = rows.int() % _UINT16
    table = rows.new_zeros(inside.shape)
    table[inside] = rows
    if is_rises:
        table = table.cumsum(1, dtype=table.dtype) * inside
    return table


def _inside(lengths: Tensor, width: int) -> Tensor:
    return torch.arange(width, device=lengths.device) < lengths[:, None]


def in_steps(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight in 8 bits: whole steps, and their size.

    Args:
        weight: Of at least one dimension; each entry of the first has a step
            of its own, a 127th of its largest magnitude.

    Returns:
        int8 of the weight's shape, and float32 of its first dimension.
    """
    size = weight.detach().abs().flatten(1).amax(1).float() / 127
    # Where all is zero, any step will do.
    size = torch.where(size > 0, size, torch.ones_like(size))
    return (weight.detach() / _beside(size, weight)).round().to(
        torch.int8), size


def _from_steps(state_dict: OrderedDict[str, Tensor]) -> None:
    """Replace weights in 8 bits by float32."""
    for key in [key for key in state_dict if key.endswith(STEP)]:
        size, name = state_dict.pop(key), key.removesuffix(STEP)
        steps = state_dict.get(name)
        if steps is None or steps.dtype != torch.int8 or \
                size.shape != steps.shape[:1]:
            raise ValueError(f'{key} does not fit {name}')
        state_dict[name] = steps * _beside(size, steps)


def _beside(size: Tensor, weight: Tensor) -> Tensor:
    return size.reshape(-1, *[1] * (weight.ndim - 1))


def read_safetensors(file: Path, device: str | torch.device) -> dict:
    """Read a ``.safetensors`` file.

    Args:
        file: File of :func:`write_safetensors`, or of any other writer.
        device: Where the tensors go.

    Returns:
        ``state_dict``, in which weights of 8 bits and entropy tables are what
        they were, and the file's metadata as ``meta``.
    """
    from safetensors import safe_open
    with safe_open(file, 'pt') as content:
        meta = content.metadata() or {}
        state_dict = OrderedDict((key, content.get_tensor(key).to(device))
                                 for key in content.keys())
    for key, lengths in _tables(state_dict):
        state_dict[key] = _with_ends(state_dict[key], lengths)
    _from_steps(state_dict)
    own = json.loads(meta.pop(_OWN, '{}'))
    if 'module_versions' in own:
        state_dict._metadata = OrderedDict(own.pop('module_versions'))
    meta.update(own)
    return dict(state_dict=state_dict, meta=meta)
