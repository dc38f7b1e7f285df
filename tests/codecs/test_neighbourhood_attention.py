import pytest
import torch
from torch.nn import functional as F

from mmhmc.codecs.layers import NeighbourhoodAttention
from mmhmc.codecs.layers.neighbourhood_attention import _blocks

#: Smaller than the window, of one tile, and with all kinds of tiles.
SIZES = [(1, 1), (2, 9), (7, 7), (14, 15), (15, 3), (20, 37), (35, 16)]


def attention(dim=4, num_heads=2, kernel_size=7):
    layer = NeighbourhoodAttention(dim, num_heads, kernel_size).double()
    # Wide enough to see a bias that is in the wrong place.
    torch.nn.init.normal_(layer.rpb)
    return layer


def window(query, length, k):
    start = max(0, min(query - k // 2, length - k))
    return torch.arange(start, min(start + k, length))


def attend_naively(layer, x):
    """One query at a time."""
    heads, k = layer.num_heads, layer.kernel_size
    b, height, width, dim = x.shape
    q, keys, values = layer.qkv(x).view(b, height, width, 3, heads,
                                        -1).unbind(3)
    rows = []
    for r in range(height):
        row = []
        for c in range(width):
            near_r, near_c = window(r, height, k), window(c, width, k)
            near = keys[:, near_r][:, :, near_c]
            scores = (near * q[:, r, c][:, None, None]).sum(-1)
            scores = scores / (dim // heads)**0.5
            bias = layer.rpb[:, near_r - r + k - 1][:, :, near_c - c + k - 1]
            scores = scores + bias.permute(1, 2, 0)
            weights = scores.flatten(1, 2).softmax(1)[..., None]
            near = values[:, near_r][:, :, near_c].flatten(1, 2)
            row.append((weights * near).sum(1).flatten(1))
        rows.append(torch.stack(row, 1))
    return layer.proj(torch.stack(rows, 1))


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('kernel_size', [3, 7])
def test_equals_one_query_at_a_time(size, kernel_size):
    layer = attention(kernel_size=kernel_size)
    x = torch.randn(2, *size, 4, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(
            layer(x), attend_naively(layer, x), rtol=0, atol=1e-10)


def test_a_gpu_is_asked_for_few_pieces():
    # An image of 832 x 1344 in the first stage of a TinyLIC.
    cpu, gpu = (
        list(
            _blocks(
                torch.empty(1, 208, 336, 3 * 128, device=device),
                num_heads=8,
                kernel_size=7)) for device in ('cpu', 'meta'))
    assert len(gpu) == 9 < len(cpu)
    for blocks in (cpu, gpu):
        # Every row once, whatever the pieces.
        rows = [
            q for row, column in blocks if column.first == 0
            for q in range(row.queries.start, row.queries.stop)
        ]
        assert rows == list(range(208))


@pytest.mark.parametrize('size', [(2, 9), (18, 20)])
def test_gradients_are_those_of_one_query_at_a_time(size):
    layer = attention()
    x = torch.randn(2, *size, 4, dtype=torch.float64, requires_grad=True)
    target = torch.randn_like(x)
    of = [x, *layer.parameters()]
    ours = torch.autograd.grad((layer(x) * target).sum(), of)
    expected = torch.autograd.grad((attend_naively(layer, x) * target).sum(),
                                   of)
    for one, other in zip(ours, expected):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
        assert other.any()


def test_rows_in_several_blocks_give_the_same(monkeypatch):
    layer = attention()
    x = torch.randn(1, 60, 20, 4, dtype=torch.float64, requires_grad=True)
    whole, = torch.autograd.grad(layer(x).square().sum(), x)
    monkeypatch.setattr('mmhmc.codecs.layers.neighbourhood_attention._SCORES',
                        1)
    blocks, = torch.autograd.grad(layer(x).square().sum(), x)
    torch.testing.assert_close(blocks, whole, rtol=0, atol=1e-10)


def test_every_query_sees_k_squared_keys_at_a_border_too():
    layer = attention(dim=2, num_heads=1)
    x = torch.randn(1, 30, 20, 2, dtype=torch.float64)
    for r, c in ((0, 0), (29, 10), (8, 19), (15, 10)):
        leaf = x.clone().requires_grad_()
        layer(leaf)[0, r, c].sum().backward()
        seen = leaf.grad[0].abs().sum(-1) > 0
        assert seen.sum() == 49
        assert seen.any(1).nonzero().flatten().equal(window(r, 30, 7))
        assert seen.any(0).nonzero().flatten().equal(window(c, 20, 7))


def test_bias_is_that_of_the_offset_from_query_to_key():
    layer = attention(dim=1, num_heads=1, kernel_size=3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.qkv.weight[2] = layer.proj.weight[0] = 1
        # One up and two to the right: only a corner sees that.
        layer.rpb[0, 2 - 1, 2 + 2] = 100
        x = torch.arange(20.).view(1, 4, 5, 1).double()
        seen = layer(x)[0, ..., 0]
    expected = x[0, ..., 0]
    assert seen[2, 0] == expected[1, 2]
    assert seen[1, 0] == expected[0, 2]
    assert seen[2, 1] == F.avg_pool2d(expected[None], 3, 1)[0, 1, 0]


def test_memory_of_what_is_kept_for_backward_is_linear():

    def kept(rows):
        sizes = {}

        def pack(tensor):
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        layer = NeighbourhoodAttention(16, 1, 7)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            out = layer(torch.randn(1, rows, 32, 16, requires_grad=True))
        assert out.requires_grad
        return sum(sizes.values())

    # Input, queries, keys, values, result.
    assert kept(1024) - kept(512) <= 512 * 32 * 16 * 4 * 5


def test_computes_under_autocast():
    layer = NeighbourhoodAttention(16, 1, 3)
    x = torch.randn(1, 20, 20, 16)
    with torch.autocast('cpu', torch.bfloat16):
        rough = layer(x)
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), layer(x), rtol=0.1, atol=0.05)


@pytest.mark.parametrize('dim, num_heads', [(0, 1), (10, 3), (8, 0)])
def test_channels_that_do_not_fit_the_heads_are_refused(dim, num_heads):
    with pytest.raises(ValueError, match='multiple of `num_heads`, got'):
        NeighbourhoodAttention(dim, num_heads, 3)


@pytest.mark.parametrize('kernel_size', [1, 4, -3])
def test_window_without_a_centre_is_refused(kernel_size):
    with pytest.raises(ValueError, match='odd and at least 3, got'):
        NeighbourhoodAttention(4, 2, kernel_size)
