"""Bring CelebAMask-HQ into the form that mmhmc.CelebAMaskHQ reads.

python tools/dataset_converters/celebamask_hq.py CelebAMask-HQ --out DATA

The folder is the unpacked download (`CelebA-HQ-img`,
`CelebAMask-HQ-mask-anno`, `CelebA-HQ-to-CelebA-mapping.txt`,
`CelebAMask-HQ-attribute-anno.txt`), or has `train`, `val`, `test`, each with
`images` and `labels`. Images are resized to `--size` with smoothing, labels
by the nearest class; the split is CelebA's own. What is there of the same
images, labels and size is kept; another file of that name is replaced only
with `--force`.
"""
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.cli.arguments import add_output, keep_existing
from mmhmc.datasets import has_note, write_png
from mmhmc.datasets.celebamask import (FACE_PARTS, celeba_split, merge_parts,
                                       read_labels)
from mmhmc.whole_files import sha256_of, write_whole

SPLITS = ('train', 'val', 'test')
_PER_FOLDER = 2000


class Face(NamedTuple):
    """An image and what its labels are made of."""

    name: str
    split: str
    image: Path
    labels: tuple[Path, ...]


def published_faces(source: Path) -> Iterator[Face]:
    """Faces of the unpacked download."""
    mapping = source / 'CelebA-HQ-to-CelebA-mapping.txt'
    for line in mapping.read_text().splitlines()[1:]:
        number, original = map(int, line.split()[:2])
        folder = source / f'CelebAMask-HQ-mask-anno/{number // _PER_FOLDER}'
        masks = tuple(path for part in FACE_PARTS[1:]
                      if (path := folder /
                          f'{number:05d}_{part}.png').is_file())
        yield Face(f'{number:05d}', celeba_split(original),
                   source / f'CelebA-HQ-img/{number}.jpg', masks)


def divided_faces(source: Path) -> Iterator[Face]:
    """Faces of a folder that has been divided already."""
    for split in SPLITS:
        for image in sorted((source / split / 'images').glob('[!.]*')):
            labels = source / split / f'labels/{image.stem}.png'
            yield Face(image.stem, split, image, (labels, ))


def find_faces(source: Path) -> list[Face]:
    """All faces of a folder of either form."""
    if (source / 'CelebA-HQ-img').is_dir():
        faces = list(published_faces(source))
    else:
        faces = list(divided_faces(source))
    if not faces:
        raise FileNotFoundError(
            f'{source} has neither CelebA-HQ-img, as the download, nor '
            f'{"/images, ".join(SPLITS)}/images.')
    missing = [
        face for face in faces
        if not face.labels or not all(p.is_file()
                                      for p in (face.image, *face.labels))
    ]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(faces)} faces lack their image or '
            f'their labels, first {missing[0].image}.')
    return faces


def labels_of(face: Face) -> Image.Image:
    """Classes of the pixels of a face."""
    if face.labels[0].stem == face.name:
        return Image.fromarray(read_labels(face.labels[0]))
    masks = {
        path.stem.split('_', 1)[1]: np.asarray(Image.open(path).convert('L'))
        > 0
        for path in face.labels
    }
    return Image.fromarray(merge_parts(masks))


def write_face(face: Face, out: Path, size: int, force: bool) -> None:
    """Write image and labels, unless they are there."""
    image = (lambda: Image.open(face.image).convert('RGB').resize(
        (size, size), Image.Resampling.BILINEAR))
    labels = (lambda: labels_of(face).resize(
        (size, size), Image.Resampling.NEAREST))
    for kind, sources, make in (('images', (face.image, ), image),
                                ('labels', face.labels, labels)):
        path = out / face.split / kind / f'{face.name}.png'
        made_of = [f'{source.name} {sha256_of(source)}' for source in sources]
        note = sha256(f'{size} {made_of}'.encode()).hexdigest()
        if not has_note(path, note):
            keep_existing([path], force)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(path, make(), note)


def read_attributes(source: Path) -> dict:
    """The published attributes, 1 where a face has one and else 0."""
    _, names, *rows = source.read_text().splitlines()
    values = {}
    for row in rows:
        file, *signs = row.split()
        values[f'{int(Path(file).stem):05d}'] = [
            int(sign == '1') for sign in signs
        ]
    return dict(names=names.split(), values=values)


def main() -> None:
    """Convert."""
    parser = tool_parser(__doc__)
    parser.add_argument('source', type=Path)
    add_output(
        parser,
        'DIR',
        'folder for the data set; default data/celebamask_hq',
        dest='out',
        default='data/celebamask_hq')
    parser.add_argument(
        '--size', type=int, default=256, help='side of the images in pixels')
    args = parser.parse_args()
    faces, out = find_faces(args.source), Path(args.out)
    for face in faces:
        write_face(face, out, args.size, args.force)
    attributes = args.source / 'CelebAMask-HQ-attribute-anno.txt'
    if attributes.is_file():
        content = json.dumps(read_attributes(attributes)).encode()
        path = out / 'attributes.json'
        if not path.exists() or path.read_bytes() != content:
            keep_existing([path], args.force)
            write_whole(path, content)
    for split in SPLITS:
        count = sum(face.split == split for face in faces)
        print(f'{split:6}{count:6} faces')


if __name__ == '__main__':
    run_tool(main)
