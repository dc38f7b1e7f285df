import pytest
import torch

from mmhmc.codecs import IdentityCodec
from mmhmc.structures import CodingCondition


@pytest.mark.parametrize('training', [True, False])
def test_image_passes_bit_for_bit_and_costs_nothing(training):
    x = torch.rand(2, 3, 17, 33)
    output = IdentityCodec().train(training)(x)
    assert torch.equal(output.x_hat, x)
    assert torch.equal(output.y_hat, x)
    assert output.likelihoods == {}


def test_gradient_passes():
    x = torch.rand(1, 3, 4, 4, requires_grad=True)
    IdentityCodec()(x).x_hat.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


def test_there_is_nothing_to_code():
    codec = IdentityCodec().eval()
    codec.update_entropy_tables()
    assert codec.entropy_tables() == {}
    with pytest.raises(RuntimeError, match='nothing to store'):
        codec.compress(torch.rand(1, 3, 4, 4))
    with pytest.raises(RuntimeError, match='no image to decode'):
        codec.read_latents({}, (4, 4))


def test_input_is_checked_as_by_every_codec():
    codec = IdentityCodec()
    with pytest.raises(ValueError, match=r'of shape \(B, 3, H, W\)'):
        codec(torch.rand(3, 4, 4))
    with pytest.raises(ValueError, match='must be finite'):
        codec(torch.full((1, 3, 4, 4), torch.nan))
    with pytest.raises(ValueError, match='no run-time controls'):
        codec(torch.rand(1, 3, 4, 4), CodingCondition(task='people'))


def test_nothing_is_written():
    codec = IdentityCodec().eval()
    output = codec.encode_latents(torch.rand(1, 3, 8, 8))
    with pytest.raises(RuntimeError, match='writes no bits'):
        codec.write(output, (8, 8))
    assert len(codec.weights_hash()) == 4
    assert codec.weights_hash() == codec.weights_hash()
