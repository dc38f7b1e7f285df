"""Files below folders, through links."""
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

#: What macOS writes beside a file on other disks; it has the file's ending.
_COMPANION = '._'


def list_files(folder: str | Path,
               suffixes: Sequence[str] | None = None) -> list[Path]:
    """Files below a folder, links followed, sorted by path.

    A folder that links to itself, or to one that it lies in, is not entered
    again: on a path each real folder occurs once. So a folder that is linked
    to from two others is listed below both, and nothing is listed for ever. A
    link to nothing is listed, so that whoever reads it says so; what is
    neither file nor folder, such as a pipe, is not. Companions that macOS
    makes, ``._a.png`` of ``a.png``, are no files of their own.

    Args:
        folder: Where to look.
        suffixes: Endings, in lower case; None takes all.

    Returns:
        Paths that begin with ``folder``.

    Raises:
        OSError: If a folder cannot be read.
    """
    names = map(Path, _walk(os.fspath(folder), ()))
    return sorted(path for path in names
                  if suffixes is None or path.suffix.lower() in suffixes)


def _walk(folder: str, above: tuple) -> Iterator[str]:
    """Files below a folder that lies in some others."""
    state = os.stat(folder)
    here = state.st_dev, state.st_ino
    if here in above:
        return
    with os.scandir(folder) as entries:
        entries = list(entries)
    for entry in entries:
        # Of a link that leads to itself, an entry raises and a path does not.
        known = Path(entry.path) if entry.is_symlink() else entry
        if known.is_dir():
            yield from _walk(entry.path, (*above, here))
        elif not entry.name.startswith(_COMPANION) and (
                known.is_file() or not os.path.exists(entry.path)):
            yield entry.path


def path_below(path: str | Path, root: (str | Path)) -> str | None:
    """Path of a file below a folder, by name, not by the target of links.

    An image of the folder may be a link to elsewhere, and the folder may
    have two names: both are looked through.

    Args:
        path: File.
        root: Folder.

    Returns:
        The path relative to ``root``, with ``/``; None if it is elsewhere.
    """
    path, root = os.path.abspath(path), os.path.abspath(root)
    folder, name = os.path.split(path)
    ways = ((path, root), (os.path.join(os.path.realpath(folder),
                                        name), os.path.realpath(root)),
            (os.path.realpath(path), os.path.realpath(root)))
    for one, other in ways:
        if Path(one).is_relative_to(other):
            return Path(one).relative_to(other).as_posix()
    return None
