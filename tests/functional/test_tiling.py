from fractions import Fraction

import pytest
import torch
from allpairspy import AllPairs
from torch import nn

from mmhmc.functional import run_in_tiles

DOWN = nn.Conv2d(3, 4, 5, stride=2, padding=2).double()
UP = nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1).double()

#: Each with its scale and its overlap.
TRANSFORMS = dict(
    down=(DOWN, Fraction(1, 2), 2),
    up=(UP, Fraction(2), 1),
    identity=(nn.Identity(), Fraction(1), 0))


@pytest.mark.parametrize(
    'size, name, tile',
    AllPairs([[(8, 8), (2, 2), (16, 26), (30, 2)], [*TRANSFORMS], [2, 8,
                                                                   100]]))
@torch.no_grad()
def test_tiles_give_what_the_whole_gives(name, size, tile):
    transform, scale, overlap = TRANSFORMS[name]
    x = torch.rand(2, 3, *size, dtype=torch.double)
    tiled = run_in_tiles(transform, x, scale, tile, overlap)
    torch.testing.assert_close(tiled, transform(x), rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_too_small_an_overlap_shows():
    x = torch.rand(1, 3, 16, 16, dtype=torch.double)
    tiled = run_in_tiles(DOWN, x, Fraction(1, 2), 8, 0)
    assert (tiled - DOWN(x)).abs().max() > 1e-3


@torch.no_grad()
def test_no_tile_is_larger_than_asked_for():
    seen = []

    def transform(x):
        seen.append(tuple(x.shape[-2:]))
        return x

    run_in_tiles(transform, torch.rand(1, 1, 9, 20), Fraction(1), 4, 1)
    assert len(seen) == 3 * 5
    assert max(seen) == (6, 6) and min(seen) == (2, 5)


@pytest.mark.parametrize('sides, name', [((8, 7, 2), 'tile'),
                                         ((8, 8, 3), 'overlap'),
                                         ((9, 8, 2), 'height')])
def test_side_that_does_not_fit_the_scale_is_refused(sides, name):
    height, tile, overlap = sides
    with pytest.raises(ValueError, match=f'`{name}` must be a multiple of 2'):
        run_in_tiles(DOWN, torch.rand(1, 3, height, 8), Fraction(1, 2), tile,
                     overlap)


def test_empty_input_is_refused():
    with pytest.raises(ValueError, match='is empty'):
        run_in_tiles(DOWN, torch.rand(1, 3, 0, 8), Fraction(1, 2), 8, 2)
