import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from mmhmc.datasets import digest_sample_instances, make_sample_instances
from mmhmc.datasets.sample_images import CLASSES
from mmhmc.datasets.sample_instances import STAMP

pytest.importorskip('skimage')

COUNTS = dict(train=6, val=3)
# python -c "from mmhmc.datasets import *; print(digest_sample_instances(
#     make_sample_instances('small', 6, 3)))"
# Equal under numpy 1.26.4 with Pillow 9.5.0 and scikit-image 0.22.0, and
# numpy 2.2.6 with Pillow 13.0.0 and scikit-image 0.26.0. The digest of the
# default set of 240 and 48 images is
# 558254c1967d2a46256803b8ce0698ee170879b8a51546931c5cf0e8b4407e68.
DIGEST = '6416be549f1a71d1cd121b3b609e8cf7185fa2fb0f4b908c7e8ba09d256ae798'


@pytest.fixture(scope='module')
def sample(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'sample'
    return make_sample_instances(root, COUNTS['train'], COUNTS['val'])


def copy_of(sample, tmp_path):
    root = tmp_path / 'sample'
    for path in sample.rglob('*'):
        if path.is_file():
            target = root / path.relative_to(sample)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return root


def content(root, split):
    path = root / 'annotations' / f'instances_{split}.json'
    return json.loads(path.read_text())


def remake(root, **kwargs):
    """Make the set of the fixture; return how many images were drawn."""
    drawn = []
    kwargs = {**dict(num_train=6, num_val=3), **kwargs}
    make_sample_instances(root, **kwargs, on_image=lambda: drawn.append(1))
    return len(drawn)


def test_pixels_and_annotations_are_the_same_everywhere(sample):
    assert digest_sample_instances(sample) == DIGEST


def test_a_image_does_not_depend_on_the_number_of_images(sample, tmp_path):
    one = make_sample_instances(tmp_path / 'one', 1, 1)
    for name in ('train/000001.png', 'val/000001.png'):
        np.testing.assert_array_equal(
            np.array(Image.open(one / name)),
            np.array(Image.open(sample / name)))


def test_another_seed_gives_other_images(sample, tmp_path):
    other = make_sample_instances(tmp_path / 'other', 6, 3, seed=1)
    assert digest_sample_instances(other) != DIGEST


def test_digest_sees_a_changed_pixel(sample, tmp_path):
    root = copy_of(sample, tmp_path)
    image = np.array(Image.open(root / 'val/000001.png'))
    image[0, 0, 0] ^= 1
    Image.fromarray(image).save(root / 'val/000001.png')
    assert digest_sample_instances(root) != DIGEST


@pytest.mark.parametrize('split', COUNTS)
def test_images_have_the_annotated_size(sample, split):
    images = content(sample, split)['images']
    assert len(images) == COUNTS[split]
    for image in images:
        with Image.open(sample / split / image['file_name']) as file:
            assert file.mode == 'RGB'
            assert file.size == (image['width'], image['height']) == (256, 256)


@pytest.mark.parametrize('split', COUNTS)
def test_masks_are_disjoint_and_boxes_and_areas_are_theirs(sample, split):
    coco_api = pytest.importorskip('pycocotools.coco')
    coco = coco_api.COCO(sample / 'annotations' / f'instances_{split}.json')
    assert [c['name'] for c in coco.loadCats(coco.getCatIds())] \
        == list(CLASSES)
    for image_id in coco.getImgIds():
        annotations = coco.loadAnns(coco.getAnnIds(image_id))
        assert 2 <= len(annotations) <= 5
        covered = np.zeros((256, 256), int)
        for annotation in annotations:
            mask = coco.annToMask(annotation)
            rows, columns = np.nonzero(mask)
            left, top, width, height = annotation['bbox']
            assert (left, top) == (columns.min(), rows.min())
            assert left + width == columns.max() + 1
            assert top + height == rows.max() + 1
            assert annotation['area'] == mask.sum()
            assert annotation['iscrowd'] == 0
            covered += mask
        assert covered.max() == 1


def test_mmdet_loads_boxes_and_masks(sample):
    datasets = pytest.importorskip('mmdet.datasets')
    dataset = datasets.CocoDataset(
        data_root=str(sample),
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        metainfo=dict(classes=tuple(CLASSES)),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True)
        ])
    assert len(dataset) == COUNTS['train']
    annotations = content(sample, 'train')['annotations']
    for item in dataset:
        own = [a for a in annotations if a['image_id'] == item['img_id']]
        assert item['gt_masks'].areas.tolist() == [a['area'] for a in own]
        assert item['gt_bboxes_labels'].tolist() == [
            a['category_id'] - 1 for a in own
        ]


def test_second_call_does_no_work(sample, tmp_path):
    root = copy_of(sample, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in root.rglob('*')}
    assert remake(root) == 0
    assert {p: p.stat().st_mtime_ns for p in root.rglob('*')} == before


@pytest.mark.parametrize(
    'damage', [
        lambda root: (root / 'train/000002.png').unlink(),
        lambda root: os.truncate(root / 'val/000001.png', 100),
        lambda root: shutil.copy(root / 'train/000001.png', root /
                                 'train/000002.png'),
        lambda root: (root / 'annotations/instances_val.json').unlink(),
        lambda root: (root / STAMP).write_text('{"version": 0, "files": {}}'),
        lambda root: (root / STAMP).write_text('{"vers'),
        lambda root: (root / STAMP).write_text('[]'),
    ],
    ids=[
        'missing image', 'truncated image', 'other image',
        'missing annotations', 'older version', 'broken stamp', 'no stamp'
    ])
def test_broken_or_older_set_is_remade(sample, tmp_path, damage):
    root = copy_of(sample, tmp_path)
    damage(root)
    assert remake(root) == 9
    assert digest_sample_instances(root) == DIGEST
    assert list(tmp_path.iterdir()) == [root]


def test_other_arguments_remake(sample, tmp_path):
    root = copy_of(sample, tmp_path)
    assert remake(root, num_val=2) == 8
    assert len(list((root / 'val').iterdir())) == 2


def test_interrupted_making_leaves_nothing(tmp_path):

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_sample_instances(tmp_path / 'sample', 1, 1, on_image=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_slower_process_keeps_the_set_of_the_faster_one(tmp_path):
    root, numbers = tmp_path / 'sample', []

    def be_overtaken():
        if not numbers:
            numbers.append(None)
            make_sample_instances(root, 1, 1)
            numbers.append(root.stat().st_ino)

    make_sample_instances(root, 1, 1, on_image=be_overtaken)
    assert root.stat().st_ino == numbers[1]
    assert list(tmp_path.iterdir()) == [root]


@pytest.mark.parametrize('name', ['train/cat.jpg', 'notes.txt'])
def test_folder_of_somebody_else_is_never_replaced(tmp_path, name):
    mine = tmp_path / 'sample' / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text('mine')
    with pytest.raises(FileExistsError, match='Name another folder'):
        make_sample_instances(tmp_path / 'sample', 1, 1)
    assert mine.read_text() == 'mine'


def test_empty_folder_is_used(tmp_path):
    assert remake(tmp_path, num_train=1, num_val=1) == 2


def test_count_of_zero_is_refused(tmp_path):
    with pytest.raises(ValueError, match='at least 1'):
        make_sample_instances(tmp_path / 'sample', 0)
