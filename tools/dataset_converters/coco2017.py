"""Say which files of COCO 2017 are there, and fetch the missing ones.

python tools/dataset_converters/coco2017.py --out data/coco
python tools/dataset_converters/coco2017.py --out data/coco --download

The archives have 19 GB and are deleted once they are unpacked; twice that
must be free. An interrupted download goes on where it stopped.
"""
import argparse
import shutil
import sys
import zlib
from pathlib import Path
from urllib.request import Request, urlopen
from zipfile import BadZipFile, ZipFile

from rich.progress import (BarColumn, DownloadColumn, Progress, TextColumn,
                           TimeRemainingColumn, TransferSpeedColumn)

from mmhmc.apis.command import run_tool
from mmhmc.datasets.checks import missing_coco_files

BASE_URL = 'http://images.cocodataset.org'
# Each archive, and what of the expected files is in it.
ARCHIVES = {
    'annotations/annotations_trainval2017.zip':
    ('annotations/instances_train2017.json',
     'annotations/instances_val2017.json'),
    'zips/val2017.zip': ('val2017', ),
    'zips/train2017.zip': ('train2017', ),
}
_CHUNK = 1 << 20
_TIMEOUT_S = 60


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Say which files of COCO 2017 are there; with '
        '--download, fetch the missing ones (19 GB).')
    parser.add_argument('--out', type=Path, default=Path('data/coco'))
    parser.add_argument(
        '--download',
        action='store_true',
        help='fetch and unpack what is missing; run again to resume')
    return parser.parse_args()


def print_state(out: Path) -> bool:
    """Print which of the expected files are there.

    Args:
        out: Folder of the data set.

    Returns:
        Whether nothing is missing.
    """
    missing = missing_coco_files(out)
    for names in ARCHIVES.values():
        for name in names:
            state = 'missing' if out / name in missing else 'there'
            print(f'{state:8}{out / name}')
    return not missing


def download_missing(out: Path,
                     progress: Progress,
                     base_url: str = BASE_URL) -> None:
    """Fetch and unpack every archive of which something is missing.

    Args:
        out: Folder of the data set; made if it does not exist.
        progress: Where to show how far it is.
        base_url: Server that has the archives.
    """
    from filelock import FileLock
    out.mkdir(parents=True, exist_ok=True)
    for name, provided in ARCHIVES.items():
        # Of two that run at once, the second finds what the first has done.
        with FileLock(f'{out}.lock'):
            if not {out / item
                    for item in provided} & {*missing_coco_files(out)}:
                continue
            archive = out / Path(name).name
            if not archive.exists():
                fetch(f'{base_url}/{name}', archive, progress)
            unpack(archive, out, progress)


def fetch(url: str, path: Path, progress: Progress) -> None:
    """Download a file, going on with an earlier attempt if there is one.

    Args:
        url: What to download.
        path: Where to put it; until it is complete it is ``path`` with
            ``.part`` appended.
        progress: Where to show how far it is.

    Raises:
        ConnectionError: If the server does not tell the size, or the
            connection ends before all was received.
    """
    total = _remote_size(url)
    part = path.with_name(f'{path.name}.part')
    offset = part.stat().st_size if part.exists() else 0
    if offset > total:  # not a beginning of this file
        part.unlink()
        offset = 0
    task = progress.add_task(path.name, total=total, completed=offset)
    if offset < total:
        _receive(url, part, offset, progress, task)
    received = part.stat().st_size
    if received != total:
        raise ConnectionError(
            f'{url} has {total} bytes, but only {received} were received. '
            f'They are kept in {part}; try again to go on from there.')
    part.replace(path)


def unpack(archive: Path, out: Path, progress: Progress) -> None:
    """Unpack an archive into ``out`` and delete it.

    Files appear under their names only after the whole archive was read and
    its checksums were right.

    Args:
        archive: A ZIP file.
        out: Folder of the data set.
        progress: Where to show how far it is.

    Raises:
        BadZipFile: If the archive is damaged; it is deleted then.
    """
    unpacked = out / f'.{archive.stem}.unpacking'
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        with ZipFile(archive) as file:
            size = sum(member.file_size for member in file.infolist())
            task = progress.add_task(f'unpack {archive.name}', total=size)
            for member in file.infolist():
                file.extract(member, unpacked)
                progress.advance(task, member.file_size)
    except (BadZipFile, EOFError, zlib.error) as error:
        shutil.rmtree(unpacked, ignore_errors=True)
        archive.unlink()
        raise BadZipFile(
            f'{archive} is damaged ({error}) and was deleted. Run the same '
            'command again to fetch it anew.') from error
    _move_into(unpacked, out)
    archive.unlink()


def _remote_size(url: str) -> int:
    """Size in bytes that the server tells."""
    with urlopen(Request(url, method='HEAD'), timeout=_TIMEOUT_S) as response:
        size = response.headers['Content-Length']
    if size is None:
        raise ConnectionError(
            f'The server does not tell the size of {url}, so a download '
            'could not be checked. Fetch and unpack it by hand.')
    return int(size)


def _receive(url: str, part: Path, offset: int, progress: Progress,
             task: int) -> None:
    """Append to ``part`` what the server sends from ``offset`` on."""
    request = Request(url, headers={'Range': f'bytes={offset}-'})
    with urlopen(request, timeout=_TIMEOUT_S) as response:
        resumed = response.status == 206
        if not resumed:  # the server sends the file from its beginning
            progress.update(task, completed=0)
        with part.open('ab' if resumed else 'wb') as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                progress.advance(task, len(chunk))


def _move_into(source: Path, target: Path) -> None:
    """Rename a tree into place; a folder that is there receives the files."""
    if not target.exists() or not source.is_dir():
        source.replace(target)
        return
    for item in source.iterdir():
        _move_into(item, target / item.name)
    source.rmdir()


def main() -> int:
    args = parse_args()
    if args.download:
        with Progress(
                TextColumn('{task.description}'),
                BarColumn(), DownloadColumn(), TransferSpeedColumn(),
                TimeRemainingColumn()) as progress:
            try:
                download_missing(args.out, progress)
            except (OSError, BadZipFile) as error:
                progress.stop()
                print(f'Download stopped: {error}', file=sys.stderr)
    if print_state(args.out):
        return 0
    print('The same command goes on where it stopped.' if args.
          download else 'Get what is missing with --download.')
    return 1


if __name__ == '__main__':
    run_tool(main)
