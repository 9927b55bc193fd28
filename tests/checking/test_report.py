"""What a report says: names, what was checked and how to check it again."""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import secant
from secant.errors import GradientMismatchError, ShapeError, UnsupportedError


@pytest.fixture
def jax(jax):
    with secant.jax._enable_x64(True):
        yield jax


def names(report):
    return [array.name for array in report.arrays]


def test_names_of_arguments_of_torch(torch):
    class Old(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            return x * weight

        @staticmethod
        def backward(ctx, grad):
            return grad, grad

    class New(Old):
        @staticmethod
        def forward(x, weight):
            return x * weight

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

    class Module(torch.nn.Module):
        def forward(self, image, *rest):
            return image * rest[0]["a"]

    x, y = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    for function in (Old, New):
        assert names(secant.torch.check(function.apply, (x, y))) == ["x", "weight"]
    assert names(secant.torch.check(Module(), (x, {"a": y}))) == [
        "image",
        "inputs[1]['a']",
    ]
    assert names(secant.torch.check(lambda p: p["a"][0] * x, {"a": [y]})) == [
        "p['a'][0]"
    ]
    assert names(secant.torch.check(torch.mul, (x, y))) == ["inputs[0]", "inputs[1]"]


def test_names_of_arguments_of_jax(jax):
    x = jax.numpy.linspace(0.1, 1, 3)

    @jax.custom_vjp
    def scaled(x, weight):
        return x * weight["w"]

    scaled.defvjp(
        lambda x, weight: (scaled(x, weight), None), lambda _, c: (c, {"w": c})
    )
    assert names(secant.jax.check(scaled, (x, {"w": x}))) == ["x", "weight['w']"]
    assert names(secant.jax.check(lambda *p: p[0] * p[1], (x, x))) == [
        "args[0]",
        "args[1]",
    ]


def softplus(x):
    return np.sum(np.logaddexp(0, x) ** 2)


def softplus_gradient(x):
    return 2 * np.logaddexp(0, x) / (1 + np.exp(-x))


@pytest.mark.parametrize("shape", [(5,), (400,)])
def test_the_size_of_an_error_is_a_share_of_the_norm(shape):
    x = np.random.default_rng(0).normal(size=shape)
    right = softplus_gradient(x)
    errors = {
        "all": 0.15 * right * np.where(np.arange(len(x)) % 2, 1, -1),
        "one": np.eye(len(x))[3] * 0.01 * np.linalg.norm(right),
        "zero": -right,
    }
    errors["one among small ones"] = errors["one"] + 1e-8 * right
    for error in errors.values():
        (array,) = secant.check_gradient(softplus, x, right + error).arrays
        true = np.linalg.norm(error) / np.linalg.norm(right)
        assert math.isclose(array.relative_error, true, rel_tol=1e-6)
    assert "off by 15 % of its norm" in str(
        secant.check_gradient(softplus, x[:5], (right + errors["all"])[:5])
    )
    assert "off by 9900 % of its norm" in str(
        secant.check_gradient(softplus, x[:5], 100 * right[:5])
    )
    (array,) = secant.check_gradient(softplus, x, right).arrays
    assert math.isnan(array.relative_error)
    many = right * np.where(np.arange(len(x)) % 3, 1, 2)  # of which a search finds some
    (array,) = secant.check_gradient(softplus, x, many).arrays
    assert (
        0.2
        < array.relative_error / np.linalg.norm(many - right) * np.linalg.norm(right)
        < 3
    )
    assert math.isnan(
        secant.check_gradient(lambda _: 1.0, x, right).arrays[0].relative_error
    )


def last(report):
    return str(report).splitlines()[-1].strip()


def test_a_report_says_what_to_do_next():
    x = np.linspace(-1, 1, 8)
    right = softplus_gradient(x)
    assert "next:" not in str(secant.check_gradient(softplus, x, right))
    assert last(secant.check_gradient(softplus, x, 2 * right)).startswith(
        "looks like: "
    )
    report = secant.check_gradient(softplus, x, right + np.arange(8.0) ** 2)
    by_hand = "compute x[7] by hand: move it by a small h, and divide f(x + h) - f(x - h) by 2 h, "
    by_hand += "as the program of report.reproducer() does"
    assert last(report) == f"next: {by_hand}"
    low = x.astype(np.float32)
    noisy = secant.check_gradient(lambda x: 1e15 + softplus(x), x, right)
    assert noisy.verdict == "not verified"
    assert last(noisy) == "next: check at another x"
    noisy = secant.check_gradient(
        lambda x: np.float32(1e6) + np.float32(softplus(x)),
        low,
        right.astype(np.float32),
    )
    assert (
        last(noisy)
        == "next: compute in float64, which tells a mistake from rounding and from kinks nearby"
    )
    kinked = secant.check_gradient(
        lambda x: np.abs(x).sum(), np.zeros(4), np.full(4, 3.0)
    )
    assert not kinked
    assert last(kinked) == "next: check at another x"


@pytest.mark.slow
def test_pytest_shows_the_line_of_the_test_and_the_report(tmp_path):
    (tmp_path / "test_square.py").write_text(
        "import numpy as np\n"
        "from secant.testing import assert_gradient\n"
        "def test_square():\n"
        "    assert_gradient(lambda x: np.sum(x**2), np.ones(3), lambda x: x)\n",
        encoding="utf-8",
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "test_square.py",
    ]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert "GradientMismatchError: gradient in 3 entries: WRONG" in shown
    assert "raise_if_failed" not in shown


def test_the_cotangent_repeats_what_was_checked():
    a, x = np.random.default_rng(0).normal(size=(3, 4)), np.linspace(0.1, 1, 4)
    report = secant.check_vjp(
        lambda x: np.tanh(a @ x), x, lambda c: a.T @ c, rng=np.int64(7)
    )
    c = "the incoming gradient c is report.cotangent: random, the same for rng=7"
    said = f"  it is the gradient of sum(c * f(x)); {c}\n"
    assert said in str(report)
    assert "divide sum(c * f)(x + h) - sum(c * f)(x - h) by 2 h" in last(
        replace(report, diagnosis=None)
    )
    c = report.cotangent
    for found in report.findings:
        assert found.gradient == (a.T @ c)[found.index]
        assert math.isclose(
            found.numerical,
            (a.T @ (c * (1 - np.tanh(a @ x) ** 2)))[found.index],
            rel_tol=1e-9,
        )
    again = json.loads(report.to_json())
    assert again["verdict"] == "wrong"
    assert (again["mode"], again["seed"]) == ("reverse mode", 7)
    assert "cotangent" not in again
    assert "candidate" not in str(report)
    assert str(report).startswith("gradient (reverse mode) in 4 entries: WRONG by ")
    assert str(secant.check_jvp(lambda x: a @ x, x, lambda t: a @ t)).startswith(
        "gradient (forward mode) in 4 entries"
    )


DIFFERS = r"the gradient is not deterministic: two calls at the same x differ by up to \d\.\de[+-]\d\d in x, as with"


def test_a_gradient_that_differs_from_call_to_call():
    x, calls = np.linspace(0.1, 1, 4), []

    def vjp(c):
        calls.append(c)
        return c * len(calls)  # right in the first call

    report = secant.check_vjp(lambda x: x, x, vjp)
    assert report.verdict == "wrong"
    assert re.match(DIFFERS, report.diagnosis)
    rng = np.random.default_rng(0)
    # rounding
    assert secant.check_vjp(
        lambda x: x, x, lambda c: c * (1 + rng.uniform(-1e-15, 1e-15, 4))
    ).passed
    assert not secant.check_vjp(lambda x: x, x, lambda c: c * np.nan).passed
    assert not secant.check_vjp(lambda x: x, x, lambda c: c * np.inf).passed


def test_a_backward_that_is_right_once(torch):
    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.y = x.exp()
            return ctx.y.clone()

        @staticmethod
        def backward(ctx, grad):
            return ctx.y.mul_(grad)

    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    report = secant.torch.check(Exp.apply, x)
    assert report.verdict == "wrong"
    assert report.diagnosis.endswith("when it runs again on one graph")
    assert not secant.torch.gradcheck(Exp.apply, x, raise_exception=False)


def test_a_backward_that_overwrites_what_comes_in(torch):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.square()

        @staticmethod
        def backward(ctx, grad):
            return grad.mul_(2).mul_(ctx.saved_tensors[0])

    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    report = secant.torch.check(Square.apply, x)
    assert report.verdict == "wrong"
    assert "overwrites the incoming gradient" in report.diagnosis


def test_a_graph_that_can_run_only_once(torch):
    class Frees(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.x = x
            return x.square(), 3 * x

        @staticmethod
        def backward(ctx, grad, other):
            x = ctx.x
            del ctx.x
            return 2 * x * grad + 3 * other

    assert secant.torch.check(
        Frees.apply, torch.randn(3, dtype=torch.float64, requires_grad=True)
    ).passed


def test_a_gradient_that_uses_up_what_f_left_or_is_summed_in_any_order():
    left, rng = [], np.random.default_rng(0)

    def f(x):
        left[:] = [x.copy()]
        return np.sum(x**2)

    assert secant.check_gradient(f, np.ones(3), lambda _: 2 * left.pop()).passed
    rows = np.random.default_rng(1).normal(size=(1000, 3)).astype(np.float32)
    x = np.ones(3, np.float32)

    def shuffled(x):
        terms = rows[rng.permutation(1000)]
        return np.cumsum(terms * (terms @ x)[:, np.newaxis], axis=0)[-1]

    assert (
        secant.check_gradient(
            lambda x: 0.5 * np.sum((rows @ x) ** 2), x, shuffled
        ).verdict
        != "wrong"
    )


def test_a_gradient_that_is_added_to_a_buffer():
    total = np.zeros(3)

    def gradient(x):
        total[:] += 2 * x
        return total

    report = secant.check_gradient(lambda x: np.sum(x**2), np.ones(3), gradient)
    assert report.verdict == "wrong"
    assert re.match(DIFFERS, report.diagnosis)


def test_a_rule_of_jax_that_returns_another_value_is_an_error(jax):
    x = jax.numpy.linspace(0.5, 1.5, 4)
    reverse = jax.custom_vjp(jax.numpy.sin)
    reverse.defvjp(
        lambda x: (2 * jax.numpy.sin(x), x), lambda x, c: (c * jax.numpy.cos(x),)
    )
    forward = jax.custom_jvp(jax.numpy.sin)
    forward.defjvp(lambda x, t: (0 * x[0], t[0] * jax.numpy.cos(x[0])))
    for f, mode in ((reverse, "rev"), (forward, "fwd"), (forward, "rev")):
        with pytest.raises(
            GradientMismatchError,
            match=r"^f is off by .* where its derivative is taken",
        ):
            secant.jax.check_grads(f, (x,), modes=mode)


def test_a_value_that_is_only_rounding_is_no_other_value(jax):
    x = jax.numpy.asarray(np.random.default_rng(0).normal(size=(8, 16)), "float32")
    # 1e-16, and other bits compiled anew
    report = secant.jax.check(lambda x: ((x - x.mean()) / x.std()).sum(), (x,))
    assert report.verdict == "not verified"


def test_inference_mode_is_named(torch):
    with (
        torch.inference_mode(),
        pytest.raises(UnsupportedError, match="inference mode"),
    ):
        secant.torch.check_module(torch.nn.Linear(2, 2), torch.ones(2))


def test_entries_have_the_names_that_the_caller_gives():
    names = ["metric:log_L_1_1", "metric:log_L_2_1", "noise"]
    x = np.array([1.0, 2.0, 3.0])
    report = secant.check_gradient(
        lambda x: np.sum(x**3), x, 3 * x**2 + [0, 1, 0], names=names
    )
    (finding,) = report.findings
    assert (finding.name, finding.array, finding.index) == (
        "metric:log_L_2_1",
        "x",
        (1,),
    )
    assert "\n  metric:log_L_2_1   1.30000e+01" in str(report)
    assert report.diagnosis.startswith("one entry, metric:log_L_2_1, is ")
    assert "# metric:log_L_2_1\n" in report.reproducer()
    again = json.loads(report.to_json())
    assert again["names"] == {"x": names}
    assert again["findings"][0]["name"] == "metric:log_L_2_1"
    with pytest.raises(GradientMismatchError, match="metric:log_L_2_1"):
        secant.testing.assert_gradient(
            lambda x: np.sum(x**3), x, 3 * x**2 + [0, 1, 0], names=names
        )


def test_names_have_the_structure_of_x():
    x = {
        "w": np.ones((2, 2)),
        "z": [np.array([1 + 1j]), np.ones(0)],
        "rest": np.ones(2),
    }
    wrong = {
        "w": np.array([[2.0, 2], [9, 2]]),
        "z": [np.array([2 + 9j]), np.ones(0)],
        "rest": np.array([2.0, 9]),
    }

    def f(p):
        return (
            np.sum(p["w"] ** 2)
            + np.sum(np.abs(p["z"][0]) ** 2)
            + np.sum(p["rest"] ** 2)
        )

    names = {"w": [["a", "b"], ["c", "d"]], "z": [["pole"], None]}
    report = secant.check_gradient(f, x, wrong, names=names)
    assert {finding.name for finding in report.findings} == {
        "c",
        "pole.imag",
        "rest[1]",
    }
    assert (
        secant.check_gradient(f, x, wrong, names=names, inplace=True).findings
        == report.findings
    )
    for other in (
        ["a"],
        {"q": ["a"]},
        {"w": ["a", "b"]},
        {"w": [[1, 2], [3, 4]]},
        {"w": 3},
    ):
        with pytest.raises(ShapeError, match=r"^names"):
            secant.check_gradient(f, x, wrong, names=other)


def test_noise_is_relative_to_the_value_of_f():
    noises = [
        secant.check_gradient(
            lambda x, factor=factor: factor * np.exp(x).sum(),
            np.array([1.0, 2.0]),
            factor * np.exp([1.0, 2.0]),
        ).noise
        for factor in (1.0, 2.0**20, -(2.0**-20))
    ]
    assert noises[0] == noises[1] == noises[2]
    assert 0 < noises[0] < 1e-14


@pytest.mark.parametrize(
    ("x_type", "gradient_type", "resolution"),
    [
        (np.float64, np.float64, 2.0**-52),
        (np.float64, np.float32, 2.0**-23),
        (np.float32, np.float64, 2.0**-23),
        (np.float64, np.float16, 2.0**-10),
    ],
)
def test_resolution_is_the_rounding_of_x_or_of_a_coarser_gradient(
    x_type, gradient_type, resolution
):
    x = np.array([1.0, 2.0], x_type)
    gradient = np.array([2.0, 4.0], gradient_type)
    report = secant.check_gradient(lambda x: np.sum(x**2), x, gradient)
    assert report.resolution == resolution


def test_json_has_null_for_what_is_not_finite_and_for_large_arrays():
    x = {"small": np.ones(1000), "large": np.ones(1001)}
    gradient = {"small": 2 * x["small"], "large": 2 * x["large"]}
    gradient["small"][3], gradient["large"][4] = np.inf, np.nan

    def f(x):
        return np.sum(x["small"] ** 2) + np.sum(x["large"] ** 2)

    names = {"large": [f"p{i}" for i in range(1001)]}
    report = secant.check_gradient(f, x, gradient, names=names)
    assert report.x["small"].tolist() == x["small"].tolist()
    assert report.x["large"] is None
    assert report.names["large"][4] == "p4"

    def refuse(constant):
        raise AssertionError(constant)  # Infinity, -Infinity or NaN

    found = json.loads(report.to_json(), parse_constant=refuse)
    assert found["x"] == {"small": [1.0] * 1000, "large": None}
    assert found["names"] == {"large": None}
    assert {entry["gradient"] for entry in found["findings"]} == {None}


def test_the_largest_entry_and_the_norm_of_an_array():
    x = np.array([3.0, -4.0])
    (array,) = secant.check_gradient(lambda x: np.sum(x**2) / 2, x, x).arrays
    assert array.largest == 4
    assert array.norm == pytest.approx(5, rel=1e-15)
