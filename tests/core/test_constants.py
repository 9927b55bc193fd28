"""The constants of the method: one set in the compiled core, one for the backends in
Python.
"""

import math
import re
from pathlib import Path

import numpy as np
import pytest

import secant
from random_networks import HIDDEN, OUTPUTS
from secant.backends import bound

ROOT = Path(__file__).parents[2]


def constants_of_the_core():
    """The constants that stand before `struct Limits<float>` and after it, by name."""
    source = (ROOT / "cpp/include/secant/interface/constants.hpp").read_text(
        encoding="utf-8"
    )
    for part in re.sub("//.*", "", source).split("struct Limits<float>"):
        yield {
            name: math.prod(
                float.fromhex(factor) if "0x" in factor else float(factor)
                for factor in value.split("*")
            )
            for name, value in re.findall(r"(\w+) = ([^,;]+)[,;]", part)
        }


def test_the_core_has_the_constants_of_the_other_backends():
    double, single = constants_of_the_core()
    for own, orders, limit in (
        (double, bound.ORDERS, bound.TRUNCATION_LIMIT),
        (single, bound.SINGLE_ORDERS, bound.SINGLE_TRUNCATION_LIMIT),
    ):
        assert (own["lowest_order"], own["highest_order"], own["truncation"]) == (
            orders[0],
            orders[-1],
            limit,
        )
    shared = double | {
        name: single[name]
        for name in ("discs", "largest_radius", "radius_ratio", "log_bound_limit")
    }
    for name in shared.keys() - {
        "lowest_order",
        "highest_order",
        "truncation",
        "linear",
    }:
        assert shared[name] == getattr(
            bound, "EXPONENT_LIMIT" if name == "exponent" else name.upper()
        ), name


@pytest.mark.parametrize(
    ("terms", "limit"),
    [("FEW_TERMS", "FEW_TERMS_LIMIT"), ("MOST_TERMS", "MOST_TERMS_LIMIT")],
)
def test_so_many_terms_err_by_1e_15_up_to_their_limit(terms, limit):
    terms, limit = getattr(bound, terms), getattr(bound, limit)
    assert (2 * limit) ** terms / (terms + 1) <= 1e-15
    # and it is no smaller than it has to be
    assert (2 * 1.03 * limit) ** terms / (terms + 1) > 1e-15


@pytest.mark.parametrize(
    "dtype", [np.float64, np.float32], ids=lambda dtype: dtype.__name__
)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_backend_has_the_same_bound_and_it_grows_with_the_targets(
    backend, hidden, output, dtype
):
    net = secant.TwoLayerNet(
        5, 4, 3, hidden_activation=hidden, output_activation=output, rng=0, dtype=dtype
    )
    net.params["W2"] *= 30
    rng = np.random.RandomState(1)
    x, t = rng.uniform(0, 2, (6, 5)).astype(dtype), rng.uniform(0, 1, (6, 3))
    found = []
    for mass in (1.0, 7.0):
        weights = mass * t / t.sum(axis=1, keepdims=True)
        _, info = net.numerical_gradient(x, weights, h=1e-5, return_info=True)
        radii = bound.analyticity_radii(
            hidden, output, float(np.abs(net.params["W2"]).max())
        )
        # |z1| is below 1
        order, expected = bound.proven_order(
            radii, 1e-5, float(x.max()), 1.0, mass, dtype == np.float32
        )
        assert info.samples == {order: 6}
        assert info.truncation_bound == pytest.approx(expected, rel=1e-9)
        found.append(info.truncation_bound)
    assert found[1] == pytest.approx(7 * found[0], rel=1e-9)


def test_the_bound_follows_the_weights_from_call_to_call(backend):
    net = secant.TwoLayerNet(5, 4, 3, rng=0)
    w2 = net.params["W2"].copy()
    x, t = np.random.RandomState(1).uniform(0, 2, (6, 5)), np.arange(6) % 3
    for scale in (30, 1, 30, 0.1, 1):
        net.params["W2"][...] = scale * w2
        _, info = net.numerical_gradient(x, t, h=1e-5, return_info=True)
        radii = bound.analyticity_radii(
            "sigmoid", "sigmoid", float(np.abs(net.params["W2"]).max())
        )
        order, expected = bound.proven_order(
            radii, 1e-5, float(x.max()), 1.0, 1.0, False
        )
        assert info.samples == {order: 6}
        assert info.truncation_bound == pytest.approx(expected, rel=1e-9)
