import copy
from contextlib import suppress

import pytest
import torch
from conftest import smooth_images
from traced_ops import TracedOps

from mmhmc.losses import FeatureLoss


def test_distance_grows_with_the_difference():
    loss, x = FeatureLoss(), smooth_images(2, 32, 48)
    assert not loss(x, x).any()
    near, far = (loss(x, x + share * (x.flip(3) - x)) for share in (0.1, 1))
    assert near.shape == (2, )
    assert (near > 0).all() and (far > 2 * near).all() and (far <= 4).all()


def test_seed_decides_the_loss_and_nothing_else():
    x = smooth_images(1, 16, 16)
    state = torch.get_rng_state()
    one, same, other = (
        FeatureLoss(seed=seed)(x, x.flip(3)) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_gradient_reaches_what_is_compared_only():
    loss, x = FeatureLoss(), smooth_images(2, 16, 16).requires_grad_()
    x_hat = x.detach().flip(2).requires_grad_()
    with TracedOps() as traced:
        loss(x, x_hat).sum().backward()
    assert x_hat.grad.any() and x.grad is None
    assert traced.convolutions == [2, 2, 2]
    assert list(loss.parameters()) == [] and loss.state_dict() == {}


def test_copy_computes_the_same_in_float32_under_autocast():
    loss, x = FeatureLoss(), smooth_images(1, 16, 16)
    expected = loss(x, x.flip(3))
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(copy.deepcopy(loss)(x, x.flip(3)), expected)


def test_moving_in_inference_mode_leaves_a_network_to_train_through():
    loss, x = FeatureLoss(), torch.rand(1, 3, 16, 16, device='meta')
    # Autocast does not know this device, on which nothing is computed.
    with torch.inference_mode(), suppress(RuntimeError):
        loss(x, x)
    parameters = list(loss._networks[0].parameters())
    assert parameters and {p.device.type for p in parameters} == {'meta'}
    assert not any(p.is_inference() for p in parameters)


def test_images_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match='of equal shape'):
        FeatureLoss()(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 9))


def test_no_stage_is_refused():
    with pytest.raises(ValueError, match='at least one stage'):
        FeatureLoss(())
