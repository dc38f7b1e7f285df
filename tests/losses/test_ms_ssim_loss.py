import pytest
import torch
from conftest import smooth_images

from mmhmc.evaluation import MSSSIMMetric
from mmhmc.losses import MSSSIMLoss


def test_distance_grows_with_the_difference():
    loss, x = MSSSIMLoss(), smooth_images(2, 176, 192)
    torch.testing.assert_close(loss(x, x), torch.zeros(2))
    near, far = (loss(x, x + share * (x.flip(3) - x)) for share in (0.1, 1))
    assert near.shape == (2, )
    assert (near > 0).all() and (far > 2 * near).all() and (far <= 1).all()


def test_it_is_what_the_metric_reports():
    x = smooth_images(1, 176, 192)
    x_hat = (x + 0.1 * torch.rand_like(x)).clamp(0, 1)
    expected = 1 - MSSSIMMetric().measure(x[0], x_hat[0])
    assert MSSSIMLoss()(x, x_hat).item() == pytest.approx(expected)


def test_gradient_reaches_the_decoded_image_under_autocast():
    loss, x = MSSSIMLoss(), smooth_images(1, 176, 176)
    x_hat = x.flip(2).requires_grad_()
    expected = loss(x, x_hat)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(loss(x, x_hat), expected)
    expected.sum().backward()
    assert x_hat.grad.any()


@pytest.mark.parametrize('other, message', [
    ((1, 3, 176, 175), 'of equal shape'),
    ((1, 3, 176, 160), '161 pixels'),
])
def test_images_that_cannot_be_compared_are_refused(other, message):
    first = other if '161' in message else (1, 3, 176, 176)
    with pytest.raises(ValueError, match=message):
        MSSSIMLoss()(torch.rand(first), torch.rand(other))
