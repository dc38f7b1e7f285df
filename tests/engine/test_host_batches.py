"""Which images a host's forward is about, and their real sizes."""
import pytest
import torch
from conftest import batch_of

from mmhmc.engine.host_batches import HostCall, image_size, images_with_samples


@pytest.mark.parametrize(
    'img_shape, padded, expected',
    [
        ((50, 60), True, (50, 60)),
        # Padded by the pipeline after a resize of 100x120 by a half.
        ((64, 64), True, (50, 60)),
        # Or resized twice.
        ((64, 64), False, (64, 64)),
        ((32, 40, 3), True, (32, 40)),
    ])
def test_padding_that_is_known_does_not_count(img_shape, padded, expected):
    sample, = batch_of((50, 60))['data_samples']
    sample.set_metainfo(dict(img_shape=img_shape))
    assert image_size(sample, padded) == expected


def test_width_and_height_have_scales_of_their_own():
    sample, = batch_of((64, 64))['data_samples']
    sample.set_metainfo(dict(ori_shape=(100, 240), scale_factor=(0.25, 0.5)))
    assert image_size(sample, True) == (50, 60)


def test_size_without_a_resize_is_that_of_the_tensor():
    sample, = batch_of((50, 60))['data_samples']
    del sample.scale_factor
    assert image_size(sample, True) == (50, 60)


def test_a_call_is_read_by_position_or_by_name():
    x, y = torch.zeros(1), torch.ones(1)
    for call in (HostCall((x, ['sample'], 'loss'), {}),
                 HostCall((),
                          dict(images=x, data_samples=['sample'],
                               mode='loss')),
                 HostCall((x, ), dict(data_samples=['sample'], mode='loss'))):
        assert call.inputs is x
        assert (call.samples, call.mode) == (['sample'], 'loss')
        other = HostCall(*call.with_inputs(y))
        assert other.inputs is y
        assert (other.samples, other.mode) == (['sample'], 'loss')
    assert HostCall((), {}).inputs is HostCall((), {}).mode is None


@pytest.mark.parametrize(
    'inputs, shapes', [
        (torch.zeros(2, 3, 8, 8), [(2, 3, 8, 8)]),
        ([torch.zeros(3, 8, 8), torch.zeros(3, 4, 8)], [2]),
        ([torch.zeros(2, 3, 8, 8)] * 2, [(2, 3, 8, 8)] * 2),
        ([torch.zeros(5, 3, 8, 8)], []),
        (torch.zeros(3, 3, 8, 8), []),
        ('text', []),
    ],
    ids=['batch', 'list', 'views', 'crops', 'other count', 'text'])
def test_images_are_found_where_each_has_a_sample(inputs, shapes):
    samples = batch_of((8, 8), (8, 8))['data_samples']
    found = list(images_with_samples(inputs, samples))
    assert all(frames == samples for _, frames in found)
    assert [
        tuple(images.shape) if torch.is_tensor(images) else len(images)
        for images, _ in found
    ] == shapes
