"""Each activation that is registered: what is said of it is true, and the core has the
same.
"""

import re
from fractions import Fraction
from typing import get_args

import numpy as np
import pytest

import oracles
from secant.backends.activations import (
    ACTIVATIONS,
    HiddenActivation,
    OutputActivation,
    rounded_once,
)
from secant.backends.numpy.forward import activated

A = np.concatenate(
    [np.linspace(-40, 40, 2001), np.random.RandomState(0).normal(0, 2, 500)]
)

each = pytest.mark.parametrize("name", ACTIVATIONS)


def test_each_has_its_name_in_the_types():
    assert tuple(ACTIVATIONS) == get_args(HiddenActivation)
    assert set(get_args(OutputActivation)) <= ACTIVATIONS.keys()


@pytest.mark.usefixtures("compiled")
def test_the_core_knows_the_same():
    from secant import _core

    params = np.ones((2, 2)), np.zeros(2), np.ones((2, 2)), np.zeros(2)
    with pytest.raises(ValueError, match="hidden_activation must be one of") as error:
        _core.predict((*params, "none", "identity", 1e-7), np.ones((1, 2)), 1)
    assert (
        set(re.findall(r"\w+", str(error.value).split("one of")[1].split(", got")[0]))
        == ACTIVATIONS.keys()
    )


@each
def test_the_function_and_its_state_are_the_formula(name):
    activation = ACTIVATIONS[name]
    truth = np.array(
        [float(oracles.ACTIVATIONS[name](oracles.mpfr(a))) for a in A.tolist()]
    )
    for z in (activation.function(A), activated(activation, A).z):
        np.testing.assert_allclose(z, truth, rtol=1e-15, atol=0)
    if activation.bounded:
        assert np.abs(truth).max() <= 1


@each
def test_the_series_is_that_of_the_formula_and_no_slope_is_steeper(name):
    """Against differences in 50 digits: a term that is left out, or wrong, is 1e-3 or
    more of the sum.
    """
    activation, f, u = ACTIVATIONS[name], oracles.ACTIVATIONS[name], 2.0**-6
    a = A[np.abs(A) > u] if activation.kinked else A
    series = activated(activation, a).series(9)
    for shift in (u, -u):
        truth = np.array(
            [float(f(oracles.mpfr(v) + shift) - f(oracles.mpfr(v))) for v in a.tolist()]
        )
        got = (series * shift ** np.arange(10.0)[:, np.newaxis]).sum(axis=0)
        np.testing.assert_allclose(got, truth, rtol=2e-13, atol=0)
    assert series[1].max() <= activation.steepest * (1 + 1e-15)
    # and it is no larger than it has to be
    assert series[1].max() >= 0.99 * activation.steepest


@each
@pytest.mark.parametrize("rho", [1e-3, 0.3, 1.0, 1.5, 2.0, 2.9])
def test_no_change_on_a_disc_is_larger_than_the_bound(name, rho):
    """From each a, along the edge of the disc: there an analytic function is
    largest.
    """
    activation = ACTIVATIONS[name]
    bound = activation.largest_change(rho)
    assert rho * activation.steepest * (1 - 1e-12) <= bound
    # where it is analytic, around each a
    assert np.isfinite(bound) == (name != "tanh" or rho < np.pi / 2)
    if np.isfinite(bound) and not activation.kinked:
        f = eval(
            f"lambda a: {activation.formula}",
            {"exp": np.exp, "tanh": np.tanh, "log1p": np.log1p},
        )
        edge = rho * np.exp(1j * np.linspace(0, 2 * np.pi, 257))[:, np.newaxis]
        assert np.abs(f(A + edge) - f(A)).max() <= bound * (1 + 1e-9) + 1e-13


def test_a_sum_beside_a_kink_is_rounded_once():
    rng = np.random.default_rng(0)
    for _ in range(300):
        x, w = rng.random(50), rng.standard_normal(50)
        b = 1e-12 * rng.standard_normal() - float(x @ w)
        exact = sum(
            (Fraction(one) * Fraction(other) for one, other in zip(x, w, strict=True)),
            Fraction(b),
        )
        assert rounded_once(x, w, b) == float(exact)
