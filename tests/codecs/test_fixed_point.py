import copy
import hashlib

import pytest
import torch
from compressai.layers import GDN, MaskedConv2d, subpel_conv3x3
from torch import nn

from mmhmc.codecs.layers import (FixedPointNetwork, activation_ranges,
                                 choose_settings)

#: What codecs have for priors, in miniature; 4 channels go in.
NETWORKS = dict(
    hyper_synthesis=lambda: nn.Sequential(
        nn.ConvTranspose2d(4, 6, 5, stride=2, padding=2, output_padding=1),
        nn.LeakyReLU(inplace=True),
        nn.ConvTranspose2d(6, 5, 4, stride=(2, 1), padding=1), nn.LeakyReLU(),
        nn.Conv2d(5, 8, 3, padding=1)),
    sub_pixel=lambda: nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True),
        subpel_conv3x3(4, 3, 2), nn.LeakyReLU(0.2), nn.Conv2d(3, 4, 1)),
    context=lambda: MaskedConv2d(4, 6, 5, padding=2),
    grouped=lambda: nn.Sequential(
        nn.Conv2d(4, 8, 3, stride=2, padding=2, dilation=2, groups=2), nn.ReLU(
        ), nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
        nn.ConvTranspose2d(8, 4, 3, stride=2, groups=2, dilation=2)))

every_network = pytest.mark.parametrize('name', NETWORKS)


def portable(layers, x):
    settings = choose_settings(layers, activation_ranges(layers, x))
    return FixedPointNetwork(layers, settings), settings


def shifted(values, bits):
    """Nearest integers of ``values / 2**bits``, halves up."""
    if bits <= 0:
        return values << -bits
    return (values + (1 << bits - 1)) >> bits


def in_python(x, bits):
    """Nearest integers of a tensor times ``2**bits``, by Python's integers."""

    def nearest(value):
        over, under = value.as_integer_ratio()
        return (2 * over * 2**bits + under) // (2 * under)

    flat = [nearest(value) for value in x.flatten().tolist()]
    return torch.tensor(flat, dtype=torch.int64).view(x.shape)


def reference(layers, settings, x):
    """The network in int64, by torch's own kernels for integers."""
    rows = settings.tolist()
    x = in_python(x, rows[0][0]).clamp(-2**rows[0][1], 2**rows[0][1])
    for layer in [m for m in layers.modules() if not list(m.children())]:
        if hasattr(layer, 'weight'):
            bits, _, weight_bits = rows.pop(0)
            weight = layer.weight * getattr(layer, 'mask', 1)
            bias = None if layer.bias is None else in_python(
                layer.bias, bits + weight_bits)
            weight = in_python(weight, weight_bits)
            if isinstance(layer, nn.ConvTranspose2d):
                x = nn.functional.conv_transpose2d(x, weight, bias,
                                                   layer.stride, layer.padding,
                                                   layer.output_padding,
                                                   layer.groups,
                                                   layer.dilation)
            else:
                x = nn.functional.conv2d(x, weight, bias, layer.stride,
                                         layer.padding, layer.dilation,
                                         layer.groups)
            x = shifted(x, bits + weight_bits - rows[0][0])
            x = x.clamp(-2**rows[0][1], 2**rows[0][1])
        elif isinstance(layer, nn.LeakyReLU):
            slope = round(layer.negative_slope * 2**16)
            x = torch.where(x < 0, shifted(x * slope, 16), x)
        elif isinstance(layer, nn.ReLU):
            x = x.clamp(min=0)
        else:
            x = layer(x)
    return (x.double() * 2.0**-rows[0][0]).float()


@every_network
def test_result_is_that_of_integers(name):
    layers, x = NETWORKS[name](), 3 * torch.randn(2, 4, 5, 6)
    network, settings = portable(layers, x)
    # Much beyond what was seen, so that clamps work, too.
    for gain in (1, 20):
        assert torch.equal(
            network(gain * x), reference(layers, settings, gain * x))


@every_network
def test_result_is_close_to_that_of_the_floating_point_network(name):
    layers, x = NETWORKS[name](), 3 * torch.randn(2, 4, 5, 6)
    network, _ = portable(layers, x)
    with torch.no_grad():
        expected = layers(x)
    result = network(x)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-3)


@every_network
def test_input_stays_what_it_is(name):
    layers, x = NETWORKS[name](), 3 * torch.randn(2, 4, 5, 6)
    before = x.clone()
    network, _ = portable(layers, x)
    network(x)
    assert torch.equal(x, before)


@every_network
def test_result_is_a_multiple_that_float32_holds_exactly(name):
    layers, x = NETWORKS[name](), 3 * torch.randn(2, 4, 5, 6)
    network, settings = portable(layers, x)
    bits, magnitude, _ = settings[-1].tolist()
    integers = network(1e3 * x).double() * 2.0**bits
    assert magnitude <= 24
    assert torch.equal(integers, integers.round())
    assert integers.abs().max() <= 2.0**magnitude


@every_network
def test_layout_threads_kernels_and_batch_change_no_bit(name):
    layers, x = NETWORKS[name](), 3 * torch.randn(3, 4, 9, 10)
    network, settings = portable(layers, x)
    expected = network(x)
    last = copy.deepcopy(layers).to(memory_format=torch.channels_last)
    rows = x.to(memory_format=torch.channels_last)
    assert torch.equal(FixedPointNetwork(last, settings)(rows), expected)
    with torch.backends.mkldnn.flags(enabled=False):
        assert torch.equal(network(x), expected)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(network(x), expected)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.equal(network(x), expected)
    finally:
        torch.set_num_threads(threads)
    alone = torch.cat([network(one) for one in x.split(1)])
    assert torch.equal(alone, expected)


