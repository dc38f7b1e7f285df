"""Convolutional networks in integers: the same result on every machine.

Weights and activations are rounded to integers that float64 carries. As long
as no sum reaches 2^53, each is exact whatever the order of its terms, and so
independent of device, threads, batch, memory format and kernel. After Ballé,
Johnston, Minnen: "Integer Networks for Data Compression with Latent-Variable
Models", ICLR 2019, whose networks are trained in integers; here trained ones
are rounded.
"""
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo

#: Fraction bits of weights and activations: at most, and at least.
MAX_BITS, MIN_BITS = 16, 4
#: Integers up to here are exact in float64, and in float32.
EXACT_IN_FLOAT64, EXACT_BITS_IN_FLOAT32 = 2.0**53, 24
# An activation times a slope of 16 bits stays below 2^53.
_MAX_MAGNITUDE_BITS = 36
_SLOPE_BITS = 16
# Values this much larger than the largest seen still fit.
_MARGIN = 8


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
    if hasattr(layer, 'mask'):
        weight = weight * layer.mask
    weight = weight.unflatten(0, (layer.groups, -1))
    transposed = isinstance(layer, nn.ConvTranspose2d)
    return weight.permute(3, 4, 0, *((2, 1) if transposed else (1, 2)))


def _convolve(layer: nn.Conv2d, taps: _Taps, x: Tensor) -> Tensor:
    """One matrix product a tap, so that x is never there for all of them."""
    (top, left), (down, right) = layer.padding, layer.dilation
    x = nn.functional.pad(x, (left, left, top, top))
    size = [(side - step * (kernel - 1) - 1) // stride + 1
            for side, step, kernel, stride in zip(
                x.shape[-2:], layer.dilation, layer.kernel_size, layer.stride)]
    x = x.unflatten(1, (layer.groups, -1))
    rows, columns = layer.stride
    total = x.new_zeros(len(x), layer.out_channels, *size)
    flat = total.flatten(2).unflatten(1, (layer.groups, -1))
    for (i, j), weight in zip(*taps):
        i, j = i * down, j * right
        seen = x[..., i:i + rows * (size[0] - 1) + 1:rows,
                 j:j + columns * (size[1] - 1) + 1:columns]
        flat += weight @ seen.flatten(3)
    return total


def _convolve_transposed(layer: nn.ConvTranspose2d, taps: _Taps,
                         x: Tensor) -> Tensor:
    """One matrix product a tap, added where the tap lands."""
    height, width = x.shape[-2:]
    (rows, columns), (down, right) = layer.stride, layer.dilation
    (top, left), extra = layer.padding, layer.output_padding
    full = [(side - 1) * stride + step * (kernel - 1) + 1 + more
            for side, stride, step, kernel, more in zip((
                height,
                width), layer.stride, layer.dilation, layer.kernel_size, extra)
            ]
    flat = x.flatten(2).unflatten(1, (layer.groups, -1))
    total = x.new_zeros(len(x), layer.out_channels, *full)
    for (i, j), weight in zip(*taps):
        i, j = i * down, j * right
        total[..., i:i + rows * (height - 1) + 1:rows, j:j +
              columns * (width - 1) + 1:columns] += (weight @ flat).flatten(
                  1, 2).unflatten(-1, (height, width))
    return total[..., top:full[0] - top, left:full[1] - left]


def _relu(layer: nn.ReLU, x: Tensor) -> Tensor:
    return x.clamp_(min=0)


def _leaky_relu(layer: nn.LeakyReLU, x: Tensor) -> Tensor:
    slope = round(layer.negative_slope * 2**_SLOPE_BITS)
    return torch.where(x < 0, _divide(x * slope, _SLOPE_BITS), x)


def _pixel_shuffle(layer: nn.PixelShuffle, x: Tensor) -> Tensor:
    return layer(x)


#: Layers with weights, and those that keep or shrink every value; another
#: layer is another entry. By the name of the very class: a subclass may
#: compute something else, and CompressAI's are not imported here.
LINEAR: dict[str, Callable[[nn.Module, _Taps, Tensor], Tensor]] = {
    'Conv2d': _convolve,
    'MaskedConv2d': _convolve,
    'ConvTranspose2d': _convolve_transposed
}
POINTWISE: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    'ReLU': _relu,
    'LeakyReLU': _leaky_relu,
    'PixelShuffle': _pixel_shuffle
}


def _divide(x: Tensor, bits: int) -> Tensor:
    """Nearest integers of ``x / 2**bits``, halves up; in place."""
    return x.mul_(2.0**-bits).add_(0.5).floor_()


