"""sigmoid, softmax and the logarithm of the cross entropy, against 50 digits."""

import gmpy2
import numpy as np
import pytest

import bounds
import oracles
import secant
from oracles import mpfr

pytestmark = pytest.mark.usefixtures("compiled")

SPREAD = np.concatenate(
    [
        np.linspace(-40, 40, 2001),
        np.random.RandomState(0).normal(0, 3, 2000),
        np.random.RandomState(1).uniform(-700, 700, 500),
        [s * 10.0**e for s in (-1, 1) for e in range(-300, 0, 20)],
        [0.0, -0.0, 0.5, -0.5],
    ]
)


def test_sigmoid():
    assert (
        oracles.ulps(secant.sigmoid(SPREAD), [oracles.sigmoid(mpfr(a)) for a in SPREAD])
        <= bounds.ELEMENTARY_ULP
    )


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
@pytest.mark.parametrize(
    "shape", [(1, 10), (1_000, 10), (5, 3), (3, 100), (9, 1)], ids=str
)
def test_softmax(shape, scale):
    x = np.random.RandomState(2).normal(0, scale, shape)
    expected = [v for row in oracles.exact(x) for v in oracles.softmax(row)]
    assert oracles.ulps(secant.softmax(x), expected) <= bounds.ELEMENTARY_ULP


@pytest.mark.parametrize("rows", [1, 9])
@pytest.mark.parametrize("scale", [1e17, 1e100, 1e307])
def test_softmax_of_inputs_whose_rounding_is_large(scale, rows):
    x = np.tile(np.random.RandomState(3).normal(0, scale, 10), (rows, 1))
    np.testing.assert_array_equal(secant.softmax(x), np.eye(10)[x.argmax(axis=1)])


def test_log_in_the_cross_entropy():
    y = np.concatenate(
        [
            np.random.RandomState(3).uniform(0, 1, 2000),
            10.0 ** np.arange(-20, 0),
            [0.0, 1.0],
        ]
    )
    got = [secant.cross_entropy_error(np.array([v]), np.array([1.0])) for v in y]
    # The 1e-7 is added in float64, as the chapter does; the logarithm of that sum is
    # what is measured.
    assert (
        oracles.ulps(np.array(got), [-gmpy2.log(mpfr(float(v + 1e-7))) for v in y])
        <= bounds.ELEMENTARY_ULP
    )
