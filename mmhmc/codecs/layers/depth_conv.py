"""Residual blocks of pointwise and depthwise convolutions, and their integers.

.. code-block:: none

    x ─┬─ 1x1 ─ WSiLU ─ 3x3 depthwise ─ 1x1 ─ + ─┬─ 1x1 to 4C ─ WSiLU ─ sum of
       └───────────────────────────────────────┘ │   4 neighbours ─ 1x1 ─ + ──►
                                                 └────────────────────────┘
"""
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from mmhmc.functional.exact_math import exact_exp, exact_table
from .fixed_point import (ACTIVATION_BITS, Form, Grids, clamp, integer_form,
                          rounded)
from .fixed_point_layers import fixed_layer

#: Side of the squares of pixels that become channels.
PATCH = 8
#: Neighbouring channels that are added up.
GROUP = 4
#: Of the table of gates: fraction bits of the argument, and from where on the
#: gate is 0 or 1 in its own fraction bits.
_ARGUMENT_BITS, _GATE_LIMIT, _GATE_BITS = 10, 4, 16


class DepthConvBlock(nn.Module):
    """Two residual branches: across neighbours, then across channels.

    The activation is ``WSiLU(x) = x * sigmoid(4 x)``. Its factors of 4 stand
    in the weights before and after it, which is exact.

    Args:
        in_channels: Channels of the input.
        channels: Channels C of the output.
        adapts: Whether a 1x1 convolution comes first; needed where the
            channels change.
        skips: Whether what enters the branches is added to their result.
    """

    def __init__(self,
                 in_channels: int,
                 channels: int,
                 adapts: bool = False,
                 skips: bool = False) -> None:
        super().__init__()
        self.skips = skips
        adapts = adapts or in_channels != channels
        self.adaptor = nn.Conv2d(in_channels, channels, 1) if adapts else None
        self.enter = nn.Conv2d(channels, channels, 1)
        self.depthwise = nn.Conv2d(
            channels, channels, 3, padding=1, groups=channels)
        self.leave = nn.Conv2d(channels, channels, 1)
        self.widen = nn.Conv2d(channels, GROUP * channels, 1)
        self.narrow = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Run both branches on ``x`` (B, C', H, W)."""
        # Pointwise convolutions are faster so, on a CPU too.
        x = x.contiguous(memory_format=torch.channels_last)
        if self.adaptor is not None:
            x = self.adaptor(x)
        hidden = _silu(_convolve(x, self.enter, 4))
        out = x + self.leave(_convolve(hidden, self.depthwise, 0.25))
        # In another order of channels neighbours become whole maps.
        widened = nn.functional.conv2d(
            out, *map(_by_place, (4 * self.widen.weight, 4 * self.widen.bias)))
        a, b, c, d = _silu(widened).chunk(GROUP, dim=1)
        out = out + _convolve((a + b) + (c + d), self.narrow, 0.25)
        return out + x if self.skips else out


def _convolve(x: Tensor, layer: nn.Conv2d, gain: float) -> Tensor:
    """A convolution with its result, or what comes in, times a gain.

    It is that of the input if below 1: the bias stays as it is.
    """
    bias = layer.bias * max(gain, 1)
    return nn.functional.conv2d(x, layer.weight * gain, bias, layer.stride,
                                layer.padding, layer.dilation, layer.groups)


def _silu(x: Tensor) -> Tensor:
    return nn.functional.silu(x, inplace=not x.requires_grad)


def _by_place(t: Tensor) -> Tensor:
    """First all first ones of the groups, then all second ones, and so on."""
    return t.unflatten(0, (-1, GROUP)).transpose(0, 1).flatten(0, 1)


class PatchConv2d(nn.Conv2d):
    """A 1x1 convolution of squares of pixels, as if they were channels.

    Args:
        in_channels: Channels of the image.
        out_channels: Channels of the result.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels * PATCH**2, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (B, C, H, W); sides are multiples of the square."""
        return super().forward(nn.functional.pixel_unshuffle(x, PATCH))


def upsampling(in_channels: int, channels: int) -> nn.Sequential:
    """Twice the sides: a 1x1 convolution, its channels as pixels, a block."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 4 * channels, 1), nn.PixelShuffle(2),
        DepthConvBlock(channels, channels, skips=True))


def downsampling(in_channels: int, channels: int) -> nn.Sequential:
    """Half the sides: pixels as channels, a 1x1 convolution, a block."""
    return nn.Sequential(
        nn.PixelUnshuffle(2), nn.Conv2d(4 * in_channels, channels, 1),
        DepthConvBlock(channels, channels, skips=True))


def initialise_convolutions(module: nn.Module) -> None:
    """Start as Glorot and Bengio (2010), with zero bias.

    The last convolution of a block starts smaller: with 14 blocks, each of
    which adds more than what comes in, an image would begin at 700 times its
    amplitude.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    for layer in module.modules():
        if isinstance(layer, DepthConvBlock):
            nn.init.xavier_normal_(layer.narrow.weight, gain=0.1)


@integer_form('DepthConvBlock')
def _block(block: DepthConvBlock, grids: Grids) -> Form:
    adaptor = block.adaptor and _Pointwise(block.adaptor, grids)
    enter = _Pointwise(block.enter, grids)
    kernel, finish = fixed_layer(block.depthwise, grids)
    taps = kernel[..., 0, 0].flatten(0, 1)
    leave = _Pointwise(block.leave, grids)
    widen = _Pointwise(block.widen, grids, _by_place)
    narrow = _Pointwise(block.narrow, grids)

    def run(x: Tensor, **_) -> Tensor:
        # Positions one after another, each with all its channels.
        x = x.permute(0, 2, 3, 1).contiguous()
        if adaptor is not None:
            x = adaptor(x)
        hidden = clamp(rounded(_wsilu(enter.in_float32(x)), ACTIVATION_BITS))
        hidden = finish.finish(_depthwise(hidden, taps, finish.bias))
        out = clamp(leave(hidden).add_(x))
        a, b, c, d = _wsilu(widen.in_float32(out)).chunk(GROUP, dim=-1)
        hidden = (a + b).add_(c).add_(d)
        hidden = clamp(rounded(hidden, ACTIVATION_BITS))
        out = clamp(narrow(hidden).add_(out))
        if block.skips:
            out = clamp(out.add_(x))
        return out.permute(0, 3, 1, 2)

    return run


class _Pointwise:
    """A 1x1 convolution of integers, (..., C) to (..., C').

    Args:
        layer: The convolution.
        grids: The grid of each layer.
        order: Puts what has a row for each output into another order.
    """

    def __init__(self,
                 layer: nn.Conv2d,
                 grids: Grids,
                 order: Callable[[Tensor], Tensor] = lambda t: t) -> None:
        kernel, rounding = fixed_layer(layer, grids)
        # Products with columns in one piece are quicker.
        self._weight = order(kernel[0, 0, 0]).contiguous().T
        self._rounding = rounding._replace(bias=order(rounding.bias))

    def __call__(self, x: Tensor) -> Tensor:
        return self._rounding.finish(self._sums(x))

    def in_float32(self, x: Tensor) -> Tensor:
        """The sums as the nearest numbers of float32, not as integers."""
        bits = self._rounding.shift + ACTIVATION_BITS
        return self._sums(x).float().mul_(2.0**-bits)

    def _sums(self, x: Tensor) -> Tensor:
        total = torch.addmm(self._rounding.bias, x.flatten(0, -2),
                            self._weight)
        return total.view(*x.shape[:-1], -1)


def _depthwise(x: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    """Sums of a depthwise 3x3 convolution, one product after another.

    Integers (B, H, W, C), weights (9, C) and bias (C,).
    """
    height, width = x.shape[1:3]
    x = nn.functional.pad(x, (0, 0, 1, 1, 1, 1))
    total = bias
    for i, tap in enumerate(taps):
        row, column = divmod(i, 3)
        seen = x[:, row:row + height, column:column + width]
        total = torch.addcmul(total, seen, tap)
    return total


def _wsilu(x: Tensor) -> Tensor:
    """WSiLU in float32, by single operations that IEEE 754 rounds alike; in
    place. Its gates are numbers of few bits from a table.
    """
    last = _GATE_LIMIT << _ARGUMENT_BITS
    gates = exact_table(exact_gate, -last, last, _ARGUMENT_BITS, _GATE_BITS,
                        x.device).float().mul_(2.0**-_GATE_BITS)
    # What is not negative is rounded by leaving off its fraction.
    places = (x * 2.0**_ARGUMENT_BITS).add_(last + 0.5)
    places = places.clamp_(0, 2 * last).int().flatten()
    return x.mul_(gates.index_select(0, places).view(x.shape))


def exact_gate(x: np.ndarray) -> np.ndarray:
    """``1 / (1 + exp(-4 x))`` of float64 within +-100."""
    return 1 / (1 + exact_exp(x * -4))
