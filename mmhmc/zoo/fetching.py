"""Weights of the model zoo, brought here and checked."""
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import Optional, Union
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from mmhmc.whole_files import sha256_of
from .compressai_zoo import CompressAIWeights, find_compressai
from .index import ZooModel, find_model

Wanted = Union[ZooModel, CompressAIWeights]

_WEB = ('http://', 'https://')
_CHECKOUT = Path(__file__).resolve().parents[2] / 'model_zoo'
_CHUNK = 1 << 18
#: A connection without a byte for so long is taken for dead.
_SECONDS = 30


def fetch_weights(name: str,
                  base_url: Optional[str] = None,
                  progress: bool = True) -> Path:
    """Bring the weights of a model here; whole and right, or not at all.

    A folder is used as it is. What comes from the web is kept in
    ``$MMHMC_CACHE`` (``~/.cache/mmhmc``); a download that was cut off goes on
    where it ended, and processes that want the same file wait for one. Size
    and SHA-256 are checked each time, and a file of the cache that has become
    another is removed and fetched anew.

    Args:
        name: Model of the zoo.
        base_url: Where its files are: an address beginning with ``http://``
            or ``https://``, or a folder. None takes ``$MMHMC_ZOO_URL``, else
            ``model_zoo`` of a checkout of the repository, else the address in
            the model's metafile.
        progress: Show on stderr how far it is.

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
        progress: Show on stderr how far it is.

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


def _source(model: ZooModel, base_url: Optional[str]) -> Union[str, Path]:
    """Address on the web, or file."""
    base = base_url or os.environ.get('MMHMC_ZOO_URL')
    if not base:
        if (_CHECKOUT / model.weights).is_file():
            return _CHECKOUT / model.weights
        if model.url.startswith(_WEB):
            return model.url
        raise FileNotFoundError(
            f'{model.weights} is not here, and nothing says where to get it. '
            f'{_remedy(model)}')
    if base.startswith(_WEB):
        return f'{base.rstrip("/")}/{quote(model.weights)}'
    if '://' in base:
        raise ValueError(f'{base!r} is no place for weights: expected an '
                         'address beginning with http:// or https://, or a '
                         'folder.')
    file = Path(base).expanduser() / model.weights
    if not file.is_file():
        raise FileNotFoundError(f'{file} does not exist. {_remedy(model)}')
    return file


def _cached(model: ZooModel) -> Path:
    """Versions of one model, and their beginnings, have different names."""
    stem, dot, suffix = model.weights.rpartition('.')
    return _folder() / f'{stem}-{model.sha256[:8]}{dot}{suffix}'


def _folder() -> Path:
    """Where downloads are kept."""
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
    return (f'Get {model.weights} from where the model zoo is served, put it '
            'into a folder and name that by --base-url or MMHMC_ZOO_URL; or '
            'let MMHMC_ZOO_URL be an address that serves it.')


def _download(url: str, file: Path, model: Wanted, progress: bool) -> None:
    """Download to a file that appears when it is whole and right.

    Raises:
        ConnectionError, FileNotFoundError, ValueError: See
            :func:`fetch_weights`.
    """
    part = file.with_name(f'{file.name}.part')
    has_begun = part.exists()
    if model.size is None:
        model = replace(model, size=_announced_size(url, model))
    with _bar(model, url, progress) as show:
        _complete(url, part, model, show)
        if has_begun and not _is_right(part, model):
            # What was left by an earlier attempt may be the wrong part.
            part.unlink()
            _complete(url, part, model, show)
    try:
        _check(part, model)
    except ValueError as error:
        part.unlink()
        raise ValueError(f'What {url} serves is refused: {error}') from None
    part.replace(file)


def _announced_size(url: str, model: Wanted) -> int:
    """Bytes of a file, as its server says.

    Raises:
        ConnectionError, FileNotFoundError: See :func:`fetch_compressai`.
    """
    try:
        with urlopen(
                Request(url, method='HEAD'), timeout=_SECONDS) as response:
            return int(response.headers['Content-Length'])
    except HTTPError as refusal:
        if refusal.code < 500:
            raise _refused(url, refusal, model) from None
        error = refusal
    except (OSError, HTTPException) as broken:
        error = broken
    except (TypeError, ValueError):
        error = 'it does not say how large the file is'
    raise ConnectionError(f'{url} cannot be reached ({error}). '
                          f'{_remedy(model)}')


def _refused(url: str, refusal: HTTPError, model: Wanted) -> FileNotFoundError:
    return FileNotFoundError(f'{url} cannot be had: {refusal.code} '
                             f'{refusal.reason}. {_remedy(model)}')


def _complete(url: str, part: Path, model: Wanted,
              show: Callable[[int], None]) -> None:
    """Fetch what is missing, for as long as anything arrives."""
    here, before = _size(part), -1
    error = 'the connection was closed'
    while before < here < model.size:
        before = here
        try:
            _append(url, part, model.size, show)
        except HTTPError as refusal:
            if refusal.code < 500:
                part.unlink(missing_ok=True)
                raise _refused(url, refusal, model) from None
            error = refusal
        except (OSError, HTTPException) as broken:
            error = broken
        here = _size(part)
    if here < model.size:
        raise ConnectionError(
            f'{url}: {here} of {model.size} bytes are here ({error}). The '
            'same command goes on from there when there is a network. '
            f'{_remedy(model)}')


def _append(url: str, part: Path, size: int, show: Callable[[int],
                                                            None]) -> None:
    """One connection; it stops one byte behind the end, if there is one."""
    here = _size(part)
    headers = {'Range': f'bytes={here}-'} if here else {}
    with urlopen(Request(url, headers=headers), timeout=_SECONDS) as response:
        # With 200 instead of 206 a server sends all, whatever was asked for.
        here = here if response.status == 206 else 0
        with open(part, 'ab' if here else 'wb') as out:
            show(here)
            while here <= size and (chunk := response.read(
                    min(_CHUNK, size + 1 - here))):
                out.write(chunk)
                here += len(chunk)
                show(here)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _bar(model: Wanted, url: str,
         shown: bool) -> Iterator[Callable[[int], None]]:
    """Bytes so far: a bar on a terminal, elsewhere one line to begin with."""
    if shown and sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import (BarColumn, DownloadColumn, Progress,
                                   TextColumn, TransferSpeedColumn)
        columns = (TextColumn('{task.description}'), BarColumn(),
                   DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(model.weights, total=model.size)
            yield lambda size: bar.update(task, completed=size)
        return
    if shown:
        print(
            f'Getting {url} ({model.size / 1e6:.1f} MB)',
            file=sys.stderr,
            flush=True)
    yield lambda size: None
