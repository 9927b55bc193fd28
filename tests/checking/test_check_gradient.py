"""Whole checks: what they find, what they leave alone, and what they say."""

import collections
import itertools
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from families import FAMILIES, HARD, in_float32, on_a_kink, relu_network

import secant
from secant.errors import DTypeError, GradientMismatchError, ShapeError, ValueRangeError
from secant.testing import assert_gradient


def network(rng):
    net = secant.TwoLayerNet(
        20, 8, 4, rng=int(rng.integers(1e9)), output_activation="identity"
    )
    for array in net.params.values():
        array += 0.3 * rng.standard_normal(array.shape)
    x, t = rng.standard_normal((12, 20)), rng.integers(0, 4, 12)
    return net, x, t, net.gradient(x, t)


@pytest.mark.parametrize(
    "rounded", [lambda case: case, in_float32], ids=["float64", "float32"]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_right_gradient_is_right(family, rounded):
    rng = np.random.default_rng(7 + len(family))
    for n in (2, 5, 30, 1000):
        case = rounded(FAMILIES[family](rng, n))
        report = secant.check_gradient(*case)
        assert report.passed, report
        assert report.evaluations < 250
        assert not report.findings
        assert report.diagnosis is None


def test_a_slope_that_settles_as_a_root_is_right():
    def f(x):
        return np.sum(np.sin(x) + x * np.sqrt(np.abs(x)))

    report = secant.check_gradient(f, np.zeros(3), np.ones(3))
    assert report.verdict == "right", report
    assert secant.check_gradient(f, np.zeros(3), [1, 1, 1.01]).verdict == "wrong"


@pytest.mark.parametrize("family", HARD)
def test_a_right_gradient_of_a_hard_function_is_not_wrong_and_what_would_be_noticed_is(
    family,
):
    rng = np.random.default_rng(len(family))
    for number, n in enumerate((1, 2, 10, 1000)):
        case = HARD[family](rng, n)
        report = secant.check_gradient(*case, rng=number)
        assert report.verdict != "wrong", report
        error = np.zeros(case.x.size)
        error[number % error.size] = 1.01 * report.arrays[0].sensitivity
        assert (
            secant.check_gradient(
                case.f, case.x, case.gradient + error, rng=number
            ).verdict
            == "wrong"
        )


@pytest.mark.parametrize("noise", [1.0, 1e-3])
def test_a_gradient_in_float32_of_a_loss_with_kinks_near_x_or_near_its_minimum(noise):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        a, w = (
            rng.normal(size=(50, 20)).astype(np.float32),
            rng.normal(size=20).astype(np.float32),
        )
        target = np.maximum(a @ w, 0) + noise * rng.normal(size=50).astype(np.float32)
        gradient = 2 * a.T @ ((np.maximum(a @ w, 0) - target) * (a @ w > 0))
        assert gradient.dtype == np.float32

        def f(w, a=a, target=target):
            return np.sum((np.maximum(a @ w, 0) - target) ** 2)

        assert secant.check_gradient(f, w, gradient, rng=seed).verdict == "right"
        for factor in (1.01, -1):
            assert (
                secant.check_gradient(
                    f, w, np.float32(factor) * gradient, rng=seed
                ).verdict
                == "wrong"
            )


@pytest.mark.parametrize("seed", range(3))
def test_a_pole_far_from_x_excuses_no_error_of_a_gradient_in_float32(seed):
    i, j = np.triu_indices(8, 1)

    def energy(x):
        inverse = 1 / ((x[i] - x[j]) ** 2).sum(axis=1) ** 3
        return np.sum(inverse**2 - inverse)

    corners = np.array(list(np.ndindex(2, 2, 2)))
    x = (
        10 + 1.1 * corners + 0.05 * np.random.default_rng(seed).normal(size=(8, 3))
    ).astype(np.float32)
    right = secant.numerical_gradient(energy, x.astype(float), scheme="auto").astype(
        np.float32
    )
    report = secant.check_gradient(energy, x, right, rng=seed)
    assert report.verdict == "right"
    for factor in (1.1, -1, 0):
        assert (
            secant.check_gradient(
                energy, x, np.float32(factor) * right, rng=seed
            ).verdict
            == "wrong"
        )
    right[seed, 0] += 1.5 * report.sensitivity["x"]
    assert secant.check_gradient(energy, x, right, rng=seed).verdict == "wrong"


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
def test_complex_x_is_its_real_and_its_imaginary_part(dtype, inplace):
    rng = np.random.default_rng(0)
    x = {
        "z": (rng.standard_normal((3, 2)) + 1j * rng.standard_normal((3, 2))).astype(
            dtype
        ),
        "a": rng.standard_normal(2),
    }
    before = x["z"].tobytes()

    def f(x):
        assert x["z"].dtype == (dtype if inplace else np.complex128)
        return np.sum(np.abs(x["z"]) ** 2 * x["z"].real) + np.sum(x["a"] ** 2)

    z = x["z"]
    right = {"a": 2 * x["a"], "z": 3 * z.real**2 + z.imag**2 + 2j * z.real * z.imag}
    report = secant.check_gradient(f, x, right, inplace=inplace)
    assert report.passed
    assert [array.name for array in report.arrays] == ["z.real", "z.imag", "a"]
    report = secant.check_gradient(
        f, x, {**right, "z": right["z"].conj()}, inplace=inplace
    )
    assert report.diagnosis == "z.imag is of the wrong sign"
    assert x["z"].tobytes() == before


def test_a_real_gradient_of_complex_x_and_a_complex_one_of_real_x():
    z = np.array([1 + 2j, -3 + 1j])
    assert secant.check_gradient(lambda z: np.sum(z.real**2), z, 2 * z.real).passed
    assert not secant.check_gradient(
        lambda z: np.sum(abs(z) ** 2), z, 2 * z.real
    ).passed
    assert secant.check_gradient(lambda z: abs(z) ** 2, 1 + 2j, 2 + 4j).passed
    with pytest.raises(
        DTypeError,
        match=r"^gradient must be real where x is, got an array of complex128$",
    ):
        secant.check_gradient(np.sum, np.ones(2), np.ones(2) * 1j)


def test_a_gradient_on_a_kink_is_not_wrong():
    rng = np.random.default_rng(3)
    for n in (2, 5, 30) * 10:
        report = secant.check_gradient(*on_a_kink(rng, n))
        assert report.verdict != "wrong", report
        assert "kink" in report.arrays[0].unverified


def test_an_array_on_kinks_is_not_verified_and_others_are_as_without():
    x = {"w": np.array([0.0, 1.0, -1.0, 2.0]), "v": np.arange(1.0, 5)}

    def f(x):
        return np.abs(x["w"]).sum() + (x["v"] ** 3).sum()

    for slope in (0.0, 0.5, 1.0, 3.0):
        right = {"w": np.array([slope, 1, -1, 1]), "v": 3 * x["v"] ** 2}
        report = secant.check_gradient(f, x, right)
        assert (report.verdict, report.not_verified) == ("not verified", ("w",))
        assert "w (4,)  not verified: x lies on a kink of f: move x" in str(report)
        assert report.sensitivity["v"] < 1e-9
        wrong = {**right, "v": right["v"] + [0, 0, 1e-6, 0]}
        assert [
            finding.name for finding in secant.check_gradient(f, x, wrong).findings
        ] == ["v[2]"]
    report = secant.check_gradient(
        f, x, {"w": np.array([300.0, 1, -1, 1]), "v": 3 * x["v"] ** 2}
    )
    assert [each.name for each in report.findings] == ["w[0]"]


def test_a_gradient_that_overflows_is_not_right_and_there_is_no_warning():
    for n, size in ((3, 1e307), (3, 1.7e308), (300, 1.7e308)):
        assert not secant.check_gradient(
            lambda x: np.sum(x**2), np.ones(n), np.full(n, size)
        ).passed
    assert not secant.check_gradient(
        lambda x: np.sum(x**2), np.ones(3), lambda x: x / 0
    ).passed


def test_a_function_that_sets_how_numpy_handles_errors():
    def f(x):
        np.seterr(all="raise")
        return np.inf if (x > 1.0001).any() else np.sum(x**2)

    before = np.geterr()
    assert secant.check_gradient(f, np.ones(4), np.full(4, 2.0)).passed
    assert np.geterr() == before


def test_a_gradient_too_small_for_its_square():
    f, x = lambda x: np.float32(np.exp(-10 * x**2).sum()), np.array([6.5])
    assert not secant.check_gradient(f, x, np.array([-1e-182])).passed


@pytest.mark.parametrize("factor", [1, 1.01, 1.5, -1, 100])
@pytest.mark.parametrize(
    ("f", "x", "gradient"),
    [
        (lambda x: float(np.sin(x).sum()), np.array([np.pi]), np.cos),
        (lambda x: float(np.sum(x**3)), np.linspace(-1, 1, 10), lambda x: 3 * x**2),
        (lambda x: float(np.sum(x)), np.full(3, 1e-300), np.ones_like),
    ],
)
def test_a_value_that_is_almost_0_hides_no_error(f, x, gradient, factor):
    report = secant.check_gradient(f, x, factor * gradient(x))
    assert report.passed == (factor == 1)
    assert report.arrays[0].sensitivity < 1e-9


def test_an_entry_that_is_nan_is_told_once():
    report = secant.check_gradient(np.sum, np.ones(3), np.array([1, np.nan, 1]))
    assert [finding.name for finding in report.findings] == ["x[1]"]


def test_kinks_that_the_noise_of_float32_all_but_hides():
    """Jumps cancel along most directions, and all evaluations are used up when one
    gives an alarm.
    """
    for seed in range(8):
        rng = np.random.default_rng(seed)
        case = in_float32(relu_network(rng, int(2 * 500 ** rng.uniform()), kinks=True))
        assert secant.check_gradient(*case, rng=seed).verdict != "wrong", seed


FAULTS = {  # beside those that have a diagnosis
    "a factor": lambda g, rng: g["W1"].__setitem__((3, 4), 1.01 * g["W1"][3, 4]),
    "a swap": lambda g, rng: g["W2"].__setitem__(
        ([0, 1], [2, 3]), g["W2"][[1, 0], [3, 2]]
    ),
    "a shift": lambda g, rng: g.__setitem__("b1", np.roll(g["b1"], 1)),
    "noise": lambda g, rng: g.__setitem__(
        "W1", g["W1"] + 1e-8 * rng.standard_normal(g["W1"].shape)
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_gradient_is_wrong_and_its_array_is_named(fault):
    rng = np.random.default_rng(1)
    net, x, t, right = network(rng)
    wrong = {key: grad.copy() for key, grad in right.items()}
    FAULTS[fault](wrong, rng)
    report = secant.check_network(net, x, t, wrong)
    changed = {key for key in right if not np.array_equal(right[key], wrong[key])}
    assert {array.name for array in report.arrays if not array.passed} == changed
    assert {finding.array for finding in report.findings} == changed
    for finding in report.findings:
        assert finding.gradient == wrong[finding.array][finding.index]
        assert (
            abs(finding.numerical - right[finding.array][finding.index])
            <= finding.error_bar
        )
    with pytest.raises(GradientMismatchError, match="WRONG"):
        report.raise_if_failed()


@pytest.mark.parametrize("factor", [12345.0, 1 / 60000, 1.2345])
def test_a_factor_is_found_to_its_last_digit(factor):
    net, x, t, right = network(np.random.default_rng(0))
    wrong = {key: factor * grad for key, grad in right.items()}
    size = (
        f"{factor:.6g} times too large"
        if factor > 1
        else f"{1 / factor:.6g} times too small"
    )
    of_this_x = " at this x" if factor == 1.2345 else ""
    assert (
        secant.check_network(net, x, t, wrong).diagnosis
        == f"the gradient is {size}{of_this_x}"
    )


def test_a_diagnosis_is_left_out_where_f_has_no_slope_along_its_pattern():
    def f(x):
        return np.nan if x[0] == x[1] != 1 else float(np.sum(x**2))

    report = secant.check_gradient(f, np.ones(2), np.array([2.3, 2.1]))
    assert not report.passed
    assert report.diagnosis is None


def test_a_factor_of_almost_1_has_a_name():
    report = secant.check_gradient(
        lambda x: float(x @ x), np.ones(1), np.array([2 + 1e-9])
    )
    assert report.diagnosis == "one entry, x[0], is too large by 5e-10 of its size"


Pair = collections.namedtuple("Pair", "first second")


def test_structures():
    rng = np.random.default_rng(0)
    x = {
        "a": [rng.standard_normal(3), rng.standard_normal((2, 2))],
        "b": Pair(np.ones(2), np.array(2.0)),
    }

    def f(x):
        assert isinstance(x["b"], Pair)
        return float(sum((np.float64(a) ** 3).sum() for a in (*x["a"], *x["b"])))

    gradient = {
        "a": [3 * x["a"][0] ** 2, 3 * x["a"][1] ** 2],
        "b": Pair(np.full(2, 3.0), np.array(12.0)),
    }
    report = secant.check_gradient(f, x, gradient)
    assert report.passed
    assert [array.name for array in report.arrays] == [
        "a[0]",
        "a[1]",
        "b.first",
        "b.second",
    ]
    for kind in (collections.namedtuple("Grads", "dfirst dsecond")._make, tuple):
        assert secant.check_gradient(f, x, gradient | {"b": kind(gradient["b"])}).passed
    fields = collections.namedtuple("Grads", "second first")(
        gradient["b"].second, gradient["b"].first
    )
    assert secant.check_gradient(f, x, gradient | {"b": fields}).passed
    gradient["a"][1][1, 0] += 1
    assert secant.check_gradient(f, x, gradient).findings[0].name == "a[1][1, 0]"


def test_a_function_that_does_not_use_its_argument():
    net, x, t, right = network(np.random.default_rng(5))
    before = {key: value.tobytes() for key, value in net.params.items()}
    assert secant.check_gradient(
        lambda _: net.loss(x, t), net.params, right, inplace=True
    ).passed
    assert {key: value.tobytes() for key, value in net.params.items()} == before
    # which is what readers write
    assert secant.check_gradient(lambda _: net.loss(x, t), net.params, right).passed
    assert secant.check_gradient(
        lambda _: net.loss(x, t), net.params["W1"], right["W1"]
    ).passed
    wrong = right["W1"].copy()
    wrong[1, 2] += 1e-6
    report = secant.check_gradient(lambda _: net.loss(x, t), net.params["W1"], wrong)
    assert [finding.name for finding in report.findings] == ["x[1, 2]"]
    assert {key: value.tobytes() for key, value in net.params.items()} == before
    for dtype in ("float32", "complex64"):
        z = np.linspace(1, 2, 5).astype(dtype)
        assert secant.check_gradient(
            lambda _, z=z: np.sum(np.abs(z.astype(complex)) ** 2), z, 2 * z
        ).passed


def test_a_function_that_looks_at_other_arrays_is_not_said_to_be_right():
    x, gradient = np.ones(3), np.ones(3)
    for read_only in (False, True):
        x.flags.writeable = not read_only
        report = secant.check_gradient(lambda _: 2.0, x, gradient)
        assert report.diagnosis.startswith(
            "f had one value wherever it was evaluated: does it read a copy of"
        )
        assert (x == 1).all()


def test_tensors_are_sent_to_their_checks(torch):
    with pytest.raises(
        DTypeError,
        match=r"^x is a tensor of PyTorch: use secant\.torch\.gradcheck\(f, inputs\), or",
    ):
        secant.check_gradient(lambda x: x.sum(), torch.ones(3), torch.ones(3))
    with pytest.raises(DTypeError, match=r"^gradient is a tensor of PyTorch"):
        secant.check_gradient(lambda x: x.sum(), np.ones(3), torch.ones(3))
    with pytest.raises(
        DTypeError,
        match=r"^net is a module of PyTorch: use secant\.torch\.check_module\(module, inputs, loss",
    ):
        secant.check_network(torch.nn.Linear(3, 2), None, None)
    net = secant.TwoLayerNet(2, 2, 2, rng=0)
    net.params = {"w": torch.ones(3)}
    with pytest.raises(DTypeError, match=r"^net\.params\['w'\] is a tensor of PyTorch"):
        secant.check_network(net, None, None)


def test_arrays_of_jax_are_sent_to_their_checks(jax):
    with pytest.raises(
        DTypeError,
        match=r"^w is an array of JAX: use secant\.jax\.check_grads\(f, args\)",
    ):
        secant.check_gradient(lambda x: x.sum(), {"w": jax.numpy.ones(3)}, np.ones(3))


def test_a_report_has_at_most_12_rows_of_arrays_and_entries():
    x = {f"a{i}": np.ones(3) for i in range(20)}
    right = {key: 2 * value for key, value in x.items()}
    report = secant.check_gradient(
        lambda x: sum(np.sum(v**2) for v in x.values()), x, right
    )
    rows = str(report).splitlines()
    assert [row.split()[0] for row in rows[1:13]] == [f"a{i}" for i in range(12)]
    assert rows[13] == "  ... and 8 more arrays, none of them wrong or not verified"
    report = secant.check_gradient(
        lambda x: sum(np.sum(v**2) for v in x.values()),
        x,
        right | {"a17": 3 * x["a17"]},
    )
    rows = str(report).splitlines()
    assert [row.split()[0] for row in rows[1:4]] == ["a17", "a0", "a1"]
    assert rows[10] == "  ... and 11 more arrays, none of them wrong or not verified"
    assert sum(row.startswith("  a17[") for row in rows) == len(report.findings) == 3


def test_arrays_whose_gradient_noise_hides_are_not_verified():
    net = secant.TwoLayerNet(20, 5, 4, rng=0, dtype=np.float32)
    rng = np.random.default_rng(0)
    for x, hidden in (
        (rng.random((10, 20)), ("W1", "b1")),
        (100 * rng.random((10, 20)), ("b1",)),
    ):
        x, t = x.astype(np.float32), np.arange(10) % 4
        assert secant.check_network(net, x, t).passed  # in float64
        report = secant.check_gradient(
            lambda _, x=x, t=t: net.loss(x, t), net.params, net.gradient(x, t)
        )
        assert report.not_verified == hidden
        assert not report
        assert str(report).splitlines()[0].endswith(": not verified")
        for array, line in zip(
            report.arrays, str(report).splitlines()[1:5], strict=True
        ):
            why = f"not verified: noise hides errors below {array.sensitivity:.1e}, and its norm is {array.norm:.1e}"
            assert (
                (why in line)
                == (array.name in hidden)
                == (array.norm < array.sensitivity)
            )


@pytest.mark.parametrize("rounded", [np.float64, np.float32])
def test_a_gradient_of_which_nothing_is_seen_is_not_verified(rounded):
    x = np.arange(1.0, 9)
    report = secant.check_gradient(lambda x: 1e20 + rounded(np.sum(x**2)), x, 2 * x)
    assert (report.verdict, report.not_verified) == ("not verified", ("x",))
    with pytest.raises(
        GradientMismatchError, match=r"^gradient in 8 entries: not verified\n"
    ):
        report.raise_if_failed()
    secant.testing.assert_gradient(lambda x: rounded(3), x, 0 * x)  # it is constant


def test_a_gradient_that_is_rightly_0_is_right():
    secant.testing.assert_gradient(
        lambda x: np.sum((x - 3) ** 2), np.full(8, 3.0), np.zeros(8)
    )
    # such as that of a bias before a batch normalization
    x = {"W": np.linspace(1, 2, 8), "bias": np.ones(3)}
    right = {"W": 2 * x["W"], "bias": np.array([0, 1e-18, -1e-17])}

    def f(x):
        bias = x["bias"] - x["bias"].mean()
        return np.sum(x["W"] ** 2) + np.sum(np.tanh(bias) ** 2)

    assert secant.check_gradient(f, x, right).passed
    report = secant.check_gradient(f, x, {**right, "bias": np.full(3, 1e-9)})
    assert report.verdict == "wrong"


def test_at_a_least_squares_optimum_the_rounding_of_a_gradient_is_right():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        a, b = rng.normal(size=(20, 5)), rng.normal(size=20)
        x = np.linalg.lstsq(a, b, rcond=None)[0]
        f, gradient = (
            lambda x, a=a, b=b: np.sum((a @ x - b) ** 2),
            2 * a.T @ (a @ x - b),
        )
        assert secant.check_gradient(f, x, gradient).verdict == "right"
        assert secant.check_gradient(f, x, gradient + 1e-6).verdict == "wrong"


def test_a_sum_of_many_terms_that_is_rightly_0_but_for_rounding():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        a, b = rng.normal(size=(500, 4)), rng.lognormal(12, 0.4, 500)
        a -= a.mean(axis=0)
        x = {"w": rng.normal(size=4) * 1e4, "b": b.mean()}
        errors = a @ x["w"] + x["b"] - b
        gradient = {"w": a.T @ errors / 250, "b": errors.sum() / 250}
        f = lambda x, a=a, b=b: np.mean((a @ x["w"] + x["b"] - b) ** 2)  # noqa: E731
        assert secant.check_gradient(f, x, gradient).verdict == "right"
        gradient["b"] += 1e-3 * np.linalg.norm(gradient["w"])
        assert secant.check_gradient(f, x, gradient).verdict == "wrong"


def test_an_array_that_f_does_not_use_may_have_the_rounding_of_others():
    x = {"unused": np.ones(1), "b": np.linspace(1, 2, 5)}
    gradient = {"unused": np.full(1, 1e-12), "b": 2 * x["b"]}  # 2e-13 of the whole
    assert (
        secant.check_gradient(lambda x: np.sum(x["b"] ** 2), x, gradient).verdict
        == "right"
    )


def test_units_of_entries_may_differ_by_1e19():
    x, unit = np.array([1.6e-19, 1.0, 2.0]), np.array([1.6e-19, 1.0, 1.0])
    gradient = np.cos(x / unit) / unit
    assert (
        secant.check_gradient(lambda x: np.sum(np.sin(x / unit)), x, gradient).verdict
        == "right"
    )
    for i in range(3):
        wrong = gradient * np.where(np.arange(3) == i, 1.5, 1)
        assert not secant.check_gradient(
            lambda x: np.sum(np.sin(x / unit)), x, wrong
        ).passed


def test_an_array_that_f_rounds_away_beside_another_is_not_verified():
    def f(x):
        return np.sum(x["a"] ** 2) + np.sum(x["b"] ** 2)

    x = {"a": np.full(3, 1e8), "b": np.ones(3)}
    for factor in (2, -2, 20):
        report = secant.check_gradient(f, x, {"a": 2 * x["a"], "b": factor * x["b"]})
        assert report.not_verified == ("b",)


def test_where_a_function_stands_still_a_gradient_of_0_is_right():
    def f(x):
        return float(np.sum(np.exp(x) / np.exp(x).sum()))

    x = np.linspace(-1, 1, 5)
    secant.testing.assert_gradient(f, x, np.zeros(5))
    assert secant.check_gradient(f, x, np.full(5, 1e-9), rng=1).verdict == "wrong"


@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_jumps_away_from_x_hide_no_error(factor):
    x = np.random.default_rng(0).uniform(1, 4, (2, 9))
    jacobian = np.array([np.ones(9), -np.floor(x[0] / x[1])])
    report = secant.check_vjp(
        lambda x: np.mod(*x), x, lambda cotangent: factor * cotangent * jacobian
    )
    assert report.verdict == ("right" if factor == 1 else "wrong")


@pytest.mark.parametrize("f", [np.ceil, np.round, np.sign, lambda x: np.floor(8 * x)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_function_that_rises_in_steps_has_slope_0_between_them(f, dtype):
    passed = 0
    for seed in range(4):
        x = np.random.default_rng(seed).uniform(-3, 3, 5).astype(dtype)
        report = secant.check_gradient(lambda x: f(x).sum(), x, 0 * x, rng=seed)
        assert report.verdict != "wrong"
        passed += report.passed
        assert not secant.check_gradient(
            lambda x: f(x).sum(), x, 9 + 0 * x, rng=seed
        ).passed
    assert passed >= 3  # one may lie close to a step


def test_a_function_that_rises_in_small_steps_has_two_gradients():
    for seed in range(3):
        x = np.random.default_rng(seed).uniform(-3, 3, 5)
        for gradient in (0 * x, 1 + 0 * x):
            assert (
                secant.check_gradient(
                    lambda x: np.round(x, 3).sum(), x, gradient, rng=seed
                ).verdict
                != "wrong"
            )
        assert not secant.check_gradient(
            lambda x: np.round(x, 3).sum(), x, 9 + 0 * x, rng=seed
        ).passed


def test_a_function_whose_rounding_alone_is_seen_has_no_steps():
    for dtype in (np.float64, np.float32):
        x = 1 + np.arange(5, dtype=dtype)
        assert (
            secant.check_gradient(lambda x: np.float32(np.sum(x)), x, 0 * x).verdict
            == "wrong"
        )


def test_a_gradient_that_is_0_but_for_its_rounding_is_right():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x, rest = rng.standard_normal((3, 5)), 1e-16 * rng.standard_normal((3, 5))

        def f(x):  # outputs of a layer normalization sum to 0
            z = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
            return 1 + z.sum()

        assert secant.check_gradient(f, x, rest, rng=seed).verdict == "right"
        assert secant.check_gradient(f, x, rest + 1e-6, rng=seed).verdict == "wrong"
        for slope in (1e-12, 1e-6):  # that noise hides, or does not
            report = secant.check_gradient(
                lambda x, s=slope: 1 + s * x.sum() + 1e-6 * f(x), x, 0 * x, rng=seed
            )
            assert report.verdict != "right"


def test_a_surrogate_gradient_of_a_step_function_is_not_verified():
    x = np.array([0.3, 0.7, -1.2])
    report = secant.check_gradient(
        lambda x: float((x > 0) @ [1.0, 2.0, 3.0]) + 0.5, x, np.array([0.6, 0.7, 0.3])
    )
    assert report.verdict == "not verified"
    assert "its slope is 0, or that across its steps" in report.note
    assert "its steps hide errors" in str(report)


def test_a_gradient_that_approximates_may_be_linear_in_most_digits():
    x = np.linspace(-1, 1, 5)
    assert secant.check_vjp(
        np.sin, x, lambda c: c * np.cos(x) * (1 + 1e-13 * np.abs(c).max())
    ).passed
    assert not secant.check_vjp(
        np.sin, x, lambda c: c * np.cos(x) * (1 + 1e-6 * np.abs(c).max())
    ).passed


def test_many_kinks_are_no_noise():
    """Values of a table with linear interpolation scatter as rounded ones do, at
    distances beyond that of its kinks.
    """
    table = np.random.default_rng(0).normal(size=512)

    def ends(x):
        place = 511 * x
        before = np.floor(place).astype(int)
        return place - before, table[before % 512], table[(before + 1) % 512]

    def f(x):
        weight, a, b = ends(x)
        return np.mean((a + weight * (b - a)) ** 2)

    for seed in range(2):
        x = np.random.default_rng(seed).uniform(0.1, 0.9, 20)
        weight, a, b = ends(x)
        gradient = 2 * (a + weight * (b - a)) * (b - a) * 511 / 20
        assert secant.check_gradient(f, x, gradient).verdict == "right"
        assert secant.check_gradient(f, x, gradient / 100).verdict == "wrong"
        assert secant.check_gradient(f, x, 0 * x).verdict == "wrong"


@pytest.mark.parametrize(("dtype", "size"), [(np.float16, 1), (np.float32, 1e3)])
def test_a_gradient_of_0_is_not_right_because_the_values_are_rounded(dtype, size):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        large = size * (1 + rng.random((1, 8)))
        x = {
            "large": large.astype(dtype),
            "small": (3e-3 / size**0.5 * rng.standard_normal(8)).astype(dtype),
        }
        lost = np.zeros(8, dtype)
        report = secant.check_vjp(
            lambda x: x["large"] + x["small"],
            x,
            lambda c, lost=lost: {"large": c, "small": lost},
            rng=seed,
        )
        assert not report.arrays[1].passed


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (1.01, "wrong")])
def test_an_array_that_others_hide_is_measured_by_itself(factor, verdict):
    x = {"a": np.linspace(0.3, 1, 5), "b": np.linspace(0.5, 1.5, 4)}
    gradient = {"a": 500 * np.cos(500 * x["a"]), "b": factor * 2e-9 * x["b"]}
    report = secant.check_gradient(
        lambda x: np.sin(500 * x["a"]).sum() + 1e-9 * np.sum(x["b"] ** 2), x, gradient
    )
    assert report.verdict == verdict


def test_a_gradient_of_subnormal_numbers_is_linear_in_the_incoming_one():
    x, tiny = (
        {"x": np.ones(3, np.float32), "y": np.ones(3, np.float32)},
        np.float32(5e-44),
    )
    report = secant.check_vjp(
        lambda x: x["x"] + tiny * x["y"], x, lambda c: {"x": c, "y": tiny * c}
    )
    assert report.verdict != "wrong"


def test_a_numerical_gradient_is_all_but_right():
    x = np.array([3.0, 4.0, 5.0])

    def f(x):
        return np.sum(x**3)

    report = secant.check_gradient(f, x, secant.numerical_gradient(f, x))
    assert not report
    assert re.match(
        r"gradient in 3 entries: WRONG: differs by \de-(09|1\d) of its norm",
        str(report),
    )
    assert report.diagnosis is None
    assert secant.check_gradient(f, x, 3 * x**2)
    assert (
        secant.check_gradient(f, x, 3.001 * x**2).diagnosis
        == "the gradient is 1.00033 times too large at this x"
    )


@pytest.mark.parametrize(
    "x", [3.0, 3, np.float32(3), np.float64(3), np.int8(3), np.array(3.0)]
)
def test_x_and_its_gradient_may_be_single_numbers(x):
    for right, wrong in (
        (6.0, 7),
        (6, 7.0),
        (np.array(6.0), -6),
        (lambda x: 2 * x, lambda x: x),
    ):
        assert secant.check_gradient(lambda x: x**2, x, right)
        assert not secant.check_gradient(lambda x: x**2, x, wrong)


_CALLS = itertools.count()


BAD = {
    "a random f": (
        lambda x: float(next(_CALLS)),
        {},
        ValueRangeError,
        "f must be deterministic, got ",
    ),
    "f returns None": (
        lambda x: None,
        {},
        DTypeError,
        "f must return a real number, got None",
    ),
    "f returns an array": (
        lambda x: x,
        {},
        ShapeError,
        "f must return a single number, got an array of shape (3,)",
    ),
    "f is complex": (
        lambda x: 1j,
        {},
        DTypeError,
        "f must return a real number, got 1j",
    ),
    "f is NaN": (
        lambda x: np.nan,
        {},
        ValueRangeError,
        "f must be finite at x, got nan",
    ),
    "another shape": (
        np.sum,
        {"gradient": np.ones(4)},
        ShapeError,
        "gradient must have the shape of x, (3,), got (4,)",
    ),
    "rng is text": (
        np.sum,
        {"rng": "a"},
        DTypeError,
        "rng must be a whole number, a seed, got 'a'",
    ),
    "rng is negative": (
        np.sum,
        {"rng": -1},
        ValueRangeError,
        "rng must be at least 0, got -1",
    ),
    "text": (
        np.sum,
        {"x": ["1"]},
        DTypeError,
        "x[0] must be an array of float64, float32 or float16, or complex, got str",
    ),
    "a matrix": (
        np.sum,
        {"x": np.ones((1, 3)).view(np.matrix)},
        DTypeError,
        "x must be an array, got np.matrix",
    ),
    "nothing": (
        np.sum,
        {"x": {}},
        ShapeError,
        "x must hold at least one array, got {}",
    ),
    "an infinite x": (
        np.sum,
        {"x": np.array([1.0, np.inf, 0])},
        ValueRangeError,
        "x must be finite, got NaN or infinity",
    ),
    "a typo": (
        np.sum,
        {"progres": 1},
        TypeError,
        "check_gradient() got an unexpected keyword argument 'progres'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case):
    f, options, error, message = BAD[case]
    options = {"x": np.ones(3), "gradient": np.ones(3)} | options
    with pytest.raises(error) as raised:
        secant.check_gradient(f, **options)
    assert str(raised.value).startswith(message)


def test_a_function_that_is_finite_at_x_only_has_no_slope():
    with pytest.raises(ValueRangeError, match=r"^f must have a slope at x"):
        secant.check_gradient(
            lambda x: 1.0 if np.all(x == 1) else np.inf, np.ones(3), np.ones(3)
        )


def test_what_a_function_raises_around_x_stays_what_it_is():
    class SolverFailedError(RuntimeError):
        pass

    calls = 0

    def f(x):
        nonlocal calls
        calls += 1
        if calls > 2:
            raise SolverFailedError("the solver is gone")
        return x.sum()

    with pytest.raises(SolverFailedError, match=r"^the solver is gone") as raised:
        secant.check_gradient(f, np.ones(3), np.ones(3))
    assert raised.value.__notes__ == [
        "f raised this at x shifted by a check, however small the step"
    ]
    assert calls < 200


@pytest.mark.parametrize("limit", [1e-1, 1e-3, 1e-5])
def test_where_f_raises_farther_away_smaller_steps_are_taken(limit):
    class OutOfBoundsError(Exception):
        pass

    x = np.array([1.0, 2.0, 400.0])

    def f(given):
        if np.any(abs(given - x) > limit * x):
            raise OutOfBoundsError
        return np.sum(given**2)

    assert secant.check_gradient(f, x, 2 * x).passed
    assert not secant.check_gradient(f, x, 2.001 * x).passed


def test_a_gradient_where_f_is_discontinuous_is_not_verified():
    for factor in (1, 5):
        gradient = np.full(3, float(factor))
        report = secant.check_gradient(
            lambda x: float(np.sum(x > 1) + np.sum(x)), np.ones(3), gradient
        )
        assert report.verdict == "not verified"


@pytest.mark.parametrize("width", [1e-1, 1e-2, 1e-3, 1e-4])
def test_narrow_features(width):
    rng = np.random.default_rng(0)
    for seed in range(3):
        u = rng.standard_normal(3)
        x = 1 + u * width

        def f(x):
            return float(np.sum(np.exp(-(((x - 1) / width) ** 2))))

        right = -2 * (x - 1) / width**2 * np.exp(-(((x - 1) / width) ** 2))
        assert secant.check_gradient(f, x, right, rng=seed).passed
        assert not secant.check_gradient(f, x, 0 * x, rng=seed).passed


def test_dicts_are_paired_by_their_keys():
    x = {"a": np.array([1.0, 2.0]), "b": np.array([5.0, 7.0])}

    def f(x):
        return np.sum(x["a"] ** 2) + np.sum(x["b"] ** 3)

    right = {"b": 3 * x["b"] ** 2, "a": 2 * x["a"]}
    assert secant.check_gradient(f, x, right).passed
    with pytest.raises(
        ShapeError, match=r"^gradient must have the keys of x, a, b, got c, b$"
    ):
        secant.check_gradient(f, x, {"c": right["a"], "b": right["b"]})
    with pytest.raises(
        ShapeError,
        match=r"^gradient\.b must have the shape of x\.b, \(\d,.*\), got \(1,\)$",
    ):
        secant.check_gradient(f, x, right | {"b": np.ones(1)})


def test_the_report_can_be_read_by_people_and_programs():
    x = np.array([3.0, 4.0])
    report = secant.check_gradient(lambda x: np.sum(x**2), x, np.array([6.0, 8.1]))
    assert str(report).startswith(
        "gradient in 2 entries: WRONG by 1 %\n  x (2,)  wrong in at least 1 entry, off by "
    )
    again = json.loads(report.to_json())
    assert again["findings"][0]["index"] == [1]
    assert again["evaluations"] == report.evaluations
    with pytest.raises(AttributeError):
        report.passed = True
    assert repr(report) == str(report)
    assert str(secant.check_gradient(lambda x: np.sum(x**2), x, 2 * x)).startswith(
        "gradient in 2 entries: right\n"
    )


def test_a_check_gives_the_same_report_twice():
    x = np.linspace(0, 1, 50)
    reports = [
        secant.check_gradient(
            lambda x: float(np.sum(np.sin(x))), x, np.cos(x) + 1e-3
        ).to_json()
        for _ in range(2)
    ]
    first, second = ({**json.loads(report), "seconds": 0} for report in reports)
    assert first == second


def test_arguments_are_passed_on():
    x = np.ones(3)
    assert secant.check_gradient(
        lambda x, a: a * np.sum(x**2), x, lambda x, a: 2 * a * x, args=(3.0,)
    ).passed


def test_progress_is_a_bar_for_each_part_of_the_work(bar_on_stderr):
    x = np.ones(30)
    wrong = 2 * x
    wrong[7] += 1
    terminal = bar_on_stderr()
    secant.check_gradient(lambda x: np.sum(x**2), x, wrong, progress=True)
    names = re.findall(
        r"(probing|searching) [█-▏ ]*\d+/(\d+) [\d:?]+ left", terminal.getvalue()
    )
    assert sorted({*names}) == [("probing", "100"), ("searching", "5000")]


def test_a_gradient_of_zeros_is_compared_at_x_itself_too():
    x = np.array([1.0, 2.0, 3.0])
    before, copy = x.tobytes(), x.copy()
    assert not secant.check_gradient(lambda _: np.sum(x**2), x, 0 * x).passed
    for constant in (lambda _: 3.0, lambda _: np.sum(copy**2)):
        report = secant.check_gradient(constant, x, 0 * x)
        assert report.passed
        assert (
            report.note
            == "f had one value wherever it was evaluated: does it read a copy of what is checked?"
        )
    assert x.tobytes() == before


def test_an_array_of_one_entry_is_wrong_without_more():
    x = np.array([3.0])
    rows = str(secant.check_gradient(lambda x: np.sum(x**2), x, x)).splitlines()
    assert rows[1] == "  x (1,)  wrong, off by 50 % of its norm"


class Series:
    """Such as that of pandas: no array, but NumPy makes one of it."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


@pytest.mark.parametrize(
    "x", [[1, 2, 3], (1.0, 2.0, 3.0), np.array([1, 2, 3]), Series([1.0, 2.0, 3.0])]
)
@pytest.mark.parametrize("of", [np.array, list, Series])
def test_x_and_its_gradient_may_be_lists_integers_and_series(x, of):
    for gradient in (of([2, 4, 6]), lambda x: of([2, 4, 6])):
        assert secant.check_gradient(lambda x: np.sum(x**2), x, gradient).passed
    assert not secant.check_gradient(lambda x: np.sum(x**2), x, of([2, 4, 7])).passed


@pytest.mark.slow
def test_a_search_keeps_its_budget():
    rng = np.random.default_rng(0)
    x = {f"layer{i}": rng.uniform(1, 2, 10) for i in range(300)}
    wrong = {name: array + rng.standard_normal(10) for name, array in x.items()}
    report = secant.check_gradient(
        lambda x: sum(array @ array for array in x.values()), x, wrong
    )
    assert report.verdict == "wrong"
    assert report.evaluations < 20_000  # of which 13,000 are for the arrays
    assert len(report.findings) > 50


@pytest.mark.parametrize("factor", [1, 1.5, 0])
@pytest.mark.parametrize(
    ("x", "hidden"),
    [(np.array([1e-4, 1e4]), "1 of 2"), (np.logspace(-6, 6, 25), "13 of 25")],
)
def test_entries_that_do_not_show_beside_large_ones_are_not_verified(x, hidden, factor):
    report = secant.check_gradient(
        lambda x: np.sum(x**2), x, 2 * x * np.where(x < 1, factor, 1)
    )
    assert (
        report.arrays[0].unverified
        == f"errors do not show in f where x is small, in {hidden} entries"
    )
    x = np.array([1e7, *np.linspace(1, 2, 9)])
    assert (
        secant.check_gradient(lambda x: np.sum(x**2), x, 2 * x).verdict
        == "not verified"
    )
    # the tiny part is the rounding of that number
    hermitian = np.array([[2, 1 + 1j], [1 - 1j, 3 + 1e-17j]])
    determinant = lambda x: np.linalg.slogdet(x)[1]  # noqa: E731
    assert secant.check_gradient(
        determinant, hermitian, lambda x: np.linalg.inv(x).conj().T
    ).passed


def test_an_array_that_is_0_is_verified_though_one_of_its_entries_is_small():
    x = {"a": np.arange(1.0, 4), "b": np.array([1, -0.8, 1.2, 5e-4])}
    right = {"a": np.cos(x["a"]), "b": np.zeros(4)}
    assert (
        secant.check_gradient(lambda x: np.sum(np.sin(x["a"])), x, right).verdict
        == "right"
    )
    off = right | {"b": np.array([0, 0, 0, 0.01])}
    assert (
        secant.check_gradient(lambda x: np.sum(np.sin(x["a"])), x, off).verdict
        == "wrong"
    )
    for small, verdict in [(1e-9, "wrong"), (1e-13, "not verified")]:
        for others in ([], [1, -0.8, 1.2]):
            x["b"] = np.array([*others, small])
            lost = right | {"b": 0 * x["b"]}
            report = secant.check_gradient(
                lambda x: np.sum(np.sin(x["a"])) + x["b"][-1], x, lost
            )
            assert report.verdict == verdict


@pytest.mark.parametrize("sign", [1, -1])
def test_beside_a_removable_singularity_larger_steps_show_the_slope(sign):
    def f(x):  # the power law cut off at 1.2 and 5; its exponent is near -1
        power = x[3] + 1
        if not power:
            return float(np.sum(np.log(x[:3] / 1.2)) / np.log(5 / 1.2))
        return float(np.sum(x[:3] ** power - 1.2**power) / (5**power - 1.2**power))

    x, whole = np.array([1.5, 2.0, 3.0, -1.0]), np.log(5 / 1.2)
    logs = np.log(x[:3] / 1.2)
    gradient = np.append(1 / x[:3] / whole, np.sum(logs * (logs - whole)) / 2 / whole)
    gradient[0] *= sign
    for seed in range(5):
        verdict = secant.check_gradient(f, x, gradient, rng=seed).verdict
        assert verdict == ("right" if sign == 1 else "wrong")


P = np.random.default_rng(0).dirichlet(np.ones(8))
SLOPE_0 = {  # and f is 0, too: terms cancel, or the second derivative jumps
    "squares with a sign": (lambda x: np.sum(x * np.abs(x)), np.zeros(3)),
    "drag": (lambda x: np.linalg.norm(x) * x[0], np.zeros(3)),
    "squared ReLU": (lambda x: np.sum(np.maximum(x, 0) ** 2), np.zeros(1)),
    "powers with a sign": (
        lambda x: np.sum(np.sign(x) * np.abs(x) ** 1.5),
        np.zeros(5),
    ),
    "contact": (
        lambda x: 0.5e6 * np.maximum(0, x[0] - x[1]) ** 2,
        np.array([0.3, 0.3]),
    ),
    "Jensen-Shannon": (
        lambda x: np.sum(P * np.log(2 * P / (P + x)) + x * np.log(2 * x / (P + x))),
        P,
    ),
}


@pytest.mark.parametrize("name", SLOPE_0)
def test_a_slope_that_is_0_as_f_is(name):
    f, x = SLOPE_0[name]
    for seed in range(8):
        assert secant.check_gradient(f, x, 0 * x, rng=seed).verdict == "right"
        assert secant.check_gradient(f, x, 0 * x + 1e-3, rng=seed).verdict == "wrong"


def squared_relu(z):
    return np.maximum(z, 0) ** 2


def test_slopes_are_known_where_second_derivatives_jump():
    """Then slopes change as the step, not as its square: at weights of 0 before a
    squared ReLU, say.
    """
    rng = np.random.default_rng(0)
    a, b, V = (
        rng.standard_normal(25),
        rng.standard_normal(25),
        rng.standard_normal((5, 3)),
    )
    x = {"W": np.zeros((25, 5)), "skip": rng.standard_normal((25, 3))}
    gradient = {"W": np.zeros((25, 5)), "skip": np.outer(b, np.ones(3))}
    for seed in range(8):
        report = secant.check_gradient(
            lambda x: a @ squared_relu(x) + b @ x, np.zeros(25), b, rng=seed
        )
        assert report.verdict == "right"
        assert max(report.sensitivity.values()) < 1e-3
        report = secant.check_gradient(
            lambda x: np.sum(squared_relu(b @ x["W"]) @ V + b @ x["skip"]),
            x,
            gradient,
            rng=seed,
        )
        assert report.verdict == "right"


def test_where_many_entries_rise_in_steps_the_sum_of_steps_is_no_slope():
    x = np.random.default_rng(2).uniform(0.5, 1.2, 1000)
    report = secant.check_gradient(
        lambda x: float(np.round(np.sin(x), 3).sum()), x, 0 * x, rng=2
    )
    assert report.verdict == "not verified"


def test_an_error_that_only_all_entries_at_once_show_has_a_size():
    rng = np.random.default_rng(0)
    x, a = rng.standard_normal((2, 20_000))
    report = secant.check_gradient(
        lambda x: np.float32(np.sum(a * np.sin(x))), x, 1.0005 * a * np.cos(x)
    )
    assert report.verdict == "wrong"
    assert not report.findings
    assert 1e-4 < report.arrays[0].relative_error < 2e-3


class Peak:
    """A peak that keeps its last exponentials, for arguments that are close enough, as
    astropy's Voigt profile does.
    """

    def __init__(self, weights):
        self.weights, self.grid, self.z, self.values = (
            weights,
            np.linspace(-5, 5, len(weights)),
            np.empty(0),
            None,
        )

    def __call__(self, p):
        area, place, width = p
        z = (self.grid - place) / width
        if z.shape != self.z.shape or not np.allclose(
            z, self.z, rtol=1e-14, atol=1e-15
        ):
            self.z, self.values = z, np.exp(-z * z / 2)
        return float(self.weights @ self.values * area / width)

    def gradient(self, p):
        area, place, width = p
        z = (self.grid - place) / width
        terms = self.weights * np.exp(-z * z / 2) / width
        slope = area / width * terms
        return np.array([terms.sum(), slope @ z, slope @ (z * z - 1)])


@pytest.mark.parametrize("seed", range(16))
def test_a_function_that_keeps_its_last_result_for_close_arguments(seed):
    rng = np.random.default_rng(seed)
    p, peak = rng.uniform([0.5, -1, 0.5], [2, 1, 2]), Peak(rng.standard_normal(61))
    report = secant.check_gradient(peak, p, peak.gradient(p))
    assert report.verdict == "right"
    assert report.sensitivity["x"] < 1e-8
    assert secant.check_gradient(peak, p, 1.001 * peak.gradient(p)).verdict == "wrong"


@pytest.mark.parametrize("seed", range(8))
def test_a_remainder_whose_jumps_are_far_has_the_slope_beside_x(seed):
    def f(v):
        return float(v[0] % v[1])

    for x, slope in [([-5.7, 1.3], 5.0), ([5.7, 1.3], -4.0), ([12.4, 1.7], -7.0)]:
        x, right = np.array(x), np.array([1.0, slope])
        assert secant.check_gradient(f, x, right, rng=seed).verdict == "right"
        for error in (0.5, 1e-6):
            assert (
                secant.check_gradient(f, x, right - [0, error], rng=seed).verdict
                == "wrong"
            )


class Molecule:
    """Its forces are those of where its energy was last computed, as rdkit's are."""

    def __init__(self):
        self.slope = None

    def energy(self, x):
        self.slope = 2 * x + np.cos(x)
        return float(np.sum(x**2 + np.sin(x)))

    def gradient(self, x):
        return self.slope.copy()


@pytest.mark.parametrize("inplace", [False, True])
def test_a_gradient_that_uses_what_the_last_call_of_f_left(inplace):
    molecule, x = Molecule(), np.array([0.3, -1.0, 2.0])
    report = secant.check_gradient(
        molecule.energy, x, molecule.gradient, inplace=inplace
    )
    assert report.verdict == "wrong"
    assert report.diagnosis.startswith(
        "the gradient uses what the last call of f left: at the same x, after f was"
    )
    assert (x == [0.3, -1.0, 2.0]).all()

    def gradient(x):
        molecule.energy(x)
        return molecule.gradient(x)

    assert secant.check_gradient(molecule.energy, x, gradient, inplace=inplace).passed
    # f goes first
    assert secant.check_vjp(molecule.energy, x, lambda c: c * molecule.slope).passed


def test_a_gradient_of_a_function_that_reads_x_itself_uses_what_its_last_call_left():
    molecule, x = Molecule(), np.array([0.3, -1.0, 2.0])
    report = secant.check_gradient(lambda _: molecule.energy(x), x, molecule.gradient)
    assert report.verdict == "wrong"
    assert report.diagnosis.startswith("the gradient uses what the last call of f left")


def test_a_gradient_that_can_be_asked_for_only_so_often_is_not_asked_again():
    answers = iter([np.full(3, 2.0)] * 2)
    assert secant.check_gradient(
        lambda x: float(x @ x), np.ones(3), lambda _: next(answers)
    ).passed


@pytest.fixture
def fast_switches():
    """Threads take turns so often that each sees what another one has left half
    done.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("inplace", [False, True])
def test_threads_that_check_the_same_x_which_f_looks_at(fast_switches, inplace):
    x = np.linspace(1, 2, 20)
    before = x.tobytes()

    def check(number):
        right = secant.check_gradient(
            lambda _: float(np.sum(x**3)), x, 3 * X**2, inplace=inplace, rng=number
        )
        wrong = secant.check_gradient(
            lambda _: float(np.sum(x**3)), x, 3 * X, inplace=inplace, rng=number
        )
        return right.verdict, wrong.verdict

    X = x.copy()
    with ThreadPoolExecutor(4) as pool:
        assert {*pool.map(check, range(24))} == {("right", "wrong")}
    assert x.tobytes() == before


def test_threads_that_check_parameters_of_one_network_which_f_looks_at(fast_switches):
    net, x, t, right = network(np.random.default_rng(5))
    before = {key: value.tobytes() for key, value in net.params.items()}

    def check(key):
        return secant.check_gradient(
            lambda _: net.loss(x, t), net.params[key], right[key]
        ).verdict

    with ThreadPoolExecutor(4) as pool:
        assert {*pool.map(check, [*net.params] * 4)} == {"right"}
    assert {key: value.tobytes() for key, value in net.params.items()} == before


def test_f_may_check_something_itself():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])

    def f(x):
        # which shifts y itself
        assert secant.check_gradient(lambda _: np.sum(y**2), y, 2 * y).passed
        return float(np.sum(x**2))

    for inplace in (False, True):
        assert secant.check_gradient(f, x, 2 * x, inplace=inplace).passed


def within_2(x):
    assert (x >= 0).all(), x
    assert (x <= 2).all(), x
    return float(np.sum(np.exp(x) * np.cos(x)) + x[0] * x[1])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "x",
    [
        [0.0, 0, 0],
        [0, 2, 1],
        [2, 0, 2],
        [1, 1, 1],
        [1e-4, 0.5, 1.9],
        [0.01, 2 - 1e-6, 1],
    ],
)
def test_f_is_never_evaluated_outside_of_bounds(x, seed):
    x = np.array(x)
    right = np.exp(x) * (np.cos(x) - np.sin(x)) + np.array([x[1], x[0], 0])
    Limits = collections.namedtuple("Limits", "lb ub")  # as scipy.optimize.Bounds
    for bounds in ((0, 2), (np.zeros(3), [2, 2, 2]), Limits(0, 2)):
        assert (
            secant.check_gradient(within_2, x, right, bounds=bounds, rng=seed).verdict
            == "right"
        )
    for i in range(3):
        wrong = right + 1e-3 * np.eye(3)[i]
        report = secant.check_gradient(within_2, x, wrong, bounds=(0, 2), rng=seed)
        assert [finding.name for finding in report.findings] == [f"x[{i}]"]


def test_bounds_of_several_arrays_have_their_structure():
    x = {"a": np.zeros(3), "b": np.array([[1.0, 2.0]])}

    def f(x):
        assert (x["a"] >= 0).all()
        assert (x["b"] <= [[5, 2]]).all()
        return float(np.sum(np.exp(x["a"])) + np.sum(x["b"] ** 3))

    lower, upper = (
        {"a": np.zeros(3), "b": np.full((1, 2), -np.inf)},
        {"a": np.ones(3), "b": np.array([[5.0, 2.0]])},
    )
    right = {"a": np.ones(3), "b": 3 * x["b"] ** 2}
    assert secant.check_gradient(f, x, right, bounds=(lower, upper)).passed
    assert not secant.check_gradient(
        f, x, right | {"a": np.array([1, 1, 1.01])}, bounds=(lower, upper)
    ).passed
    with pytest.raises(
        ShapeError, match=r"^bounds\[0\] must have the keys of x, a, b, got a$"
    ):
        secant.check_gradient(f, x, right, bounds=({"a": np.zeros(3)}, upper))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"bounds": [(0, 2)]}, DTypeError),
        ({"bounds": (3, 4)}, ValueRangeError),
        ({"bounds": (2, 1)}, ValueRangeError),
        ({"bounds": (np.zeros(2), 4)}, ShapeError),
        ({"noise": -1.0}, ValueRangeError),
        ({"noise": "1e-6"}, DTypeError),
        ({"kwargs": (1, 2)}, DTypeError),
    ],
)
def test_errors_of_options_are_those_of_numerical_gradient(options, error):
    x = np.ones(3)
    with pytest.raises(error) as expected:
        secant.numerical_gradient(lambda x: x @ x, x, scheme="auto", **options)
    for check in (secant.check_gradient, assert_gradient):
        with pytest.raises(error) as got:
            check(lambda x: x @ x, x, 2 * x, **options)
        assert str(got.value) == str(expected.value)


def test_keyword_arguments_are_those_of_f_and_of_its_gradient():
    def f(x, a, *, b):
        return a * np.sum(x**b)

    def gradient(x, a, *, b):
        return a * b * x ** (b - 1)

    x = np.array([1.0, 2.0])
    assert_gradient(f, x, gradient, args=(3.0,), kwargs={"b": 3})
    assert not secant.check_gradient(
        f, x, gradient(x, 3.0, b=2), args=(3.0,), kwargs={"b": 3}
    ).passed


def decay(x, method, rtol):
    """What is left of a chain of two decays, and the exact gradient."""
    solve_ivp = pytest.importorskip("scipy.integrate").solve_ivp
    a, b, start = x
    y = solve_ivp(
        lambda t, y: [-a * y[0], a * y[0] - b * y[1]],
        (0, 1.5),
        [start, 0.5],
        method,
        rtol=rtol,
        atol=rtol,
    )
    return float(y.y[1, -1])


def exact_decay(x):
    a, b, start = x
    return start * a / (b - a) * (np.exp(-1.5 * a) - np.exp(-1.5 * b)) + 0.5 * np.exp(
        -1.5 * b
    )


DECAY = np.array([1.1, 0.6, 1.7])


@pytest.mark.parametrize(
    "rtol", [1e-3, 1e-4, 1e-6, 1e-8, pytest.param(1e-10, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("method", ["RK45", "RK23", "DOP853", "LSODA", "BDF"])
def test_exact_sensitivities_of_a_solver_are_right_with_its_tolerance_as_noise(
    method, rtol
):
    right = secant.numerical_gradient(exact_decay, DECAY, scheme="auto")
    args, noise = (
        (method, rtol),
        max(rtol, abs(decay(DECAY, method, rtol) - exact_decay(DECAY))),
    )
    assert (
        secant.check_gradient(decay, DECAY, right, args=args, noise=noise).verdict
        == "right"
    )
    wrong = secant.check_gradient(decay, DECAY, -right, args=args, noise=noise)
    assert wrong.verdict == "wrong"


@pytest.mark.parametrize("xtol", [1e-3, 1e-6, 1e-9])
def test_the_exact_derivative_of_a_root_is_right_with_its_tolerance_as_noise(xtol):
    brentq = pytest.importorskip("scipy.optimize").brentq

    def f(x):
        return float(brentq(lambda y: y**3 + x[0] * y - x[1], 0, 9, xtol=xtol))

    x, exact = (
        np.array([1.3, 4.0]),
        brentq(lambda y: y**3 + 1.3 * y - 4, 0, 9, xtol=1e-15),
    )
    right = np.array([-exact, 1]) / (3 * exact**2 + 1.3)
    assert secant.check_gradient(f, x, right, noise=xtol).verdict == "right"
    assert secant.check_gradient(f, x, -right, noise=xtol).verdict == "wrong"


def test_an_error_as_small_as_a_solvers_has_a_hint_at_noise():
    right = secant.numerical_gradient(exact_decay, DECAY, scheme="auto")
    for rtol in (1e-4, 1e-6):
        report = secant.check_gradient(decay, DECAY, right, args=("RK45", rtol))
        assert report.verdict == "wrong"
        assert (
            "next: if f calls a solver, give its tolerance in f as noise=; else compute x["
            in str(report)
        )
    report = secant.check_gradient(
        decay, DECAY, right * [1.2, 1.01, 0.8], args=("RK45", 1e-6)
    )
    assert "next: compute x[" in str(report)


def test_steps_of_f_that_are_found_late_do_not_make_a_gradient_wrong():
    x = np.array([1.1255109369378715, -0.9629361709349613, 0.5556554029943473])
    report = secant.check_gradient(
        lambda v: np.round(np.sin(v), 3).sum(), x, np.zeros(3), rng=49
    )
    assert not report.passed
    assert "WRONG" not in str(report)
    assert "rises in steps" in report.note
