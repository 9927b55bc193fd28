"""What the doors for PyTorch and JAX promise alike."""

import re

import numpy as np
import pytest

from secant.errors import GradientMismatchError, UnsupportedError, ValueRangeError
from sweeps import grid

TYPES = ["float64", "float32", "bfloat16", "float16"]
POINTS = np.linspace(0.1, 1, 7).tolist()
NOT_DETERMINISTIC = r"the gradient is not deterministic: two calls at the same x differ by up to \d\.\de[+-]\d\d in x"


def sine(door, factor, forward=False):
    """A sine, whose derivative is multiplied by ``factor``."""

    def product(x, along):
        return factor * door.np.cos(x) * along

    return door.function(door.np.sin, product, product if forward else None)


@pytest.mark.parametrize(
    ("dtype", "mode"),
    grid(
        lambda dtype, mode: mode == "rev" or dtype == "float64", TYPES, ["rev", "fwd"]
    ),
)
def test_a_derivative_of_ones_own(door, dtype, mode):
    x = door.array(POINTS, dtype)
    report = door.check(sine(door, 1.0, mode == "fwd"), x, mode=mode)
    assert report.verdict == "right"
    assert report.mode == {"rev": "reverse mode", "fwd": "forward mode"}[mode]
    door.require(sine(door, 1.0, mode == "fwd"), x, mode=mode)
    with pytest.raises(GradientMismatchError, match="WRONG by 50 %"):
        door.require(sine(door, 1.5, mode == "fwd"), x, mode=mode)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("forgets", [0.0, 0.1])
def test_a_penalty_of_gradients_that_jumps_near_x(door, dtype, forgets):
    rng = np.random.default_rng(0)
    x, w = (
        door.array(rng.standard_normal((count, 10)).tolist(), dtype)
        for count in (256, 32)
    )

    def penalty(w):
        # leaky ReLUs
        mask = door.np.where(door.constant(x) @ w.T > 0, 1.0, 0.2) + 0 * w[:, 0]
        gradients = mask @ ((1 - forgets) * w + forgets * door.constant(w))
        return (((gradients**2).sum(1) ** 0.5 - 1) ** 2).mean()

    assert {door.door.check(penalty, (w,), rng=seed).passed for seed in range(2)} == {
        not forgets
    }


@pytest.mark.parametrize("mode", ["rev", "fwd"])
def test_second_derivatives_of_ones_own(door, mode):
    x = door.array(POINTS)
    for factor in (1.0, 1.01):
        cosine = door.function(
            door.np.cos,
            lambda x, c, factor=factor: -factor * door.np.sin(x) * c,
            lambda x, t, factor=factor: -factor * door.np.sin(x) * t,
        )

        def product(x, along, cosine=cosine):
            return cosine(x) * along

        own = door.function(door.np.sin, product, product)
        door.require(own, x, mode=mode)  # its first derivative is right
        if factor == 1:
            door.require(own, x, order=2, mode=mode)
            continue
        over = (
            "reverse-over-reverse"
            if mode == "rev"
            else r"forward-over-(reverse|forward)"
        )
        with pytest.raises(
            GradientMismatchError,
            match=rf"^gradient \({over} mode\) in 14 entries: WRONG",
        ):
            door.require(own, x, order=2, mode=mode)


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize(
    "dtype", grid(lambda dtype: dtype == "complex128", ["complex128", "complex64"])
)
def test_complex_numbers_are_checked_as_real_and_imaginary_parts(door, dtype):
    z = door.array([1 + 2j, 0.5 - 1j, 3j], dtype)
    for f in (door.np.exp, door.np.abs, lambda z: z.conj() * z[0]):
        door.require(f, z, order=2)
        door.require(f, z, mode="fwd")
    door.require(lambda z: (z * z).sum(), z, order=2)
    door.require(lambda z: z * z, door.array(1 + 2j, dtype), order=2)
    # 1e-17 is rounding
    door.require(
        door.np.linalg.inv, door.array([[2, 1 + 1j], [1 - 1j, 3 + 1e-17j]], dtype)
    )
    # both parts are verified together
    door.require(door.np.abs, door.array([1 + 1e-12j, 2 - 1e-12j], dtype))
    door.require(lambda x: door.np.exp(1j * x), door.array([0.5, 1.0]))
    own = [
        door.function(lambda z: z * z, vjp)
        for vjp in (lambda z, c: 2 * z * c, lambda z, c: 2 * z.conj() * c)
    ]
    wrong, right = own if door.conjugates else own[::-1]
    door.require(right, z)
    with pytest.raises(GradientMismatchError, match=r"\.imag \(3,\) +wrong"):
        door.require(wrong, z)


