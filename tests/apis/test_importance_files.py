"""Maps of importance from files."""
import json

import numpy as np
import pytest
import torch
from conftest import smooth_images

from mmhmc.apis.importance_files import importance_file, read_importance
from mmhmc.datasets import write_image

SIZE = (4, 6)


def test_brightness_of_an_image_is_the_weight(tmp_path):
    shown = torch.zeros(3, *SIZE)
    shown[:, 1] = 1
    write_image(tmp_path / 'map.png', shown)
    found = read_importance(tmp_path / 'map.png', 'a.jpg', SIZE)
    assert found.shape == (1, 1, *SIZE)
    assert torch.equal(found[0, 0], shown[0])


def test_arrays_are_weights_or_masks(tmp_path):
    weights = np.arange(24.).reshape(SIZE)
    np.save(tmp_path / 'a.npy', weights)
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 0, 0] = masks[1, 3, 5] = True
    np.save(tmp_path / 'b.npy', masks)
    found = read_importance(tmp_path, 'a.png', SIZE)
    assert np.array_equal(found[0, 0].numpy(), weights)
    found = read_importance(tmp_path, 'x/b.png', SIZE)
    assert np.array_equal(found[0, 0].numpy(), 1 + 7. * masks.any(0))


def test_boxes_of_a_list_and_of_coco(tmp_path):
    (tmp_path / 'a.json').write_text('[[0, 0, 2, 1]]')
    (tmp_path / 'coco.json').write_text(
        json.dumps(
            dict(
                images=[
                    dict(id=3, file_name='sub/a.jpg'),
                    dict(id=4, file_name='b.jpg')
                ],
                annotations=[
                    dict(image_id=4, bbox=[0, 0, 6, 4]),
                    dict(image_id=3, bbox=[0, 0, 2, 1])
                ])))
    expected = torch.ones(SIZE)
    expected[0, :2] = 8
    for path in (tmp_path, tmp_path / 'coco.json'):
        found = read_importance(path, 'a.jpg', SIZE)
        assert torch.equal(found[0, 0], expected)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no map of a.png'):
        importance_file(tmp_path, 'a.png')


@pytest.mark.parametrize('name, content, message', [
    ('a.npy', np.ones((3, 3)), r'has the size \(3, 3\)'),
    ('a.npy', -np.ones(SIZE), 'not negative'),
    ('a.npy', np.zeros(SIZE), 'positive somewhere'),
    ('a.npy', np.full(SIZE, np.nan), 'must be finite'),
    ('a.npy', np.ones(5), 'must hold weights'),
    ('a.json', '[]', 'no boxes for a.png'),
    ('a.json', '[1, 2]', 'a list of boxes'),
    ('a.json', '{"images": []}', 'no COCO annotations'),
    ('a.json', '[[9, 9, 10, 10]]', 'nothing in an image'),
    ('a.npy', 'text', 'no array of numbers'),
])
def test_maps_that_make_no_sense(tmp_path, name, content, message):
    if isinstance(content, str):
        (tmp_path / name).write_text(content)
    else:
        np.save(tmp_path / name, content)
    with pytest.raises(ValueError, match=message):
        read_importance(tmp_path, 'a.png', SIZE)


def test_an_image_of_another_size_is_refused(tmp_path):
    write_image(tmp_path / 'a.png', smooth_images(1, 8, 8)[0])
    with pytest.raises(ValueError, match='has the size'):
        read_importance(tmp_path / 'a.png', 'a.png', SIZE)
