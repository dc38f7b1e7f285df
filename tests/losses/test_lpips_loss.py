import sys
from types import ModuleType

import pytest
import torch
from conftest import smooth_images
from torch import nn

from mmhmc.losses import LPIPSLoss, lpips_loss


class FakeLPIPS(nn.Module):
    """What the package's class looks like, in miniature."""

    def __init__(self, net, pnet_rand, verbose):
        super().__init__()
        assert pnet_rand and not verbose
        self.net = nn.Module()
        self.net.slice1 = nn.Sequential()
        self.net.slice1.add_module('0', nn.Conv2d(3, 4, 3))
        self.net.slice2 = nn.Sequential()
        self.net.slice2.add_module('3', nn.Conv2d(4, 4, 3))

    def forward(self, one, other):
        one, other = (
            self.net.slice2(self.net.slice1(x)) for x in (one, other))
        return (one - other).square().mean(dim=(1, 2, 3), keepdim=True)


def torchvision_weights():
    return {
        f'features.{k}.{name}': value
        for k, conv in ((0, nn.Conv2d(3, 4, 3)), (3, nn.Conv2d(4, 4, 3)))
        for name, value in conv.state_dict().items()
    }


@pytest.fixture
def package(monkeypatch):
    module = ModuleType('lpips')
    module.LPIPS = FakeLPIPS
    monkeypatch.setitem(sys.modules, 'lpips', module)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / 'vgg.pth'
    torch.save(torchvision_weights(), path)
    return path


def test_backbone_gets_the_weights_of_the_file(package, weights):
    loss = LPIPSLoss('vgg', str(weights))
    state = torch.load(weights)
    network = loss._networks[0]
    assert torch.equal(network.net.slice1[0].weight,
                       state['features.0.weight'])
    x = smooth_images(2, 16, 16)
    x_hat = x.flip(3)
    torch.testing.assert_close(
        loss(x, x_hat),
        network(2 * x - 1, 2 * x_hat - 1).view(2))


def test_network_is_no_part_of_the_model(package, weights):
    loss = LPIPSLoss('vgg', str(weights)).train()
    assert list(loss.parameters()) == [] and loss.state_dict() == {}
    assert not any(m.training for m in loss._networks[0].modules())
    x = smooth_images(1, 16, 16)
    x_hat = x.flip(3).requires_grad_()
    loss(x, x_hat).sum().backward()
    assert x_hat.grad.any()
    assert all(p.grad is None for p in loss._networks[0].parameters())


def test_missing_package_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, 'lpips', None)
    with pytest.raises(
            ImportError, match='pip install -r requirements/perc.*FeatureLos'):
        LPIPSLoss()


def test_weights_that_cannot_be_fetched_are_named_with_what_to_do(
        package, monkeypatch):

    def unreachable(path):
        assert path == 'torchvision://vgg16'
        raise OSError('no route to host')

    monkeypatch.setattr(lpips_loss, 'read_checkpoint', unreachable)
    with pytest.raises(
            RuntimeError,
            match=r'vgg16 for ImageNet.*no route to host.*weights=FILE'):
        LPIPSLoss()


@pytest.mark.parametrize('key, value', [
    ('features.3.bias', None),
    ('features.0.weight', torch.zeros(1)),
])
def test_weights_of_another_network_are_refused(package, weights, key, value):
    state = torch.load(weights)
    state[key] = value
    if value is None:
        del state[key]
    torch.save(state, weights)
    with pytest.raises(
            ValueError, match=f"not hold torchvision's vgg16: {key}"):
        LPIPSLoss('vgg', str(weights))


def test_unknown_network_is_refused():
    with pytest.raises(ValueError, match=r"\['alex', 'squeeze', 'vgg'\], got"):
        LPIPSLoss('resnet')


def test_real_package_takes_the_weights_of_a_file(tmp_path):
    pytest.importorskip('lpips')
    from torchvision.models import squeezenet1_1
    path = tmp_path / 'squeeze.pth'
    torch.save(squeezenet1_1(weights=None).state_dict(), path)
    loss = LPIPSLoss('squeeze', str(path))
    x = smooth_images(2, 64, 64)
    assert not loss(x, x).any()
    far, near = loss(x, x.flip(3)), loss(x, 0.99 * x + 0.01 * x.flip(3))
    assert far.shape == (2, ) and (far > near).all() and (near > 0).all()
