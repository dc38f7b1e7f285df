"""QPs of blocks that follow a map of importance."""
import math

import pytest
import torch
from conftest import smooth_images

from mmhmc.codecs import build_codec
from mmhmc.codecs.standard.block_offsets import (block_offsets, regions_of,
                                                 weights_of_frame)


def left_map(x):
    """The left half matters 32 times as much."""
    weights = torch.ones(1, 1, *x.shape[-2:])
    weights[..., :x.shape[-1] // 2] = 32
    return weights


def hevc(**kwargs):
    return build_codec(
        dict(type='mmhmc.HEVCIntra', preset='ultrafast', **kwargs)).eval()


def test_three_qps_double_the_weight():
    weights = torch.ones(1, 1, 64, 96)
    weights[..., :32, :32] = 4
    offsets = block_offsets(weights)
    assert offsets.shape == (2, 3)
    assert offsets[1, 1] - offsets[0, 0] == 6
    assert offsets.float().mean().abs() < 0.5


def test_offsets_end_somewhere():
    weights = torch.full((1, 1, 40, 64), 1e-9)
    weights[..., :32] = 1
    assert block_offsets(weights)[0].tolist() == [-10, 10]


def test_equal_blocks_of_a_row_are_one_region():
    offsets = torch.tensor([[0, 0, -5, -5], [3, 3, 3, 0]])
    assert regions_of(offsets, (40, 120)) == [
        f'addroi=64:0:56:32:{-5 / 51:.6f}', f'addroi=0:32:96:8:{3 / 51:.6f}'
    ]


@pytest.mark.parametrize('kwargs', [
    dict(),
    dict(chroma='420'),
    dict(bit_depth=10),
])
def test_bits_and_quality_go_where_the_map_is(kwargs):
    x = smooth_images(1, 96, 128)

    def errors(importance):
        codec = hevc(importance=importance, **kwargs)
        error = (codec.decompress(codec.compress(x)) - x).square().mean((0, 1))
        return error[:, :64].mean().log2(), error[:, 64:].mean().log2()

    one, other = errors(None), errors(left_map)
    assert other[0] < one[0] - 0.25
    assert other[1] > one[1] + 0.25


def test_a_level_map_is_the_same_as_none():
    x = smooth_images(1, 64, 64)
    one, other = (
        hevc(importance=importance).compress(x)[0].num_bytes
        for importance in (None, lambda y: torch.ones(1, 1, *y.shape[-2:])))
    assert abs(math.log(other / one)) < 0.02


def test_settings_name_the_map():
    assert hevc(importance=left_map).settings() != hevc().settings()


@pytest.mark.parametrize('found, message', [
    (torch.ones(1, 1, 8, 8), 'must give a map'),
    (torch.zeros(1, 1, 64, 64), 'positive somewhere'),
    (-torch.ones(1, 1, 64, 64), 'not negative'),
    (torch.full((1, 1, 64, 64), float('nan')), 'finite'),
])
def test_maps_that_make_no_sense(found, message):
    with pytest.raises(ValueError, match=message):
        hevc(importance=lambda x: found).compress(smooth_images(1, 64, 64))


def test_a_map_of_an_image_covers_the_padding_of_its_frame():
    weights = torch.arange(15.).view(1, 1, 3, 5)
    found = weights_of_frame(weights, (3, 5), (4, 6))
    assert found.shape == (1, 1, 4, 6)
    assert found[0, 0, 3, 5] == 14


def test_reference_software_takes_no_map():
    with pytest.raises(ValueError, match='is for x265'):
        hevc(importance=left_map, encoder='a', encoder_config='b')
