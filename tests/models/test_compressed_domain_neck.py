import pytest
import torch
from mmengine.registry import MODELS

from mmhmc.models import CompressedDomainNeck, LatentFeatures


def latent(height=4, width=4, channels=8):
    return torch.randn(2, channels, height, width)


def features_over(height, width):
    """Latent of stride 16 of a canvas."""
    return LatentFeatures.over([latent(-(-height // 16), -(-width // 16))],
                               (height, width))


@pytest.mark.parametrize('canvas', [(64, 96), (65, 50), (33, 1), (79, 97)])
def test_levels_have_the_sizes_of_a_hosts_pyramid(canvas):
    strides = (2, 4, 8, 16, 32, 64)
    maps = CompressedDomainNeck(8, 6, strides)(features_over(*canvas))
    # As strided layers with padding leave them.
    assert [tuple(one.shape) for one in maps] == [
        (2, 6, -(-canvas[0] // s), -(-canvas[1] // s)) for s in strides
    ]


def test_sizes_are_those_of_mmdets_fpn():
    pytest.importorskip('mmdet')
    from mmdet.models import FPN, ResNet
    image = torch.zeros(1, 3, 150, 75)
    host = FPN([8, 16, 32, 64], 8, num_outs=5)
    expected = host(ResNet(18, base_channels=8, stem_channels=8)(image))
    maps = CompressedDomainNeck(8, 8)(features_over(150, 75))
    assert [one.shape[-2:]
            for one in maps] == [one.shape[-2:] for one in expected]


def test_unknown_canvas_is_that_of_whole_latent_positions():
    for inputs in ([latent(3, 5)], (torch.zeros(0), latent(3, 5))):
        fine, = CompressedDomainNeck(8, 6, (4, ))(inputs)
        assert fine.shape == (2, 6, 12, 20)


@pytest.mark.parametrize('strides', [(8, ), (64, ), (4, 32), (16, )])
def test_only_what_the_strides_need_is_built(strides):
    neck = CompressedDomainNeck(8, 8, strides, num_blocks=1)
    maps = neck([latent()])
    assert len(maps) == len(strides)
    sum(one.square().sum() for one in maps).backward()
    assert all(p.grad is not None for p in neck.parameters())


def test_vector_is_one_for_each_image():
    neck = CompressedDomainNeck(8, 6, strides=None)
    vector, = neck(features_over(33, 50))
    assert vector.shape == (2, 6)


def test_latent_of_another_stride_is_up_sampled_to_the_same_levels():
    neck = CompressedDomainNeck(8, 6, (4, 8), latent_stride=8)
    assert len(neck.ups) == 1
    maps = neck(LatentFeatures.over([latent(5, 9)], (40, 70)))
    assert [one.shape[-2:] for one in maps] == [(10, 18), (5, 9)]


def test_positions_do_not_depend_on_other_images_in_evaluation():
    neck = CompressedDomainNeck(8, 6).eval()
    y_hat = latent()
    together = neck([y_hat])
    alone = neck([y_hat[:1]])
    for one, two in zip(together, alone):
        torch.testing.assert_close(one[:1], two)


def test_configs_build_it_by_its_name():
    neck = MODELS.build(
        dict(
            type='mmhmc.CompressedDomainNeck',
            in_channels=8,
            out_channels=6,
            strides=[8]))
    assert neck.strides == (8, )


# What is refused.


def test_latent_of_other_channels_is_refused():
    neck = CompressedDomainNeck(8, 6)
    with pytest.raises(
            ValueError, match=r'\(2, 5, 4, 4\), expected \(B, 8, h, w\)'):
        neck([latent(channels=5)])
    with pytest.raises(ValueError, match='Set `in_channels` of the neck'):
        neck([torch.zeros(2, 8)])


@pytest.mark.parametrize('strides', [(4, 12), (0, 4), (-4, ), (3, )])
def test_stride_that_cannot_be_reached_is_refused(strides):
    with pytest.raises(ValueError, match='must be 16, the stride of the lat'):
        CompressedDomainNeck(8, 6, strides)


@pytest.mark.parametrize('strides', [(), (8, 4), (8, 8)])
def test_strides_that_do_not_rise_are_refused(strides):
    with pytest.raises(ValueError, match='one or more rising numbers'):
        CompressedDomainNeck(8, 6, strides)


@pytest.mark.parametrize('numbers', [
    dict(in_channels=0),
    dict(out_channels=-1),
    dict(num_blocks=-1),
    dict(latent_stride=0)
])
def test_numbers_out_of_range_are_refused(numbers):
    with pytest.raises(ValueError, match='must be positive and `num_blocks`'):
        CompressedDomainNeck(**{
            **dict(in_channels=8, out_channels=6),
            **numbers
        })