def report_of(check, *args, **options):
    """The report of a check that raises an error: what it checks is wrong."""
    with pytest.raises(GradientMismatchError) as raised:
        check(*args, **options)
    return raised.value.report


@pytest.mark.parametrize(
    "raises", [False, True], ids=["check", "gradcheck or check_grads"]
)
def test_the_seed_chooses_the_numbers_that_outputs_are_multiplied_by(door, raises):
    x, wrong = door.array(POINTS), sine(door, 1.5)

    def numbers(**seed):
        if not raises:
            report = door.door.check(wrong, (x,), **seed)
        elif door.conjugates:
            report = report_of(door.door.gradcheck, wrong, (x,), **seed)
        else:
            report = report_of(door.door.check_grads, wrong, (x,), modes="rev", **seed)
        return np.concatenate(
            [np.ravel(np.asarray(part)) for part in report.cotangent]
        ).tolist()

    assert numbers() == numbers(rng=0)
    assert not set(numbers()) & set(numbers(rng=1))


def test_errors_that_cancel_in_the_sum_of_outputs(door):
    """The softmax of two numbers: second derivatives of both sum to 0."""
    doubled = door.function(lambda x: 1 * x, lambda x, c: 2 * c)

    def f(x):
        e = door.np.exp(doubled(x))
        return tuple(e / e.sum())

    with pytest.raises(GradientMismatchError, match="2 times too large"):
        door.require(f, door.array([0.5, -0.5]))


def test_what_is_refused(door):
    x, other, random = door.array(POINTS), door.array(POINTS), np.random.default_rng(0)
    with pytest.raises(UnsupportedError, match=r"mode must be .*, got 'back'"):
        door.check(door.np.sin, x, mode="back")
    with pytest.raises(
        ValueRangeError, match="and outputs must have elements to be checked, got none"
    ):
        door.check(door.np.sin, door.array([]))
    with pytest.raises(ValueRangeError, match="f must be deterministic"):
        door.require(lambda x: x * random.uniform(), x)
    with pytest.raises(ValueRangeError, match=r"must depend on .*: it has one value"):
        door.check(lambda _: door.np.sin(other), x)
    with pytest.warns(
        RuntimeWarning,
        match=r"nothing is checked: .* must depend on .*: it has one value",
    ):
        door.require(lambda _: door.np.sin(other), x)
    with pytest.warns(
        RuntimeWarning,
        match="nothing is checked: arguments and outputs must have elements",
    ):
        door.require(lambda x: x[:0], x)


def test_what_autograd_does_not_follow_is_wrong_and_the_cotangent_repeats_it(door):
    x = door.array(POINTS)
    report = door.check(lambda x: x * door.constant(x), x)
    assert report.verdict == "wrong"
    (cotangent,) = (
        report.cotangent
        if isinstance(report.cotangent, (list, tuple))
        else [report.cotangent]
    )
    gradient = np.array(POINTS) * np.asarray(cotangent)
    assert [found.gradient for found in report.findings] == [
        gradient[found.index] for found in report.findings
    ]
    # it is used, and its derivative is 0
    door.require(door.np.floor, door.array([0.5, 1.5]))


def test_a_backward_function_that_differs_from_call_to_call_is_wrong(door):
    random = np.random.default_rng(0)
    drops = door.function(lambda x: 2 * x, lambda x, c: c * random.uniform())
    with pytest.raises(GradientMismatchError, match=NOT_DETERMINISTIC):
        door.require(drops, door.array(POINTS))


