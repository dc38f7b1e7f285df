"""Pairs of input and output files."""
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmhmc.file_paths import list_files

STREAM_SUFFIX = '.hmc'


@dataclass(frozen=True)
class FilePair:
    """An input file and its output file.

    Args:
        source: File that is read, as it was given.
        output: File that is written, relative to the folder for all.
    """

    source: str
    output: str


def pair_files(inputs: Iterable[str | Path], suffixes: Sequence[str],
               output_name: Callable[[str], str]) -> list[FilePair]:
    """List files, and those below folders, with a name for each output.

    A file that is named itself is taken whatever its ending, and its output
    lies at the top; below a folder, the structure of the folder is kept. Links
    are followed as :func:`~mmhmc.file_paths.list_files` does.

    Args:
        inputs: Files and folders.
        suffixes: Endings, in lower case, of files to take from folders.
        output_name: From an input's name to its output's.

    Returns:
        The pairs, each once, sorted by output.

    Raises:
        OSError: If a folder cannot be read.
        ValueError: If a folder holds no such file, if two inputs would have
            one output, or if an input has no name.
    """
    pairs: dict[str, FilePair] = {}
    for given in map(checked_path, inputs):
        for source, relative in _sources(given, suffixes):
            output = relative.with_name(output_name(relative.name)).as_posix()
            other = pairs.setdefault(output, FilePair(str(source), output))
            if os.path.realpath(other.source) != os.path.realpath(source):
                raise ValueError(f'{other.source} and {source} would both '
                                 f'become {output}. Rename one, or give them '
                                 'different output folders.')
    return [pairs[output] for output in sorted(pairs)]


def checked_path(given: str | Path) -> Path:
    """What was given as a path.

    Raises:
        ValueError: If it is empty, which would be the present folder.
    """
    if not os.fspath(given).strip():
        raise ValueError("A file or a folder is expected, got nothing; '.' is "
                         'the present folder.')
    return Path(given)


def stream_name(image: str) -> str:
    """Name of an image's stream: ``a.png`` becomes ``a.png.hmc``."""
    return image + STREAM_SUFFIX


def image_name(stream: str) -> str:
    """Name of a stream's image: ``a.png.hmc`` becomes ``a.png`` again.

    An image is a PNG whatever it was before: ``a.jpg.hmc`` becomes
    ``a.jpg.png``.
    """
    name = stream.removesuffix(STREAM_SUFFIX)
    return name if name.lower().endswith('.png') else f'{name}.png'


def _sources(given: Path,
             suffixes: Sequence[str]) -> Iterator[tuple[Path, Path]]:
    if not given.is_dir():
        yield given, Path(given.name)
        return
    files = list_files(given, suffixes)
    if not files:
        raise ValueError(f'{given} holds no file that ends in one of '
                         f'{", ".join(suffixes)}.')
    for path in files:
        yield path, path.relative_to(given)
