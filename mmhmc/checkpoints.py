"""Reading checkpoints without running code that is in them.

A checkpoint written by ``torch.save`` is a pickle, and a pickle can name any
function to be called while it is read. Here files are read as data only:
``.safetensors`` by safetensors, everything else by
``torch.load(weights_only=True)``, and what needs more is refused. There is no
fallback. :func:`use_for_mmengine`, which :mod:`mmhmc.registry` calls, makes
mmengine read so too: ``load_from``, ``resume``, ``Pretrained`` and the hosts'
inferencers.

The limit: a config is code, and checkpoints hold one as text. The hosts'
inferencers run that text if they are given no config; so give them one.
"""
import hashlib
import json
import re
import shlex
import struct
import sys
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Optional, Union
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.fileio import get_local_path
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import (CheckpointLoader,
                                        get_deprecated_model_names,
                                        get_external_models, get_mmcls_models,
                                        get_torchvision_models)
from torch import Tensor

from mmhmc.compat import load_as_data
from mmhmc.whole_files import sha256_of, whole_file
from mmhmc.zoo import (fetch_compressai, fetch_weights, find_compressai,
                       is_compressai)
from mmhmc.zoo.compressai_zoo import COMPRESSAI

MapLocation = Union[str, torch.device, Callable, dict, None]

_CEPH = (r'(\S+\:)?s3://', r'(\S+\:)?petrel://')
_ZOO = 'mmhmc://'
_SCHEMES = ('', _ZOO, COMPRESSAI, 'http://', 'https://', 'modelzoo://',
            'torchvision://', 'open-mmlab://', 'openmmlab://', 'mmcls://',
            'pavi://', *_CEPH)

#: Key under which our files have what is not a tensor.
_OWN = 'mmhmc'

_UINT16 = 1 << 16

#: Behind the name of weights in 8 bits: the name of their steps.
STEP = '@step'

#: Numbers and truth values, of a size that numpy has.
_PLAIN_DTYPE = re.compile(r'b1|[iu][1248]|f[248]|c(8|16)')

#: Names by the hash of the content, as torchvision and OpenMMLab give them.
_HASH_IN_NAME = re.compile(r'[-_][0-9a-f]{8,64}\.')

#: What readers raise for bytes that are no checkpoint.
_UNREADABLE = (ArithmeticError, AssertionError, AttributeError, EOFError,
               LookupError, RuntimeError, TypeError, ValueError, struct.error)


def read_checkpoint(path: Union[str, Path],
                    map_location: MapLocation = 'cpu',
                    sha256: Optional[str] = None) -> dict:
    """Read a checkpoint as data; code in it never runs.

    Besides tensors and plain Python values a file may hold what mmengine's
    runner writes: logs (``HistoryBuffer``) and numpy arrays of numbers. They
    are rebuilt from checked parts, not by numpy's and mmengine's own
    unpickling, since ``numpy.dtype`` accepts a state that makes numpy follow
    addresses from the file.

    Args:
        path: File, or an address beginning with ``http://``, ``https://``,
            ``torchvision://``, ``openmmlab://``, ``mmcls://``, ``s3://`` or
            ``petrel://``. What is downloaded is kept in torch hub's cache,
            under its name if that has a hash in it.
            ``mmhmc://NAME`` is a model of this project's zoo, see
            :func:`mmhmc.zoo.fetch_weights`; ``compressai://NAME`` are weights
            that CompressAI publishes, see
            :func:`mmhmc.zoo.find_compressai`.
        map_location: Device of the tensors, see ``torch.load``.
            ``.safetensors`` files know no callable and no dict.
        sha256: SHA-256 of the file, in 64 hexadecimal digits, to be checked
            before anything is read.

    Returns:
        What was saved. For ``.safetensors`` a dict with ``state_dict``, in
        which weights of 8 bits (:func:`in_steps`) are float32 again, and
        with the file's metadata (strings, and ``dataset_meta`` as
        :func:`write_safetensors` took it) as ``meta``.

    Raises:
        OSError: If the file cannot be opened or downloaded.
        TypeError: If ``map_location`` does not fit the file.
        ValueError: If the file would run code, is damaged, is no checkpoint,
            or has another SHA-256; or if the address is unknown.
    """
    if sha256 is not None and not re.fullmatch('[0-9a-fA-F]{64}', sha256):
        raise ValueError('`sha256` must have 64 hexadecimal digits, got '
                         f'{sha256!r}.')
    name = str(path)
    if any(re.match(prefix, name) for prefix in _CEPH):
        with get_local_path(
                name, backend_args=dict(backend='petrel')) as local:
            return _read_file(Path(local), name, map_location, sha256)
    if name.startswith(_ZOO):
        path = fetch_weights(name.removeprefix(_ZOO))
        return _read_file(path, str(path), map_location, sha256)
    if is_compressai(name):
        file = fetch_compressai(name)
        saved = _read_file(file, str(file), map_location, sha256)
        state = saved.get('state_dict', saved)
        return dict(state_dict=find_compressai(name).complete(state))
    url = _url(name)
    file = Path(name).expanduser() if url is None else _fetch(url, sha256)
    checkpoint = _read_file(file, str(file), map_location, sha256)
    if name.startswith('mmcls://'):
        return _backbone_of(checkpoint)
    return checkpoint


