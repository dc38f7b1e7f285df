"""Attention of every position to the positions around it."""
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

#: Queries that share one gathered block of keys: 8 x 8 of them need
#: (8 + k - 1)^2 keys, about three times as many as each uses.
_TILE = 8
#: Scores that may exist at once, of 4 bytes each: 16 MiB, which a CPU's cache
#: holds, or 512 MiB, for a GPU is fastest with few large kernels.
_SCORES = 1 << 22
_SCORES_OF_A_GPU = 1 << 27


class NeighbourhoodAttention(nn.Module):
    """Multi-head attention within a window of k x k positions.

    .. code-block:: none

        x ──► qkv ──► softmax(q k^T / sqrt(d) + bias) v ──► proj ──► out
                      k, v: the k x k positions around each query

    The window is centred on its query and pushed back inside where it would
    leave the map, so that every query has k^2 keys; on a map with a side of
    less than k it is that side. The bias is learnt for each head and each
    offset between key and query.

    Memory is linear in the map: tiles of queries are computed some rows at a
    time, each with the block of keys that it needs, by
    ``scaled_dot_product_attention``. The backward pass computes this again
    instead of keeping it; there is no second derivative.

    Parameters are named as in the reference implementation of the paper.

    Reference:
        A. Hassani, S. Walton, J. Li, S. Li, H. Shi: "Neighborhood Attention
        Transformer", CVPR 2023. https://arxiv.org/abs/2204.07143

    Args:
        dim: Channels C, a multiple of ``num_heads``.
        num_heads: Heads.
        kernel_size: Side k of the window, odd, at least 3.

    Raises:
        ValueError: If the channels do not fit the heads, or the window has no
            centre.
    """

    def __init__(self, dim: int, num_heads: int, kernel_size: int) -> None:
        super().__init__()
        if num_heads < 1 or dim < 1 or dim % num_heads:
            raise ValueError(f'`dim` must be a positive multiple of '
                             f'`num_heads`, got {dim} and {num_heads}.')
        if kernel_size < 3 or kernel_size % 2 == 0:
            raise ValueError('`kernel_size` must be odd and at least 3, got '
                             f'{kernel_size}.')
        self.num_heads, self.kernel_size = num_heads, kernel_size
        self.qkv = nn.Linear(dim, 3 * dim)
        side = 2 * kernel_size - 1
        self.rpb = nn.Parameter(torch.zeros(num_heads, side, side))
        nn.init.trunc_normal_(self.rpb, std=0.02)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Attend, (B, H, W, C) to the same shape."""
        return self.proj(self._attend(self.qkv(x)))

    def count_macs(self, x: Tensor) -> int:
        """Multiply-accumulates of one forward, whatever computes it."""
        keys = [min(self.kernel_size, side) for side in x.shape[1:3]]
        # Products with keys and with values; linear layers before and after.
        return x.numel() * (2 * keys[0] * keys[1] + 4 * x.shape[-1])

    def extra_repr(self) -> str:
        """Arguments of the constructor."""
        return f'num_heads={self.num_heads}, kernel_size={self.kernel_size}'

    # `torch.compile` cannot trace the backward pass.
    @_disable_dynamo
    def _attend(self, qkv: Tensor) -> Tensor:
        return _WindowAttention.apply(qkv, self.rpb, self.kernel_size)


class _WindowAttention(torch.autograd.Function):
    """Queries, keys and values (B, H, W, 3 C) to (B, H, W, C).

    The forward pass is the same with and without gradients, so a stream
    written with gradients decodes without them.
    """

    @staticmethod
    def forward(ctx, qkv: Tensor, rpb: Tensor, kernel_size: int) -> Tensor:
        ctx.save_for_backward(qkv, rpb)
        ctx.kernel_size = kernel_size
        return attend_in_blocks(qkv, rpb, kernel_size)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        qkv, rpb = ctx.saved_tensors
        qkv_gradient = torch.zeros_like(qkv)
        rpb_gradient = torch.zeros_like(rpb)
        rpb = rpb.detach().requires_grad_(ctx.needs_input_grad[1])
        for row, column in _blocks(qkv, len(rpb), ctx.kernel_size):
            near = qkv[:, row.reach, column.reach].detach().requires_grad_()
            with torch.enable_grad():
                out = _attend_tiles(near, rpb, row, column)
            found = torch.autograd.grad(
                out, [near, rpb] if rpb.requires_grad else [near],
                gradient[:, row.queries, column.queries])
            qkv_gradient[:, row.reach, column.reach] += found[0]
            if rpb.requires_grad:
                rpb_gradient += found[1]
        return (qkv_gradient, rpb_gradient if rpb.requires_grad else None,
                None)


def attend_in_blocks(
        qkv: Tensor,
        rpb: Tensor,
        kernel_size: int,
        attend: Callable = F.scaled_dot_product_attention) -> Tensor:
    """Attention of every position to its window, tiles at a time.

    Args:
        qkv: Queries, keys and values, (B, H, W, 3 C).
        rpb: Bias by offset, (heads, 2 k - 1, 2 k - 1).
        kernel_size: Side k of the window.
        attend: Attention of queries to keys and values, with the bias.

    Returns:
        Shape (B, H, W, C).
    """
    out = qkv.new_empty(*qkv.shape[:3], qkv.shape[3] // 3)
    for row, column in _blocks(qkv, len(rpb), kernel_size):
        out[:, row.queries,
            column.queries] = _attend_tiles(qkv[:, row.reach, column.reach],
                                            rpb, row, column, attend)
    return out


def _blocks(qkv: Tensor, num_heads: int,
            kernel_size: int) -> Iterator[tuple['_Span', '_Span']]:
    """Rows and columns of tiles, as many at once as there is room for."""
    rows = list(_spans(qkv.shape[1], kernel_size))
    columns = list(_spans(qkv.shape[2], kernel_size))
    room = _SCORES if qkv.device.type == 'cpu' else _SCORES_OF_A_GPU
    for row in rows:
        for column in columns:
            scores = len(qkv) * num_heads * column.count * column.tile * \
                column.keys * row.tile * row.keys
            at_once = max(1, room // scores)
            for first in range(0, row.count, at_once):
                yield row.part(first, min(at_once, row.count - first)), column


def _attend_tiles(near: Tensor,
                  rpb: Tensor,
                  row: '_Span',
                  column: '_Span',
                  attend: Callable = F.scaled_dot_product_attention) -> Tensor:
    """Tiles of queries (B, rows, columns, C), each over its block of keys.

    Queries, keys and values around the tiles are ``near``, (B, H', W', 3 C).
    """
    queries, keys, values = near.chunk(3, dim=-1)
    top, left = row.first - row.first_key, column.first - column.first_key
    queries = queries[:, top:top + row.count * row.tile,
                      left:left + column.count * column.tile]
    heads = len(rpb)
    out = attend(
        _tiles(queries, heads, row.tile, column.tile, row.tile, column.tile),
        *(_tiles(part, heads, row.keys, column.keys, row.tile, column.tile)
          for part in (keys, values)),
        attn_mask=_bias(rpb, row, column).to(near.dtype)[None])
    # (B, row tiles, column tiles, heads, rows, columns, head channels)
    out = out.view(
        len(near), row.count, column.count, heads, row.tile, column.tile, -1)
    return out.permute(0, 1, 4, 2, 5, 3,
                       6).flatten(5, 6).flatten(3, 4).flatten(1, 2)


def _tiles(x: Tensor, heads: int, height: int, width: int, down: int,
           right: int) -> Tensor:
    """Cut (B, H, W, C) into (B * tiles, heads, height * width, C / heads)."""
    tiles = x.unfold(1, height, down).unfold(2, width, right)
    # (B, row tiles, column tiles, heads, head channels, height, width)
    tiles = tiles.unflatten(3, (heads, -1))
    return tiles.permute(0, 1, 2, 3, 5, 6, 4).flatten(4, 5).flatten(0, 2)


def _bias(rpb: Tensor, row: '_Span', column: '_Span') -> Tensor:
    """Bias of each key of a tile for each query, (heads, n, m)."""
    # The last row and column are for offsets outside the window.
    table = F.pad(rpb, (0, 1, 0, 1), value=-float('inf'))
    down = row.offsets(rpb.device)[:, None, :, None]
    right = column.offsets(rpb.device)[None, :, None, :]
    # Much faster than two indexes of which one is broadcast.
    places = (down * table.shape[2] + right).flatten()
    bias = table.flatten(1).index_select(1, places)
    return bias.view(len(rpb), row.tile * column.tile, row.keys * column.keys)


@dataclass(frozen=True)
class _Span:
    """Equal tiles along one axis, one after another.

    Args:
        first: First query.
        tile: Queries of a tile.
        count: Tiles.
        first_key: First key of the first tile; of the others ``tile`` more.
        keys: Keys of a tile.
        length: Length of the axis.
        kernel_size: Side of a window.
    """

    first: int
    tile: int
    count: int
    first_key: int
    keys: int
    length: int
    kernel_size: int

    @property
    def queries(self) -> slice:
        """All queries of the tiles."""
        return slice(self.first, self.first + self.count * self.tile)

    @property
    def reach(self) -> slice:
        """All keys of the tiles; the queries are among them."""
        return slice(self.first_key,
                     self.first_key + (self.count - 1) * self.tile + self.keys)

    def part(self, begin: int, count: int) -> '_Span':
        """Some of the tiles."""
        shift = begin * self.tile
        return _Span(self.first + shift, self.tile, count,
                     self.first_key + shift, self.keys, self.length,
                     self.kernel_size)

    def offsets(self, device: torch.device) -> Tensor:
        """Places (tile, keys) of the first tile's keys in the table of biases;
        2 k - 1 outside the window.
        """
        k = self.kernel_size
        query = torch.arange(self.tile, device=device)[:, None] + self.first
        key = torch.arange(self.keys, device=device) + self.first_key
        start = (query - k // 2).clamp(max=self.length - k).clamp(min=0)
        inside = (key >= start) & (key < start + k)
        return torch.where(inside, key - query + k - 1, 2 * k - 1)


def _spans(length: int, kernel_size: int) -> Iterator[_Span]:
    """Tiles of an axis: at its beginning, inside, at its end."""
    reach = kernel_size // 2
    tile = max(_TILE, reach + 1)
    if length <= tile + 2 * reach:
        yield _Span(0, length, 1, 0, length, length, kernel_size)
        return
    yield _Span(0, tile, 1, 0, tile + reach, length, kernel_size)
    # No window of these is pushed back: they share one bias.
    inside = (length - reach) // tile - 1
    if inside:
        yield _Span(tile, tile, inside, tile - reach, tile + 2 * reach, length,
                    kernel_size)
    first = (inside + 1) * tile
    first_key = min(first - reach, length - kernel_size)
    yield _Span(first, length - first, 1, first_key, length - first_key,
                length, kernel_size)
