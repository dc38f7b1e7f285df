import pytest
import torch
from compressai.models.sensetime import Elic2022Official
from conftest import CODECS, smooth_images, tiny_codec

from mmhmc.codecs import ELIC

TINY = CODECS['ELIC']


@pytest.fixture(scope='module')
def codec():
    torch.manual_seed(0)
    return tiny_codec('ELIC')


@pytest.fixture
def network():
    """CompressAI's own."""
    return Elic2022Official(8, 8, list(TINY['groups']))


@pytest.fixture
def like(network):
    """A codec of the same size, whose weights are not the same.

    The width of CompressAI's contexts depends on its version.
    """
    context = network.latent_codec['y'].channel_context['y1']
    widths = (context[0].out_channels, context[2].out_channels)
    return ELIC(**dict(TINY, context_channels=widths))


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_published_size_has_the_published_number_of_parameters():
    codec = ELIC()
    assert count(codec) == 32_074_200
    assert count(codec.g_a) == 7_337_792
    assert count(codec.g_s) == 7_337_475
    widths = [[conv.out_channels for conv in network[::2]]
              for network in codec.entropy_parameters.values()]
    assert widths == [[384, 384, 32], [384, 384, 32], [384, 384, 64],
                      [469, 384, 128], [896, 640, 384]]


@pytest.mark.parametrize('updated', [False, True])
def test_compressai_weights_load_as_they_are(network, like, updated):
    if updated:
        network.update(force=True, update_quantiles=True)
    codec = like.eval()
    codec.load_state_dict(network.state_dict(), strict=True)
    mine, theirs = codec.state_dict(), network.latent_codec
    assert torch.equal(mine['g_a.0.weight'], network.g_a[0].weight)
    assert torch.equal(mine['channel_context.y2.4.bias'],
                       theirs['y'].channel_context['y2'][4].bias)
    if updated:
        x = smooth_images(1, 64, 64)
        assert codec.decompress(codec.compress(x)).shape == x.shape


def test_channel_contexts_have_one_width_or_each_its_own():
    same = ELIC(**TINY)
    each = ELIC(**dict(TINY, context_channels=[(8, 8), (8, 8)]))
    shapes = [{
        k: v.shape
        for k, v in codec.state_dict().items()
    } for codec in (same, each)]
    assert shapes[0] == shapes[1]
    other = ELIC(**dict(TINY, context_channels=[(8, 8), (6, 4)]))
    assert [conv.out_channels
            for conv in other.channel_context['y2'][::2]] == [6, 4, 8]


@pytest.mark.parametrize('widths', [[(8, 8)], [(8, 8), (8, 8, 8)], (8, 8, 8)])
def test_channel_contexts_of_other_number_are_refused(widths):
    with pytest.raises(ValueError, match='`context_channels` must be two'):
        ELIC(**dict(TINY, context_channels=widths))


@pytest.mark.parametrize('training', [False, True])
def test_latents_images_and_rates_are_those_of_compressai(
        network, like, training):
    codec = like
    # CompressAI has no integers.
    codec.portable = False
    codec.load_state_dict(network.state_dict())
    codec.train(training)
    network.train(training)
    x = 20 * smooth_images(2, 64, 128)
    with torch.no_grad():
        output, expected = codec(x), network(x)
        y = network.g_a(x)
        y_hat = network.latent_codec(y)['y_hat']
    assert y_hat.round().unique().numel() > 3
    torch.testing.assert_close(output.y_hat, y_hat)
    torch.testing.assert_close(output.x_hat, expected['x_hat'])
    for key, likelihoods in expected['likelihoods'].items():
        assert output.likelihoods[key].shape == likelihoods.shape
        if not training:
            # In training there is noise, in another order.
            torch.testing.assert_close(output.likelihoods[key], likelihoods)


def steps_of(codec, params, y):
    """Scales and means at each step of the encoder."""
    steps = []

    def code_step(select, scales_hat, means_hat):
        steps.append(torch.stack((scales_hat, means_hat)))
        return torch.round(select(y) - means_hat) + means_hat

    with torch.no_grad():
        walked = codec.run_context_model(params, code_step)
    return steps, walked


def test_each_group_takes_two_steps(codec):
    steps, walked = steps_of(codec, torch.randn(1, 16, 4, 8),
                             torch.randn(1, 8, 4, 8))
    assert [tuple(s.shape[1:])
            for s in steps] == [(1, 2, 4, 4)] * 4 + [(1, 4, 4, 4)] * 2
    assert [w.shape for w in walked] == [(1, 8, 4, 8)] * 3


@pytest.mark.parametrize('step', range(6))
def test_step_changes_later_ones_only(codec, step):
    params, y = torch.randn(1, 16, 4, 8), 9 * torch.randn(1, 8, 4, 8)
    channel = (0, 2, 4)[step // 2]
    other = y.clone()
    # An anchor of the group, or a position between anchors.
    other[0, channel, 2, 4 + step % 2] += 50
    before, after = (steps_of(codec, params, one)[0] for one in (y, other))
    same = [torch.equal(a, b) for a, b in zip(before, after)]
    assert same == [k <= step for k in range(6)]


def test_no_anchor_sees_its_own_group(codec):
    params, y = torch.randn(1, 16, 4, 8), torch.randn(1, 8, 4, 8)
    first, _ = steps_of(codec, params, y)
    again, _ = steps_of(codec, params, -9 * y)
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[1], again[1])


def test_hidden_weights_do_not_tell_two_codecs_apart(codec):
    state = {k: v.clone() for k, v in codec.state_dict().items()}
    for key in state:
        if key.startswith('spatial_context') and key.endswith('weight'):
            mask = state[key.replace('weight', 'mask')]
            state[key] += 5 * (1 - mask)
    other = ELIC(**TINY).eval()
    other.load_state_dict(state)
    x = smooth_images(1, 64, 64)
    assert other.weights_hash() != codec.weights_hash()
    other.update_entropy_tables()
    assert other.compress(x) == codec.compress(x)


def test_coding_does_not_touch_weights(codec):
    # Otherwise their hash would be made anew for every image.
    conv = codec.spatial_context['y1']
    before = conv.weight.data_ptr(), conv.weight._version
    codec.compress(smooth_images(1, 64, 64))
    assert before == (conv.weight.data_ptr(), conv.weight._version)


def test_checkpoint_with_other_groups_is_refused(codec):
    other = ELIC(**{**TINY, 'groups': (4, 2, 2)})
    with pytest.raises(RuntimeError, match='spatial_context.y0'):
        other.load_state_dict(codec.state_dict())


@pytest.mark.parametrize('groups', [(), (4, 2), (2, 2, 4, 0), (-2, 10)])
def test_groups_that_do_not_fit_the_latent_are_refused(groups):
    with pytest.raises(ValueError, match='`groups` must be positive and sum'):
        ELIC(8, 8, groups)


def test_too_few_channels_are_refused():
    with pytest.raises(ValueError, match='at least 2, got 1 and 8'):
        ELIC(1, 8, (8, ))
    with pytest.raises(ValueError, match='`latent_channels` must be a posit'):
        ELIC(8, 0)
