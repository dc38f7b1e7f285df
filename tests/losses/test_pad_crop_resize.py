import pytest
import torch
from conftest import smooth_images

from mmhmc.losses import random_pad_crop_resize


def test_images_are_shifted_alike_and_keep_their_shape():
    x = smooth_images(2, 32, 48)
    one, other = random_pad_crop_resize([x, 2 * x])
    assert one.shape == x.shape
    torch.testing.assert_close(2 * one, other)
    assert not torch.equal(one, random_pad_crop_resize([x])[0])


def test_difference_stays_in_what_is_moved():
    # A flat image stays what it is: no border is made up.
    flat = torch.full((1, 3, 20, 30), 0.25)
    torch.testing.assert_close(random_pad_crop_resize([flat])[0], flat)


def test_shift_is_at_most_the_margin():
    x = torch.zeros(1, 1, 64, 64)
    x[..., 32, 32] = 1
    for _ in range(20):
        shifted, = random_pad_crop_resize([x], margin=3)
        row, column = divmod(shifted.argmax().item(), 64)
        assert abs(row - 32) <= 3 and abs(column - 32) <= 3


def test_no_margin_changes_nothing():
    x = smooth_images(1, 8, 8)
    assert random_pad_crop_resize([x], margin=0)[0] is x


def test_gradient_passes():
    x = smooth_images(1, 16, 16).requires_grad_()
    random_pad_crop_resize([x])[0].sum().backward()
    assert (x.grad > 0).any()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match='must not be negative, got -1'):
        random_pad_crop_resize([torch.rand(1, 3, 8, 8)], margin=-1)
    with pytest.raises(ValueError, match=r'one size, got \[\(8, 8\), \(8, 9'):
        random_pad_crop_resize(
            [torch.rand(1, 3, 8, 8),
             torch.rand(1, 3, 8, 9)])
