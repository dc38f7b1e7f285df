"""Maps of what matters: by a network, by boxes."""
import pytest
import torch
from conftest import smooth_images

from mmhmc.refinement import FeatureReader, SketchMap, boxes_to_map


class LeftHalf:
    """Sees the left half of an image alone."""

    def __init__(self):
        self.network = torch.nn.Conv2d(3, 4, 3, padding=1)

    def __call__(self, x):
        return [self.network(x[..., :x.shape[-1] // 2]).relu()]


def test_a_map_is_where_the_network_looks():
    x = smooth_images(1, 32, 64)
    found = SketchMap(FeatureReader(LeftHalf()), smoothing=3)(x)
    assert found.shape == (1, 1, 32, 64)
    assert (found > 0).all()
    assert found.mean().item() == pytest.approx(1, abs=1e-5)
    assert found[..., :30].min() > 2 * found[..., 34:].max()


def test_the_sketch_is_the_diagonal_of_the_jacobians_square():
    x = smooth_images(1, 4, 4)
    network = torch.nn.Conv2d(3, 2, 3, padding=1, bias=False)

    def features(images):
        return [network(images)]

    jacobian = torch.autograd.functional.jacobian(lambda t: network(t), x)
    exact = jacobian.square().sum((0, 1, 2, 3))[0].sum(0)
    exact = exact + 0.1 * exact.mean()
    found = SketchMap(FeatureReader(features), 4000, smoothing=1)(x)[0, 0]
    assert torch.allclose(found, exact / exact.mean(), rtol=0.15)


def test_a_seed_gives_the_same_map():
    x, reader = smooth_images(1, 16, 16), FeatureReader(LeftHalf())
    one, same, other = (
        SketchMap(reader, 2, seed=seed)(x) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_network_that_sees_nothing_is_refused():
    reader = FeatureReader(lambda x: [x * 0 + 1])
    with pytest.raises(ValueError, match='zero or not finite everywhere'):
        SketchMap(reader)(smooth_images(1, 16, 16))


@pytest.mark.parametrize('kwargs, message', [
    (dict(probes=0), '`probes` must be 1 or more'),
    (dict(smoothing=4), '`smoothing` must be odd'),
])
def test_arguments_that_make_no_sense(kwargs, message):
    with pytest.raises(ValueError, match=message):
        SketchMap(FeatureReader(LeftHalf()), **kwargs)


def test_boxes_weigh_more_than_the_rest():
    found = boxes_to_map([[2, 1, 5, 3], [-4, -4, 0.5, 0.5]], (4, 8), 3.)
    expected = torch.ones(4, 8)
    expected[1:3, 2:5] = expected[0, 0] = 3
    assert torch.equal(found[0, 0], expected)


@pytest.mark.parametrize(
    'box', [[8, 0, 9, 1], [0, 4, 1, 5], [3, 3, 2, 2], [-3, 0, -1, 2]])
def test_boxes_with_nothing_in_the_image_are_refused(box):
    with pytest.raises(ValueError, match='has nothing in an image'):
        boxes_to_map([box], (4, 8))


@pytest.mark.parametrize('box', [[0, 0, 1], [0, 0, 1, float('nan')]])
def test_boxes_are_four_numbers(box):
    with pytest.raises(ValueError, match='left, top, right and bottom'):
        boxes_to_map([box], (4, 8))
