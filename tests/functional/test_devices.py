"""Networks of which no model knows go where their images are."""
import pytest
import torch
from torch import nn

from mmhmc.engine import RateLossHook
from mmhmc.evaluation import FIDMetric, KIDMetric, LPIPSMetric
from mmhmc.functional.devices import device_of, on_device_of
from mmhmc.structures import CodedBatch, CodedImage

#: Stands for a GPU: what is there has no numbers.
ELSEWHERE = torch.device('meta')


class Network(nn.Module):
    """Refuses what is on another device; answers with numbers."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.seen = answer, []
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, *images):
        assert all(x.device == self.weight.device for x in images)
        self.seen.append(self.weight.device)
        return self.answer


def test_network_goes_where_its_input_is():
    network = nn.BatchNorm2d(3)
    assert device_of(network).type == 'cpu'
    assert on_device_of(network, torch.zeros(1, device=ELSEWHERE)) is network
    assert device_of(network) == ELSEWHERE
    assert device_of(nn.ReLU()).type == 'cpu'
    # What is no module, or has no weights, stays what it is.
    for one in (len, nn.ReLU()):
        assert on_device_of(one, torch.zeros(1, device=ELSEWHERE)) is one


@pytest.mark.parametrize('made', [
    lambda network: FIDMetric(2, network),
    lambda network: KIDMetric(2, 2, network),
    lambda network: LPIPSMetric(loss=network)
])
def test_metrics_take_their_networks_to_the_images(made):
    network = Network(torch.ones(1))
    x = torch.zeros(3, 8, 8, device=ELSEWHERE)
    image = CodedImage(8., 9, (8, 8), (8, 8), x, x)
    made(network).process(None, [dict(coding=image)])
    assert network.seen and set(network.seen) == {ELSEWHERE}


def test_perceptual_loss_of_any_kind_goes_along():
    network = Network(torch.ones(1))
    x = torch.zeros(1, 3, 8, 8, device=ELSEWHERE)
    coded = CodedBatch(x, x, x, [(8, 8)], torch.ones(1, device=ELSEWHERE),
                       [None])
    hook = RateLossHook(lmbda_rate=0., lmbda_distortion=0.)
    hook.perceptual, hook._compared = network, lambda coded: coded.x_hat
    losses = hook._losses([coded])
    assert network.seen == [ELSEWHERE]
    assert losses['loss_perceptual'] == 1
