import copy
import hashlib

import pytest
import torch
from compressai.layers import GDN, MaskedConv2d, subpel_conv3x3
from torch import nn

from mmhmc.codecs.layers import (AttentionStage, DepthConvBlock,
                                 FixedPointNetwork, Transform, exact_gains,
                                 interpolate_gains, saturation)
from mmhmc.codecs.layers.fixed_point import (ACTIVATION_BITS, EXACT_IN_FLOAT64,
                                             MAGNITUDE_BITS)

#: What codecs have for priors, in miniature; 4 channels go in.
CONVOLUTIONS = dict(
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
        nn.ConvTranspose2d(8, 4, 3, stride=2, groups=2, dilation=2)),
    strided=lambda: nn.Sequential(
        nn.Conv2d(4, 6, 5, stride=(3, 2), padding=(1, 2)), nn.ReLU(),
        nn.ConvTranspose2d(6, 3, 2, stride=3)))
SMOOTH = dict(
    gelu=lambda: nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1), nn.GELU(), nn.Conv2d(8, 4, 1)),
    tanh=lambda: nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.Tanh()),
    depth_conv=lambda: nn.Sequential(
        DepthConvBlock(4, 8), DepthConvBlock(8, 8, adapts=True, skips=True),
        nn.Conv2d(8, 6, 1)),
    attention=lambda: Transform(
        nn.ConvTranspose2d(4, 32, 3, stride=2), AttentionStage(
            32, 3, [0., 0.]), nn.Conv2d(32, 6, 1)))
NETWORKS = {**CONVOLUTIONS, **SMOOTH}

every_network = pytest.mark.parametrize('name', NETWORKS)
every_convolution = pytest.mark.parametrize('name', CONVOLUTIONS)


def made(name):
    torch.manual_seed(0)
    return NETWORKS[name]().eval(), 3 * torch.randn(2, 4, 5, 6)


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


def largest_sum(layer, bits, magnitude, weight_bits):
    """The largest sum that a layer can have, in Python's integers."""
    weight = in_python(layer.weight * getattr(layer, 'mask', 1), weight_bits)
    outputs = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    if outputs:
        weight = weight.unflatten(0, (layer.groups, -1)).transpose(1, 2)
        weight = weight.flatten(0, 1)
    bias = [0] * len(weight)
    if layer.bias is not None:
        bias = in_python(layer.bias, bits + weight_bits).abs().tolist()
    rows = weight.abs().flatten(1).sum(1).tolist()
    return max(row * 2**magnitude + b for row, b in zip(rows, bias)) + 2**(
        bits + weight_bits - 1)


def settings_of(layers):
    """The constants, and for each layer the finest weights that fit."""
    rows = []
    for layer in layers.modules():
        if hasattr(layer, 'weight'):
            fits = [
                w for w in range(4, 17) if largest_sum(
                    layer, ACTIVATION_BITS, MAGNITUDE_BITS, w) < 2**53
            ]
            rows.append((ACTIVATION_BITS, MAGNITUDE_BITS, max(fits)))
    return torch.tensor([*rows, (ACTIVATION_BITS, MAGNITUDE_BITS, 0)])


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


@every_convolution
def test_result_is_that_of_integers(name):
    layers, x = made(name)
    network, settings = FixedPointNetwork(layers), settings_of(layers)
    # Much beyond what is sensible, so that clamps work, too.
    for gain in (1, 1e4):
        assert torch.equal(
            network(gain * x), reference(layers, settings, gain * x))


@every_convolution
def test_settings_of_former_codecs_are_followed(name):
    layers, x = made(name)
    settings = settings_of(layers)
    settings[:, 0] -= torch.arange(len(settings)) % 3
    settings[:, 1] -= 8
    network = FixedPointNetwork(layers, settings)
    for gain in (1, 1e3):
        assert torch.equal(
            network(gain * x), reference(layers, settings, gain * x))


@every_network
def test_result_is_close_to_that_of_the_floating_point_network(name):
    layers, x = made(name)
    with torch.no_grad():
        expected = layers(x)
    result = FixedPointNetwork(layers)(x)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-3)


@every_network
def test_input_stays_what_it_is(name):
    layers, x = made(name)
    before = x.clone()
    FixedPointNetwork(layers)(x)
    assert torch.equal(x, before)


@every_network
def test_layout_threads_kernels_and_batch_change_no_bit(name):
    layers, _ = made(name)
    x = 3 * torch.randn(3, 4, 9, 10)
    network = FixedPointNetwork(layers)
    expected = network(x)
    last = copy.deepcopy(layers).to(memory_format=torch.channels_last)
    rows = x.to(memory_format=torch.channels_last)
    assert torch.equal(FixedPointNetwork(last)(rows), expected)
    with torch.backends.mkldnn.flags(enabled=False):
        assert torch.equal(network(x), expected)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(network(x), expected)
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 4):
            torch.set_num_threads(count)
            assert torch.equal(network(x), expected)
    finally:
        torch.set_num_threads(threads)
    alone = torch.cat([network(one) for one in x.split(1)])
    assert torch.equal(alone, expected)


def by_formula(layers):
    """Weights that no generator has a part in."""
    with torch.no_grad():
        for parameter in layers.parameters():
            count = torch.arange(parameter.numel())
            parameter.copy_(
                ((count * 37 % 101 - 50) / 777).view(parameter.shape))
    x = (torch.arange(4 * 5 * 6) * 29 % 23 - 11).view(1, 4, 5, 6) / 3
    return layers, x


def digest(result):
    content = result.contiguous().numpy().tobytes()
    return hashlib.sha256(content).hexdigest()[:32]


