import torch

from mmhmc.losses import HingeLoss


def test_discriminator_learns_up_to_the_margin_only():
    real = torch.tensor([3., 1., 0.5, -2.], requires_grad=True)
    fake = torch.tensor([-3., -1., 0.25, 2.], requires_grad=True)
    loss = HingeLoss().discriminator(real, fake)
    # 0, 0, 0.5, 3 of originals; 0, 0, 1.25, 3 of decoded images.
    torch.testing.assert_close(loss, torch.tensor((3.5 + 4.25) / 4))
    loss.backward()
    assert torch.equal(real.grad, torch.tensor([0., 0., -.25, -.25]))
    assert torch.equal(fake.grad, torch.tensor([0., 0., .25, .25]))


def test_generator_always_learns():
    fake = torch.tensor([-3., 5.], requires_grad=True)
    loss = HingeLoss().generator(fake)
    assert loss.item() == -1
    loss.backward()
    assert torch.equal(fake.grad, torch.tensor([-.5, -.5]))


def test_losses_are_float32_of_half_precision():
    logits = torch.randn(4).bfloat16()
    assert HingeLoss().generator(logits).dtype == torch.float32
    assert HingeLoss().discriminator(logits, logits).dtype == torch.float32