def read_trusted_checkpoint(path: Union[str, Path]) -> dict:
    """Read a checkpoint and RUN the code that is in it.

    For converting a file whose origin is known
    (``tools/model_converters/publish.py --trust``), nothing else.

    Args:
        path: File written by ``torch.save``.

    Returns:
        What was saved.
    """
    return torch.load(path, map_location='cpu', weights_only=False)


def write_safetensors(state_dict: dict,
                      path: Union[str, Path],
                      dataset_meta: Optional[dict] = None) -> None:
    """Write weights as a file that cannot hold code.

    The versions of the modules, by which hosts rename old keys, are kept.
    Entropy tables lose the zeros behind the end of each row, which are most
    of them, and have 16 bits for 32; :func:`read_checkpoint` makes them again
    what they were.

    Args:
        state_dict: Tensors by name.
        path: File, ``.safetensors``; it appears whole or not at all.
        dataset_meta: Names and colours of the classes, from which hosts label
            predictions: what JSON can hold.

    Raises:
        ValueError: If something else than a tensor is among them.
    """
    from safetensors.torch import save_file
    others = [k for k, v in state_dict.items() if not torch.is_tensor(v)]
    if others:
        raise ValueError(f'`state_dict` has {others[0]!r}, which is a '
                         f'{type(state_dict[others[0]]).__name__}; '
                         'safetensors holds tensors only.')
    # Tensors that share memory, which safetensors refuses, are told apart.
    tensors = {
        key: value.detach().clone(memory_format=torch.contiguous_format)
        for key, value in state_dict.items()
    }
    for key, lengths in _tables(tensors):
        tensors[key] = _without_ends(tensors[key], lengths)
    meta = dict(module_versions=getattr(state_dict, '_metadata', {}))
    if dataset_meta:
        meta['dataset_meta'] = dataset_meta
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

    A table whose ends are no zeros stays what it is. Rows that rise by less
    than 2**16 at a time, as those of probabilities do, become their rises.
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
    """Reverse :func:`_without_ends`.

    Raises:
        ValueError: If the lengths are not those of the rows.
    """
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
    """Replace weights in 8 bits by the numbers that they stand for.

    Raises:
        ValueError: If steps belong to no weight.
    """
    for key in [key for key in state_dict if key.endswith(STEP)]:
        size, name = state_dict.pop(key), key.removesuffix(STEP)
        steps = state_dict.get(name)
        if steps is None or steps.dtype != torch.int8 or \
                size.shape != steps.shape[:1]:
            raise ValueError(f'{key} does not fit {name}')
        state_dict[name] = steps * _beside(size, steps)


def _beside(size: Tensor, weight: Tensor) -> Tensor:
    return size.reshape(-1, *[1] * (weight.ndim - 1))


def load_from_mmhmc(filename: str, map_location: MapLocation = None) -> dict:
    """Loader for mmengine, which logs what follows ``load_from_``."""
    return read_checkpoint(filename, map_location)


def use_for_mmengine() -> None:
    """Make mmengine read every checkpoint by :func:`read_checkpoint`."""
    CheckpointLoader.register_scheme(_SCHEMES, load_from_mmhmc, force=True)


def _url(name: str) -> Optional[str]:
    """Where an address leads on the web; None for a file."""
    scheme, colon, model = name.partition('://')
    if not colon:
        return None
    if scheme in ('http', 'https'):
        return name
    if scheme in ('torchvision', 'modelzoo'):
        models = get_torchvision_models()
    elif scheme in ('openmmlab', 'open-mmlab'):
        models = get_external_models()
        model = get_deprecated_model_names().get(model, model)
    elif scheme == 'mmcls':
        models = get_mmcls_models()
    else:
        raise ValueError(
            f'{name!r} begins with an address that is not known here; '
            'expected mmhmc, http, https, torchvision, openmmlab, mmcls, '
            'compressai, s3 or petrel. Download it and give the file.')
    if model not in models:
        raise ValueError(f'{scheme}:// has no model {model!r}.')
    return models[model]


