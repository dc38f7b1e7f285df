from dataclasses import replace

import pytest
import torch
from conftest import CODECS, smooth_images, tiny_codec, vary_gains
from torch import nn

from mmhmc.bitstream import BitstreamError
from mmhmc.codecs import TinyLIC
from mmhmc.codecs.layers import TransformerBlock, interpolate_gains
from mmhmc.codecs.layers.checkerboard import spread_phases, take_phases
from mmhmc.codecs.tinylic import SCHEDULE, slice_channels, spatial_context
from mmhmc.evaluation import count_kmac
from mmhmc.structures import CodingCondition

#: Parameters by table 1.2 of the published code's layers.
STAGES = dict(
    g_a=[9728, 267664, 221376, 598104, 442624, 3178848, 737600, 1652200],
    h_a=[553152, 594648, 331968, 594648],
    h_s=[594648, 331968, 594648, 1106560],
    g_s=[1652200, 737536, 3178848, 442560, 598104, 221312, 267664, 9603],
    channel_context=[408864, 1350399, 2371304, 3224814],
    spatial_context=[10416 + 28848 + 28848, 238188, 541008],
    entropy_parameters=[67264, 278944, 519665, 339726])


def at(quality, **controls):
    return CodingCondition(quality=quality, **controls)


@pytest.fixture(scope='module')
def codec():
    """With one rate; not to be changed."""
    torch.manual_seed(0)
    return tiny_codec('TinyLIC')


@pytest.fixture(scope='module')
def variable():
    """With several rates; not to be changed."""
    torch.manual_seed(0)
    codec = vary_gains(tiny_codec('TinyLIC', variable_rate=True))
    codec.update_entropy_tables()
    return codec


@pytest.fixture(scope='module')
def published():
    """With the paper's sizes, but no values."""
    with torch.device('meta'):
        return {flag: TinyLIC(flag) for flag in (False, True)}


def count(part):
    return sum(p.numel() for p in part.parameters())


# Sizes.


@pytest.mark.parametrize('variable_rate, expected', [(False, 28338211),
                                                     (True, 28461091)])
def test_published_sizes_have_the_published_parameters(published,
                                                       variable_rate,
                                                       expected):
    assert count(published[variable_rate]) == expected


def test_every_layer_has_its_published_parameters(published):
    for name, expected in STAGES.items():
        part = getattr(published[False], name)
        layers = part.values() if isinstance(part, nn.ModuleDict) else part
        assert [count(layer) for layer in layers] == expected, name


def test_gains_have_the_published_parameters(published):
    counts = dict(gamma=0, gain=0)
    for name, parameter in published[True].named_parameters():
        for kind in counts:
            counts[kind] += parameter.numel() * (kind in name)
    assert counts == dict(gamma=114688, gain=8192)


def test_slices_are_what_a_quarter_cosine_leaves():
    assert slice_channels(320) == (24, 69, 104, 123)
    for channels in range(16, 200, 16):
        assert sum(slice_channels(channels)) == channels


@pytest.mark.parametrize('arguments, match', [
    (dict(hidden_channels=(16, 24, 32)), '`hidden_channels` must be .* 16 at'),
    (dict(hidden_channels=(16, 32)), '`hidden_channels` must be .* each of 3'),
    (dict(hidden_channels=64), '`hidden_channels` must be .* got 64'),
    (dict(latent_channels=8), '`latent_channels` must be .* got 8'),
    (dict(hyper_channels=0), '`hyper_channels` must be .* got 0'),
    (dict(depths=(2, 2, 6, 2)), '`depths` must be six positive integers'),
    (dict(depths=(2, 2, 6, 2, 2, 0)), '`depths` must be six positive integ'),
])
def test_sizes_that_make_no_codec_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        TinyLIC(**arguments)


def test_depth_of_the_drop_grows_on_both_sides(published):

    def rates(*names):
        return [
            block.drop_path for name in names
            for block in getattr(published[False], name).modules()
            if isinstance(block, TransformerBlock)
        ]

    for side in (rates('g_a', 'h_a'), rates('h_s', 'g_s')):
        assert side == pytest.approx([0.1 * i / 15 for i in range(16)])


def test_multiply_accumulates_are_those_of_the_layers(codec):
    kmac = count_kmac(codec, (128, 128))
    # Of each position of a stage: linear layers, then attention.
    linear, keys = 8 * 16 * 16, 2 * 16 * 49
    stages = [(64**2, keys), (32**2, keys), (16**2, keys), (8**2, keys)]
    convs = 64**2 * 75 * 16 + (32**2 + 16**2 + 8**2) * 9 * 16 * 16
    encoder = convs + sum(n * (linear + k) for n, k in stages)
    decoder = encoder - convs + (
        (8**2 + 16**2 + 32**2) * 9 * 16 * 16 + 64**2 * 25 * 16 * 3)
    assert kmac['encoder'] == pytest.approx(encoder / 1000 / 128**2)
    assert kmac['decoder'] == pytest.approx(decoder / 1000 / 128**2)


