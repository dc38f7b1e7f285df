import numpy as np
import pytest
import torch

from mmhmc.datasets import PackImageInputs, RandomCropOrPad


def image(height, width):
    values = np.arange(height * width * 3) % 251
    return values.reshape(height, width, 3).astype(np.uint8)


@pytest.mark.parametrize('size', [(20, 30), (8, 8), (5, 30), (30, 5), (3, 2),
                                  (1, 1)])
def test_crop_has_the_wanted_size_for_every_image(size):
    results = RandomCropOrPad(8)(dict(img=image(*size)))
    assert results['img'].shape == (8, 8, 3)
    assert results['img_shape'] == (8, 8)


def test_crop_is_a_piece_of_the_image():
    img = image(20, 30)
    crop = RandomCropOrPad((4, 6))(dict(img=img))['img']
    pieces = np.lib.stride_tricks.sliding_window_view(img, (4, 6, 3))
    assert (pieces == crop).all(axis=(-1, -2, -3)).any()


def test_crops_reach_every_place():
    img = image(3, 4)
    corners = {
        tuple(RandomCropOrPad(2)(dict(img=img))['img'][0, 0])
        for _ in range(200)
    }
    assert len(corners) == 6


def test_small_image_is_continued_by_reflection():
    img = image(3, 3)
    crop = RandomCropOrPad((3, 5))(dict(img=img))['img']
    np.testing.assert_array_equal(crop[:, 3:], img[:, [1, 0]])


@pytest.mark.parametrize('crop_size', [0, (4, ), (4, -1)])
def test_impossible_crop_size_is_refused(crop_size):
    with pytest.raises(ValueError, match='`crop_size` must be'):
        RandomCropOrPad(crop_size)


def test_packing_keeps_values_and_tells_sizes():
    img = image(4, 6)
    packed = PackImageInputs()(
        dict(img=img, img_path='a.png', ori_shape=(8, 12), img_shape=(4, 6)))
    assert packed['inputs'].is_contiguous()
    assert packed['inputs'].dtype == torch.uint8
    np.testing.assert_array_equal(packed['inputs'].permute(1, 2, 0), img)
    assert packed['data_samples'].metainfo == dict(
        img_path='a.png', ori_shape=(8, 12), img_shape=(4, 6))


@pytest.mark.parametrize(
    'img',
    [image(4, 6)[..., 0], image(4, 6).astype(np.float32)])
def test_packing_refuses_what_a_codec_does_not_take(img):
    with pytest.raises(ValueError, match=r'must be uint8 with shape'):
        PackImageInputs()(dict(img=img))
