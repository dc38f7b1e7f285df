"""Say which files of COCO 2017 are there, and fetch the missing ones.

python tools/dataset_converters/coco2017.py --out data/coco
python tools/dataset_converters/coco2017.py --out data/coco --download

The archives have 19 GB and are deleted once they are unpacked; twice that
must be free. An interrupted download goes on where it stopped.
"""
import shutil
import sys
import zlib
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.datasets.checks import missing_coco_files
from mmhmc.progress import byte_progress
from mmhmc.zoo.downloading import download, part_of, size_on_server

BASE_URL = 'http://images.cocodataset.org'
# Each archive, and what of the expected files is in it.
ARCHIVES = {
    'annotations/annotations_trainval2017.zip':
    ('annotations/instances_train2017.json',
     'annotations/instances_val2017.json'),
    'zips/val2017.zip': ('val2017', ),
    'zips/train2017.zip': ('train2017', ),
}


def print_state(out: Path) -> bool:
    """Print which of the expected files are there; whether all are."""
    missing = missing_coco_files(out)
    for names in ARCHIVES.values():
        for name in names:
            state = 'missing' if out / name in missing else 'there'
            print(f'{state:8}{out / name}')
    return not missing


def download_missing(out: Path, base_url: str = BASE_URL) -> None:
    """Fetch and unpack every archive of which something is missing."""
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
                fetch(f'{base_url}/{name}', archive)
            unpack(archive, out)


def fetch(url: str, path: Path) -> None:
    """Download a file, going on with an earlier attempt if there is one.

    Until it is complete, ``path`` has ``.part`` appended.
    """
    size, part = size_on_server(url), part_of(path)
    if part.exists() and part.stat().st_size > size:
        part.unlink()  # not a beginning of this file
    with byte_progress(f'Getting {url}', size) as show:
        download(url, part, size, show)
    part.replace(path)


def unpack(archive: Path, out: Path) -> None:
    """Unpack a ZIP file and delete it, also if it is damaged.

    Files appear under their names only after the whole archive was read and
    its checksums were right.
    """
    unpacked = out / f'.{archive.stem}.unpacking'
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        with ZipFile(archive) as file:
            size, done = sum(m.file_size for m in file.infolist()), 0
            with byte_progress(f'Unpacking {archive.name}', size) as show:
                for member in file.infolist():
                    file.extract(member, unpacked)
                    done += member.file_size
                    show(done)
    except (BadZipFile, EOFError, zlib.error) as error:
        shutil.rmtree(unpacked, ignore_errors=True)
        archive.unlink()
        raise BadZipFile(
            f'{archive} is damaged ({error}) and was deleted. Run the same '
            'command again to fetch it anew.') from error
    _move_into(unpacked, out)
    archive.unlink()


def _move_into(source: Path, target: Path) -> None:
    """Rename a tree into place; files that are there stay as they are."""
    if not target.exists():
        source.replace(target)
        return
    if not source.is_dir():
        source.unlink()
        return
    for item in source.iterdir():
        _move_into(item, target / item.name)
    source.rmdir()


def main() -> int:
    parser = tool_parser(__doc__)
    parser.add_argument(
        '-o', '--output', dest='out', type=Path, default=Path('data/coco'))
    parser.add_argument(
        '--download',
        action='store_true',
        help='fetch and unpack what is missing; run again to resume')
    args = parser.parse_args()
    if args.download:
        try:
            download_missing(args.out)
        except (OSError, BadZipFile) as error:
            print(f'Download stopped: {error}', file=sys.stderr)
    if print_state(args.out):
        return 0
    print('The same command goes on where it stopped.' if args.
          download else 'Get what is missing with --download.')
    return 1


if __name__ == '__main__':
    run_tool(main)
