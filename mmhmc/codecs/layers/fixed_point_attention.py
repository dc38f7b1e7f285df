"""Attention in integers: norms, gains, softmax over a neighbourhood.

Sums of integers are exact. The other operations are single ones of float64
that IEEE 754 rounds alike everywhere: quotients, square roots, products.
"""
import math

import torch
from torch import Tensor, nn

from mmhmc.functional.exact_math import exact_exp, exact_table
from .attention_stage import AttentionStage, TransformerBlock
from .fixed_point import (ACTIVATION_BITS, Form, Grids, clamp, divide,
                          integer_form, make_form, rounded)
from .gain import gains_at
from .neighbourhood_attention import NeighbourhoodAttention, attend_in_blocks

#: Fraction bits of a position's channels in parts of their largest.
_UNIT_BITS = 20
#: Fraction bits of queries and keys, and bits of their largest magnitude as
#: an integer; fraction bits of scores, of exponentials and of shares.
_KEY_BITS, _KEY_MAGNITUDE, _SCORE_BITS, _EXP_BITS, _SHARE_BITS = (10, 20, 10,
                                                                  30, 20)
#: Scores that are lower than the largest by this get a weight of zero.
_SCORE_RANGE = 16


@integer_form('LayerNorm')
def _layer_norm(layer: nn.LayerNorm, grids: Grids) -> Form:
    weight, bias = layer.weight.detach().double(), rounded(
        layer.bias, ACTIVATION_BITS)
    epsilon = layer.eps * 2.0**(2 * ACTIVATION_BITS)

    def run(x: Tensor, **_) -> Tensor:
        share = 1 / x.shape[-1]
        x = x - divide(x.sum(-1, keepdim=True).mul_(share), 0)
        # Divided by the largest, squares are small enough for exact sums.
        largest = x.abs().amax(-1, keepdim=True).clamp_(min=1)
        x = divide(x / largest, -_UNIT_BITS)
        variance = x.square().sum(
            -1, keepdim=True).mul_(2.0**(-2 * _UNIT_BITS)).mul_(share)
        variance += torch.full_like(largest, epsilon) / largest / largest
        x = x / variance.sqrt_()
        x = divide(x, _UNIT_BITS - ACTIVATION_BITS)
        return clamp(divide(x * weight, 0).add_(bias))

    return run


@integer_form('NeighbourhoodAttention')
def _attention(layer: NeighbourhoodAttention, grids: Grids) -> Form:
    qkv, proj = make_form(layer.qkv, grids), make_form(layer.proj, grids)
    bias = layer.rpb.detach().double()

    def run(x: Tensor, **_) -> Tensor:
        return proj(
            attend_in_blocks(
                qkv(x), bias, layer.kernel_size, attend=_exact_attention))

    return run


def _exact_attention(queries: Tensor, keys: Tensor, values: Tensor,
                     attn_mask: Tensor) -> Tensor:
    """As ``scaled_dot_product_attention``, of integers.

    Queries (..., n, d), keys and values (..., m, d), mask (..., n, m).
    """
    queries, keys = (
        clamp(
            divide(part.clone(), ACTIVATION_BITS - _KEY_BITS), _KEY_MAGNITUDE)
        for part in (queries, keys))
    scores = queries @ keys.transpose(-1, -2)
    scores.mul_(2.0**(-2 * _KEY_BITS)).mul_(1 / math.sqrt(keys.shape[-1]))
    scores = scores + attn_mask
    scores = scores - scores.amax(-1, keepdim=True)
    last = _SCORE_RANGE << _SCORE_BITS
    table = exact_table(exact_exp, -last, 0, _SCORE_BITS, _EXP_BITS,
                        scores.device)
    places = divide(scores, -_SCORE_BITS).clamp_(min=-last).add_(last)
    # Scores outside the window are minus infinity: the first table entry.
    exponentials = table[places.long()] * (places > 0)
    shares = exponentials / exponentials.sum(-1, keepdim=True)
    shares = divide(shares, -_SHARE_BITS)
    return divide(shares @ values, _SHARE_BITS)


@integer_form('TransformerBlock')
def _block(block: TransformerBlock, grids: Grids) -> Form:
    branches = [[make_form(layer, grids) for layer in layers]
                for layers in ((block.norm1, block.attn), (block.norm2,
                                                           block.mlp))]

    def run(x: Tensor, quality=None, **_) -> Tensor:
        for (norm, network), gamma in zip(branches, ('gamma_1', 'gamma_2')):
            branch = network(norm(x))
            if quality is not None:
                gain = gains_at(getattr(block, gamma), quality, exact=True)
                branch = divide(branch * gain[:, None, None], 0)
            x = clamp(x + branch)
        return x

    return run


@integer_form('AttentionStage')
def _stage(stage: AttentionStage, grids: Grids) -> Form:
    blocks = [make_form(block, grids) for block in stage.blocks]

    def run(x: Tensor, quality=None, **_) -> Tensor:
        tokens = x.permute(0, 2, 3, 1).contiguous()
        for block in blocks:
            tokens = block(tokens, quality=quality)
        return clamp(tokens.permute(0, 3, 1, 2) + x)

    return run
