import copy

import pytest
import torch

from mmhmc.losses import PatchDiscriminator


def tiny(**kwargs):
    return PatchDiscriminator(
        **{
            **dict(
                latent_channels=6,
                num_qualities=3,
                context_channels=2,
                hidden_channels=(4, 6, 8, 8)),
            **kwargs
        })


def batch(size=(64, 96)):
    return (torch.rand(2, 3,
                       *size), torch.randn(2, 6, size[0] // 16, size[1] // 16))


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_published_size_has_the_published_number_of_parameters():
    with torch.device('meta'):
        assert count(PatchDiscriminator()) == 2_803_917
        assert count(PatchDiscriminator(num_qualities=8)) == 22_431_336


def test_there_is_a_logit_for_each_patch():
    x, y_hat = batch()
    assert tiny()(x, y_hat, 2).shape == (2, 1, 4, 6)


def test_each_quality_has_a_judge_of_its_own():
    discriminator = tiny()
    x, y_hat = batch()
    logits = [discriminator(x, y_hat, q) for q in (1, 2, 3)]
    assert not torch.equal(logits[0], logits[1])
    logits[1].sum().backward()
    for q, judge in enumerate(discriminator.copies, start=1):
        for parameter in judge.parameters():
            assert (parameter.grad is not None) == (q == 2)


def test_latent_counts_but_gets_no_gradient():
    discriminator = tiny().eval()
    x, y_hat = batch()
    x, y_hat = x.requires_grad_(), y_hat.requires_grad_()
    logits = discriminator(x, y_hat)
    assert not torch.equal(discriminator(x, 5 * y_hat), logits)
    logits.sum().backward()
    assert x.grad.any() and y_hat.grad is None


def test_strided_convolutions_have_spectral_norm_one():
    judge = tiny().train().copies[0]
    x, y_hat = batch()
    for _ in range(60):
        judge(x, y_hat)
    judge.eval()
    for layer in judge.layers[::2]:
        norm = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
        torch.testing.assert_close(
            norm, torch.tensor(1.), rtol=0.02, atol=0.02)
    assert copy.deepcopy(judge)(x, y_hat).equal(judge(x, y_hat))


@pytest.mark.parametrize('quality', [0, 4, 1.5, None])
def test_unknown_quality_is_refused(quality):
    with pytest.raises(ValueError, match='an integer from 1 to 3, got'):
        tiny()(*batch(), quality)


def test_side_that_holds_no_whole_patches_is_refused():
    with pytest.raises(ValueError, match='must be multiples of 16'):
        tiny()(torch.rand(1, 3, 64, 72), torch.randn(1, 6, 4, 4))


@pytest.mark.parametrize('arguments', [
    dict(num_qualities=0),
    dict(hidden_channels=()),
])
def test_discriminator_of_nothing_is_refused(arguments):
    with pytest.raises(ValueError, match='must be positive, got'):
        tiny(**arguments)
