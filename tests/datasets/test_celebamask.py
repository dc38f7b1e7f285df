"""Faces: classes of pixels, what is read from them, and the folder."""
import json

import numpy as np
import pytest
from PIL import Image

from mmhmc.datasets import (ACCESSORIES, FACE_PARTS, FACE_POINTS, CelebAMaskHQ,
                            celeba_split, face_points, find_accessories,
                            merge_parts)


def face(size=64, **parts):
    """Labels with a square of each part, by its top left corner."""
    labels = np.ones((size, size), np.uint8)
    for name, (top, left) in parts.items():
        value = FACE_PARTS.index(name)
        labels[top:top + 4, left:left + 4] = value
    return labels


WHOLE = dict(
    l_eye=(10, 10),
    r_eye=(10, 40),
    nose=(20, 30),
    u_lip=(40, 20),
    l_lip=(40, 40))


@pytest.fixture
def folder(tmp_path):
    """Three faces to train on; the last one has a hidden eye and a hat."""
    hidden = {k: v for k, v in WHOLE.items() if k != 'l_eye'}
    faces = [
        face(**WHOLE),
        face(**WHOLE, ear_r=(30, 2)),
        face(**hidden, hat=(0, 0))
    ]
    for kind in ('images', 'labels'):
        (tmp_path / 'train' / kind).mkdir(parents=True)
    for number, labels in enumerate(faces):
        name = f'train/images/{number}.png'
        Image.fromarray(np.full((64, 64, 3), 40,
                                np.uint8)).save(tmp_path / name)
        Image.fromarray(labels).save(tmp_path /
                                     name.replace('images', 'labels'))
    return tmp_path


# What labels say.


def test_classes_are_those_of_the_published_order():
    assert len(FACE_PARTS) == 19
    assert FACE_PARTS.index('skin') == 1 and FACE_PARTS.index('cloth') == 18
    assert len(CelebAMaskHQ.METAINFO['palette']) == 19


def test_split_is_that_of_celeba():
    borders = {
        0: 'train',
        162770: 'train',
        162771: 'val',
        182637: 'val',
        182638: 'test',
        202598: 'test'
    }
    assert {n: celeba_split(n) for n in borders} == borders


def test_later_parts_cover_earlier_ones():
    skin, hair = np.zeros((2, 3), bool), np.zeros((2, 3), bool)
    skin[:, :2], hair[:, 1:] = True, True
    labels = merge_parts(dict(hair=hair, skin=skin))
    assert labels.tolist() == [[1, 13, 13]] * 2
    assert labels.dtype == np.uint8


@pytest.mark.parametrize('masks',
                         [{},
                          dict(beard=np.zeros((2, 2))),
                          dict(skin=np.zeros((2, 2)), nose=np.zeros((2, 3)))])
def test_masks_that_do_not_belong_together_are_refused(masks):
    with pytest.raises(ValueError, match='must be of one size and of parts'):
        merge_parts(masks)


def test_worn_parts_are_those_that_are_seen():
    assert find_accessories(face(**WHOLE)) == [0] * len(ACCESSORIES)
    assert find_accessories(face(hat=(0, 0), neck_l=(9, 9))) == [0, 1, 0, 1]


def test_points_are_centres_and_ends_of_parts():
    points = face_points(face(**WHOLE))
    assert points.shape == (len(FACE_POINTS), 2)
    # Column and row; a square of 4 from 10 has its centre at 12.
    expected = [(12, 12), (42, 12), (32, 22), (20.5, 42), (43.5, 42)]
    np.testing.assert_allclose(points * 64, expected)


def test_points_of_a_face_of_which_one_is_hidden_are_none():
    for part in ('l_eye', 'r_eye', 'nose'):
        seen = {k: v for k, v in WHOLE.items() if k != part}
        assert face_points(face(**seen)) is None


# The data set.


def test_parsing_items_name_images_and_labels(folder):
    dataset = CelebAMaskHQ(str(folder))
    assert len(dataset) == 3 and dataset.metainfo['classes'] == FACE_PARTS
    item = dataset[1]
    assert item['img_path'].endswith('train/images/1.png')
    assert item['seg_map_path'].endswith('train/labels/1.png')
    assert len(CelebAMaskHQ(str(folder), indices=2)) == 2


def test_parts_and_points_are_read_from_the_labels(folder):
    parts = CelebAMaskHQ(str(folder), target='accessories')
    assert [parts[i]['gt_score'] for i in range(3)] == [[0, 0, 0, 0],
                                                        [0, 0, 1, 0],
                                                        [0, 1, 0, 0]]
    assert parts.metainfo['classes'] == ACCESSORIES
    points = CelebAMaskHQ(str(folder), target='points')
    assert len(points) == 2
    assert len(points[0]['gt_score']) == 10
    assert [points[i]['img_id'] for i in range(2)] == [0, 1]


def test_several_targets_come_together(folder):
    dataset = CelebAMaskHQ(str(folder), target='multi_task')
    assert len(dataset) == 2
    item = dataset[1]
    assert item['gt_parts'] == [0, 0, 1, 0] and len(item['gt_points']) == 10
    assert item['seg_map_path'].endswith('train/labels/1.png')


def test_attributes_are_those_of_the_file(folder):
    with pytest.raises(FileNotFoundError, match="target='accessories'"):
        CelebAMaskHQ(str(folder), target='attributes')
    names = dict(
        names=['Male', 'Smiling'],
        values={str(i): [i % 2, 1]
                for i in range(3)})
    (folder / 'attributes.json').write_text(json.dumps(names))
    dataset = CelebAMaskHQ(str(folder), target='attributes')
    assert dataset.metainfo['classes'] == ('Male', 'Smiling')
    assert [dataset[i]['gt_score'] for i in range(3)] == [[0, 1], [1, 1],
                                                          [0, 1]]


@pytest.mark.parametrize('wrong', [dict(target='hair'), dict(split='dev')])
def test_unknown_target_and_split_are_refused(folder, wrong):
    with pytest.raises(ValueError, match='must be .*, got'):
        CelebAMaskHQ(str(folder), **wrong)


def test_missing_images_and_labels_are_named(folder):
    with pytest.raises(FileNotFoundError, match='no images in .*val'):
        CelebAMaskHQ(str(folder), 'val')
    (folder / 'train/labels/1.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 3 .*labels/1\.png'):
        CelebAMaskHQ(str(folder))


def test_labels_of_no_class_are_refused(folder):
    Image.fromarray(np.full((64, 64), 19,
                            np.uint8)).save(folder / 'train/labels/2.png')
    with pytest.raises(ValueError, match=r'labels/2.png must have .* \[19\]'):
        CelebAMaskHQ(str(folder), target='accessories')


def packed(folder):
    pytest.importorskip('mmseg')
    from mmengine.registry import DefaultScope
    from mmseg.utils import register_all_modules
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmseg'):
        return CelebAMaskHQ(
            str(folder),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='PackSegInputs')
            ])[0]


def test_labels_of_a_hosts_pipeline_are_those_of_the_file(folder):
    sample = packed(folder)['data_samples']
    assert np.array_equal(sample.gt_sem_seg.data[0], face(**WHOLE))


@pytest.mark.parametrize('labels, match', [
    (face(32, nose=(0, 0)), r'has size \(32, 32\), its image \(64, 64\)'),
    (np.full((64, 64), 77, np.uint8), 'has classes up to 77'),
])
def test_label_map_that_does_not_fit_its_image_is_refused(
        folder, labels, match):
    Image.fromarray(labels).save(folder / 'train/labels/0.png')
    with pytest.raises(ValueError, match=match):
        packed(folder)
