"""Images of what a search has changed."""
import numpy as np
import pytest
import torch
from conftest import smooth_images, tiny_codec

from mmhmc.refinement import LatentRefinement
from mmhmc.visualization import refinement_figures

X = smooth_images(1, 60, 100)


@pytest.fixture(scope='module')
def searched():
    torch.manual_seed(0)
    codec = tiny_codec('MeanScaleHyperprior')
    return codec, LatentRefinement(1e-4, steps=10, lr=0.3).refine(codec, X)


def test_figures_are_of_one_size_and_say_bytes_and_psnr(searched):
    codec, refined = searched
    assert refined.is_refined
    weights = torch.ones(1, 1, 60, 100)
    figures = refinement_figures(codec, X, refined, weights)
    assert [f.title for f in figures] == [
        'original', 'map', 'bits, before', 'bits, after', 'decoded, before',
        'decoded, after', 'enlarged, before', 'enlarged, after'
    ]
    assert {f.pixels.shape for f in figures} == {(60, 100, 3)}
    before, after = figures[4:6]
    assert before.num_bytes == codec.compress(X)[0].num_bytes
    assert after.num_bytes == refined.bitstream.num_bytes
    assert after.bpp == pytest.approx(8 * after.num_bytes / 6000)


def test_bits_after_are_those_of_the_search(searched):
    codec, refined = searched
    before, after = refinement_figures(codec, X, refined)[1:3]
    assert not np.array_equal(before.pixels, after.pixels)
    # Fewer bits are darker, in the same colours.
    assert refined.bitstream.num_bytes < refined.num_bytes_before
    assert after.pixels.mean() < before.pixels.mean()


def test_what_matters_most_is_enlarged(searched):
    codec, refined = searched
    weights = torch.zeros(1, 1, 60, 100)
    weights[..., 45:, 75:] = 1
    figures = refinement_figures(codec, X, refined, weights)
    decoded, enlarged = figures[5].pixels, figures[7].pixels
    assert np.array_equal(enlarged[::4, ::4], decoded[45:, 75:])
