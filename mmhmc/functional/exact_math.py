"""Functions whose every bit is the same on every machine.

IEEE 754 fixes sums, products, quotients and square roots of float64, but not
exponentials, which each library rounds in its own way. Here they are computed
by these operations only, one at a time in a fixed order, so that no compiler
can fuse two of them. They are slow, and meant for tables.
"""
import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

#: Terms after which the series no longer change: of the exponential for
#: arguments within +-0.35, of the error function within +-4.3.
_EXP_TERMS, _ERF_TERMS = 18, 90
#: After so many steps a logarithm no longer changes.
_LOG_STEPS = 6


def exact_exp(x: np.ndarray) -> np.ndarray:
    """``e**x`` of float64 within +-700, to about 15 digits."""
    doublings = np.rint(x * (1 / math.log(2)))
    rest = x - doublings * math.log(2)
    result = np.ones_like(x)
    for n in range(_EXP_TERMS, 0, -1):
        result = result * rest
        result = result * (1 / n)
        result = result + 1
    return np.ldexp(result, doublings.astype(np.int64))


def exact_softplus(x: np.ndarray) -> np.ndarray:
    """``log(1 + e**x)`` of float64 within +-300, to about 15 digits."""
    total = exact_exp(x) + 1
    result = np.maximum(x, 0)
    # Newton's method for e**result = total, from at most log(2) below.
    for _ in range(_LOG_STEPS):
        result = total * exact_exp(-result) + (result - 1)
    return result


def exact_tanh(x: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent of float64 within +-350."""
    small = exact_exp(np.abs(x) * -2)
    return (1 - small) / (small + 1) * np.sign(x)


def exact_gelu(x: np.ndarray) -> np.ndarray:
    """``x`` times the share of the normal distribution below it.

    Args:
        x: Float64 within +-6.

    Reference:
        M. Abramowitz, I. Stegun: "Handbook of Mathematical Functions", 1964,
        formula 7.1.6: all terms are positive, so that none cancels another.
    """
    t = np.abs(x) * math.sqrt(0.5)
    square = t * t
    total = np.ones_like(x)
    for n in range(_ERF_TERMS, 0, -1):
        total = total * square
        total = total * (2 / (2 * n + 1))
        total = total + 1
    erf = total * t * exact_exp(-square) * (2 / math.sqrt(math.pi))
    return x * (erf * np.sign(x) + 1) * 0.5


@lru_cache(maxsize=None)
def exact_table(function: Callable[[np.ndarray],
                                   np.ndarray], first: int, last: int,
                bits: int, result_bits: int, device: torch.device) -> Tensor:
    """Values of a function as integers, one for each integer argument.

    Args:
        function: One of this module.
        first: Smallest argument, times ``2**bits``.
        last: Largest argument, times ``2**bits``.
        bits: Fraction bits of the argument.
        result_bits: Fraction bits of the values.
        device: Device of the table.

    Returns:
        Nearest integers of ``2**result_bits * function(i / 2**bits)`` for i
        from ``first`` to ``last``, float64. The same tensor each time: not to
        be changed.
    """
    x = np.arange(first, last + 1, dtype=np.float64) * 2.0**-bits
    values = np.floor(function(x) * 2.0**result_bits + 0.5)
    with torch.inference_mode(False):
        return torch.from_numpy(values).to(device)


def exact_geometric_mean(a: Tensor, b: Tensor, share: int) -> Tensor:
    """``a**(1 - share / 256) * b**(share / 256)``, by square roots alone.

    Args:
        a: Not negative, float64.
        b: The same, of the same shape.
        share: From 0 to 256.
    """
    low, high = a, b
    for bit in range(7, -1, -1):
        middle = (low * high).sqrt()
        if share >> bit & 1:
            low = middle
        else:
            high = middle
    return b if share == 256 else low
