"""Maps of importance from files."""
import json

import numpy as np
import pytest
import torch
from conftest import smooth_images

from mmhmc.apis.importance_files import (check_maps, importance_file,
                                         read_importance)
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


def coco(*names):
    """A file in which each image has a box of its number as a width."""
    return json.dumps(
        dict(
            images=[dict(id=i, file_name=n) for i, n in enumerate(names)],
            annotations=[
                dict(image_id=i, bbox=[0, 0, i, 1])
                for i in range(1, len(names))
            ]))


def test_an_image_without_boxes_has_a_level_map(tmp_path):
    (tmp_path / 'coco.json').write_text(coco('a.jpg', 'b.jpg'))
    (tmp_path / 'a.json').write_text('[]')
    np.save(tmp_path / 'b.npy', np.zeros((0, *SIZE), bool))
    for path, name in ((tmp_path / 'coco.json', 'a.jpg'), (tmp_path, 'a.jpg'),
                       (tmp_path, 'b.jpg')):
        found = read_importance(path, name, SIZE)
        assert torch.equal(found, torch.ones(1, 1, *SIZE))


def test_a_path_comes_before_a_stem(tmp_path):
    for name in ('a.npy', 'x/a.json', 'y/a.npy'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name, found in (('x/a.png', 'x/a.json'), ('y/a.jpg', 'y/a.npy'),
                        ('z/a.png', 'a.npy'), ('a.png', 'a.npy')):
        image = f'images/{name}'
        assert importance_file(tmp_path, image, name) == tmp_path / found
        check_maps(tmp_path, {name: image})
    # Files of one name are one image in two formats.
    names = ('x/a.png', 'x/a.jpg', 'y/a.png', 'a.png')
    check_maps(tmp_path, {name: name for name in names})


def test_two_maps_of_one_image_are_refused(tmp_path):
    for name in ('a.npy', 'a.json'):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match='a.npy and .*a.json are both'):
        importance_file(tmp_path, 'a.png')


def test_a_stem_of_several_images_is_refused(tmp_path):
    (tmp_path / 'a.npy').touch()
    for names in (('x/a.png', 'y/a.png'), ('a.png', 'x/a.png')):
        with pytest.raises(ValueError, match='is not clear .* x/a'):
            check_maps(tmp_path, {name: name for name in names})


def test_coco_images_are_told_apart_by_their_paths(tmp_path):
    path = tmp_path / 'coco.json'
    path.write_text(coco('no.png', 'set/x/a.png', 'set/y/a.png'))
    for image, width in (('d/set/x/a.png', 1), ('y/a.png', 2)):
        found = read_importance(path, image, SIZE)
        assert (found[0, 0, 0] > 1).sum() == width
    with pytest.raises(ValueError, match='2 images that may be .*a.png'):
        read_importance(path, 'z/a.png', SIZE)
    check_maps(path, {name: name for name in ('x/a.png', 'y/a.png')})
    path.write_text(coco('no.png', 'a.png'))
    with pytest.raises(ValueError, match='is not clear .* x/a'):
        check_maps(path, {name: name for name in ('x/a.png', 'y/a.png')})


@pytest.mark.parametrize('name, content', [('all.json', '[[0, 0, 2, 1]]'),
                                           ('all.npy', '')])
def test_one_file_for_all_images_is_no_question_of_names(
        tmp_path, name, content):
    (tmp_path / name).write_text(content)
    check_maps(tmp_path / name, {n: n for n in ('x/a.png', 'y/a.png')})


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no map of a.png'):
        importance_file(tmp_path, 'a.png')


@pytest.mark.parametrize('name, content, message', [
    ('a.npy', np.ones((3, 3)), r'has the size \(3, 3\)'),
    ('a.npy', -np.ones(SIZE), 'not negative'),
    ('a.npy', np.zeros(SIZE), 'positive somewhere'),
    ('a.npy', np.full(SIZE, np.nan), 'must be finite'),
    ('a.npy', np.ones(5), 'must hold weights'),
    ('a.json', '{"images": [], "annotations": []}', 'has no image a.png'),
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
