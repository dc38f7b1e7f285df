"""Files that appear whole or not at all, and hashes of files."""
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union
from uuid import uuid4


@contextmanager
def whole_file(path: Union[str, Path]) -> Iterator[Path]:
    """Write a file that appears when the block ends.

    The content goes to a hidden file beside it, of a name that no other
    process has, is brought to the disk and renamed. If the block raises,
    nothing is left and the old file stays. Of two that write one file at
    once, the last one counts. A link stays a link: the file that it leads to
    is replaced.

    Args:
        path: File to be.

    Yields:
        The hidden file, which has no ending that says what it is.

    Raises:
        IsADirectoryError: If ``path`` is a folder.
        OSError: If it cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            errno.EISDIR, 'A file is to be written, and '
            'this is a folder', str(path))
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    part = path.with_name(f'.{uuid4().hex}.part')
    try:
        yield part
        with part.open('rb+') as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Union[str, Path], data: bytes) -> None:
    """Write a file by :func:`whole_file`.

    Args:
        path: File; its folder exists.
        data: The content.

    Raises:
        OSError: If it is a folder, or cannot be written.
    """
    with whole_file(path) as part:
        part.write_bytes(data)


def sha256_of(path: Union[str, Path]) -> str:
    """SHA-256 of a file's content, in 64 hexadecimal digits.

    Raises:
        OSError: If it cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_json(path: Union[str, Path]) -> Any:
    """Content of a JSON file.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is none, with its name.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f'{path} is no JSON, or only a part of it: '
                         f'{error}.') from error
