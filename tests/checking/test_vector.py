"""Checks of functions with many values, and of networks."""

import collections
import itertools

import numpy as np
import pytest

import secant
from secant.errors import (
    DTypeError,
    ParamsError,
    ShapeError,
    UnsupportedError,
    ValueRangeError,
)

A = np.random.default_rng(0).standard_normal((4, 3))
X = np.linspace(0.5, 1.5, 3)
Pair = collections.namedtuple("Pair", "first second")


def test_a_right_vjp_and_jvp():
    left = np.zeros(4)  # by the last call of f, as by a layer

    def f(x):
        left[:] = np.tanh(A @ x)
        return left.copy()

    assert secant.check_vjp(
        f, X, lambda cotangent: A.T @ ((1 - left**2) * cotangent)
    ).passed
    assert secant.check_jvp(f, X, lambda tangent: (1 - left**2) * (A @ tangent)).passed


def test_the_array_that_is_not_linear_is_wrong_and_no_other():
    x = {"W": np.ones((3, 2)), "b": np.zeros(2)}
    # the second one is right without -2
    for b in (lambda c: np.full(2, 20.0), lambda c: np.minimum(c.sum(0), 1.5)):
        report = secant.check_vjp(
            lambda x: A[:, :3] @ x["W"] + x["b"],
            x,
            lambda c, b=b: {"W": A[:, :3].T @ c, "b": b(c)},
        )
        assert [array.passed for array in report.arrays] == [True, False]
        assert report.diagnosis.endswith("in b")


def test_a_vjp_may_use_up_what_f_left():
    left = {}
    report = secant.check_vjp(
        lambda x: left.update(cos=np.cos(x)) or np.sin(x), X, lambda _: left.pop("cos")
    )
    assert "not linear" in report.diagnosis


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
def test_complex_inputs_and_outputs(dtype):
    rng = np.random.default_rng(0)
    a = (rng.standard_normal((4, 3)) + 1j * rng.standard_normal((4, 3))).astype(dtype)
    z = (rng.standard_normal(3) + 1j * rng.standard_normal(3)).astype(dtype)
    slopes = np.exp(a @ z)[:, None] * a

    def f(z):
        return np.exp(a @ z)

    assert secant.check_vjp(f, z, lambda cotangent: slopes.conj().T @ cotangent).passed
    assert not secant.check_vjp(f, z, lambda cotangent: slopes.T @ cotangent).passed
    assert secant.check_jvp(f, z, lambda tangent: slopes @ tangent).passed
    assert not secant.check_jvp(f, z, lambda tangent: slopes.conj() @ tangent).passed
    assert secant.check_vjp(
        lambda z: np.abs(z) ** 2, z, lambda cotangent: 2 * cotangent * z
    ).passed
    assert secant.check_vjp(
        lambda x: a @ x, z.real, lambda cotangent: (a.conj().T @ cotangent).real
    ).passed


@pytest.mark.parametrize("x", [1e-2, 1e-3, 1e-5])
def test_outputs_of_different_size_in_float32(x):
    x = np.full(3, x, np.float32)
    for rng in range(8):
        report = secant.check_vjp(
            lambda x: (np.cosh(x), np.sinh(x)),
            x,
            lambda c: c[0] * np.sinh(x) + c[1] * np.cosh(x),
            rng=rng,
        )
        assert report.verdict != "wrong"
        assert (
            secant.check_vjp(
                lambda x: [1 + x, x], x, lambda c: c[0] + c[1], rng=rng
            ).verdict
            != "wrong"
        )


def test_a_wrong_vjp_and_jvp_name_the_entry():
    wrong = A.copy()
    wrong[2, 1] += 1e-6
    for report in (
        secant.check_vjp(lambda x: A @ x, X, lambda cotangent: wrong.T @ cotangent),
        secant.check_jvp(lambda x: A @ x, X, lambda tangent: wrong @ tangent),
    ):
        assert not report.passed
        assert [finding.name for finding in report.findings] == ["x[1]"]
        finding = report.findings[0]
        assert 0.4e-6 < abs(finding.gradient - finding.numerical) < 1.6e-6


def test_what_a_jvp_says_of_an_entry_of_the_second_array():
    x = {"a": np.linspace(0.5, 1.5, 4), "b": np.linspace(-1, 1, 5)}

    def jvp(tangent):
        wrong = np.exp(x["b"]) * [1, 1, 1, 1.5, 1]
        return 2 * x["a"] @ tangent["a"] + wrong @ tangent["b"]

    (finding,) = secant.check_jvp(
        lambda x: x["a"] @ x["a"] + np.exp(x["b"]).sum(), x, jvp
    ).findings
    assert finding.name == "b[3]"
    assert finding.gradient == pytest.approx(1.5 * finding.numerical, rel=1e-9)


