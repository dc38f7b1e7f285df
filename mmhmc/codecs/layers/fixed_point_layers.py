"""Integer forms of convolutions, activations and sequences of layers."""
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmhmc.functional.exact_math import exact_gelu, exact_table, exact_tanh
from .fixed_point import (EXACT_IN_FLOAT64, Form, Grid, Grids, clamp, divide,
                          integer_form, make_form, rounded)

#: Fraction bits of weights: at most, and at least.
MAX_WEIGHT_BITS, MIN_WEIGHT_BITS = 16, 4
#: Products for so few positions take half the time if they are transposed.
_FEW_POSITIONS = 32
_SLOPE_BITS = 16
#: Of the tables of activations: fraction bits of the argument, and where the
#: functions have reached their limits.
_TABLE_BITS, _TABLE_LIMIT = 12, 6

# Layers with weights.


class _Taps(NamedTuple):
    """Integer weights of a convolution.

    ``weights[k]``, shape (groups, outputs, inputs) of a group, belongs to row
    and column ``positions[k]`` of the kernel. Taps of zeros are left out.
    """

    positions: list[tuple[int, int]]
    weights: list[Tensor]


def _kernel(layer: nn.Module) -> Tensor:
    """Weights as (rows, columns, groups, outputs, inputs) in float64."""
    weight = layer.weight.detach().double()
    if isinstance(layer, nn.Linear):
        return weight[None, None, None]
    if hasattr(layer, 'mask'):
        weight = weight * layer.mask
    weight = weight.unflatten(0, (layer.groups, -1))
    transposed = isinstance(layer, nn.ConvTranspose2d)
    return weight.permute(3, 4, 0, *((2, 1) if transposed else (1, 2)))


def _largest_sum(layer: nn.Module, grid: Grid, weight_bits: int) -> float:
    """Bound of all sums, with the half that is added for rounding."""
    rows = divide(_kernel(layer).clone(), -weight_bits).abs().sum((0, 1, 4))
    largest = rows.flatten() * 2.0**grid.magnitude
    if layer.bias is not None:
        bias = rounded(layer.bias, grid.bits + weight_bits).abs()
        largest = largest + bias
    return largest.amax().item() + 2.0**(grid.bits + weight_bits - 1)


def _weight_bits(layer: nn.Module, grid: Grid) -> int:
    """Fraction bits of a layer's weights."""
    if grid.weight_bits is not None:
        largest = _largest_sum(layer, grid, grid.weight_bits)
        if not largest < EXACT_IN_FLOAT64:
            raise RuntimeError(
                f'Sums in {layer} could reach {largest:.3g}, and beyond 2^53 '
                'they are not exact: the weights have grown since the '
                'settings of this codec were made, or are not finite.')
        return grid.weight_bits
    for bits in range(MAX_WEIGHT_BITS, MIN_WEIGHT_BITS - 1, -1):
        if _largest_sum(layer, grid, bits) < EXACT_IN_FLOAT64:
            return bits
    raise ValueError(
        f'{layer} has weights too large for a portable stream, or not finite: '
        f'they reach {layer.weight.abs().amax().item():.3g}. Check the '
        'weights.')


class Rounding(NamedTuple):
    """From sums of products to integers, the input of the next layer."""

    #: Of the outputs, with the half that makes a floor round.
    bias: Tensor
    shift: int
    magnitude: int

    def finish(self, total: Tensor) -> Tensor:
        """Round sums to which the bias has been added; in place."""
        return clamp(total.mul_(2.0**-self.shift).floor_(), self.magnitude)


def fixed_layer(layer: nn.Module, grids: Grids) -> tuple[Tensor, Rounding]:
    """Integer kernel of a layer, and the rounding after its sums.

    Returns:
        Shape (rows, columns, groups, outputs, inputs), and the rounding.
    """
    entering, leaving = grids.next()
    weight_bits = _weight_bits(layer, entering)
    kernel = divide(_kernel(layer).clone(), -weight_bits)
    bits = entering.bits + weight_bits
    shift = bits - leaving.bits
    bias = kernel.new_zeros(kernel.shape[2] * kernel.shape[3])
    if layer.bias is not None:
        bias = rounded(layer.bias, bits)
    half = 2.0**(shift - 1) if shift > 0 else 0.
    return kernel, Rounding(bias + half, shift, leaving.magnitude)


