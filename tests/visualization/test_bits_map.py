import pytest
import torch

from mmhmc.visualization import bits_map


def likelihoods(*sizes, channels=3):
    generator = torch.Generator().manual_seed(0)
    return {
        f'latent{i}':
        torch.rand(1, channels, *size, generator=generator) * 0.98 + 0.01
        for i, size in enumerate(sizes)
    }


@pytest.mark.parametrize(
    'sizes', [
        [(16, 24)],
        [(16, 24), (4, 6)],
        [(4, 6), (16, 24)],
        [(5, 7), (2, 2)],
        [(8, 8), (4, 4), (1, 1)],
    ],
    ids=str)
@pytest.mark.parametrize('image_size', [(256, 384), (250, 333)])
def test_integral_over_pixels_is_the_number_of_bits(sizes, image_size):
    latents = likelihoods(*sizes)
    bits = sum(-p.double().log2().sum() for p in latents.values())
    bpp = bits_map(latents, image_size)
    assert bpp.shape == max(sizes)
    pixels = image_size[0] * image_size[1] / bpp.numel()
    torch.testing.assert_close(bpp.sum() * pixels, bits)


def test_hyperprior_is_spread_over_the_positions_it_covers():
    z = torch.ones(1, 1, 2, 2)
    z[..., 0, 1] = 2**-8  # 8 bits
    bpp = bits_map(dict(y=torch.ones(1, 1, 4, 4), z=z), (4, 4))
    expected = torch.zeros(4, 4, dtype=torch.float64)
    expected[:2, 2:] = 2
    torch.testing.assert_close(bpp, expected)


def test_bits_stay_where_they_were_spent():
    y = torch.ones(1, 2, 2, 3)
    y[:, :, 1, 2] = 0.5
    bpp = bits_map(dict(y=y), (32, 48))
    assert bpp[1, 2] == 2 / 256
    assert bpp.count_nonzero() == 1


def test_map_carries_no_gradient():
    y = torch.full((1, 1, 2, 2), 0.5, requires_grad=True)
    assert not bits_map(dict(y=y), (32, 32)).requires_grad


def test_batch_is_refused():
    with pytest.raises(ValueError, match=r'got \(2, 1, 4, 4\)'):
        bits_map(dict(y=torch.ones(2, 1, 4, 4)), (64, 64))


def test_codec_without_entropy_model_is_refused():
    with pytest.raises(ValueError, match='estimates no bits'):
        bits_map({}, (64, 64))
