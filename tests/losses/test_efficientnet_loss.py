"""Images compared by a network that knows ImageNet, with random weights."""
import pytest
import torch
from conftest import smooth_images

from mmhmc.losses import EfficientNetLoss
from mmhmc.zoo import packaged


def test_feature_maps_of_five_strides_are_compared(lite0):
    network = EfficientNetLoss()._networks[0]
    x = smooth_images(1, 64, 96)
    # As in the classifier's preprocessor.
    torch.testing.assert_close(network.norm.from_image(x), x * 2 - 1)
    maps = network.backbone(x * 2 - 1)
    assert [tuple(one.shape[1:])
            for one in maps] == [(16, 32, 48), (24, 16, 24), (40, 8, 12),
                                 (112, 4, 6), (320, 2, 3)]


@pytest.mark.parametrize('unit', [True, False])
def test_distance_grows_and_has_a_gradient(unit, lite0):
    loss = EfficientNetLoss(unit)
    x = smooth_images(1, 64, 96)
    assert not loss(x, x).any()
    near, far = (x + share * (x.flip(3) - x) for share in (0.1, 1))
    far.requires_grad_()
    distance = loss(x, far)
    assert 0 < loss(x, near) < distance
    gradient, = torch.autograd.grad(distance.sum(), far)
    assert gradient.isfinite().all() and gradient.any()


def test_missing_weights_are_told_with_their_cure(monkeypatch):
    monkeypatch.setattr(packaged, 'find_spec', lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'mmhmc\[imagenet\]'):
        EfficientNetLoss()
