"""The lmbda of a codec, measured at an image."""
from pathlib import Path

import pytest
import torch
from conftest import smooth_images
from skimage import data

from mmhmc.apis import load_codec
from mmhmc.codecs import build_codec
from mmhmc.refinement import exchange_rate
from mmhmc.structures import CodingCondition

ROOT = Path(__file__).parents[2]
CONFIG = 'configs/mean_scale_hyperprior/mean-scale-hyperprior_pictures.py'
CODEC = 'model_zoo/mean-scale-hyperprior_pictures_{}.safetensors'


@pytest.mark.parametrize('lmbda', [0.0009, 0.0035])
def test_it_is_that_of_the_training(lmbda):
    codec = load_codec(ROOT / CONFIG, ROOT / CODEC.format(lmbda))
    x = torch.from_numpy(data.astronaut()[:256, :256]).movedim(2, 0)
    found = exchange_rate(codec, x[None] / 255)
    assert lmbda / 1.6 < found < lmbda * 1.6


@pytest.mark.parametrize('quality, lmbda', [(10, 0.0009), (29, 0.0036)])
def test_of_all_rates_it_is_that_of_the_quality(quality, lmbda):
    codec = load_codec('dcvc-uf-small_pictures')
    x = torch.from_numpy(data.astronaut()[:256, :256]).movedim(2, 0)[None]
    found = exchange_rate(codec, x / 255, CodingCondition(quality=quality))
    # It was trained by an error of luma and chroma.
    assert lmbda / 1.8 < found < lmbda * 1.8


def test_a_codec_without_latents_is_refused():
    identity = build_codec(dict(type='mmhmc.IdentityCodec'))
    with pytest.raises(ValueError, match='has no latents'):
        exchange_rate(identity, smooth_images(1, 16, 16))
