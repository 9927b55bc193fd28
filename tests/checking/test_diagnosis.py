"""What a wrong gradient looks like: each sentence that a report may say, and that none is said which does not hold."""

import numpy as np
import pytest

import secant

X = {"W": np.linspace(0.5, 2.5, 12).reshape(3, 4), "V": np.linspace(1, 2, 6), "b": np.linspace(-3, -1, 5)}


def f(x):
    return np.sum(x["W"] ** 3) + np.sum(x["V"] ** 2) + np.sum(np.exp(x["b"]))


def changed(name, change):
    """A gradient of which one array is changed in place."""

    def gradient(right):
        change(right[name])

    return gradient


def every(factor, *names):
    def gradient(right):
        for name in names or right:
            right[name] *= factor

    return gradient


def decayed(share, *names):
    def gradient(right):
        for name in names or right:
            right[name] += share * X[name]

    return gradient


def set_to(place, value):
    return lambda grad: grad.__setitem__(place, value)


DIAGNOSES = {
    "the gradient is 32 times too large": every(32.0),
    "the gradient is 2.5 times too small": every(0.4),
    "the gradient is of the wrong sign": every(-1.0),
    "the gradient is of the wrong sign and 3 times too large": every(-3.0),
    "V is 2 times too small": every(0.5, "V"),
    "W and b are of the wrong sign": every(-1.0, "W", "b"),
    "one entry, W[1, 2], is 1.5 times too large": changed("W", lambda grad: set_to((1, 2), 1.5 * grad[1, 2])(grad)),
    "one entry, V[2], is 7 times too small": changed("V", lambda grad: set_to(2, grad[2] / 7)(grad)),
    "one entry, b[0], is of the wrong sign": changed("b", lambda grad: set_to(0, -grad[0])(grad)),
    "W is off by 0.01 times the parameters: a missing weight decay?": decayed(-0.01, "W"),
    "the gradient is off by 0.001 times the parameters: a missing weight decay?": decayed(-0.001),
    "W and V are off by 0.0001 times the parameters: a weight decay that f does not have?": decayed(1e-4, "W", "V"),
    "W is transposed": changed("W", lambda grad: set_to(..., grad.T.reshape(3, 4).copy())(grad)),
    "V is 0 everywhere": changed("V", set_to(..., 0)),
    "V and b are 0 everywhere": every(0.0, "V", "b"),
    "some entries of W are 0 that should not be": changed("W", set_to(1, 0)),
    "1 of 5 entries of the gradient in b are NaN": changed("b", set_to(3, np.nan)),
    "2 of 12 entries of the gradient in W are infinite": changed("W", set_to((0, [1, 3]), np.inf)),
    None: changed("V", lambda grad: set_to(..., np.add(grad, [0.1, -0.2, 0.3, -0.1, 0.2, 0.1]))(grad)),
}


@pytest.mark.parametrize("said", DIAGNOSES)
def test_what_a_wrong_gradient_looks_like(said):
    gradient = {"W": 3 * X["W"] ** 2, "V": 2 * X["V"], "b": np.exp(X["b"])}
    DIAGNOSES[said](gradient)
    report = secant.check_gradient(f, X, gradient)
    assert report.verdict == "wrong"
    assert report.diagnosis == said


def test_a_factor_that_fits_what_was_measured_and_not_the_rest_is_not_said():
    """Half of the entries are twice too large, the others three times."""
    gradient = {"W": 3 * X["W"] ** 2, "V": 2 * X["V"], "b": np.exp(X["b"])}
    gradient["V"] *= [2, 2, 2, 3, 3, 3]
    assert secant.check_gradient(f, X, gradient).diagnosis is None


def test_two_rows_are_enough_to_be_transposed():
    x = np.array([[1.0, 2, 3], [0.5, 1.5, 2.5]])
    report = secant.check_gradient(lambda x: np.sum(x**3), x, (3 * x**2).T.reshape(2, 3))
    assert report.diagnosis == "x is transposed"


@pytest.mark.parametrize("tiny", [1e-309, -1e-309, 5e-324])
def test_an_entry_of_which_no_float_is_the_inverse_is_wrong_without_a_factor(tiny):
    for x in (1.0, 1e-309, 0.0):
        report = secant.check_gradient(lambda x: float(x[0] + x[1] ** 2), np.array([x, 1.0]), np.array([tiny, 2.0]))
        assert report.diagnosis == "one entry, x[0], is wrong"
    report = secant.check_gradient(lambda x: float(x @ x), np.array([1.0, 2.0]), np.array([tiny, 2 * tiny]))
    assert report.verdict == "wrong"
