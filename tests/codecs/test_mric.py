import copy

import pytest
import torch
from conftest import CODECS, smooth_images, tiny_codec
from torch import nn

from mmhmc.bitstream import Bitstream
from mmhmc.codecs import ELIC, MRIC
from mmhmc.codecs.mric import ConditionalBlock, beta_features
from mmhmc.structures import CodingCondition

TINY = CODECS['MRIC']


@pytest.fixture(scope='module')
def codec():
    torch.manual_seed(0)
    return tiny_codec('MRIC')


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_published_size_has_the_number_of_parameters_of_its_variant():
    codec = MRIC()
    assert count(codec.g_a) == 10_716_800
    assert count(codec.g_s) == 13_075_779
    # "About 85.9 M" for everything.
    assert count(codec) == 85_884_675
    blocks = [m for m in codec.g_s if isinstance(m, ConditionalBlock)]
    assert len(blocks) == 9


@pytest.mark.parametrize('beta', [0., 0.5, 2.56, 5.12])
def test_features_are_beta_and_its_harmonics(beta):
    features, = beta_features(beta)
    assert features.shape == (21, )
    torch.testing.assert_close(features[0], torch.tensor(beta))
    for k in range(10):
        angle = torch.tensor(beta * 2**k)
        torch.testing.assert_close(features[1 + k], angle.sin())
        torch.testing.assert_close(features[11 + k], angle.cos())


@pytest.mark.parametrize('beta', [0, 0.04, 2.56, 5.12])
def test_bits_do_not_depend_on_beta(codec, beta):
    x = smooth_images(1, 64, 128)
    stream, = codec.compress(x, CodingCondition(beta=beta))
    assert [stream] == codec.compress(x)


def test_image_depends_on_beta(codec):
    stream, = codec.compress(smooth_images(1, 64, 64))
    stream = Bitstream.from_bytes(stream.to_bytes())
    decoded = [
        codec.decompress([stream], CodingCondition(beta=beta))
        for beta in (0, 0.04, 2.56)
    ]
    assert torch.equal(codec.decompress([stream]), decoded[0])
    for one, other in ((0, 1), (1, 2)):
        assert (decoded[one] - decoded[other]).abs().max() > 1e-4


def test_forward_decodes_for_its_beta(codec):
    x, condition = smooth_images(1, 64, 64), CodingCondition(beta=2.56)
    with torch.no_grad():
        output = codec(x, condition)
        assert torch.equal(output.x_hat,
                           codec.decode_latents(output.y_hat, condition))
        assert not torch.equal(output.x_hat, codec(x).x_hat)
        assert torch.equal(output.y_hat, codec(x).y_hat)


def test_vectors_are_added_to_channels_after_each_convolution():
    elic = ELIC(8, 8, (8, ))
    block = ConditionalBlock(elic.g_s[2], 4).double()
    x, embedding = torch.randn(2, 8, 3, 5).double(), torch.rand(1, 4).double()
    plain = elic.g_s[2](x)
    torch.testing.assert_close(block(x), plain)
    nn.init.zeros_(block.shift1.weight)
    nn.init.zeros_(block.shift2.weight)
    torch.testing.assert_close(
        block(x, embedding), plain + block.shift3(embedding)[..., None, None])
    hidden = block.conv2(block.conv1(x).relu()).relu()
    nn.init.zeros_(block.shift3.weight)
    nn.init.normal_(block.shift2.weight)
    shifted = hidden + block.shift2(embedding)[..., None, None]
    torch.testing.assert_close(block(x, embedding), x + block.conv3(shifted))


def test_gradient_reaches_the_embedding_of_beta_only_through_the_image():
    codec = MRIC(**{**TINY, 'embedding_channels': 32})
    output = codec(smooth_images(1, 64, 64), CodingCondition(beta=1.))
    part = codec.beta_embedding[0].weight
    rate = sum(p.log2().sum() for p in output.likelihoods.values())
    assert torch.autograd.grad(
        rate, part, retain_graph=True, allow_unused=True) == (None, )
    gradient, = torch.autograd.grad(output.x_hat.square().sum(), part)
    assert gradient.any()


def steps_of(codec, params, y):
    steps = []

    def code_step(select, scales_hat, means_hat):
        steps.append(torch.stack((scales_hat, means_hat)))
        return torch.round(select(y) - means_hat) + means_hat

    with torch.no_grad():
        walked = codec.run_context_model(params, code_step)
    return steps, walked


def test_slice_changes_later_ones_only(codec):
    params, y = torch.randn(1, 16, 4, 8), 9 * torch.randn(1, 8, 4, 8)
    for k in range(2):
        other = y.clone()
        other[0, 4 * k, 2, 4] += 50
        before, after = (steps_of(codec, params, one)[0] for one in (y, other))
        same = [torch.equal(a, b) for a, b in zip(before, after)]
        assert same == [step <= k for step in range(2)]


def test_residuals_are_at_most_half_a_step_and_cost_nothing(codec):
    params, y = torch.randn(1, 16, 4, 8), 9 * torch.randn(1, 8, 4, 8)
    silent = copy.deepcopy(codec)
    for network in silent.residual_context.values():
        nn.init.zeros_(network[-2].weight)
        nn.init.zeros_(network[-2].bias)
    steps, (y_hat, scales_hat, means_hat) = steps_of(codec, params, y)
    rounded = torch.round(y - means_hat) + means_hat
    assert 0 < (y_hat - rounded).abs().max() <= 0.5
    others, (y_hat, _, means_hat) = steps_of(silent, params, y)
    rounded = torch.round(y - means_hat) + means_hat
    assert torch.equal(y_hat, rounded)
    assert torch.equal(steps[0], others[0])
    assert not torch.equal(steps[1], others[1])


@pytest.mark.parametrize('beta', [-0.01, 5.13, float('nan'), float('inf')])
def test_beta_outside_its_range_is_refused(codec, beta):
    x, condition = smooth_images(1, 64, 64), CodingCondition(beta=beta)
    y_hat = torch.zeros(1, 8, 4, 4)
    for refuses in (codec, codec.compress, codec.encode_latents,
                    lambda x, c: codec.decode_latents(y_hat, c)):
        with pytest.raises(
                ValueError, match=r'`condition.beta` .* in \[0.0, 5.12\], g'):
            refuses(x, condition)


@pytest.mark.parametrize('control', [
    dict(quality=2.),
    dict(task='cls'),
    dict(alpha=0.5, beta=1.),
])
def test_other_controls_are_refused(codec, control):
    x, condition = smooth_images(1, 64, 64), CodingCondition(**control)
    for refuses in (codec, codec.compress):
        with pytest.raises(ValueError, match='no run-time control but `beta`'):
            refuses(x, condition)


@pytest.mark.parametrize('num_slices', [0, -2, 3, 16])
def test_slices_that_do_not_divide_the_latent_are_refused(num_slices):
    with pytest.raises(ValueError, match='positive and divide `latent_chan'):
        MRIC(**{**TINY, 'num_slices': num_slices})


def test_impossible_widths_are_refused():
    for name in ('hyper_channels', 'embedding_channels'):
        with pytest.raises(ValueError, match=f'`{name}`.* must be positive'):
            MRIC(**{**TINY, name: 0})