def _leaves(layers: nn.Module) -> Iterator[nn.Module]:
    """Layers in the order in which they run.

    Raises:
        ValueError: If one of them has no integer form.
    """
    if isinstance(layers, nn.Sequential):
        for layer in layers:
            yield from _leaves(layer)
        return
    name = type(layers).__name__
    if name not in LINEAR and name not in POINTWISE:
        raise ValueError(
            f'{name} has no integer form; portable streams support '
            f'{", ".join([*LINEAR, *POINTWISE])} and Sequential.')
    if getattr(layers, 'padding_mode', 'zeros') != 'zeros' or isinstance(
            getattr(layers, 'padding', 0), str):
        raise ValueError(
            f'{layers} has no integer form; portable streams support padding '
            'with a given number of zeros.')
    if abs(getattr(layers, 'negative_slope', 0)) > 1:
        raise ValueError(f'{layers} has no integer form; portable streams '
                         'support slopes within +-1.')
    yield layers


@torch.no_grad()
def activation_ranges(layers: nn.Module, x: Tensor) -> Tensor:
    """Largest magnitudes between the layers with weights.

    Args:
        layers: A layer, or a Sequential of them, nested or not.
        x: What goes in, shape (B, C, h, w).

    Returns:
        Of what goes into each of the n layers with weights, and of the
        result, shape (n + 1,).

    Raises:
        ValueError: If a layer has no integer form, or a value is not finite.
    """
    # An activation may work in place.
    x = x.clone()
    ranges = [x.abs().amax()]
    for layer in _leaves(layers):
        x = layer(x)
        if type(layer).__name__ in LINEAR:
            ranges.append(x.abs().amax())
    ranges = torch.stack(ranges)
    if not ranges.isfinite().all():
        raise ValueError(
            f'Activations must be finite, but reach {ranges.tolist()} between '
            f'the layers of {type(layers).__name__}. Check the weights.')
    return ranges


@torch.no_grad()
def choose_settings(layers: nn.Module, ranges: Tensor) -> Tensor:
    """Finest fixed point with which no sum can reach 2^53.

    A power of two beyond eight times the range is where activations are
    clamped. The result has as many fraction bits as float32 holds exactly
    over its range; all have at most ``MAX_BITS``.

    Args:
        layers: A layer, or a Sequential of them, nested or not.
        ranges: From :func:`activation_ranges`, shape (n + 1,).

    Returns:
        Settings for :class:`FixedPointNetwork`, int32, shape (n + 1, 3).

    Raises:
        ValueError: If weights or activations are too large, or a layer has
            no integer form.
    """
    clamps = [
        max(0,
            math.frexp(_MARGIN * value)[1]) for value in ranges.tolist()
    ]
    linear = [
        layer for layer in _leaves(layers) if type(layer).__name__ in LINEAR
    ]
    rows = [_finest(layer, clamp) for layer, clamp in zip(linear, clamps)]
    bits = min(MAX_BITS, EXACT_BITS_IN_FLOAT32 - clamps[-1])
    if bits < 0:
        raise ValueError('The result of a network reaches '
                         f'{ranges[-1].item():.3g}, too much for a portable '
                         'stream. Check the weights.')
    rows.append((bits, bits + clamps[-1], 0))
    return torch.tensor(rows, dtype=torch.int32, device=ranges.device)


def _finest(layer: nn.Module, clamp: int) -> tuple[int, int, int]:
    """A row of the settings for inputs within +-2^clamp."""
    for total in range(2 * MAX_BITS, 2 * MIN_BITS - 1, -1):
        bits, weight_bits = total // 2, (total + 1) // 2
        magnitude = clamp + bits
        # One bit is left for weights that are trained further.
        if (magnitude <= _MAX_MAGNITUDE_BITS and _largest_sum(
                layer, bits, magnitude, weight_bits) < EXACT_IN_FLOAT64 / 2):
            return bits, magnitude, weight_bits
    raise ValueError(
        f'{layer} has weights and activations too large for a portable stream:'
        f' inputs reach 2^{clamp - 3}, weights '
        f'{layer.weight.abs().amax().item():.3g}.')


def _rounded(x: Tensor, bits: int) -> Tensor:
    """Nearest integers of ``x * 2**bits`` in float64, halves up."""
    return _divide(x.detach().to(torch.float64, copy=True), -bits)


