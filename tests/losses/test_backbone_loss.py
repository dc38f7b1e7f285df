"""Images compared by a backbone that is there anyway."""
import copy

import pytest
import torch
from conftest import smooth_images
from mmengine.model import BaseModule
from torch import nn
from traced_ops import TracedOps

from mmhmc.input_norm import InputNorm
from mmhmc.losses import BackboneLoss
from mmhmc.registry import MODELS

NORM = dict(mean=[120.] * 3, std=[60.] * 3)


@MODELS.register_module()
class TwoStages(BaseModule):
    """Two feature maps; notes what it saw."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 8, 3, stride=2, padding=1)

    def forward(self, x):
        self.seen = x
        first = self.first(x).relu()
        return first, self.second(first)


@MODELS.register_module()
class LastScaled(BaseModule):
    """A neck with one output."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.scale = nn.Conv2d(8, 8, 1, bias=False)

    def forward(self, features):
        return (self.scale(features[-1]), )


@pytest.fixture(scope='module', params=['host', 'alone'])
def loss(request, tmp_path_factory):
    """By weights of a host, and by those of the backbone itself."""
    torch.manual_seed(0)
    prefix = 'backbone.' if request.param == 'host' else ''
    path = str(tmp_path_factory.mktemp('weights') / 'host.pth')
    torch.save(
        dict(state_dict={
            prefix + k: v
            for k, v in TwoStages().state_dict().items()
        }), path)
    if request.param == 'host':
        loss = BackboneLoss(
            dict(type='mmhmc.TwoStages'), NORM, checkpoint=path)
    else:
        init_cfg = dict(type='Pretrained', checkpoint=path)
        loss = BackboneLoss(
            dict(type='mmhmc.TwoStages', init_cfg=init_cfg), NORM)
    network = loss._networks[0].backbone
    expected = torch.load(path)['state_dict'][f'{prefix}second.weight']
    assert torch.equal(network.second.weight, expected)
    return loss


def test_distance_grows_with_the_difference(loss):
    x = smooth_images(2, 32, 48)
    assert not loss(x, x).any()
    near, far = (loss(x, x + share * (x.flip(3) - x)) for share in (0.1, 1))
    assert near.shape == (2, )
    assert (near > 0).all() and (far > 2 * near).all() and (far <= 4).all()


def test_gradient_reaches_what_is_compared_only(loss):
    x = smooth_images(3, 16, 16).requires_grad_()
    x_hat = x.detach().flip(2).requires_grad_()
    with TracedOps() as traced:
        loss(x, x_hat).sum().backward()
    assert x_hat.grad.any() and x.grad is None
    # Not of the originals, which would double the cost.
    assert traced.convolutions == [3, 3]
    assert list(loss.parameters()) == [] and loss.state_dict() == {}


def test_backbone_sees_what_its_host_would(loss):
    x = smooth_images(1, 16, 16)
    loss(x, x)
    seen = loss._networks[0].backbone.seen
    torch.testing.assert_close(seen, (x.flip(1) * 255 - 120) / 60)


def test_a_image_of_a_host_is_the_image_it_was():
    norm, x = InputNorm.from_preprocessor(NORM), smooth_images(1, 8, 8)
    torch.testing.assert_close(norm.to_image(norm.from_image(x)), x)


def test_no_weights_are_refused():
    with pytest.raises(ValueError, match='give its weights'):
        BackboneLoss(dict(type='mmhmc.TwoStages'), NORM)


def test_only_the_features_themselves_see_contrast(loss):

    class Contrast(nn.Module):

        def forward(self, x):
            return x

    seen = loss._networks[0]
    whole, unit = copy.copy(loss), loss
    whole.unit = False
    x = smooth_images(1, 16, 16)
    norm, backbone = seen.norm, seen.backbone
    try:
        seen.backbone, seen.norm = Contrast(), InputNorm()
        twice = unit(x, x * 0.5), whole(x, x * 0.5)
    finally:
        seen.backbone, seen.norm = backbone, norm
    torch.testing.assert_close(twice[0], torch.zeros(1), atol=1e-6, rtol=0)
    torch.testing.assert_close(twice[1], torch.full((1, ), 0.25))


def test_outputs_of_a_neck_take_the_place_of_the_backbones(tmp_path):
    torch.manual_seed(0)
    host = nn.ModuleDict(dict(backbone=TwoStages(), neck=LastScaled()))
    torch.save(dict(state_dict=host.state_dict()), tmp_path / 'host.pth')
    loss = BackboneLoss(
        dict(type='mmhmc.TwoStages'),
        NORM,
        unit=False,
        checkpoint=str(tmp_path / 'host.pth'),
        neck=dict(type='mmhmc.LastScaled'))
    x = smooth_images(2, 16, 16)
    norm = InputNorm.from_preprocessor(NORM)
    one, other = (
        host.neck(host.backbone(norm.from_image(image)))[0]
        for image in (x, x.flip(3)))
    expected = (one - other).square().mean((1, 2, 3)) / one.square().mean(
        (1, 2, 3))
    torch.testing.assert_close(loss(x, x.flip(3)), expected)
    # The host computes others, which are of no use.
    assert loss.watch(host.backbone, norm) is None


def test_backbone_that_stays_random_is_refused(tmp_path):
    path = str(tmp_path / 'host.pth')
    state = {f'backbone.{k}': v for k, v in TwoStages().state_dict().items()}
    del state['backbone.second.weight']
    torch.save(dict(state_dict=state), path)
    with pytest.raises(ValueError, match='missing second.weight'):
        BackboneLoss(dict(type='mmhmc.TwoStages'), NORM, checkpoint=path)
    with pytest.raises(ValueError, match='1 of 2 weights .* second.weight'):
        BackboneLoss(dict(type='mmhmc.Renaming'), NORM, checkpoint=path)
    with pytest.raises(ValueError, match='give its weights'):
        BackboneLoss(
            dict(
                type='mmhmc.TwoStages',
                init_cfg=dict(type='Normal', layer='Conv2d')), NORM)


@MODELS.register_module()
class Renaming(TwoStages):
    """Reads its weights by itself, as some of the hosts' backbones do."""

    def init_weights(self):
        state = torch.load(self.init_cfg['checkpoint'])['state_dict']
        self.load_state_dict(
            {
                k.removeprefix('backbone.'): v
                for k, v in state.items()
            },
            strict=False)
