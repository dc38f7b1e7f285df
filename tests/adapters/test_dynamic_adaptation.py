import pytest
import torch
from conftest import vary_gains
from torch import nn

from mmhmc.adapters import DynamicAdaptation
from mmhmc.adapters.dynamic_adaptation import AttentionBlock, ResidualBlock


def test_layers_are_those_of_the_figure():
    kinds = [type(layer) for layer in DynamicAdaptation(8).layers]
    assert kinds == [
        nn.Conv2d, ResidualBlock, ResidualBlock, AttentionBlock, ResidualBlock,
        ResidualBlock, nn.Conv2d
    ]
    first, last = DynamicAdaptation(8).layers[::6]
    for conv, channels in ((first, (3, 8)), (last, (8, 3))):
        assert (conv.in_channels, conv.out_channels) == channels
        assert conv.kernel_size == (5, 5) and conv.stride == (1, 1)


def test_residual_block_is_1x1_3x3_1x1_with_a_skip():
    block, t = ResidualBlock(8), torch.randn(1, 8, 5, 6)
    first, _, middle, _, last = block.layers
    assert [c.kernel_size[0] for c in (first, middle, last)] == [1, 3, 1]
    # No ReLU behind the skip, unlike CompressAI's unit.
    by_hand = last(middle(first(t).relu()).relu()) + t
    torch.testing.assert_close(block(t), by_hand)
    assert block(t).min() < 0


def test_attention_block_multiplies_a_mask_and_adds_its_input():
    block, t = AttentionBlock(8), torch.randn(1, 8, 5, 6)
    mask = t
    for layer in block.mask[:-1]:
        mask = layer(mask)
    main = block.main[2](block.main[1](block.main[0](t)))
    torch.testing.assert_close(block(t), t + main * mask.sigmoid())
    assert [type(layer) for layer in block.mask[:-1]] == \
        [ResidualBlock] * 3 + [nn.Conv2d]


@pytest.mark.parametrize('width', [2, 8, 64, 96, 128, 192])
def test_size_is_the_one_that_the_figure_gives(width):
    # RB: N * N/2 + N/2,  9 (N/2)^2 + N/2,  N/2 * N + N = 3.25 N^2 + 2 N.
    # Ten of them, the mask's 1x1 with N^2 + N, the two 5x5 with 75 N + N and
    # 75 N + 3: together 33.5 N^2 + 172 N + 3; weights alone 33.5 N^2 + 150 N.
    adapter = DynamicAdaptation(width)
    assert sum(p.numel() for p in adapter.parameters()) == \
        33.5 * width**2 + 172 * width + 3
    assert sum(p.numel() for p in adapter.parameters() if p.ndim > 1) == \
        33.5 * width**2 + 150 * width


@pytest.mark.parametrize('size', [(1, 1), (5, 7), (64, 64)])
def test_it_begins_as_the_identity(size):
    adapter, t = DynamicAdaptation(8), torch.rand(2, 3, *size)
    assert torch.equal(adapter(t), t)


def test_gradient_reaches_the_last_layer_first():
    adapter, t = DynamicAdaptation(8), torch.rand(2, 3, 8, 8)
    optimizer = torch.optim.SGD(adapter.parameters(), lr=0.1)

    def moved():
        optimizer.zero_grad()
        (adapter(t) - 1).square().mean().backward()
        return {k for k, p in adapter.named_parameters() if p.grad.any()}

    assert moved() == {'layers.6.weight', 'layers.6.bias'}
    optimizer.step()
    assert moved() == dict(adapter.named_parameters()).keys()


def test_it_says_whether_it_changes_anything():
    adapter = DynamicAdaptation(8)
    assert adapter.changes_nothing
    for name in ('weight', 'bias'):
        trained = DynamicAdaptation(8)
        getattr(trained.layers[-1], name).data.view(-1)[-1] = 1e-6
        assert not trained.changes_nothing
        adapter.load_state_dict(trained.state_dict())
        assert not adapter.changes_nothing


def test_initialisation_by_mmengine_keeps_the_identity():
    adapter = DynamicAdaptation(8)
    adapter.init_weights()
    assert adapter.changes_nothing


def test_it_adapts_a_latent_of_any_number_of_channels():
    adapter = DynamicAdaptation(8, placement='latent', in_channels=5)
    y_hat = torch.randn(2, 5, 4, 6)
    assert torch.equal(adapter(y_hat), y_hat)
    assert sum(p.numel() for p in adapter.parameters() if p.ndim > 1) == \
        33.5 * 64 + (150 // 3) * 5 * 8


def test_result_is_float32_and_the_skip_exact_under_autocast():
    adapter, t = DynamicAdaptation(8), torch.rand(1, 3, 8, 8)
    with torch.autocast('cpu', torch.bfloat16):
        x_bar = adapter(t)
    assert x_bar.dtype == torch.float32
    assert torch.equal(x_bar, t)


@pytest.mark.parametrize('width', [0, -2, 1, 7])
def test_impossible_width_is_refused(width):
    with pytest.raises(ValueError, match=f'`width` must be even .* {width}:'):
        DynamicAdaptation(width)


def test_unknown_placement_is_refused():
    with pytest.raises(ValueError, match="'image' or 'latent', got 'y'"):
        DynamicAdaptation(8, placement='y')


def test_image_with_channels_of_a_latent_is_refused():
    with pytest.raises(ValueError, match='in_channels=192`; did you mean'):
        DynamicAdaptation(8, in_channels=192)


# Several rates.


def conditioned():
    """It changes something, and something else at each quality."""
    adapter = vary_gains(DynamicAdaptation(8, num_qualities=3))
    nn.init.normal_(adapter.layers[-1].weight, std=0.1)
    return adapter


def test_each_image_is_adapted_to_its_quality():
    adapter, t = conditioned(), torch.rand(3, 3, 8, 8)
    together = adapter(t, quality=(1, 1.5, 3))
    for i, quality in enumerate((1, 1.5, 3)):
        alone = adapter(t[i:i + 1], quality=quality)
        torch.testing.assert_close(together[i:i + 1], alone)
    assert not torch.equal(adapter(t, quality=1), adapter(t, quality=1.5))


def test_weights_without_qualities_do_the_same_at_all():
    plain, t = DynamicAdaptation(8), torch.rand(2, 3, 8, 8)
    nn.init.normal_(plain.layers[-1].weight, std=0.1)
    adapter = conditioned()
    adapter.load_state_dict(plain.state_dict(), strict=True)
    for quality in (None, 1, 2.5, (1, 3)):
        assert torch.equal(adapter(t, quality=quality), plain(t))


def test_weights_of_other_qualities_are_refused():
    state = conditioned().state_dict()
    with pytest.raises(RuntimeError, match="with 3 .* has one rate. Build it"):
        DynamicAdaptation(8).load_state_dict(state)
    with pytest.raises(RuntimeError, match='with 3 .* has 4 qualities'):
        DynamicAdaptation(8, num_qualities=4).load_state_dict(state)


@pytest.mark.parametrize('count', [-1, 2.5, None])
def test_impossible_number_of_qualities_is_refused(count):
    with pytest.raises(ValueError, match='`num_qualities` must be a whole'):
        DynamicAdaptation(8, num_qualities=count)
