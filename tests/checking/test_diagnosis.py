"""What a wrong gradient looks like: each sentence that a report may say, and that none
is said which does not hold.
"""

import math

import numpy as np
import pytest

import secant

X = {
    "W": np.linspace(0.5, 2.5, 12).reshape(3, 4),
    "V": np.linspace(1, 2, 6),
    "b": np.linspace(-3, -1, 5),
}


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
    "the gradient is 2.5 times too small at this x": every(0.4),
    "the gradient is of the wrong sign": every(-1.0),
    "the gradient is of the wrong sign and 3 times too large": every(-3.0),
    "V is 2 times too small": every(0.5, "V"),
    "W and b are of the wrong sign": every(-1.0, "W", "b"),
    "one entry, W[1, 2], is 2 times too large": changed(
        "W", lambda grad: set_to((1, 2), 2 * grad[1, 2])(grad)
    ),
    "one entry, W[2, 1], is wrong": changed(
        "W", lambda grad: set_to((2, 1), 1.746 * grad[2, 1])(grad)
    ),
    "the gradient is pi times too large": every(math.pi),
    "W is of the wrong sign and 2 pi times too small": every(-0.5 / math.pi, "W"),
    "one entry, V[2], is 7 times too small": changed(
        "V", lambda grad: set_to(2, grad[2] / 7)(grad)
    ),
    "one entry, b[0], is of the wrong sign": changed(
        "b", lambda grad: set_to(0, -grad[0])(grad)
    ),
    "W is off by 0.01 times the parameters: a missing weight decay?": decayed(
        -0.01, "W"
    ),
    "the gradient is off by 0.001 times the parameters: a missing weight decay?": decayed(
        -0.001
    ),
    "W and V are off by 0.0001 times the parameters: a weight decay that f does not have?": decayed(
        1e-4, "W", "V"
    ),
    "W is transposed": changed(
        "W", lambda grad: set_to(..., grad.T.reshape(3, 4).copy())(grad)
    ),
    "V is 0 everywhere": changed("V", set_to(..., 0)),
    "V and b are 0 everywhere": every(0.0, "V", "b"),
    "some entries of W are 0 that should not be": changed("W", set_to(1, 0)),
    "1 of 5 entries of the gradient in b are NaN": changed("b", set_to(3, np.nan)),
    "2 of 12 entries of the gradient in W are infinite": changed(
        "W", set_to((0, [1, 3]), np.inf)
    ),
    "V is in reverse order": changed(
        "V", lambda grad: set_to(..., grad[::-1].copy())(grad)
    ),
    "b is shifted by one": changed(
        "b", lambda grad: set_to(..., np.roll(grad, 1))(grad)
    ),
    "W is shifted by one along axis 1": changed(
        "W", lambda grad: set_to(..., np.roll(grad, -1, axis=1))(grad)
    ),
    "two entries are exchanged: W[0, 1] and W[2, 3]": changed(
        "W", lambda grad: set_to(([0, 2], [1, 3]), grad[[2, 0], [3, 1]])(grad)
    ),
    "W is clipped at 9": changed(
        "W", lambda grad: set_to(..., np.clip(grad, -9, 9))(grad)
    ),
    None: changed(
        "V",
        lambda grad: set_to(..., np.add(grad, [0.1, -0.2, 0.3, -0.1, 0.2, 0.1]))(grad),
    ),
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
    report = secant.check_gradient(
        lambda x: np.sum(x**3), x, (3 * x**2).T.reshape(2, 3)
    )
    assert report.diagnosis == "x is transposed"


@pytest.mark.parametrize("tiny", [1e-309, -1e-309, 5e-324])
def test_an_entry_of_which_no_float_is_the_inverse_is_wrong_without_a_factor(tiny):
    for x in (1.0, 1e-309, 0.0):
        report = secant.check_gradient(
            lambda x: float(x[0] + x[1] ** 2), np.array([x, 1.0]), np.array([tiny, 2.0])
        )
        assert report.diagnosis == "one entry, x[0], is wrong"
    report = secant.check_gradient(
        lambda x: float(x @ x), np.array([1.0, 2.0]), np.array([tiny, 2 * tiny])
    )
    assert report.verdict == "wrong"


def f_of_scale(x):
    return float(np.sum(np.exp(x[:3] * x[3])))


def right_of_scale(x):
    return np.append(x[3] * np.exp(x[:3] * x[3]), np.sum(x[:3] * np.exp(x[:3] * x[3])))


X_OF_SCALE = np.array([0.2, 0.5, 0.7, 1.3])


def test_a_factor_that_is_the_same_at_other_x():
    """A constant factor, and one that depends on x, such as a scale that is missing."""
    report = secant.check_gradient(
        f_of_scale, X_OF_SCALE, lambda x: 1.746 * right_of_scale(x)
    )
    assert report.diagnosis == "the gradient is 1.746 times too large, also at other x"
    report = secant.check_gradient(
        f_of_scale, X_OF_SCALE, lambda x: (1.746 + x[0] - 0.2) * right_of_scale(x)
    )
    assert report.diagnosis == "the gradient is 1.746 times too large at this x"
    report = secant.check_gradient(
        f_of_scale, X_OF_SCALE, lambda x: right_of_scale(x) / x[3]
    )
    assert report.diagnosis == "the gradient is 1.3 times too small at this x"
    report = secant.check_gradient(
        f_of_scale, X_OF_SCALE, 1.746 * right_of_scale(X_OF_SCALE)
    )
    assert report.diagnosis == "the gradient is 1.746 times too large at this x"


