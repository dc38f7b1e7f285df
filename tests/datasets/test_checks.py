import pytest

from mmhmc.datasets import check_coco, missing_coco_files


@pytest.fixture
def coco(tmp_path):
    for name in ('annotations/instances_train2017.json',
                 'annotations/instances_val2017.json', 'train2017/1.jpg',
                 'val2017/2.jpg'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('')
    return tmp_path


def test_complete_coco_passes(coco):
    assert missing_coco_files(coco) == []
    check_coco(coco)


def test_empty_image_folder_counts_as_missing(coco):
    (coco / 'val2017/2.jpg').unlink()
    assert missing_coco_files(coco) == [coco / 'val2017']


def test_only_what_is_asked_for_is_looked_for(tmp_path):
    missing = missing_coco_files(tmp_path, ['a.json'], ['images/'])
    assert missing == [tmp_path / 'a.json', tmp_path / 'images']


def test_error_says_what_is_missing_and_what_to_do(coco):
    (coco / 'annotations/instances_val2017.json').unlink()
    with pytest.raises(FileNotFoundError) as error:
        check_coco(coco)
    message = str(error.value)
    looked_for, missing = message.split('missing or empty:')
    assert 'instances_train2017.json' in looked_for
    assert 'train2017/' in looked_for
    assert 'instances_val2017.json' in missing
    assert 'instances_train2017.json' not in missing
    assert ('python tools/dataset_converters/coco2017.py --download '
            '--out data/coco') in missing
    assert 'configs/hmc/mask-rcnn_dynadapt_sample.py' in missing
    assert 'make train' in missing
