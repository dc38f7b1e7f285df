import pytest
import torch

from mmhmc.losses import feature_matching_loss


def test_layers_count_alike_and_originals_get_no_gradient():
    real = [torch.zeros(1, 2, 4, 4), torch.zeros(1, 8, 1, 1)]
    fake = [torch.full_like(real[0], 1.), torch.full_like(real[1], -3.)]
    for one in (*real, *fake):
        one.requires_grad_()
    loss = feature_matching_loss(real, fake)
    assert loss.item() == 2
    loss.backward()
    assert all(one.grad is None for one in real)
    assert all(one.grad.any() for one in fake)


def test_equal_features_have_no_distance():
    features = [torch.randn(2, 3), torch.randn(2, 5)]
    assert feature_matching_loss(features, features) == 0


def test_features_that_do_not_belong_together_are_refused():
    for real, fake in (([], []), ([torch.zeros(1)], [])):
        with pytest.raises(ValueError, match='As many features of originals'):
            feature_matching_loss(real, fake)