def test_a_wrong_gradient_that_is_a_function_is_checked_at_other_x():
    wrong = secant.check_gradient(
        f_of_scale, X_OF_SCALE, lambda x: right_of_scale(x) + np.eye(4)[1]
    )
    assert wrong.elsewhere == (2, 2)
    given = secant.check_gradient(
        f_of_scale, X_OF_SCALE, right_of_scale(X_OF_SCALE) + np.eye(4)[1]
    )
    assert wrong.evaluations > given.evaluations + 50
    assert "\n  also wrong at 2 of 2 other x\n" in str(wrong)

    def branch(x):
        return right_of_scale(x) + (x[0] == 0.2) * np.eye(4)[1]

    here = secant.check_gradient(f_of_scale, X_OF_SCALE, branch)
    assert here.elsewhere == (0, 2)
    assert (
        "\n  right at 2 other x near this one: is a branch wrong, or a special case?\n"
        in str(here)
    )
    for other in (right_of_scale, right_of_scale(X_OF_SCALE) + 1.0):
        report = secant.check_gradient(f_of_scale, X_OF_SCALE, other)
        assert report.elsewhere is None
        assert "other x" not in str(report).replace("check at other x", "")


def test_other_x_keep_within_bounds_and_where_the_functions_are_defined():
    seen = []

    def f(x):
        seen.append(x.copy())
        return float(np.sum(np.sqrt(x)))

    def only_here(x):
        if x[1] != 4.0:
            raise ValueError("only here")
        return 1.0 / np.sqrt(x)

    x = np.array([1.0, 4.0, 0.0])[:2]
    report = secant.check_gradient(
        f, x, lambda x: 1.0 / np.sqrt(x), bounds=([0.9, 3.9], [1.1, 4.1])
    )
    assert report.elsewhere == (2, 2)
    assert all(
        (each >= [0.9, 3.9]).all() and (each <= [1.1, 4.1]).all() for each in seen
    )
    assert secant.check_gradient(f, x, only_here).elsewhere is None
    assert (x == [1.0, 4.0]).all()


def test_other_x_of_torch(torch):
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * torch.where(x == 0.5, 2 * x**2, 3 * x**2)

    for dtype in (torch.float64, torch.float32):
        x = torch.tensor([0.5, 1.5], dtype=dtype, requires_grad=True)
        assert secant.torch.check(Wrong.apply, x).elsewhere == (0, 2)


def test_two_arrays_that_are_exchanged():
    x = {
        "a": np.linspace(1, 2, 6),
        "b": np.linspace(-3, -1, 6).reshape(2, 3),
        "c": np.ones(2),
    }

    def f(p):
        return np.sum(p["a"] ** 3) + np.sum(p["b"] ** 2) + np.sum(p["c"])

    gradient = {
        "a": 2 * x["b"].ravel(),
        "b": 3 * x["a"].reshape(2, 3) ** 2,
        "c": np.ones(2),
    }
    assert secant.check_gradient(f, x, gradient).diagnosis == "a and b are exchanged"


@pytest.mark.parametrize(
    ("said", "up", "down"),
    [
        ("one-sided", 1e-4, 0),
        ("one-sided", 0, 1e-2),
        ("central", 1e-2, 1e-2),
        ("central", 0.1, 0.1),
    ],
)
def test_a_gradient_that_is_a_difference(said, up, down):
    x = np.linspace(0.5, 2.5, 6)

    def f(x):
        return float(np.sum(np.exp(x)) + np.prod(x))

    steps = np.eye(6)
    differences = np.array(
        [(f(x + up * step) - f(x - down * step)) / (up + down) for step in steps]
    )
    report = secant.check_gradient(f, x, differences)
    assert (
        report.diagnosis
        == f"the gradient is computed by {said} differences with the step {max(up, down):g}"
    )


def test_forward_mode_has_diagnoses():
    a, x = np.random.default_rng(0).normal(size=(3, 4)), np.linspace(0.1, 1, 4)

    def f(x):
        return np.tanh(a @ x)

    def jvp(tangent, of=None):
        return (a if of is None else of) @ tangent * (1 - f(x) ** 2)

    assert (
        secant.check_jvp(f, x, lambda t: 2 * jvp(t)).diagnosis
        == "the gradient is 2 times too large"
    )
    assert (
        secant.check_jvp(f, x, lambda t: -jvp(t)).diagnosis
        == "the gradient is of the wrong sign"
    )
    halved = secant.check_jvp(f, x, lambda t: jvp(t, a * [1, 1, 0.5, 1]))
    assert halved.diagnosis == "one entry, x[2], is 2 times too small"
    left_out = secant.check_jvp(f, x, lambda t: jvp(np.ones(4)))
    assert (
        left_out.diagnosis
        == "the derivative is not linear in the tangent, which it leaves out or clips"
    )
    clipped = secant.check_jvp(f, x, lambda t: np.clip(jvp(t), -0.01, 0.01))
    assert (
        clipped.diagnosis
        == "the derivative is not linear in the tangent, which it leaves out or clips"
    )


def test_forward_mode_of_torch_has_diagnoses(torch):
    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x.exp()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_forward(output)

        @staticmethod
        def jvp(ctx, tangent):
            return 3 * tangent * ctx.saved_tensors[0]

    x = torch.linspace(0, 1, 4, dtype=torch.float64, requires_grad=True)
    report = secant.torch.check(Exp.apply, x, mode="fwd")
    assert report.diagnosis == "the gradient is 3 times too large"
