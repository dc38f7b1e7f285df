"""tools/dataset_converters/coco_crops.py on two images."""
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/coco_crops.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('coco_crops', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def coco(tmp_path):
    """An image with a red object; boxes of it, of a crowd, and small."""
    source = tmp_path / 'coco'
    (source / 'images').mkdir(parents=True)
    pixels = np.full((100, 160, 3), 80, np.uint8)
    pixels[20:80, 60:110] = (250, 0, 0)
    Image.fromarray(pixels).save(source / 'images/a.png')
    box = [60., 20., 50., 60.]
    content = dict(
        categories=[
            dict(id=3, name='car', supercategory='vehicle'),
            dict(id=7, name='dog', supercategory='animal')
        ],
        images=[dict(id=1, file_name='a.png')],
        annotations=[
            dict(id=11, image_id=1, category_id=3, bbox=box, iscrowd=0),
            dict(id=12, image_id=1, category_id=3, bbox=box, iscrowd=1),
            dict(
                id=13,
                image_id=1,
                category_id=7,
                bbox=[0., 0., 90., 47.],
                iscrowd=0),
        ])
    (source / 'instances_train.json').write_text(json.dumps(content))
    return source


def test_objects_are_cut_out_by_super_category(tool, coco, tmp_path):
    out = tmp_path / 'out'
    assert tool.cut_out(coco, 'train', out, 64, 48) == 1
    files = [p.relative_to(out).as_posix() for p in out.rglob('*.png')]
    assert files == ['train/vehicle/11.png']
    crop = np.asarray(Image.open(out / files[0]))
    assert crop.shape == (64, 64, 3)
    assert crop[32, 32, 0] > 240 and crop[32, 32, 1] < 10
    assert np.all(crop[1, 32] == 80)


def test_smaller_boxes_are_taken_if_asked_for(tool, coco, tmp_path):
    assert tool.cut_out(coco, 'train', tmp_path / 'out', 64, 40) == 2


@pytest.mark.parametrize('box', [(0., 0., 30., 10.), (5., 7., 10., 31.)])
def test_square_is_around_the_box_with_a_margin(tool, box):
    left, top, right, bottom = tool.square_around(box)
    assert right - left == bottom - top == round(1.2 * max(box[2:]))
    assert abs((left + right) / 2 - (box[0] + box[2] / 2)) <= 0.5
    assert abs((top + bottom) / 2 - (box[1] + box[3] / 2)) <= 0.5


def test_what_is_there_of_the_same_image_is_kept(tool, coco, tmp_path):
    path = tmp_path / 'out/train/vehicle/11.png'

    def made(size=64, force=False):
        tool.cut_out(coco, 'train', tmp_path / 'out', size, 48, force)
        return path.stat().st_mtime_ns, path.read_bytes()

    first = made()
    assert made() == first
    pixels = np.asarray(Image.open(coco / 'images/a.png'))
    Image.fromarray(255 - pixels).save(coco / 'images/a.png')
    with pytest.raises(FileExistsError, match='11.png exists.*--force'):
        made()
    assert path.read_bytes() == first[1]
    other = made(force=True)
    assert other[1] != first[1]
    assert Image.open(path).size == (64, 64)
    with pytest.raises(FileExistsError, match='11.png exists'):
        made(32)
    made(32, force=True)
    assert Image.open(path).size == (32, 32)


@pytest.mark.parametrize('change', [
    lambda coco: coco['categories'][0].pop('supercategory'),
    lambda coco: coco.pop('images'),
    lambda coco: coco['annotations'][0].update(category_id=99)
])
def test_annotations_of_another_form_are_named(tool, coco, tmp_path, change):
    path = coco / 'instances_train.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='instances_train.json is no COCO'):
        tool.cut_out(coco, 'train', tmp_path / 'out', 64, 48)
    path.write_text('{')
    with pytest.raises(ValueError, match='instances_train.json is no JSON'):
        tool.cut_out(coco, 'train', tmp_path / 'out', 64, 48)


def test_missing_annotations_are_named(tool, coco, tmp_path):
    with pytest.raises(FileNotFoundError, match='instances_val.json'):
        tool.cut_out(coco, 'val', tmp_path / 'out', 64, 48)