@pytest.mark.parametrize("dtype", TYPES)
def test_a_backward_function_that_forgets_or_clips_what_comes_in_is_wrong(door, dtype):
    x = door.array(POINTS, dtype)
    for f in (
        door.function(lambda x: (x * x).sum(), lambda x, c: 2 * x),
        door.function(lambda x: x * x, lambda x, c: 2 * x * c.clip(-1.5, 1.5)),
    ):
        report = door.check(f, x)
        assert report.verdict == "wrong"
        assert report.diagnosis.startswith(
            "the backward function is not linear in the incoming gradient"
        )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_derivatives_that_are_nan_are_told_alike_in_both_modes(door, dtype):
    x = door.array([0.0, 0.5, 1.0], dtype)
    for mode, of in (
        ("rev", "gradient in x"),
        ("fwd", "derivative of output\\[0\\]|derivative of output"),
    ):
        report = door.check(lambda x: door.np.sqrt(x**4), x, mode=mode)
        assert report.verdict == "wrong"
        assert re.fullmatch(f"1 of 3 entries of the ({of}) are NaN", report.diagnosis)
        assert np.isnan(report.findings[0].gradient)
        assert report.findings[0].index == (0,)
        assert abs(report.findings[0].numerical) < 1e-6


# ---- float64 first -------------------------------------------------------------------


def scaled(door, factor, low):
    """The identity, whose backward function multiplies by a factor; in float32 by
    another one.
    """
    return door.function(
        lambda x: 1 * x,
        lambda x, c: c * (low if str(c.dtype).endswith("float32") else factor),
    )


@pytest.mark.parametrize("dtype", TYPES[1:])
def test_a_network_with_relu_is_right_in_any_precision_and_what_is_planted_is_not(
    door, dtype
):
    rng = np.random.default_rng(0)
    x = door.constant(door.array(rng.normal(size=(16, 8)).tolist(), dtype))
    w, b = (door.array(rng.normal(size=shape).tolist(), dtype) for shape in ((8, 4), 4))

    def f(w, b, factor=1.0):
        a = x @ w + scaled(door, factor, factor)(b)
        return (a * (a > 0)).mean()

    report = door.check(f, w, b)
    assert report.verdict == "right", report
    assert report.note.startswith(f"checked in float64; {dtype} agrees with that to ")
    report = door.check(lambda w, b: f(w, b, 1.3), w, b)
    assert [array.name for array in report.arrays if not array.passed] == ["b"]


def test_what_is_wrong_in_float32_alone_is_said_so(door):
    x = door.array(POINTS, "float32")
    report = door.check(lambda x: door.np.sin(scaled(door, 1.0, 1.01)(x)), x)
    assert (
        report.diagnosis
        == "in float64 the gradient is right: that of float32 alone is wrong"
    )
    assert len(report.findings) == len(POINTS)
    assert (
        door.check(lambda x: door.np.sin(scaled(door, 1.001, 1.0)(x)), x).verdict
        == "wrong"
    )
    steep = door.check(
        lambda x: (scaled(door, 1.0, -1.0)(x) ** -12).sum(),
        door.array([1.0, 1.5], "float32"),
    )
    # however large the gradient is next to 0
    assert steep.diagnosis == report.diagnosis


@pytest.mark.parametrize(
    ("logit", "dtype"),
    [*((z, "float32") for z in (5.0, 10.0, 18.0, 25.0)), (7.0, "float16")],
)
def test_a_cross_entropy_of_which_little_is_seen_in_low_precision_is_right(
    door, logit, dtype
):
    def f(z, factor=1.0):
        largest = door.constant(z.max())
        return (
            door.np.log(door.np.exp(scaled(door, factor, factor)(z) - largest).sum())
            + largest
            - z[0]
        )

    z = door.array([logit, 0.5, -0.3], dtype)
    assert door.check(f, z).verdict == "right"
    assert door.check(lambda z: f(z, 1.01), z).verdict == "wrong"


def test_what_is_wrong_in_float32_alone_shows_in_forward_mode_too(door):
    """The function has one output and one argument, whose shapes differ."""

    def push(x, tangent):
        return tangent * (1.01 if str(tangent.dtype).endswith("float32") else 1.0)

    own = door.function(lambda x: 1 * x, push, push)
    report = door.check(
        lambda x: door.np.outer(own(x), x), door.array(POINTS, "float32"), mode="fwd"
    )
    assert (
        report.diagnosis
        == "in float64 the gradient is right: that of float32 alone is wrong"
    )