def test_where_no_array_of_a_wrong_jvp_is_wrong_by_itself_none_is_said_to_be_right():
    x = [np.array([value]) for value in np.random.default_rng(0).uniform(1, 2, 40)]

    def f(x):
        return [np.float32([sum((array**2).sum() for array in x)])]

    def jvp(tangent):
        return [
            np.array(
                [
                    sum(
                        (2 * (1 + 4e-5) * a * b).sum()
                        for a, b in zip(x, tangent, strict=True)
                    )
                ]
            )
        ]

    report = secant.check_jvp(f, x, jvp)
    assert not report.passed
    assert not report.findings
    assert not any(array.passed for array in report.arrays)


def test_a_vjp_of_structures():
    x = {"a": X, "b": Pair(np.float32([1, 2]), np.array(0.5))}

    def f(x):
        return [
            x["a"] ** 2,
            Pair(np.float64(x["b"].first) * x["b"].second, np.array(x["a"].sum())),
        ]

    def vjp(cotangent):
        squares, (products, total) = cotangent
        first, second = np.float64(x["b"].first), x["b"].second
        return {
            "a": 2 * X * squares + total,
            "b": Pair(products * second, np.array(products @ first)),
        }

    assert secant.check_vjp(f, x, vjp).passed

    def jvp(tangent):
        a, (b, c) = tangent["a"], tangent["b"]
        return [
            2 * X * a,
            Pair(
                np.float64(b) * x["b"].second + np.float64(x["b"].first) * c,
                np.array(a.sum()),
            ),
        ]

    report = secant.check_jvp(f, x, jvp)
    assert report.passed
    assert [array.name for array in report.arrays] == ["a", "b.first", "b.second"]
    assert not secant.check_jvp(
        f, x, lambda tangent: jvp({**tangent, "a": 1.001 * tangent["a"]})
    ).passed


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_function_that_reads_x_itself_or_writes_to_it(dtype):
    x = X.astype(dtype)
    before = x.tobytes()

    def writes(given):
        x[...] = given
        return np.sin(x)

    for f in (lambda _: np.sin(x), writes):
        for factor, verdict in ((1, "right"), (2, "wrong")):
            assert (
                secant.check_vjp(
                    f, x, lambda c, factor=factor: factor * c * np.cos(x)
                ).verdict
                == verdict
            )
            assert (
                secant.check_jvp(
                    f, x, lambda t, factor=factor: factor * t * np.cos(x)
                ).verdict
                == verdict
            )
    assert x.tobytes() == before


def test_a_buffer_that_f_and_its_vjp_share():
    buffer = np.empty_like(X)
    report = secant.check_vjp(
        lambda x: np.sin(x, out=buffer),
        X,
        lambda c: np.multiply(c, np.cos(X), out=buffer),
    )
    assert report.verdict == "right"


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_x_of_low_precision_is_checked_in_float64(dtype):
    x = X.astype(dtype)
    for factor in (1, 2):
        back = secant.check_vjp(
            np.sin, x, lambda cotangent, factor=factor: factor * cotangent * np.cos(x)
        )
        ahead = secant.check_jvp(
            np.sin, x, lambda tangent, factor=factor: factor * tangent * np.cos(x)
        )
        own = secant.check_derivative(
            np.sin, x, lambda x, factor=factor: factor * np.cos(x)
        )
        assert {back.verdict, ahead.verdict, own.verdict} == {
            "right" if factor == 1 else "wrong"
        }


def test_what_vector_functions_may_not_return():
    with pytest.raises(
        DTypeError, match=r"f\(x\) must be an array of float64, .* got str"
    ):
        secant.check_vjp(lambda x: "3", X, lambda cotangent: cotangent)
    with pytest.raises(
        ShapeError, match=r"gradient must have the shape of x, \(3,\), got \(4,\)"
    ):
        secant.check_vjp(lambda x: A @ x, X, lambda cotangent: cotangent)
    with pytest.raises(
        ShapeError,
        match=r"^jvp\(tangent\) must have the shape of f\(x\), \(4,\), got \(3,\)",
    ):
        secant.check_jvp(lambda x: A @ x, X, lambda tangent: tangent)
    with pytest.raises(
        ShapeError, match=r"^jvp\(tangent\) must have the keys of f\(x\), 0, 1, got 0"
    ):
        secant.check_jvp(lambda x: [A @ x, x], X, lambda tangent: [A @ tangent])
    sizes = iter([3, 4, 4, 4])
    for check, name in ((secant.check_vjp, "vjp"), (secant.check_jvp, "jvp")):
        with pytest.raises(DTypeError, match=f"{name} must be callable, got NoneType"):
            check(np.square, np.ones(2), None)
    with pytest.raises(
        ShapeError, match=r"^f near x must have the shape of f\(x\), \(3,\), got \(4,\)"
    ):
        secant.check_vjp(lambda x: np.ones(next(sizes)), X, lambda cotangent: cotangent)


