import pytest
import torch

from mmhmc.losses import TwoScaleDiscriminator


def tiny(**kwargs):
    return TwoScaleDiscriminator(
        **{
            **dict(
                latent_channels=6,
                context_channels=2,
                hidden_channels=(4, 6, 8)),
            **kwargs
        })


def batch(size=(64, 96)):
    return (torch.rand(2, 3, *size),
            torch.randn(2, 6, -(-size[0] // 16), -(-size[1] // 16)))


def test_two_scales_judge_alike_many_patches():
    for size in ((64, 96), (50, 33)):
        logits = tiny()(*batch(size))
        assert logits.shape[:2] == (2, 2) and logits.shape[2] > 4
    assert logits[:, 1].unique().numel() < logits[:, 0].unique().numel()


def test_all_but_the_context_is_spectrally_normalised():
    judge = tiny().train()
    for _ in range(50):
        judge(*batch((32, 32)))
    judge.eval()
    for scale in judge.scales:
        for stage in scale:
            conv = stage[0] if len(list(stage.children())) == 2 else stage
            weight = conv.weight.detach().flatten(1)
            norm = torch.linalg.matrix_norm(weight, 2)
            assert norm.item() == pytest.approx(1, abs=0.05)


def test_the_size_of_the_latent_does_not_count():
    judge = tiny().eval()
    x, y_hat = batch()
    expected = judge(x, y_hat)
    torch.testing.assert_close(judge(x, 100 * y_hat), expected)
    assert judge(x, torch.zeros_like(y_hat)).isfinite().all()


def test_it_learns_soon_to_tell_blurred_images():
    torch.manual_seed(0)
    judge = tiny(hidden_channels=(8, 8))
    adam = torch.optim.Adam(judge.parameters(), lr=3e-3)
    for _ in range(60):
        x, y_hat = batch((32, 32))
        x = 0.4 + 0.2 * x
        blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
        images, latents = torch.cat((x, blurred)), torch.cat((y_hat, y_hat))
        real, fake = judge(images, 5 * latents).chunk(2)
        loss = (1 - real).relu().mean() + (1 + fake).relu().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert (real > 0).float().mean() > 0.9 and (fake < 0).float().mean() > 0.9


def test_only_the_seen_channels_count_and_get_no_gradient():
    judge = tiny(seen_channels=4).eval()
    x, y_hat = batch()
    x, y_hat = x.requires_grad_(), y_hat.requires_grad_()
    logits = judge(x, y_hat)
    other = y_hat.detach().clone()
    other[:, 4:] += 5
    assert torch.equal(judge(x, other), logits)
    other[:, :4] += 5
    assert not torch.equal(judge(x, other), logits)
    logits.sum().backward()
    assert x.grad.any() and y_hat.grad is None


def test_features_are_those_of_all_hidden_layers_of_both_scales():
    judge, shown = tiny().eval(), batch()
    logits, features = judge.judge(*shown)
    assert [one.shape[1] for one in features] == [4, 6, 8] * 2
    assert torch.equal(logits, judge(*shown))


@pytest.mark.parametrize('wrong, match', [
    (dict(seen_channels=7), 'from 1 to 6'),
    (dict(seen_channels=0), 'from 1 to 6'),
    (dict(hidden_channels=(4, )), 'two numbers or more'),
])
def test_what_cannot_be_built_is_refused(wrong, match):
    with pytest.raises(ValueError, match=match):
        tiny(**wrong)


def test_there_is_no_second_quality():
    with pytest.raises(ValueError, match='must be 1, got 2'):
        tiny()(*batch(), 2)
