import pytest
import torch

from mmhmc.functional import bound


@pytest.mark.parametrize('value, gradient, passed', [
    (0.5, 1., 1.),
    (0.5, -1., -1.),
    (1.5, 1., 1.),
    (1.5, -1., 0.),
    (-0.5, -1., -1.),
    (-0.5, 1., 0.),
])
def test_gradients_lead_into_the_range_only(value, gradient, passed):
    t = torch.tensor([value], requires_grad=True)
    bounded = bound(t, torch.zeros(1), torch.ones(1))
    assert bounded.item() == min(max(value, 0), 1)
    bounded.backward(torch.tensor([gradient]))
    assert t.grad.item() == passed
