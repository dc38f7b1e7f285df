import json

import numpy as np
import pytest
from PIL import Image

from mmhmc.datasets import make_sample_instances
from mmhmc.datasets.sample_labels import SEMANTIC_CLASSES, make_sample_labels

pytest.importorskip('skimage')


@pytest.fixture(scope='module')
def sample(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'sample'
    return make_sample_instances(root, num_train=2, num_val=1)


def annotations(root, split):
    path = root / f'annotations/instances_{split}.json'
    return json.loads(path.read_text())


def test_every_pixel_has_the_class_of_its_object(sample, tmp_path):
    labels = make_sample_labels(sample, tmp_path / 'labels')
    for split in ('train', 'val'):
        content = annotations(sample, split)
        for image in content['images']:
            classes = np.asarray(
                Image.open(labels / split / image['file_name']))
            assert classes.shape == (image['height'], image['width'])
            areas = np.bincount(
                classes.ravel(), minlength=len(SEMANTIC_CLASSES))
            expected = np.zeros(len(SEMANTIC_CLASSES), int)
            for item in content['annotations']:
                if item['image_id'] == image['id']:
                    expected[item['category_id']] += item['area']
                    left, top, width, height = item['bbox']
                    box = classes[top:top + height, left:left + width]
                    assert (box == item['category_id']).sum() >= item['area']
            assert (areas[1:] == expected[1:]).all()


def test_class_of_a_image_is_that_of_its_largest_object(sample, tmp_path):
    labels = make_sample_labels(sample, tmp_path / 'labels')
    content = annotations(sample, 'train')
    lines = (labels / 'train.txt').read_text().splitlines()
    assert len(lines) == 2
    for line, image in zip(lines, content['images']):
        name, label = line.split()
        assert name == image['file_name']
        largest = max(
            (a
             for a in content['annotations'] if a['image_id'] == image['id']),
            key=lambda item: item['area'])
        assert int(label) == largest['category_id'] - 1


def test_labels_are_made_once_and_anew_for_another_set(sample, tmp_path):
    labels = make_sample_labels(sample, tmp_path / 'labels')
    times = {p: p.stat().st_mtime_ns for p in labels.rglob('*')}
    make_sample_labels(sample, tmp_path / 'labels')
    assert {p: p.stat().st_mtime_ns for p in labels.rglob('*')} == times
    (labels / 'train.txt').write_text('changed')
    (labels / 'val/000001.png').unlink()
    make_sample_labels(sample, tmp_path / 'labels')
    assert (labels / 'train.txt').read_text() != 'changed'
    assert (labels / 'val/000001.png').is_file()
    other = make_sample_instances(tmp_path / 'other', 1, 1, seed=1)
    make_sample_labels(other, tmp_path / 'labels')
    assert len((labels / 'train.txt').read_text().splitlines()) == 1


def test_folder_of_somebody_else_is_left_alone(sample, tmp_path):
    (tmp_path / 'labels').mkdir()
    with pytest.raises(FileExistsError, match='must be missing, or hold lab'):
        make_sample_labels(sample, tmp_path / 'labels')
    with pytest.raises(FileNotFoundError):
        make_sample_labels(tmp_path, tmp_path / 'new')