def _backbone_of(checkpoint: dict) -> dict:
    """A classifier's checkpoint as that of its backbone."""
    state_dict = checkpoint.get('state_dict', checkpoint)
    prefix = 'backbone.'
    return dict(
        state_dict=OrderedDict((key[len(prefix):], value)
                               for key, value in state_dict.items()
                               if key.startswith(prefix)))


def _fetch(url: str, sha256: Optional[str]) -> Path:
    """Download into torch hub's cache, unless it is there."""
    file_name = Path(urlparse(url).path).name
    if not file_name:
        raise ValueError(f'{url!r} names no file.')
    if not _HASH_IN_NAME.search(file_name):
        # Several addresses may end in `model.pth`.
        digest = hashlib.sha256(url.encode()).hexdigest()[:8]
        file_name = f'{digest}-{file_name}'
    file = Path(torch.hub.get_dir()) / 'checkpoints' / file_name
    # One process downloads for all that share a disk, the others look again.
    try:
        if is_main_process():
            _download(url, file, sha256)
    finally:
        barrier()
    _download(url, file, sha256)
    return file


def _download(url: str, file: Path, sha256: Optional[str]) -> None:
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Under another name until it is whole and its hash is right.
        torch.hub.download_url_to_file(
            url,
            str(file),
            hash_prefix=sha256.lower() if sha256 else None,
            progress=sys.stderr.isatty())
    except RuntimeError as error:
        raise ValueError(
            f'{url} is not what was expected: {error}.') from error


def _read_file(file: Path, name: str, map_location: MapLocation,
               sha256: Optional[str]) -> dict:
    """Read a file by the ending of its name."""
    if sha256 is not None:
        _check_sha256(file, sha256)
    is_safetensors = name.endswith('.safetensors')
    read = _read_safetensors if is_safetensors else _read_pickle
    checkpoint = read(file, map_location)
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{name} holds a {type(checkpoint).__name__}; a '
                         'checkpoint is a dict.')
    return checkpoint


def _check_sha256(file: Path, expected: str) -> None:
    found = sha256_of(file)
    if found != expected.lower():
        raise ValueError(
            f'{file} has SHA-256 {found}, expected '
            f'{expected.lower()}. Delete it and get it again, or do not use '
            'it.')


def _read_safetensors(file: Path, map_location: MapLocation) -> dict:
    from safetensors import SafetensorError, safe_open
    if callable(map_location) or isinstance(map_location, dict):
        raise TypeError(f'`map_location` for {file} must be a device, got a '
                        f'{type(map_location).__name__}.')
    device = 'cpu' if map_location is None else map_location
    try:
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
    except (SafetensorError, *_UNREADABLE) as error:
        raise _unreadable(file, error) from error
    return dict(state_dict=state_dict, meta=meta)


def _read_pickle(file: Path, map_location: MapLocation):
    """``torch.load`` for data, with mmengine's logs and numpy's arrays."""
    try:
        _refuse_archives(file)
        checkpoint = load_as_data(file, map_location, _STAND_INS)
        return _restored(checkpoint, {})
    except UnpicklingError as error:
        # torch's own text advises to switch the protection off.
        raise _refused(file, _reason(str(error))) from None
    except (zipfile.BadZipFile, *_UNREADABLE) as error:
        raise _unreadable(file, error) from error


def _refuse_archives(file: Path) -> None:
    """torch before 2.6 reads these without regard to ``weights_only``."""
    if tarfile.is_tarfile(file):
        raise UnpicklingError('it is a tar archive')
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if any(n.endswith('/constants.pkl') for n in archive.namelist()):
                raise UnpicklingError('it is a TorchScript archive')


def _reason(text: str) -> str:
    """Why a reader refused, from its message."""
    own = re.search('it (is|has) an? .*', text)
    if own is not None:
        return own[0]
    asked = re.search(r'(GLOBAL|Unsupported class) ([\w.]+)', text)
    if asked is None:
        return 'it has pickle instructions that tensors do not need'
    return f'it asks for `{asked[2]}`'


def _refused(file: Path, reason: str) -> ValueError:
    return ValueError(
        f'{file} is not read: {reason}, and reading that could run code. If '
        'you trust where it comes from, convert it: python '
        'tools/model_converters/publish.py --trust '
        f'{shlex.quote(str(file))} OUT.safetensors')