# The nine steps.


def test_order_of_the_phases():
    names = {0: (0, 0), 1: (0, 1), 2: (1, 0), 3: (1, 1)}
    order = [[{names[p]
               for p in phases} for phases in steps] for steps in SCHEDULE]
    assert order == [[{(0, 0)}, {(1, 1)}, {(0, 1)}, {(1, 0)}],
                     [{(0, 1), (1, 0)}, {(0, 0), (1, 1)}],
                     [{(0, 0), (1, 1)}, {(0, 1), (1, 0)}],
                     [{(0, 0), (0, 1), (1, 0), (1, 1)}]]
    for p, (row, column) in names.items():
        x = torch.arange(16).view(1, 1, 4, 4)
        assert take_phases(x, [p]).equal(x[..., row::2, column::2])


def test_masks_have_the_published_taps():
    masks = [conv.mask[0, 0] for conv in spatial_context(3, 4)]
    assert [int(mask.sum()) for mask in masks] == [4, 12, 16]
    assert [int(c.mask[0, 0].sum()) for c in spatial_context(3, 2)] == [12]
    assert masks[2].tolist() == [[0, 1, 0, 1, 0], [1] * 5, [0, 1, 0, 1, 0],
                                 [1] * 5, [0, 1, 0, 1, 0]]


@pytest.mark.parametrize('i', range(3))
def test_a_spatial_context_sees_what_is_decoded_and_nothing_else(i):
    steps = SCHEDULE[i]
    for j, conv in enumerate(spatial_context(1, len(steps)), 1):
        size = 12
        phase = (torch.arange(size) % 2)[:, None] * 2 + torch.arange(size) % 2
        known = {p for step in steps[:j] for p in step}
        r = conv.padding[0]
        for p in steps[j]:
            row, column = 4 + p // 2, 4 + p % 2
            seen = phase[row - r:row + r + 1, column - r:column + r + 1]
            seen = seen[conv.mask[0, 0] > 0].tolist()
            assert set(seen) == known


def test_joined_phases_are_what_was_split():
    x = torch.rand(2, 3, 4, 6)
    pieces = {p: take_phases(x, [p]) for p in range(4)}
    joined = sum(spread_phases(piece, [p]) for p, piece in pieces.items())
    assert joined.equal(x)
    assert spread_phases(take_phases(x, [2, 0, 3, 1]), [2, 0, 3, 1]).equal(x)
    alone = spread_phases(pieces[1], [1])
    assert take_phases(alone, [1]).equal(pieces[1])
    assert not take_phases(alone, [0, 2, 3]).any()


def test_no_step_depends_on_itself_or_what_comes_after(codec):
    order = []

    def code_step(select, scales_hat, means_hat):
        values = torch.randn(means_hat.shape, requires_grad=True)
        for _, before, _ in order:
            gradient = torch.autograd.grad(
                means_hat.sum() + scales_hat.sum(),
                before,
                retain_graph=True,
                allow_unused=True)[0]
            assert gradient is not None and gradient.any()
        order.append((scales_hat, values, means_hat))
        return values

    params = torch.randn(1, 32, 4, 4)
    y_hat, scales, means = codec.run_context_model(params, code_step)
    assert len(order) == 9
    assert sum(values.numel() for _, values, _ in order) == y_hat.numel()
    for i, (scales_hat, _, means_hat) in enumerate(order):
        for _, later, _ in order[i:]:
            gradient, = torch.autograd.grad(
                means_hat.sum() + scales_hat.sum(),
                later,
                retain_graph=True,
                allow_unused=True)
            assert gradient is None or not gradient.any()


def test_training_rounds_around_the_means_and_lets_gradients_through():
    codec = TinyLIC(**CODECS['TinyLIC'], drop_path=0.)
    x = smooth_images(2, 64, 64)
    output, again = codec(x), codec(x)
    assert output.y_hat.equal(again.y_hat)
    assert not output.likelihoods['y'].equal(again.likelihoods['y'])
    output.y_hat.sum().backward()
    assert codec.g_a[0].weight.grad.any()


@pytest.mark.parametrize('size', [(64, 64), (128, 192)])
def test_streams_decode_alike_with_and_without_gradients(codec, size):
    x = smooth_images(1, *size)
    stream, = codec.compress(x)
    with torch.no_grad():
        expected = codec.encode_latents(x).y_hat
        assert codec.read(stream).equal(expected)
    assert codec.read(stream).equal(expected)


def test_drop_path_skips_whole_images_in_training_only():
    block = TransformerBlock(16, 3, drop_path=0.5)
    x = torch.randn(64, 2, 2, 16)
    refined = block.refine(x)
    expected = block.eval().refine(x)
    skipped = (refined == 0).flatten(1).all(1)
    assert 10 < skipped.sum() < 54
    torch.testing.assert_close(refined[~skipped], 2 * expected[~skipped])


