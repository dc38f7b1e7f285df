"""Cut the objects of COCO out, for classification by super-category.

python tools/dataset_converters/coco_crops.py data/coco_sample

The folder holds `instances_train.json`, `instances_val.json` and `images/`.
Of every object whose box has no side below `--smallest` the square around it,
with a margin, becomes `OUT/SPLIT/SUPERCATEGORY/ANNOTATION.png` of `--size`
pixels a side. What is there of the same object, image and size is kept;
another file of that name is replaced only with `--force`.
"""
from pathlib import Path

from PIL import Image

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.cli.arguments import add_output, keep_existing
from mmhmc.datasets import has_note, write_png
from mmhmc.whole_files import read_json, sha256_of

SPLITS = ('train', 'val')
_MARGIN = 1.2


def square_around(box: list[float]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a square around a box, with a margin.

    It may leave the image, where the crop is black.

    Args:
        box: Left, top, width and height in pixels.
    """
    left, top, width, height = box
    side = round(max(width, height) * _MARGIN)
    left = round(left + (width - side) / 2)
    top = round(top + (height - side) / 2)
    return left, top, left + side, top + side


def cut_out(source: Path,
            split: str,
            out: Path,
            size: int,
            smallest: int,
            force: bool = False) -> int:
    """Write the objects of one split; how many there are."""
    path = source / f'instances_{split}.json'
    coco = read_json(path)
    try:
        names = {c['id']: c['supercategory'] for c in coco['categories']}
        files = {image['id']: image['file_name'] for image in coco['images']}
        objects = [(a['bbox'], names[a['category_id']], files[a['image_id']],
                    a['id'], a.get('iscrowd')) for a in coco['annotations']]
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f'{path} is no COCO annotation file with a `supercategory` for '
            f'each category: {error!r}.') from error
    count, hashes = 0, {}
    for box, name, file, number, is_crowd in objects:
        if is_crowd or min(box[2:]) < smallest:
            continue
        count += 1
        target = out / split / name / f'{number}.png'
        path = source / 'images' / file
        if path not in hashes:
            hashes[path] = sha256_of(path)
        square = square_around(box)
        note = f'{hashes[path]} {square} {size}'
        if has_note(target, note):
            continue
        keep_existing([target], force)
        with Image.open(path) as image:
            crop = image.convert('RGB').crop(square)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_png(target, crop.resize((size, size), Image.LANCZOS), note)
    return count


def main() -> None:
    parser = tool_parser(__doc__)
    parser.add_argument('source', type=Path)
    add_output(
        parser,
        'DIR',
        'folder for the crops; default data/coco_crops',
        dest='out',
        default='data/coco_crops')
    parser.add_argument(
        '--size', type=int, default=128, help='side of the crops in pixels')
    parser.add_argument(
        '--smallest',
        type=int,
        default=48,
        help='shortest side of a box that is taken, in pixels')
    args = parser.parse_args()
    for split in SPLITS:
        count = cut_out(args.source, split, Path(args.out), args.size,
                        args.smallest, args.force)
        print(f'{split}: {count} objects in {Path(args.out) / split}')


if __name__ == '__main__':
    run_tool(main)
