import numpy as np
import pytest
from PIL import Image

from mmhmc.datasets import IMAGE_SUFFIXES
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
    (tmp_path / 'notes.txt').write_text('no image')
    return tmp_path


def test_all_images_are_found_in_sorted_order(folder):
    dataset = build(folder)
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    names = ['a.JPG', 'b.png', 'e.jpeg', 'sub/c.webp', 'sub/deep/d.bmp']
    assert paths == [str(folder / name) for name in names]
    ids = [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]
    assert ids == [0, 1, 2, 3, 4]


def test_prefix_selects_a_subfolder(folder):
    dataset = build(folder, data_prefix=dict(img_path='sub'))
    assert len(dataset) == 2


def test_item_is_the_image_with_its_size_and_path(folder):
    item = build(folder, pipeline=PIPELINE)[1]
    assert item['inputs'].shape == (3, 6, 8)
    # BGR, as all hosts load it.
    np.testing.assert_array_equal(item['inputs'][:, 0, 0], [30, 20, 0])
    assert item['data_samples'].img_path == str(folder / 'b.png')
    assert item['data_samples'].ori_shape == (6, 8)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere does not exist'):
        build(tmp_path / 'nowhere')


def test_folder_without_images_says_what_it_holds(tmp_path):
    for name in ('a.txt', 'b.txt', 'c.gif'):
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


def test_every_ending_that_can_be_coded_is_found(tmp_path):
    for suffix in IMAGE_SUFFIXES:
        Image.new('RGB', (8, 6)).save(tmp_path / f'a{suffix}')
        # What macOS writes beside it on other disks.
        (tmp_path / f'._a{suffix}').write_bytes(b'\0\5\x16\7')
    dataset = build(tmp_path, pipeline=PIPELINE)
    assert len(dataset) == len(IMAGE_SUFFIXES)
    assert all(item['inputs'].shape == (3, 6, 8) for item in dataset)


@pytest.mark.parametrize('content', [b'no image', b'', None])
def test_unreadable_file_is_named_or_skipped_as_asked(tmp_path, content):
    Image.new('RGB', (8, 6)).save(tmp_path / 'a.png')
    bad = tmp_path / 'b.png'
    if content is None:
        bad.symlink_to(tmp_path / 'nowhere.png')
    else:
        bad.write_bytes(content)
    with pytest.raises(ValueError, match=r'b\.png.*`skip_unreadable=True`'):
        build(tmp_path, pipeline=PIPELINE)[1]
    for _ in range(5):
        item = build(tmp_path, pipeline=PIPELINE, skip_unreadable=True)[1]
        assert item['data_samples'].img_path.endswith('a.png')
    # A test of other images would be another test.
    with pytest.raises(ValueError, match=r'b\.png'):
        build(
            tmp_path, pipeline=PIPELINE, skip_unreadable=True,
            test_mode=True)[1]


def test_mistake_of_a_pipeline_is_not_laid_to_the_file(tmp_path):
    Image.new('RGB', (8, 6)).save(tmp_path / 'a.png')

    def wrong(results):
        raise ValueError('wrong')

    with pytest.raises(ValueError, match='^wrong$'):
        build(tmp_path, pipeline=[wrong], skip_unreadable=True)[0]