def test_integers_of_a_former_network_are_what_they_have_always_been():
    # A changed digest makes every portable stream unreadable.
    layers, x = by_formula(
        nn.Sequential(
            nn.ConvTranspose2d(4, 6, 5, stride=2, padding=2, output_padding=1),
            nn.LeakyReLU(), nn.Conv2d(6, 8, 3, padding=1)))
    settings = torch.tensor([[16, 21, 16], [15, 20, 14], [14, 22, 0]])
    result = FixedPointNetwork(layers, settings)(x)
    assert torch.equal(result, reference(layers, settings, x))
    assert digest(result) == '439500968f241c137c911b23cdb989cd'


@pytest.mark.parametrize('name, expected', [
    ('hyper_synthesis', '2fb57ac0d65681e6016b38d68711741c'),
    ('sub_pixel', '5f9b149003d2578cfb2ea8b38fcbda90'),
    ('gelu', '86c013c6fd0d1b4004db063e5eafee25'),
    ('tanh', '81a404f68d6ee72fbe2acc42c48dee7e'),
    ('attention', 'ed7862fe8763dbcfd12b754a7741e255'),
])
def test_integers_of_a_fixed_network_are_what_they_have_always_been(
        name, expected):
    # Whoever changes a digest gives the arithmetic another name.
    layers, x = by_formula(NETWORKS[name]().eval())
    assert digest(FixedPointNetwork(layers)(x)) == expected


@pytest.mark.parametrize('gain', [1e-4, 1, 1e2, 1e3])
def test_no_sum_reaches_the_limit_whatever_the_weights(gain):
    # The worst: all weights and inputs as large as they can be, equal signs.
    layer = nn.Conv2d(64, 2, 3)
    nn.init.constant_(layer.weight, gain)
    nn.init.constant_(layer.bias, gain * 1e3)
    settings = settings_of(layer)
    assert largest_sum(layer, *settings[0].tolist()) < EXACT_IN_FLOAT64
    x = torch.full((1, 64, 3, 3), 1e9)
    for sign in (1, -1):
        assert torch.equal(
            FixedPointNetwork(layer)(sign * x),
            reference(layer, settings, sign * x))


@pytest.mark.parametrize('gain', [1e14, float('nan'), float('inf')])
def test_weights_beyond_every_grid_are_refused(gain):
    layer = nn.Conv2d(4, 4, 1)
    nn.init.constant_(layer.weight, gain)
    with pytest.raises(ValueError, match='too large for a portable stream'):
        FixedPointNetwork(layer)


@pytest.mark.parametrize('gain', [1e9, float('nan'), float('inf')])
def test_weights_that_have_outgrown_their_settings_are_refused(gain):
    layer = nn.Conv2d(4, 4, 1)
    settings = torch.tensor([[16, 20, 16], [16, 20, 0]])
    FixedPointNetwork(layer, settings)
    with torch.no_grad():
        layer.weight.mul_(gain)
    with pytest.raises(RuntimeError, match='beyond 2.53.*weights have grown'):
        FixedPointNetwork(layer, settings)


@every_network
def test_saturation_is_noticed_where_there_is_some(name):
    layers, x = made(name)
    network = FixedPointNetwork(layers)
    with saturation() as ratios:
        network(x)
    assert ratios and torch.stack(ratios).amax() < 0.1
    with saturation() as ratios:
        network(1e5 * x)
    assert torch.stack(ratios).amax() > 1
    network(x)  # nobody asks


class Doubled(nn.Conv2d):

    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize('layer, match', [
    (nn.Softplus(), 'Softplus has no integer form; portable streams support '),
    (GDN(4), 'GDN has no integer form'),
    (Doubled(4, 4, 1), 'Doubled has no integer form'),
    (nn.Conv2d(4, 4, 3, padding=1, padding_mode='reflect'), 'of zeros'),
    (nn.Conv2d(4, 4, 3, padding='same'), 'given number of zeros'),
    (nn.LeakyReLU(2.), 'slopes within'),
    (nn.GELU(approximate='tanh'), "support `approximate='none'`"),
])
def test_layer_without_an_integer_form_is_refused(layer, match):
    layers = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Sequential(layer))
    with pytest.raises(ValueError, match=match):
        FixedPointNetwork(layers)


@pytest.mark.parametrize(
    'settings', [[[16, 20, 16]], [[16, 20, 16]] * 3, [[16, 20], [16, 20]],
                 [[16, 20, -1], [16, 20, 0]], [[16, 99, 16], [16, 20, 0]]])
def test_settings_of_something_else_are_refused(settings):
    with pytest.raises(RuntimeError, match='1 layers with weights need sett'):
        FixedPointNetwork(nn.Conv2d(4, 4, 1), torch.tensor(settings))


# Gains.


def gained_stage():
    torch.manual_seed(0)
    stage = AttentionStage(32, 3, [0., 0.], num_qualities=8).eval()
    with torch.no_grad():
        for name, parameter in stage.named_parameters():
            if 'gamma' in name:
                parameter.uniform_(-2, 2)
    return stage


@pytest.mark.parametrize('quality', [1., 2.5, 7.99609375, 8.])
def test_gains_of_a_quality_are_those_of_the_floating_point_network(quality):
    stage, x = gained_stage(), torch.randn(2, 32, 6, 8)
    with torch.no_grad():
        expected = stage(x, quality=quality)
    result = FixedPointNetwork(stage)(x, quality=quality)
    torch.testing.assert_close(result, expected, rtol=1e-3, atol=3e-3)


def test_gains_between_qualities_are_geometric_means():
    gains = torch.randn(8, 5)
    for steps in range(7 * 256 + 1):
        quality = 1 + steps / 256
        expected = interpolate_gains(gains.double(), quality)
        torch.testing.assert_close(
            exact_gains(gains, quality), expected, rtol=1e-12, atol=0)
