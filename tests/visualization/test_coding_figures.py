"""Figures of files in layers."""
import itertools

import pytest
import torch
from conftest import smooth_images, tiny_codec

from mmhmc.visualization import layer_figures

X = smooth_images(1, 60, 100)


def test_each_number_of_layers_has_its_bits_and_its_image():
    torch.manual_seed(0)
    codec = tiny_codec('MeanScaleHyperprior')
    codec.layers = [3, 3]
    figures = layer_figures(codec, X)
    names = ('base', 'base + 1', 'all')
    assert [f.title for f in figures] == [
        'original', *(f'bits, {name}' for name in names),
        *(f'decoded, {name}' for name in names)
    ]
    assert {f.pixels.shape for f in figures} == {(60, 100, 3)}
    stream, = codec.compress(X)
    num_bytes = [*itertools.accumulate(stream.layer_bytes)]
    assert [f.num_bytes for f in figures[4:]] == num_bytes
    # More bits are brighter, in the same colours.
    brightness = [f.pixels.mean() for f in figures[1:4]]
    assert brightness == sorted(brightness)
    assert brightness[0] < brightness[-1]


def test_one_layer_is_refused():
    with pytest.raises(ValueError, match='writes one layer'):
        layer_figures(tiny_codec('MeanScaleHyperprior'), X)
