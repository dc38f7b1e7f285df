import numpy as np
import pytest
from PIL import Image

from mmhmc.registry import DATASETS

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='mmhmc.PackImageInputs')]


def build(folder, **kwargs):
    return DATASETS.build(
        dict(type='mmhmc.ImageFolder', data_root=str(folder), **kwargs))


@pytest.fixture
def folder(tmp_path):
    names = ('b.png', 'a.JPG', 'sub/c.webp', 'sub/deep/d.bmp', 'e.jpeg')
    for number, name in enumerate(names):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (8 + number, 6), (number, 20, 30)).save(path)
    (tmp_path / 'notes.txt').write_text('no picture')
    return tmp_path


def test_all_pictures_are_found_in_sorted_order(folder):
    dataset = build(folder)
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    names = ['a.JPG', 'b.png', 'e.jpeg', 'sub/c.webp', 'sub/deep/d.bmp']
    assert paths == [str(folder / name) for name in names]
    ids = [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]
    assert ids == [0, 1, 2, 3, 4]


def test_prefix_selects_a_subfolder(folder):
    dataset = build(folder, data_prefix=dict(img_path='sub'))
    assert len(dataset) == 2


def test_item_is_the_picture_with_its_size_and_path(folder):
    item = build(folder, pipeline=PIPELINE)[1]
    assert item['inputs'].shape == (3, 6, 8)
    # BGR, as all hosts load it.
    np.testing.assert_array_equal(item['inputs'][:, 0, 0], [30, 20, 0])
    assert item['data_samples'].img_path == str(folder / 'b.png')
    assert item['data_samples'].ori_shape == (6, 8)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere does not exist'):
        build(tmp_path / 'nowhere')


def test_folder_without_pictures_says_what_it_holds(tmp_path):
    for name in ('a.txt', 'b.txt', 'c.tif'):
        (tmp_path / name).write_text('')
    with pytest.raises(
            ValueError, match=r"\.webp.*found 3 other files .*'\.txt': 2"):
        build(tmp_path)


def test_annotation_file_is_refused(folder):
    with pytest.raises(ValueError, match='has no annotations'):
        build(folder, ann_file='annotations.json')


def test_no_folder_at_all_is_refused():
    with pytest.raises(ValueError, match='needs `data_root`'):
        build('')