@integer_form('Linear')
def _linear(layer: nn.Linear, grids: Grids) -> Form:
    kernel, rounding = fixed_layer(layer, grids)
    weight = kernel[0, 0, 0].T.contiguous()
    return lambda x, **_: rounding.finish((x @ weight).add_(rounding.bias))


@integer_form('Conv2d', 'MaskedConv2d')
def _convolution(layer: nn.Conv2d, grids: Grids) -> Form:
    _check_padding(layer)
    kernel, rounding = fixed_layer(layer, grids)
    taps = _taps_of(kernel)
    pointwise = (layer.kernel_size, layer.stride, layer.padding,
                 layer.groups) == ((1, 1), (1, 1), (0, 0), 1)
    weight = kernel[0, 0, 0].T

    def run(x: Tensor, **_) -> Tensor:
        batch, _, height, width = x.shape
        few = batch == 1 and height * width <= _FEW_POSITIONS
        if not pointwise or not (few or _is_channels_last(x)):
            return rounding.finish(_convolve(layer, taps, rounding.bias, x))
        # A view in this order: the next layer copies nothing then.
        rows = x.permute(0, 2, 3, 1).flatten(0, 2)
        total = rounding.finish(torch.addmm(rounding.bias, rows, weight))
        return total.view(batch, height, width, -1).permute(0, 3, 1, 2)

    return run


def _is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last)


@integer_form('ConvTranspose2d')
def _transposed_convolution(layer: nn.ConvTranspose2d, grids: Grids) -> Form:
    _check_padding(layer)
    kernel, rounding = fixed_layer(layer, grids)
    taps = _taps_of(kernel)
    return lambda x, **_: rounding.finish(
        _convolve_transposed(layer, taps, rounding.bias, x))


def _check_padding(layer: nn.Module) -> None:
    """Refuse padding with anything but a given number of zeros."""
    if layer.padding_mode != 'zeros' or isinstance(layer.padding, str):
        raise ValueError(
            f'{layer} has no integer form; portable streams support padding '
            'with a given number of zeros.')


def _taps_of(kernel: Tensor) -> _Taps:
    positions = kernel.abs().sum((2, 3, 4)).nonzero().tolist()
    return _Taps([tuple(position) for position in positions],
                 [kernel[i, j].contiguous() for i, j in positions])


