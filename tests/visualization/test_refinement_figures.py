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
    torch.manual_seed(3)
    codec = tiny_codec('MeanScaleHyperprior')
    return codec, LatentRefinement(1e-4, steps=30, lr=0.3).refine(codec, X)


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


def test_what_has_changed_most_is_enlarged(searched):
    codec, refined = searched
    figures = refinement_figures(codec, X, refined)
    before, after = (f.pixels.astype(float) for f in figures[3:5])
    change = np.square(after - before).sum(-1)
    # Parts of 15 x 25 pixels are shown; the largest sum of any of them.
    energy, top, left = max((change[top:top + 15, left:left + 25].sum(), top,
                             left) for top in range(46) for left in range(76))
    shown = figures[6].pixels[::4, ::4]
    found = [(top, left) for top in range(46) for left in range(76)
             if np.array_equal(shown, figures[4].pixels[top:top + 15,
                                                        left:left + 25])]
    (row, column), = found
    part = change[row:row + 15, column:column + 25].sum()
    # Eight bits of what was compared in floating point.
    assert part > 0.9 * energy
