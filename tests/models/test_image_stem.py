import pytest
import torch

from mmhmc.models import ImageStem


@pytest.mark.parametrize('size, expected', [((64, 64), (4, 4)),
                                            ((70, 33), (5, 3))])
def test_map_has_the_size_of_a_latent(size, expected):
    one, = ImageStem((4, 4, 8, 6))(torch.randn(2, 3, *size))
    assert one.shape == (2, 6, *expected)


def test_map_is_as_linear_as_a_latent():
    one, = ImageStem((6, ))(torch.randn(2, 3, 8, 8))
    assert one.min() < 0 and one.shape == (2, 6, 4, 4)


@pytest.mark.parametrize('widths', [(), (4, 0)])
def test_impossible_widths_are_refused(widths):
    with pytest.raises(ValueError, match='one or more positive numbers'):
        ImageStem(widths)
