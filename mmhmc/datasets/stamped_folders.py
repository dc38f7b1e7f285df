"""Folders of files that are made here, and known again by a stamp."""
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from mmhmc.whole_files import sha256_of

STAMP = 'sample_instances.json'


def is_finished(root: Path, wanted: dict) -> bool:
    """Whether a folder holds all files that were made for these settings.

    Args:
        root: The folder.
        wanted: Settings, as JSON takes them.
    """
    try:
        stamp = json.loads((root / STAMP).read_text())
        files = stamp.pop('files')
        hashes = _file_hashes(root)
    except (FileNotFoundError, NotADirectoryError, ValueError, AttributeError,
            KeyError, TypeError):
        # The last three: JSON, but no stamp.
        return False
    return stamp == wanted and files.items() <= hashes.items()


def make_folder(root: Path, wanted: dict, write: Callable[[Path],
                                                          None]) -> None:
    """Make a folder, in place of one that has the same name.

    It appears under its name only when it is finished, so several processes
    may make it at once: the first one wins.

    Args:
        root: The folder.
        wanted: Settings that decide its files, for :func:`is_finished`.
        write: Writes the files into a folder, which does not exist yet.
    """
    unfinished = _sibling(root)
    try:
        write(unfinished)
        stamp = dict(wanted, files=_file_hashes(unfinished))
        (unfinished / STAMP).write_text(json.dumps(stamp, indent=1))
        _put_in_place(unfinished, root, wanted)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _file_hashes(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): sha256_of(path)
        for path in sorted(root.rglob('*'))
        if path.name != STAMP and path.is_file()
    }


def _put_in_place(finished: Path, root: Path, wanted: dict) -> None:
    """Rename a finished folder; keep that of a faster process."""
    if is_finished(root, wanted):
        return
    replaced = _sibling(root)
    try:
        root.rename(replaced)
    except FileNotFoundError:  # the usual case: there is none to replace
        pass
    try:
        finished.rename(root)
    except OSError:
        if not is_finished(root, wanted):
            raise
    finally:
        shutil.rmtree(replaced, ignore_errors=True)


def _sibling(root: Path) -> Path:
    return root.parent / f'.{root.name}.{uuid4().hex}'