def _largest_sum(layer: nn.Module, bits: int, magnitude: int,
                 weight_bits: int) -> float:
    """What no accumulator can exceed, with the half added for rounding."""
    rows = _divide(_kernel(layer).clone(), -weight_bits).abs().sum((0, 1, 4))
    largest = rows.flatten() * 2.0**magnitude
    if layer.bias is not None:
        largest = largest + _rounded(layer.bias, bits + weight_bits).abs()
    return largest.amax().item() + 2.0**(bits + weight_bits - 1)


class _Layer(NamedTuple):
    """A layer with weights in integers, and how to go on after it."""

    layer: nn.Module
    taps: _Taps
    bias: Tensor
    #: From the accumulator's fraction bits to those of the next input.
    shift: int
    limit: float


class FixedPointNetwork:
    """A network whose results do not depend on what computes them.

    All is as in the network in floating point but for the rounding: of
    weights, of what goes into each layer with weights, and of the result,
    halves up; activations are clamped, which bounds every sum below 2^53.

    There is a row of settings for each layer with weights: fraction bits of
    what goes in, bits of its largest magnitude as an integer, fraction bits
    of the weights; and one for the result. Rounding weights is exact, so a
    checkpoint needs no more than the weights and the settings. No gradient
    passes.

    Args:
        layers: A layer, or a Sequential of them, nested or not: convolutions
            (strided, grouped, transposed, masked), ReLU, LeakyReLU and
            PixelShuffle.
        settings: From :func:`choose_settings`, shape (n + 1, 3).

    Raises:
        RuntimeError: If the settings are not of these layers, or a sum could
            reach 2^53 with their present weights.
        ValueError: If a layer has no integer form.
    """

    def __init__(self, layers: nn.Module, settings: Tensor) -> None:
        leaves = list(_leaves(layers))
        count = sum(type(layer).__name__ in LINEAR for layer in leaves)
        if settings.shape != (count + 1, 3) or not (
                0 <= settings.min() and settings.max() <= _MAX_MAGNITUDE_BITS):
            raise RuntimeError(
                f'{count} layers with weights need settings of shape '
                f'{(count + 1, 3)} within [0, {_MAX_MAGNITUDE_BITS}], got '
                f'{settings.tolist()}; call `make_portable` with this codec.')
        rows = settings.tolist()
        self._bits, magnitude, _ = rows[0]
        self._limit, self._result_bits = 2.0**magnitude, rows[-1][0]
        self._steps = []
        for layer in leaves:
            if type(layer).__name__ in LINEAR:
                self._steps.append(_in_integers(layer, rows[0], rows[1]))
                rows = rows[1:]
            else:
                self._steps.append(layer)

    # Exactness is not to depend on what a compiler makes of this.
    @_disable_dynamo
    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Compute, as integers carried in float64.

        Args:
            x: Shape (B, C, h, w).

        Returns:
            Shape (B, C', h', w'), float32, holding multiples of a power of
            two exactly.
        """
        x = _rounded(x, self._bits).clamp_(-self._limit, self._limit)
        for step in self._steps:
            if isinstance(step, _Layer):
                total = LINEAR[type(step.layer).__name__](step.layer,
                                                          step.taps, x)
                x = _divide(total.add_(step.bias), step.shift)
                x.clamp_(-step.limit, step.limit)
            else:
                x = POINTWISE[type(step).__name__](step, x)
        return x.mul_(2.0**-self._result_bits).float()


def _in_integers(layer: nn.Module, row: list[int], after: list[int]) -> _Layer:
    """One layer and the rows of settings of its input and its output.

    Raises:
        RuntimeError: If a sum could reach 2^53.
    """
    bits, magnitude, weight_bits = row
    largest = _largest_sum(layer, bits, magnitude, weight_bits)
    if not largest < EXACT_IN_FLOAT64:
        raise RuntimeError(
            f'Sums in {layer} could reach {largest:.3g}, and beyond 2^53 they '
            'are not exact: the weights have grown since, or are not finite. '
            'Call `make_portable` again.')
    kernel = _divide(_kernel(layer).clone(), -weight_bits)
    positions = kernel.abs().sum((2, 3, 4)).nonzero().tolist()
    taps = _Taps([tuple(position) for position in positions],
                 [kernel[i, j].contiguous() for i, j in positions])
    bias = kernel.new_zeros(layer.out_channels)
    if layer.bias is not None:
        bias = _rounded(layer.bias, bits + weight_bits)
    return _Layer(layer, taps, bias.view(-1, 1, 1),
                  bits + weight_bits - after[0], 2.0**after[1])
