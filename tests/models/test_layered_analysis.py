"""Analysis of a layered codec's streams: no pixels, less work, one base."""
import copy
from pathlib import Path

import pytest
import torch
from conftest import PREPROCESSOR, smooth_images, tiny_codec
from mmengine.config import Config
from torch.utils.flop_counter import FlopCounterMode

from mmhmc.bitstream import Bitstream
from mmhmc.codecs import build_codec
from mmhmc.input_norm import InputNorm
from mmhmc.models import (CompressedDomainNeck, ImageStem, LatentBackbone,
                          LatentFeatures)

ROOT = Path(__file__).parents[2] / 'configs'


@pytest.fixture(scope='module')
def shared_codec():
    torch.manual_seed(0)
    return tiny_codec('LayeredGenerative')


@pytest.fixture
def codec(shared_codec):
    return copy.deepcopy(shared_codec)


def normalised(x):
    norm = InputNorm.from_preprocessor(PREPROCESSOR)
    return (x * 255 - norm.mean) / norm.std


def test_inference_decodes_no_pixels(codec):
    backbone = LatentBackbone(codec, PREPROCESSOR).eval()
    neck = CompressedDomainNeck(12, 8, (4, ), num_blocks=1).eval()

    def refuse(*args):
        raise AssertionError('An image was decoded.')

    for layer in codec.g_s:
        layer.register_forward_pre_hook(refuse)
    codec.decode_latents = refuse
    with torch.no_grad():
        seen, = neck(backbone(normalised(smooth_images(1, 64, 64))))
    assert seen.shape == (1, 8, 16, 16)


def test_base_layer_shows_heads_the_same_with_and_without_the_rest(codec):
    with torch.no_grad():
        codec.g_a_texture[-1].weight.mul_(50)
        codec.default_texture.normal_()
    backbone = LatentBackbone(
        codec, PREPROCESSOR, seen_channels=codec.semantic_channels).eval()
    assert backbone.out_channels == 8
    neck = CompressedDomainNeck(8, 8, (4, ), num_blocks=1).eval()
    x = smooth_images(1, 64, 64)
    stream, = codec.compress(x)
    base = Bitstream.from_bytes(stream.keep(2).to_bytes())
    whole, alone = codec.read(stream), codec.read(base)
    assert not torch.equal(whole, alone)
    with torch.no_grad():
        seen, = backbone(normalised(x))
        outputs = [
            neck(LatentFeatures.over([one], (64, 64)))[0]
            for one in (seen, whole[:, :8], alone[:, :8])
        ]
    for one in outputs[1:]:
        assert torch.equal(one, outputs[0])


def test_texture_can_be_seen_alone(codec):
    both = LatentBackbone(codec, PREPROCESSOR).eval()
    texture = LatentBackbone(codec, PREPROCESSOR, seen_channels=(8, 12)).eval()
    x = normalised(smooth_images(1, 64, 64))
    with torch.no_grad():
        assert torch.equal(texture(x)[0], both(x)[0][:, 8:])
    assert texture.out_channels == 4


@pytest.mark.parametrize('count', [0, 13, (8, 8), (4, 13), (-1, 3)])
def test_channels_that_are_not_there_cannot_be_seen(codec, count):
    with pytest.raises(ValueError, match='must be from 1 to 12, the channels'):
        LatentBackbone(codec, PREPROCESSOR, seen_channels=count)


@torch.no_grad()
def test_analysis_of_the_stream_costs_less_than_half_of_decoding_first():
    task = Config.fromfile(f'{ROOT}/_base_/task_models/face_parsing.py').model
    codec = build_codec(
        Config.fromfile(f'{ROOT}/_base_/codecs/layered.py').codec).eval()
    codec.update_entropy_tables()
    stem = ImageStem(task.backbone.widths).eval()
    trunk = CompressedDomainNeck(**{
        k: v
        for k, v in task.neck.items() if k != 'type'
    }).eval()
    stream, = codec.compress(smooth_images(1, 64, 64))

    def cost(run):
        with FlopCounterMode(display=False) as counter:
            run()
        return counter.get_total_flops()

    latent = cost(lambda: trunk([codec.read(stream)]))
    image = cost(lambda: trunk(stem(codec.decompress([stream]))))
    assert 0 < latent < image / 2
