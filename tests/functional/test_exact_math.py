import math

import numpy as np
import pytest
import torch

from mmhmc.functional.exact_math import (exact_exp, exact_gelu,
                                         exact_geometric_mean, exact_table,
                                         exact_tanh)

X = np.linspace(-6, 6, 20001)
KNOWN = {
    exact_exp:
    np.exp,
    exact_tanh:
    np.tanh,
    exact_gelu:
    lambda x: np.array([v / 2 * math.erfc(-v / math.sqrt(2)) for v in x])
}

every_function = pytest.mark.parametrize('function', KNOWN)


@every_function
def test_values_are_right_to_thirteen_digits(function):
    expected = KNOWN[function](X)
    error = np.abs(function(X) - expected)
    assert (error <= 1e-13 * np.maximum(1, np.abs(expected))).all()


def test_exponential_is_right_far_out():
    x = np.linspace(-700, 700, 1001)
    np.testing.assert_allclose(exact_exp(x), np.exp(x), rtol=1e-12)


@every_function
def test_bits_do_not_depend_on_how_many_are_computed_at_once(function):
    # A compiler that joined operations would do so for whole vectors only.
    alone = np.array([function(X[i:i + 1])[0] for i in range(0, 20001, 97)])
    assert (function(X)[::97] == alone).all()


@every_function
def test_table_holds_the_nearest_integers(function):
    table = exact_table(function, -600, 600, 7, 12, torch.device('cpu'))
    expected = KNOWN[function](np.arange(-600, 601) / 128) * 2**12
    assert table.dtype == torch.float64 and len(table) == 1201
    assert (table == table.round()).all()
    assert np.abs(table.numpy() - expected).max() <= 0.5 + 1e-6


def test_geometric_mean_is_that_of_powers():
    a, b = torch.rand(2, 6, dtype=torch.float64)
    a[0] = b[1] = 0
    for share in range(257):
        expected = a**(1 - share / 256) * b**(share / 256)
        torch.testing.assert_close(
            exact_geometric_mean(a, b, share), expected, rtol=1e-13, atol=0)