def test_what_is_no_network():
    with pytest.raises(UnsupportedError, match=r"object has no method loss\(x, t\)"):
        secant.check_network(object(), None, None)
    net = secant.TwoLayerNet(2, 2, 2, rng=0)
    with pytest.raises(
        ParamsError,
        match="gradients must be a dict with the keys of params, W1, b1, W2, b2, got list",
    ):
        secant.check_network(net, np.ones((1, 2)), np.array([1]), [])
    wrong = net.params | {"W2": np.ones((2, 3))}
    with pytest.raises(
        ShapeError,
        match=r"gradients\['W2'\] must have shape \(2, 2\) like .*, got \(2, 3\)",
    ):
        secant.check_network(net, np.ones((1, 2)), np.array([1]), wrong)


def test_a_function_with_a_single_value():
    x = np.array([1.0, 2.0])
    report = secant.check_vjp(
        lambda x: np.sum(x**2), x, lambda cotangent: 2 * x * cotangent
    )
    assert report.passed
    assert report.cotangent is None  # it is 1, as in PyTorch and JAX
    assert secant.check_jvp(
        lambda x: np.sum(x**2), x, lambda tangent: np.sum(2 * x * tangent)
    ).passed


def test_outputs_are_paired_by_their_keys():
    def f(x):
        return {"a": A @ x, "b": {"c": np.sin(A @ x), "d": x}}

    def jvp(t, factor=1.0):
        return {"b": {"d": t, "c": factor * np.cos(A @ X) * (A @ t)}, "a": A @ t}

    assert secant.check_jvp(f, X, jvp).passed
    assert not secant.check_jvp(f, X, lambda t: jvp(t, 1.001)).passed
    with pytest.raises(
        ShapeError, match=r"jvp\(tangent\) must have the keys of f\(x\), a, b, got b"
    ):
        secant.check_jvp(f, X, lambda t: {"b": jvp(t)["b"]})
    order = itertools.cycle([1, -1])
    vjp = lambda c: A.T @ (c["a"] + np.cos(A @ X) * c["b"]["c"]) + c["b"]["d"]  # noqa: E731
    assert secant.check_vjp(
        lambda x: dict(list(f(x).items())[:: next(order)]), X, vjp
    ).passed


def test_numbers_in_a_list_stand_for_arrays_of_one():
    x = [np.array(2.0), np.array(3.0)]
    assert secant.check_gradient(
        lambda x: x[0] ** 2 * x[1], x, lambda x: [2 * x[0] * x[1], x[0] ** 2]
    ).passed
    assert not secant.check_gradient(lambda x: x[0] ** 2 * x[1], x, [12.1, 4.0]).passed


def test_a_vector_function_may_write_to_its_argument_and_x_is_left_alone():
    def f(x):
        x["w"] *= 2
        return x["w"]

    x = {"w": X.copy(), "b": np.ones(2)}
    assert secant.check_vjp(f, x, lambda c: {"w": 2 * c, "b": np.zeros(2)}).passed
    assert secant.check_jvp(f, x, lambda tangent: 2 * tangent["w"]).passed
    assert not secant.check_vjp(f, x, lambda c: {"w": c, "b": np.zeros(2)}).passed
    assert x["w"].tolist() == X.tolist()


def test_a_cotangent_and_a_tangent_may_be_written_to():
    def vjp(cotangent):
        cotangent *= np.cos(A @ X)
        return A.T @ cotangent

    def jvp(tangent):
        product = np.cos(A @ X) * (A @ tangent)
        tangent[:] = 0
        return product

    assert secant.check_vjp(lambda x: np.sin(A @ x), X, vjp).passed
    assert secant.check_jvp(lambda x: np.sin(A @ x), X, jvp).passed


def test_a_gradient_in_a_buffer_that_f_fills_too():
    buffer = np.zeros(3)

    def f(x):
        return float(np.square(x, out=buffer).sum())

    assert secant.check_gradient(f, X, lambda x: np.multiply(2, x, out=buffer)).passed
    assert secant.check_vjp(
        f, X, lambda cotangent: np.multiply(2 * cotangent, X, out=buffer)
    ).passed


