"""Downloads that go on where they stopped."""
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

_CHUNK = 1 << 18
#: A connection without a byte for so long is taken for dead.
_SECONDS = 30


def part_of(file: Path) -> Path:
    """Where a file is until it is complete."""
    return file.with_name(f'{file.name}.part')


def size_on_server(url: str, remedy: str = '') -> int:
    """Bytes of a file, as its server tells.

    Args:
        url: The file.
        remedy: What to do if it cannot be had, for the error.

    Raises:
        ConnectionError: If the server cannot be reached, or does not tell.
        FileNotFoundError: If the server has no such file.
    """
    try:
        request = Request(url, method='HEAD')
        with urlopen(request, timeout=_SECONDS) as response:
            return int(response.headers['Content-Length'])
    except HTTPError as refusal:
        if refusal.code < 500:
            raise _refused(url, refusal, remedy) from None
        error = refusal
    except (OSError, HTTPException) as broken:
        error = broken
    except (TypeError, ValueError):
        error = 'it does not tell the size of the file'
    raise ConnectionError(f'{url} cannot be reached ({error}). {remedy}')


def download(url: str,
             part: Path,
             size: int,
             show: Callable[[int], None],
             remedy: str = '') -> None:
    """Fetch what is missing, for as long as anything arrives.

    Args:
        url: What to download.
        part: File that holds the beginning, if there is one; it stays if the
            connection breaks.
        size: Bytes of the whole file.
        show: Called with the bytes so far.
        remedy: What to do if there is no such file, for the error.

    Raises:
        ConnectionError: If the server cannot be reached, or the connection
            broke.
        FileNotFoundError: If the server has no such file.
    """
    here, before = _size(part), -1
    error = 'the connection was closed'
    while before < here < size:
        before = here
        try:
            _append(url, part, size, show)
        except HTTPError as refusal:
            if refusal.code < 500:
                part.unlink(missing_ok=True)
                raise _refused(url, refusal, remedy) from None
            error = refusal
        except (OSError, HTTPException) as broken:
            error = broken
        here = _size(part)
    if here < size:
        raise ConnectionError(
            f'{url}: {here} of {size} bytes are here ({error}). The same '
            'command goes on from there when there is a network. '
            f'{remedy}')


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


def _refused(url: str, refusal: HTTPError, remedy: str) -> FileNotFoundError:
    return FileNotFoundError(
        f'{url} cannot be had: {refusal.code} {refusal.reason}. {remedy}')


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