def test_radius_covers_the_published_depths():
    codec = TinyLIC(**{**CODECS['TinyLIC'], 'depths': (2, 2, 6, 2, 1, 1)})
    g_s = codec.g_s.eval().double().requires_grad_(False)
    y = torch.randn(1, 16, 1, 48, dtype=torch.float64, requires_grad=True)
    g_s(y)[..., 384].sum().backward()
    seen = y.grad.any(1)[0, 0].nonzero().flatten() * 16
    # Also the farthest pixel of a position.
    assert seen.min() >= 384 - codec.receptive_radius
    assert seen.max() + 15 <= 384 + codec.receptive_radius
    # It is not much too large either.
    assert seen.min() <= 384 - codec.receptive_radius + 48


# Several rates.


def test_gains_are_rows_at_integers_and_geometric_between():
    gains = torch.tensor([[1., -4.], [4., 9.], [2., 0.]])
    assert interpolate_gains(gains, 1).equal(gains[0].abs())
    assert interpolate_gains(gains, 3.).equal(gains[2])
    assert interpolate_gains(gains, 1.5).tolist() == [2., 6.]
    assert interpolate_gains(gains, 2.25).tolist() == pytest.approx(
        [4**0.75 * 2**0.25, 0])


def test_without_a_quality_it_is_the_highest_and_the_file_says_so(variable):
    x = smooth_images(1, 64, 64)
    stream, = variable.compress(x)
    assert stream == variable.compress(x, at(8))[0]
    assert stream.quality == 8
    with torch.no_grad():
        assert variable(x).x_hat.equal(variable(x, at(8)).x_hat)


def test_gains_of_the_quality_learn_and_no_others():
    codec = TinyLIC(True, **CODECS['TinyLIC'], drop_path=0.)
    output = codec(smooth_images(1, 64, 64), at(3))
    bits = sum(-p.log2().sum() for p in output.likelihoods.values())
    (bits + 1e4 * output.x_hat.square().sum()).backward()
    rows = [
        p.grad.abs().sum(1) > 0 for n, p in codec.named_parameters()
        if 'gain' in n or 'gamma' in n
    ]
    assert len(rows) == 4 + 2 * 12
    for row in rows:
        assert row.tolist() == [q == 3 for q in range(1, 9)]


@pytest.mark.parametrize('controls', [
    dict(quality='best'),
    dict(alpha='0.5'),
    dict(task=1),
])
def test_control_of_another_kind_is_refused(controls):
    name, = controls
    with pytest.raises(TypeError, match=f'`{name}` must be a n.*, got '):
        CodingCondition(**controls)


@pytest.mark.parametrize(
    'controls',
    [dict(task='mse'), dict(alpha=0.5),
     dict(beta=1.)])
def test_other_controls_are_refused_by_name(variable, controls):
    name, = controls
    with pytest.raises(ValueError, match=f"'quality'.*, but no `{name}`"):
        variable(smooth_images(1, 64, 64), CodingCondition(**controls))


@pytest.mark.parametrize('quality', [None, 0, 9])
def test_file_of_an_impossible_quality_is_refused(variable, quality):
    stream, = variable.compress(smooth_images(1, 64, 64))
    with pytest.raises(BitstreamError, match='has the qualities 1 to 8'):
        variable.decompress([replace(stream, quality=quality)])


def test_one_rate_and_several_have_different_identifiers(codec, variable):
    stream, = variable.compress(smooth_images(1, 64, 64))
    assert stream.codec == 'tinylic-vr'
    with pytest.raises(BitstreamError, match="file is of 'tinylic-vr'"):
        codec.decompress([stream])


def test_hash_of_weights_follows_the_gain_of_the_decoder(variable):
    before = variable.weights_hash()
    state = {k: v.clone() for k, v in variable.state_dict().items()}
    with torch.no_grad():
        variable.inverse_hyper_gain.mul_(2)
    assert variable.weights_hash() != before
    variable.load_state_dict(state)
    assert variable.weights_hash() == before


# Checkpoints.


def test_checkpoint_of_another_slice_layout_is_refused(codec):
    sizes = {**CODECS['TinyLIC'], 'latent_channels': 32}
    state = TinyLIC(**sizes).state_dict()
    with pytest.raises(RuntimeError, match=r'another layout of slices: .*y0'):
        codec.load_state_dict(state, strict=False)


def test_checkpoint_without_the_position_bias_is_refused(codec):
    state = codec.state_dict()
    del state['g_a.1.blocks.0.attn.rpb']
    with pytest.raises(RuntimeError, match=r'position bias: .*\.0\.attn\.rpb'):
        codec.load_state_dict(state, strict=False)
