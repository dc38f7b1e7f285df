"""Weights of the model zoo, downloaded and checked."""
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Union
from urllib.parse import quote

from mmhmc.progress import byte_progress
from mmhmc.whole_files import sha256_of
from .compressai_zoo import CompressAIWeights, find_compressai
from .downloading import download, part_of, size_on_server
from .hub import HUB, fetch_hub
from .index import ZooModel, find_model

Wanted = Union[ZooModel, CompressAIWeights]

_WEB = ('http://', 'https://', HUB)
_CHECKOUT = Path(__file__).resolve().parents[2] / 'model_zoo'
#: What a wheel carries: the weights of ``mmhmc demo``.
_PACKAGED = Path(__file__).resolve().parents[1] / '.mim/model_zoo'


def fetch_weights(name: str,
                  base_url: str | None = None,
                  progress: bool = True) -> Path:
    """Download the weights of a model; a file is whole and right, or absent.

    A folder is used as it is. What comes from the web is kept in
    ``$MMHMC_CACHE`` (``~/.cache/mmhmc``); a download that was cut off goes on
    where it ended, and processes that want the same file wait for one. Size
    and SHA-256 are checked each time, and a file of the cache that has become
    another is removed and fetched anew.

    Args:
        name: Model of the zoo.
        base_url: Where its files are: an address beginning with ``http://``,
            ``https://`` or ``hf://``, or a folder. None takes
            ``$MMHMC_ZOO_URL``, else ``model_zoo`` of a checkout of the
            repository, else what is part of the package, else the address in
            the model's metafile.
        progress: Show the progress on stderr.

    Returns:
        File with the weights, ``.safetensors``.

    Raises:
        ConnectionError: If the address cannot be reached, or the connection
            broke; what has arrived is kept.
        FileNotFoundError: If there is no such file.
        ValueError: If there is no such model, the place is none, or the file
            is not the one that the zoo names.
    """
    model = find_model(name)
    source = _source(model, base_url)
    if str(source).startswith(HUB):
        source = fetch_hub(source)
    if isinstance(source, Path):
        _check(source, model)
        return source
    return _fetch(source, _cached(model), model, progress)


def fetch_compressai(address: str, progress: bool = True) -> Path:
    """Bring weights of CompressAI's model zoo here, as :func:`fetch_weights`.

    They are kept under CompressAI's name for them, whose digits must begin
    the file's SHA-256.

    Args:
        address: See :func:`find_compressai`.
        progress: Show the progress on stderr.

    Returns:
        File with the weights, as ``torch.save`` wrote it.

    Raises:
        ConnectionError: If the address cannot be reached, or the connection
            broke; what has arrived is kept.
        FileNotFoundError: If the address has no such file.
        ValueError: If CompressAI has no such weights, or the file is not the
            one that it names; then the file is removed.
    """
    weights = find_compressai(address)
    return _fetch(weights.url, _folder() / weights.weights, weights, progress)


def _fetch(source: str, file: Path, model: Wanted, progress: bool) -> Path:
    if not _is_right(file, model):
        from filelock import FileLock
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f'{file}.lock'):
            # The one before may have brought it.
            if not _is_right(file, model):
                file.unlink(missing_ok=True)
                _download(source, file, model, progress)
    return file


def _source(model: ZooModel, base_url: str | None) -> str | Path:
    """Address on the web, or file."""
    base = base_url or os.environ.get('MMHMC_ZOO_URL')
    if not base:
        for folder in (_CHECKOUT, _PACKAGED):
            if (folder / model.weights).is_file():
                return folder / model.weights
        if model.url.startswith(_WEB):
            return model.url
        raise FileNotFoundError(
            f'{model.weights} is not here, and nothing says where to get it. '
            f'{_remedy(model)}')
    if base.startswith(_WEB):
        return f'{base.rstrip("/")}/{quote(model.weights)}'
    if '://' in base:
        raise ValueError(f'{base!r} is no place for weights: expected an '
                         'address beginning with http://, https:// or hf://, '
                         'or a folder.')
    file = Path(base).expanduser() / model.weights
    if not file.is_file():
        raise FileNotFoundError(f'{file} does not exist. {_remedy(model)}')
    return file


def _cached(model: ZooModel) -> Path:
    """Versions of one model, and their beginnings, have different names."""
    stem, dot, suffix = model.weights.rpartition('.')
    return _folder() / f'{stem}-{model.sha256[:8]}{dot}{suffix}'


def _folder() -> Path:
    folder = os.environ.get('MMHMC_CACHE') or '~/.cache/mmhmc'
    return Path(folder).expanduser()


def _check(file: Path, model: Wanted) -> None:
    """Compare size and SHA-256.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If it is another.
    """
    size = file.stat().st_size
    if model.size is not None and size != model.size:
        raise ValueError(f'{file} has {size} bytes, expected {model.size}: '
                         f'these are not the weights of {model.name}. '
                         f'{_remedy(model)}')
    found = sha256_of(file)
    if not found.startswith(model.sha256):
        more = '...' if len(model.sha256) < len(found) else ''
        raise ValueError(
            f'{file} has SHA-256 {found}, expected {model.sha256}{more}: '
            f'these are not the weights of {model.name}. {_remedy(model)}')


def _is_right(file: Path, model: Wanted) -> bool:
    try:
        _check(file, model)
    except (FileNotFoundError, ValueError):
        return False
    return True


def _remedy(model: Wanted) -> str:
    if isinstance(model, CompressAIWeights):
        return (f'Where there is a network, download {model.url}, and put '
                f'{model.weights} into {_folder()}.')
    return ('Let MMHMC_ZOO_URL say where the model zoo is: a folder with '
            f'{model.weights}, or an address, https:// or hf://OWNER/REPO.')


def _download(url: str, file: Path, model: Wanted, shown: bool) -> None:
    """Download to a file that appears when it is whole and right.

    Raises:
        ConnectionError, FileNotFoundError, ValueError: See
            :func:`fetch_weights`.
    """
    part = part_of(file)
    has_begun = part.exists()
    size = model.size or size_on_server(url, _remedy(model))
    with byte_progress(f'Getting {url}', size, shown) as show:
        get = partial(download, url, part, size, show, _remedy(model))
        get()
        if has_begun and not _is_right(part, model):
            # What was left by an earlier attempt may be the wrong part.
            part.unlink()
            get()
    try:
        _check(part, replace(model, size=size))
    except ValueError as error:
        part.unlink()
        raise ValueError(f'What {url} serves is refused: {error}') from None
    part.replace(file)
