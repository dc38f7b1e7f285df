import pytest
import torch

from mmhmc.functional import count_bits, image_mse, valid_mask

CPU = torch.device('cpu')
SIZES = [(1, 1), (16, 17), (33, 64), (64, 48)]


@pytest.mark.parametrize('grid', [(4, 4), (1, 1), (64, 64), (2, 4)])
def test_mask_is_where_a_position_touches_a_real_pixel(grid):
    mask = valid_mask(SIZES, (64, 64), grid, CPU)
    assert mask.shape == (len(SIZES), 1, *grid)
    for b, (h, w) in enumerate(SIZES):
        pixels = torch.zeros(64, 64, dtype=torch.bool)
        pixels[:h, :w] = True
        for i in range(grid[0]):
            for j in range(grid[1]):
                top, left = i * 64 // grid[0], j * 64 // grid[1]
                cell = pixels[top:top + 64 // grid[0],
                              left:left + 64 // grid[1]]
                assert mask[b, 0, i, j] == cell.any(), (b, i, j)


def likelihoods_over_64x64():
    return dict(
        y=torch.rand(4, 5, 4, 4).clamp(min=1e-3),
        z=torch.rand(4, 2, 1, 1).clamp(min=1e-3))


def test_bits_are_minus_log2_of_the_likelihoods():
    p = torch.tensor([0.5, 0.25, 1., 0.125]).view(1, 1, 2, 2)
    assert count_bits(dict(y=p), [(32, 32)], (32, 32)).tolist() == [6]
    both = dict(y=p, z=torch.full((1, 3, 1, 1), 0.5))
    assert count_bits(both, [(32, 32)], (32, 32)).tolist() == [9]


def test_bits_of_padding_do_not_count():
    likelihoods = likelihoods_over_64x64()
    bits = count_bits(likelihoods, SIZES, (64, 64))
    assert bits.dtype == torch.float32 and bits.shape == (4, )
    # What y covers of 16x17, and of 33x64, begins in 1x2 and 3x4 positions.
    expected = -(
        likelihoods['y'][1, :, :1, :2].log2().sum() +
        likelihoods['z'][1].log2().sum())
    torch.testing.assert_close(bits[1], expected)
    for b, (h, w) in enumerate(SIZES):
        padding = ~valid_mask([(h, w)], (64, 64), (4, 4), CPU)[0]
        likelihoods['y'][b].masked_fill_(padding, 1e-9)
    assert torch.equal(count_bits(likelihoods, SIZES, (64, 64)), bits)


def test_bits_equal_those_of_the_cropped_latents_where_positions_align():
    likelihoods = likelihoods_over_64x64()
    sizes = [(16, 16), (32, 48), (64, 16), (64, 64)]
    bits = count_bits(likelihoods, sizes, (64, 64))
    for b, (h, w) in enumerate(sizes):
        crop = dict(
            y=likelihoods['y'][b:b + 1, :, :h // 16, :w // 16],
            z=likelihoods['z'][b:b + 1])
        alone = count_bits(crop, [(h, w)], (h, w))
        torch.testing.assert_close(bits[b:b + 1], alone)


def test_padding_takes_no_gradient():
    p = torch.full((1, 1, 2, 2), 0.5, requires_grad=True)
    count_bits(dict(y=p), [(16, 32)], (32, 32)).sum().backward()
    assert (p.grad[0, 0, 0] < 0).all() and not p.grad[0, 0, 1].any()


def test_no_latents_cost_nothing():
    assert count_bits({}, [(3, 4), (5, 6)], (64, 64)).tolist() == [0, 0]


def test_latents_of_another_batch_are_refused():
    with pytest.raises(ValueError, match=r"3 images, .* \{'y': 4, 'z': 4\}"):
        count_bits(likelihoods_over_64x64(), SIZES[:3], (64, 64))


def test_mse_counts_real_pixels_of_each_image():
    x, x_hat = torch.rand(4, 3, 64, 64), torch.rand(4, 3, 64, 64)
    mse = image_mse(x, x_hat, SIZES)
    by_hand = torch.stack([((x - x_hat)[b, :, :h, :w]**2).mean()
                           for b, (h, w) in enumerate(SIZES)])
    torch.testing.assert_close(mse, by_hand)


def test_mse_is_float32_whatever_comes():
    x = torch.rand(1, 3, 8, 8)
    mse = image_mse(x.bfloat16(), (x + 0.5).bfloat16(), [(8, 8)])
    assert mse.dtype == torch.float32
    torch.testing.assert_close(mse, torch.tensor([0.25]), rtol=0.02, atol=0)