def _unreadable(file: Path, error: Exception) -> ValueError:
    lines = str(error).splitlines() or ['']
    return ValueError(
        f'{file} cannot be read ({type(error).__name__}: {lines[0]}). '
        'Expected a `.safetensors` file, or one by `torch.save`; if it was '
        'cut short, copy or download it again.')


class _SavedDtype:
    """``numpy.dtype`` of numbers; only the byte order is in its state."""

    def __init__(self, name, align=False, copy=False):
        if not isinstance(name, str) or not _PLAIN_DTYPE.fullmatch(name):
            raise UnpicklingError('it has a `numpy.dtype` not of numbers')
        self.name, self.order = name, '='

    def __setstate__(self, state):
        self.order = state[1]

    def restored(self) -> np.dtype:
        return np.dtype(self.name).newbyteorder(self.order)


class _SavedArray:
    """``numpy.ndarray`` of numbers."""

    # numpy pickles an array in two steps; this is it after the first.
    state = (1, (0, ), None, False, b'')

    def __init__(self, *unused):
        """Takes what ``_reconstruct`` does: class, shape and type code."""

    def __setstate__(self, state):
        self.state = state

    def restored(self) -> np.ndarray:
        _, shape, dtype, is_fortran, content = self.state
        flat = _numbers(content, dtype)
        return flat.reshape(shape, order='F' if is_fortran else 'C')


class _SavedScalar:
    """``numpy`` scalar; there is no second step, so it is built at once."""

    def __new__(cls, dtype, content):
        value, = _numbers(content, dtype)
        return value


def _numbers(content: bytes, dtype: _SavedDtype) -> np.ndarray:
    """The numbers in some bytes, in one dimension."""
    if not isinstance(dtype, _SavedDtype) or not isinstance(content, bytes):
        raise UnpicklingError('it has a numpy object not of numbers')
    # A bytearray, so that the array can be written to.
    return np.frombuffer(bytearray(content), dtype.restored())


class _SavedHistory:
    """``HistoryBuffer``, without the statistics functions saved with it.

    They are the class's own, and reading them would replace them for all.
    """

    def __setstate__(self, state):
        self.state = state

    def restored(self) -> HistoryBuffer:
        arrays = [
            self.state[key] for key in ('_log_history', '_count_history')
        ]
        if not all(isinstance(array, _SavedArray) for array in arrays):
            raise UnpicklingError('it has a `HistoryBuffer` not of numbers')
        return HistoryBuffer(*(array.restored() for array in arrays),
                             self.state['max_length'])


class _NoBytes:
    """``bytes``, by whose call only ``b''`` is saved: an empty array."""

    def __new__(cls):
        return b''


class _SavedMethod:
    """``getattr``, by which only those statistics functions are saved."""

    def __new__(cls, owner, name):
        if not (isinstance(owner, type) and issubclass(owner, _SavedHistory)):
            raise UnpicklingError('it has a call of `getattr`')


#: What stands for the types that mmengine's checkpoints name.
_STAND_INS = {
    'mmengine.logging.history_buffer.HistoryBuffer': _SavedHistory,
    'builtins.getattr': _SavedMethod,
    'builtins.bytes': _NoBytes,
    'numpy.dtype': _SavedDtype,
    'numpy.ndarray': _SavedArray,
    # numpy 1 and 2 each read what the other has written.
    'numpy.core.multiarray._reconstruct': _SavedArray,
    'numpy._core.multiarray._reconstruct': _SavedArray,
    'numpy.core.multiarray.scalar': _SavedScalar,
    'numpy._core.multiarray.scalar': _SavedScalar,
}


def _restored(value, done: dict):
    """Replace stand-ins by what they stand for, in containers in place.

    Args:
        value: Anything that torch has read.
        done: For the ``id`` of what was met, it (so that no other gets that
            ``id``) and what replaces it: a list may contain itself, and
            nested tuples may be one object many times.
    """
    if id(value) in done:
        return done[id(value)][1]
    result = value
    if isinstance(value, (_SavedDtype, _SavedArray, _SavedHistory)):
        result = value.restored()
    elif type(value) is tuple:
        result = tuple(_restored(item, done) for item in value)
    elif isinstance(value, (dict, list)):
        done[id(value)] = value, value
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in list(items):
            value[key] = _restored(item, done)
    else:
        return value
    done[id(value)] = value, result
    return result