def _convolve(layer: nn.Conv2d, taps: _Taps, bias: Tensor,
              x: Tensor) -> Tensor:
    """Sums of a convolution.

    A stride is a convolution without one over each phase of the input.
    """
    (top, left), (down, right) = layer.padding, layer.dilation
    rows, columns = layer.stride
    size = [(side + 2 * pad - step * (kernel - 1) - 1) // stride + 1
            for side, pad, step, kernel, stride in
            zip(x.shape[-2:], layer.padding, layer.dilation, layer.kernel_size,
                layer.stride)]
    # All phases are of one size, and each has a row that no output needs.
    extra = [
        -(x.shape[-2] + 2 * top) % rows + rows,
        -(x.shape[-1] + 2 * left) % columns
    ]
    x = nn.functional.pad(x, (left, left + extra[1], top, top + extra[0]))
    places = [(i * down, j * right) for i, j in taps.positions]
    total = None
    for phase in sorted({(i % rows, j % columns) for i, j in places}):
        own = [(i // rows, j // columns, weight)
               for (i, j), weight in zip(places, taps.weights)
               if (i % rows, j % columns) == phase]
        total = _sum_taps(x[..., phase[0]::rows, phase[1]::columns], own, size,
                          bias if total is None else total)
    if total is None:  # all weights are zero
        return bias.view(1, -1, 1, 1).repeat(len(x), 1, *size)
    return total


def _convolve_transposed(layer: nn.ConvTranspose2d, taps: _Taps, bias: Tensor,
                         x: Tensor) -> Tensor:
    """Sums of a transposed convolution: one without a stride a phase."""
    (rows, columns), (down, right) = layer.stride, layer.dilation
    (top, left) = layer.padding
    full = [(side - 1) * stride + step * (kernel - 1) + 1 + more
            for side, stride, step, kernel, more in zip(
                x.shape[-2:], layer.stride, layer.dilation, layer.kernel_size,
                layer.output_padding)]
    size = -(-full[0] // rows), -(-full[1] // columns)
    back = [(down * (layer.kernel_size[0] - 1)) // rows,
            (right * (layer.kernel_size[1] - 1)) // columns]
    more = [max(0, s - side) for s, side in zip(size, x.shape[-2:])]
    x = nn.functional.pad(x, (back[1], more[1], back[0], more[0] + 1))
    total = x.new_empty(
        len(x), layer.out_channels, size[0] * rows, size[1] * columns)
    places = [(i * down, j * right) for i, j in taps.positions]
    for i in range(rows):
        for j in range(columns):
            own = [(back[0] - (r - i) // rows, back[1] - (c - j) // columns,
                    weight) for (r, c), weight in zip(places, taps.weights)
                   if (r - i) % rows == 0 and (c - j) % columns == 0]
            phase = _sum_taps(x, own, size, bias) if own else bias.view(
                1, -1, 1, 1)
            total[..., i::rows, j::columns] = phase
    return total[..., top:full[0] - top, left:full[1] - left].contiguous()


def _sum_taps(x: Tensor, taps: Sequence[tuple[int, int, Tensor]],
              size: tuple[int, int], start: Tensor) -> Tensor:
    """Sum of matrix products, one for each tap of a kernel.

    Rows are kept as wide as they are in ``x``: so the positions that a tap
    multiplies are one piece of the flat map, and nothing is copied. So ``x``
    has a row that no output needs. A tap is the row and the column that the
    first output reads, and its weights; ``start`` is the initial sum, one for
    each output or of the returned shape (B, C', *size).
    """
    batch, width = len(x), x.shape[-1]
    groups, outputs, inputs = taps[0][2].shape
    flat = x.contiguous().view(batch * groups, inputs, -1)
    length = size[0] * width
    total = x.new_empty(batch, groups * outputs, size[0], width)
    if start.ndim == 1:
        total.copy_(start.view(-1, 1, 1).expand_as(total))
    else:
        total[..., :size[1]] = start
    flat_total = total.view(batch * groups, outputs, length)
    for row, column, weight in taps:
        first = row * width + column
        # `FlopCounterMode` does not count `baddbmm_`.
        torch.baddbmm(
            flat_total,
            weight.repeat(batch, 1, 1) if groups > 1 else weight.expand(
                batch, -1, -1),
            flat[..., first:first + length],
            out=flat_total)
    return total[..., :size[1]].contiguous()


# Layers without weights, and layers of layers.


@integer_form('Sequential', 'Transform')
def _sequence(layers: nn.Sequential, grids: Grids) -> Form:
    forms = [make_form(layer, grids) for layer in layers]

    def run(x: Tensor, **controls) -> Tensor:
        for form in forms:
            x = form(x, **controls)
        return x

    return run


@integer_form('ReLU')
def _relu(layer: nn.ReLU, grids: Grids) -> Form:
    return lambda x, **_: x.clamp_(min=0)


@integer_form('LeakyReLU')
def _leaky_relu(layer: nn.LeakyReLU, grids: Grids) -> Form:
    if abs(layer.negative_slope) > 1:
        raise ValueError(f'{layer} has no integer form; portable streams '
                         'support slopes within +-1.')
    slope = round(layer.negative_slope * 2**_SLOPE_BITS) * 2.0**-_SLOPE_BITS
    if slope < 0:
        return lambda x, **_: torch.where(x < 0, divide(x * slope, 0), x)
    # For a slope within +-1 the larger of both is the right one.
    return lambda x, **_: torch.maximum(x, divide(x * slope, 0))


@integer_form('PixelShuffle')
def _pixel_shuffle(layer: nn.PixelShuffle, grids: Grids) -> Form:
    return lambda x, **_: layer(x)


@integer_form('GELU')
def _gelu(layer: nn.GELU, grids: Grids) -> Form:
    if layer.approximate != 'none':
        raise ValueError(f'{layer} has no integer form; portable streams '
                         "support `approximate='none'`.")
    bits = grids.here.bits

    def run(x: Tensor, **_) -> Tensor:
        inside = _look_up(exact_gelu, x, bits)
        return torch.where(x.abs() < _TABLE_LIMIT * 2.0**bits, inside,
                           x.clamp(min=0))

    return run


@integer_form('Tanh')
def _tanh(layer: nn.Tanh, grids: Grids) -> Form:
    bits = grids.here.bits
    return lambda x, **_: _look_up(exact_tanh, x, bits)


def _look_up(function: Callable, x: Tensor, bits: int) -> Tensor:
    """A function of integers with fraction bits, from its table."""
    last = _TABLE_LIMIT << _TABLE_BITS
    table = exact_table(function, -last, last, _TABLE_BITS, bits, x.device)
    places = divide(x.clone(), bits - _TABLE_BITS).clamp_(-last, last)
    return table[places.add_(last).long()]
