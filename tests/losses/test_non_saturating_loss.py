import torch

from mmhmc.losses import NonSaturatingLoss


def test_losses_are_cross_entropies():
    real, fake = torch.randn(2, 1, 3, 3), torch.randn(2, 1, 3, 3)
    loss = NonSaturatingLoss()
    expected = -(real.sigmoid().log().mean() + (-fake).sigmoid().log().mean())
    torch.testing.assert_close(loss.discriminator(real, fake), expected)
    torch.testing.assert_close(
        loss.generator(fake), -fake.sigmoid().log().mean())


def test_generator_learns_most_where_it_fails():
    fake = torch.tensor([-8., 8.], requires_grad=True)
    NonSaturatingLoss().generator(fake).backward()
    assert fake.grad[0] < -0.49 and abs(fake.grad[1]) < 1e-3


def test_low_precision_logits_are_judged_in_float32():
    fake = torch.randn(4).bfloat16()
    loss = NonSaturatingLoss()
    assert loss.generator(fake).dtype == torch.float32
    assert loss.discriminator(fake, fake).dtype == torch.float32