def test_integers_of_a_fixed_network_are_what_they_have_always_been():
    # A changed digest makes every portable stream unreadable. Weights, inputs
    # and settings by formula, so that no generator or kernel has a part.
    layers = nn.Sequential(
        nn.ConvTranspose2d(4, 6, 5, stride=2, padding=2, output_padding=1),
        nn.LeakyReLU(), nn.Conv2d(6, 8, 3, padding=1))
    with torch.no_grad():
        for parameter in layers.parameters():
            count = torch.arange(parameter.numel())
            parameter.copy_(
                ((count * 37 % 101 - 50) / 777).view(parameter.shape))
    settings = torch.tensor([[16, 21, 16], [15, 20, 14], [14, 22, 0]],
                            dtype=torch.int32)
    x = (torch.arange(4 * 5 * 6) * 29 % 23 - 11).view(1, 4, 5, 6) / 3
    result = FixedPointNetwork(layers, settings)(x)
    digest = hashlib.sha256(result.contiguous().numpy().tobytes()).hexdigest()
    assert torch.equal(result, reference(layers, settings, x))
    assert digest == ('439500968f241c137c911b23cdb989cd'
                      '1d908f6ad63878aec4dded3b9226bdb0')


@pytest.mark.parametrize('gain', [1e-4, 1, 1e2, 1e4, 1e6])
def test_no_sum_reaches_the_limit_whatever_the_weights(gain):
    # The worst: all weights and inputs as large as they can be, equal signs.
    layer = nn.Conv2d(64, 2, 3)
    nn.init.constant_(layer.weight, gain)
    nn.init.constant_(layer.bias, gain * 1e3)
    x = torch.full((1, 64, 3, 3), 40.)
    settings = choose_settings(layer, torch.tensor([40., 100.]))
    bits, magnitude, weight_bits = settings[0].tolist()
    weight = in_python(layer.weight, weight_bits)[0]
    bias = in_python(layer.bias, bits + weight_bits)[0].item()
    largest = sum(weight.flatten().tolist()) * 2**magnitude + bias
    assert largest + 2**(bits + weight_bits - 1) < 2**53
    network = FixedPointNetwork(layer, settings)
    for sign in (1e9, -1e9):
        assert torch.equal(
            network(sign * x), reference(layer, settings, sign * x))


def test_weights_and_activations_share_the_bits_where_they_are_few():
    layer = nn.Conv2d(4, 4, 1)
    ranges = torch.tensor([1., 1.])
    assert choose_settings(layer, ranges)[0].tolist() == [16, 20, 16]
    with torch.no_grad():
        layer.weight.mul_(1e8)
    bits, _, weight_bits = choose_settings(layer, ranges)[0].tolist()
    assert 4 <= bits <= weight_bits <= bits + 1 < 16


@pytest.mark.parametrize('gain, match', [
    (1e14, 'weights and activations too large'),
    (float('nan'), 'too large'),
])
def test_weights_beyond_every_setting_are_refused(gain, match):
    layer = nn.Conv2d(4, 4, 1)
    nn.init.constant_(layer.weight, gain)
    with pytest.raises(ValueError, match=match):
        choose_settings(layer, torch.tensor([1., 1.]))


def test_result_beyond_every_setting_is_refused():
    with pytest.raises(ValueError, match='reaches 1e.08, too much for a port'):
        choose_settings(nn.Conv2d(4, 4, 1), torch.tensor([1., 1e8]))


@pytest.mark.parametrize('gain', [1e9, float('nan'), float('inf')])
def test_weights_that_have_outgrown_their_settings_are_refused(gain):
    layer = nn.Conv2d(4, 4, 1)
    _, settings = portable(layer, torch.randn(1, 4, 2, 2))
    with torch.no_grad():
        layer.weight.mul_(gain)
    with pytest.raises(RuntimeError, match='beyond 2.53.*make_portable'):
        FixedPointNetwork(layer, settings)


def test_activations_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match='must be finite, but reach .*inf'):
        activation_ranges(
            nn.Conv2d(4, 4, 1), torch.full((1, 4, 2, 2), torch.inf))


class Doubled(nn.Conv2d):

    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize('layer, match', [
    (nn.Tanh(), 'Tanh has no integer form; portable streams support Conv2d'),
    (GDN(4), 'GDN has no integer form'),
    (Doubled(4, 4, 1), 'Doubled has no integer form'),
    (nn.Conv2d(4, 4, 3, padding=1, padding_mode='reflect'), 'of zeros'),
    (nn.Conv2d(4, 4, 3, padding='same'), 'given number of zeros'),
    (nn.LeakyReLU(2.), 'slopes within'),
])
def test_layer_without_an_integer_form_is_refused(layer, match):
    layers = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Sequential(layer))
    with pytest.raises(ValueError, match=match):
        activation_ranges(layers, torch.randn(1, 4, 2, 2))


@pytest.mark.parametrize(
    'settings', [[[16, 20, 16]], [[16, 20, 16]] * 3, [[16, 20], [16, 20]],
                 [[16, 20, -1], [16, 20, 0]], [[16, 99, 16], [16, 20, 0]]])
def test_settings_of_something_else_are_refused(settings):
    with pytest.raises(RuntimeError, match='1 layers with weights need sett'):
        FixedPointNetwork(
            nn.Conv2d(4, 4, 1), torch.tensor(settings, dtype=torch.int32))
