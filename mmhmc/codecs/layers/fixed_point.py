"""Networks in integers: the same result on every machine.

Weights and activations are rounded to integers that float64 carries. As long
as no sum reaches 2^53, each is exact whatever the order of its terms, and so
independent of device, threads, batch, memory format and kernel. After Ballé,
Johnston, Minnen: "Integer Networks for Data Compression with Latent-Variable
Models", ICLR 2019, whose networks are trained in integers; here trained ones
are rounded.

.. code-block:: none

    float32 ──► round ──► layer ──► round, clamp ──► layer ... ──► float32
                          sums of integers below 2^53

Float64 has room for more than a codec needs, so the grids are constants:
nothing is calibrated, and the weights alone decide the integers.
"""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo

#: Name of these rules, grids and tables: part of the hash in a file. A change
#: of any result needs a new name, and support for the former one.
ARITHMETIC = b'integers 1'
#: Fraction bits of activations, and bits of their largest magnitude as an
#: integer: activations are clamped at +-2^13.
ACTIVATION_BITS, MAGNITUDE_BITS = 16, 29
#: Integers below this are exact in float64.
EXACT_IN_FLOAT64 = 2.0**53
#: Settings that files may bring: no number of bits is larger.
_MAX_BITS = 36

#: Integer form of a layer: integers, and perhaps controls, to integers.
Form = Callable[..., Tensor]


class Grid(NamedTuple):
    """Integers that stand for an activation.

    Attributes:
        bits: Fraction bits.
        magnitude: Bits of the largest magnitude as an integer.
        weight_bits: Fraction bits of the weights that meet it; None for the
            finest with which no sum can reach 2^53.
    """

    bits: int = ACTIVATION_BITS
    magnitude: int = MAGNITUDE_BITS
    weight_bits: int | None = None


class Grids:
    """The grid of each layer with weights, in the order in which they run.

    Args:
        settings: Rows of former portable codecs, see
            :class:`FixedPointNetwork`; None for the constants.
    """

    def __init__(self, settings: Tensor | None = None) -> None:
        self._rows = None
        if settings is not None:
            self._rows = [Grid(*row) for row in settings.tolist()]

    @property
    def here(self) -> Grid:
        """Grid of the input of the next layer."""
        return Grid() if self._rows is None else self._rows[0]

    def next(self) -> tuple[Grid, Grid]:
        """Grids of the input and of the output of the next layer."""
        entering = self.here
        if self._rows is not None:
            self._rows.pop(0)
        return entering, self.here


#: Integer form of a layer by the name of its class: a subclass may compute
#: something else, and CompressAI's classes are not imported here.
_FORMS: dict[str, Callable[[nn.Module, Grids], Form]] = {}
_RATIOS: ContextVar[list[Tensor] | None] = ContextVar('ratios', default=None)


def integer_form(*names: str) -> Callable:
    """Register a function that makes integer forms, for some classes."""

    def register(make: Callable) -> Callable:
        _FORMS.update(dict.fromkeys(names, make))
        return make

    return register


def make_form(layer: nn.Module, grids: Grids) -> Form:
    """Integer form of a layer, by its present weights.

    Raises:
        ValueError: If it has none.
    """
    name = type(layer).__name__
    if name not in _FORMS:
        raise ValueError(f'{name} has no integer form; portable streams '
                         f'support {", ".join(_FORMS)}.')
    return _FORMS[name](layer, grids)


@contextmanager
def saturation() -> Iterator[list[Tensor]]:
    """Record how far activations exceed the range of their integers.

    Yields:
        A list that receives, for each layer computed within the context, its
        largest magnitude divided by the range.
    """
    ratios = []
    token = _RATIOS.set(ratios)
    try:
        yield ratios
    finally:
        _RATIOS.reset(token)


def clamp(x: Tensor, magnitude: int = MAGNITUDE_BITS) -> Tensor:
    """Integers within ``+-2**magnitude``; in place."""
    limit, ratios = 2.0**magnitude, _RATIOS.get()
    if ratios is not None and x.numel():
        ratios.append(x.abs().amax() * 2.0**-magnitude)
    return x.clamp_(-limit, limit)


def divide(x: Tensor, bits: int) -> Tensor:
    """Nearest integers of ``x / 2**bits``, halves up; in place."""
    if bits:
        x.mul_(2.0**-bits)
    return x.add_(0.5).floor_()


def rounded(x: Tensor, bits: int) -> Tensor:
    """Nearest integers of ``x * 2**bits`` in float64, halves up."""
    return divide(x.detach().to(torch.float64, copy=True), -bits)


class FixedPointNetwork:
    """A network with the same results on every machine.

    It computes as the network in floating point, but rounds weights, the
    input of each layer and the result, halves up; activations are clamped,
    which bounds every sum below 2^53. No gradient passes.

    State dicts of codecs that a former version made portable have settings:
    a row for each layer with weights, with the fraction bits of its input,
    the bits of the input's largest magnitude as an integer and the fraction
    bits of the weights; and a row for the result. Their files decode with
    these.

    Args:
        layers: A layer, or layers of layers: convolutions (strided, grouped,
            transposed, masked), linear layers, ReLU, LeakyReLU, GELU, Tanh,
            PixelShuffle, blocks of depthwise convolutions, and stages of
            neighbourhood attention.
        settings: Integers, shape (n + 1, 3); None for the constants of this
            module.

    Raises:
        RuntimeError: If the settings are not of these layers, or a sum could
            reach 2^53 with their present weights.
        ValueError: If a layer has no integer form.
    """

    def __init__(self,
                 layers: nn.Module,
                 settings: Tensor | None = None) -> None:
        if settings is not None:
            _check_settings(layers, settings)
        grids = Grids(settings)
        self._entering = grids.here
        self._form = make_form(layers, grids)
        self._result_bits = grids.here.bits

    # A compiler might reorder operations.
    @_disable_dynamo
    @torch.no_grad()
    def __call__(self, x: Tensor, **controls) -> Tensor:
        """Compute, as integers carried in float64.

        Args:
            x: Input of the network.
            controls: Of its layers, e.g. ``quality``.

        Returns:
            Output of the network, float32: multiples of a power of two.
        """
        entering = self._entering
        x = clamp(rounded(x, entering.bits), entering.magnitude)
        return self._form(x, **controls).mul(2.0**-self._result_bits).float()


def _check_settings(layers: nn.Module, settings: Tensor) -> None:
    count = sum(
        isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
        for layer in layers.modules())
    if settings.shape != (count + 1, 3) or not (0 <= settings.min() and
                                                settings.max() <= _MAX_BITS):
        raise RuntimeError(
            f'{count} layers with weights need settings of shape '
            f'{(count + 1, 3)} within [0, {_MAX_BITS}], got '
            f'{settings.tolist()}; the checkpoint is of another codec.')