def test_arrays_that_share_memory_are_not_shifted_in_place():
    x = np.ones(6)
    assert secant.check_gradient(
        lambda p: float(p["a"].sum() + p["b"].sum()), {"a": x, "b": x}, {"a": x, "b": x}
    ).passed
    with pytest.raises(
        ValueRangeError,
        match="b must have elements that share no memory to be shifted in place",
    ):
        secant.check_gradient(
            lambda _: float(x.sum()),
            {"a": x[:4], "b": x[2:]},
            {"a": x[:4], "b": x[2:]},
            inplace=True,
        )
    parts = {"a": x[::2], "b": x[1::2]}
    assert secant.check_gradient(
        lambda _: float(x.sum()), parts, parts, inplace=True
    ).passed


def test_a_backward_function_that_is_not_linear_is_wrong_also_where_f_rises_in_steps():
    report = secant.check_vjp(
        lambda x: np.round(x, 3),
        np.array([0.31, 0.74, -1.21]),
        lambda c: 0 * c + 5 * (c[0] < 0),
    )
    linear = secant.check_vjp(
        lambda x: np.round(x, 3), np.array([0.31, 0.74, -1.21]), lambda c: 0 * c
    )
    assert report.verdict == "wrong"
    assert "not linear" in report.diagnosis
    assert linear.passed


def test_a_solver_whose_steps_depend_on_the_cotangent_is_as_exact_as_its_tolerance():
    report = secant.check_vjp(
        np.sin, X, lambda c: c * np.cos(X) * (1 + 1e-7 * np.sin(c))
    )
    assert report.verdict == "wrong"
    assert "a solver's tolerance?" in str(report)
    assert "not linear" not in str(report)


def test_a_derivative_of_an_elementwise_function():
    x = np.linspace(-2, 2, 12).reshape(3, 4)
    assert secant.check_derivative(np.tanh, x, lambda x: 1 - np.tanh(x) ** 2).passed
    report = secant.check_derivative(np.tanh, x, lambda x: 1 - np.tanh(x))
    assert report.verdict == "wrong"
    wrong = secant.check_derivative(
        np.sin, x, lambda x: np.where(x > 1.9, 0, np.cos(x))
    )
    assert [finding.name for finding in wrong.findings] == ["x[2, 3]"]
    assert secant.check_derivative(np.exp, 0.5, np.exp).passed
    z = np.array([0.3 + 0.5j, 1 - 0.2j])
    assert secant.check_derivative(np.exp, z, np.exp).passed
    assert not secant.check_derivative(np.exp, z, lambda z: np.exp(z).conj()).passed
    assert secant.check_derivative(
        lambda x: np.exp(1j * x), x, lambda x: 1j * np.exp(1j * x)
    ).passed
    assert secant.check_derivative(lambda z: np.abs(z) ** 2, z, lambda z: 2 * z).passed
    with pytest.raises(
        ShapeError,
        match=r"^df must return an array of the shape of x, \(3, 4\), got \(\)$",
    ):
        secant.check_derivative(np.sin, x, lambda x: 1.0)
    with pytest.raises(
        ShapeError,
        match=r"^f must return an array of the shape of x, \(3, 4\), got \(3,\)$",
    ):
        secant.check_derivative(lambda x: x.sum(axis=1), x, lambda x: 1 + 0 * x)


def softmax(x):
    y = np.exp(x - x.max())
    return y / y.sum()


def test_the_derivative_of_a_function_that_is_not_elementwise():
    x = np.linspace(-1, 1.5, 6)
    wrong = secant.check_derivative(softmax, x, lambda x: softmax(x) * (1 - softmax(x)))
    assert wrong.verdict == "wrong"
    assert wrong.diagnosis.startswith(
        "f is not elementwise: an element of f(x) depends on other elements of x"
    )
    z = x + 1j * x[::-1]
    wrong = secant.check_derivative(lambda z: z / np.abs(z).sum(), z, np.ones_like)
    assert "not elementwise" in wrong.diagnosis


@pytest.mark.parametrize(
    "x",
    [
        np.linspace(-1, 1.5, 6),
        np.linspace(1, 2, 6).reshape(2, 3) * (1 + 1j),
        np.array([0.5]),
    ],
)
def test_an_elementwise_derivative_is_not_called_reverse_mode(x):
    report = secant.check_derivative(np.sin, x, lambda x: np.cos(x) ** 2)
    assert str(report).startswith("gradient (elementwise) in ")
    assert report.verdict == "wrong"
    assert "not elementwise" not in str(report)
