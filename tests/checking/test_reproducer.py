"""`GradientReport.reproducer`: programs that run without Secant, and print what the
report says.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import secant
from secant.errors import UnsupportedError

MODULE = """
from dataclasses import dataclass

import numpy as np

__version__ = "1.2.3"


@dataclass
class Parameters:
    w: object
    b: object


def loss(p, power=2, *, scale=None):
    scale = 1.0 if scale is None else scale
    return float(np.sum(scale * p["w"] ** power) + np.sum(np.exp(p["b"][0])))


def wrong(p, power=2, *, scale=None):
    return {"w": power * p["w"] ** (power - 1), "b": (2 * np.exp(p["b"][0]),)}


def of_dataclass(p):
    return np.sum(p.w**2) + np.sum(p.b**3)


def absolute(z):
    return np.sum(np.abs(z) ** 2)


def outputs(x):
    return {"a": np.sin(x), "b": [x[0] * x[1]]}


def total(x):
    return np.sum(x**2)


def power_sum(x, power=2, *, scale=None):
    return float(np.sum(scale * x**power))


def wrong_power(x, power=2, *, scale=None):
    return power * x ** (power - 1)


def squares(x):
    return x**2
"""
OF_TORCH = """
import torch


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        return 2 * grad * ctx.saved_tensors[0] ** 2


class WrongInFloat32(Cube):
    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return (3.0 if x.dtype == torch.float64 else 2.9) * grad * x**2


def f(x, p):
    return {"u": Cube.apply(x) * p["w"], "v": [x.sum(), 3]}


def times(x, y):
    return Cube.apply(x) * y
"""
OF_JAX = """
import jax
import jax.numpy as jnp


@jax.custom_vjp
def softplus(x):
    return jnp.logaddexp(0.0, x)


softplus.defvjp(lambda x: (softplus(x), x), lambda x, c: (c * jax.nn.sigmoid(-x),))


def f(p, k):
    return {"u": softplus(p["w"][0]) * k, "v": p["w"][1].sum()}
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Import a module that is written to a file of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def imported(text):
        name = f"reproduced_{len(made)}"
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        made.append(name)
        return __import__(name)

    yield imported
    for name in made:
        del sys.modules[name]


def run(report, folder, program=None):
    """Run a program in a folder where Secant cannot be imported: the two numbers that
    it prints.
    """
    (folder / "secant.py").write_text(
        "raise ImportError('programs do without it')\n", encoding="utf-8"
    )
    file = folder / "program.py"
    file.write_text(program or report.reproducer(), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", file],
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    gradient, numerical = re.fullmatch(
        r"gradient:  (.*)\nnumerical: (.*)\n", done.stdout
    ).groups()
    return float(gradient), float(numerical)


def reproduces(report, folder, rel=1e-5):
    assert report.verdict == "wrong"
    gradient, numerical = run(report, folder)
    worst = report.findings[0]
    assert gradient == pytest.approx(worst.gradient, rel=1e-6)
    assert numerical == pytest.approx(worst.numerical, rel=rel, abs=1e-8)
    return report.reproducer()


def filled(report, function):
    """The program with a function in the place of its placeholder."""
    placeholder = re.search(
        r"def f\(x\):\n    raise NotImplementedError\(.*\)\n", report.reproducer()
    )
    return report.reproducer().replace(placeholder.group(), function)


B = (np.array([0.1, 0.2]),)


def test_a_program_calls_the_function_and_the_gradient(package, tmp_path):
    own = package(MODULE)
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    options = {"args": (3,), "kwargs": {"scale": np.array([1.0, 2.0])}}
    program = reproduces(
        secant.check_gradient(own.power_sum, x, own.wrong_power, **options), tmp_path
    )
    assert program.startswith(
        f"# Python {sys.version.split()[0]}, numpy {np.__version__}, reproduced_0 1.2.3\n"
    )
    imports = (
        "from reproduced_0 import power_sum\nfrom reproduced_0 import wrong_power\n"
    )
    assert imports in program
    called = "x, 3, scale=np.array([1.0, 2.0])"
    assert f"return power_sum({called})" in program
    assert f"float(wrong_power({called})[1, 1]))  # x[1, 1]" in program
    assert len(program.splitlines()) < 20


def test_arrays_in_containers_are_a_placeholder(package, tmp_path):
    own = package(MODULE)
    x = {"w": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": B}
    report = secant.check_gradient(
        own.loss, x, own.wrong, args=(3,), kwargs={"scale": 2.0}
    )
    assert (
        "put here loss of reproduced_0, as a function of x, which is w (an argument is"
        " a dict)" in report.reproducer()
    )
    worst = report.findings[0]
    there = "{'w': x, 'b': ([0.1, 0.2],)}"
    program = filled(
        report,
        f"from reproduced_0 import loss\ndef f(x): return loss({there}, 3, scale=2.0)\n",
    )
    gradient, numerical = run(report, tmp_path, program)
    assert gradient == worst.gradient
    assert numerical == pytest.approx(worst.numerical, rel=1e-5)


def test_a_gradient_without_a_name_is_a_number(package, tmp_path):
    own = package(MODULE)
    x = np.linspace(1, 2, 5)
    for dtype in (np.float64, np.float32):
        gradient = 2 * x.astype(dtype) + np.eye(5, dtype=dtype)[3]
        program = reproduces(
            secant.check_gradient(own.total, x.astype(dtype), gradient), tmp_path
        )
        assert f'print("gradient: ", {gradient[3]!s}' in program
    assert reproduces(secant.check_gradient(own.total, np.array(3.0), 5.0), tmp_path)
    nan = run(
        secant.check_gradient(own.total, x, 2 * x + [0, np.nan, 0, 0, 0]), tmp_path
    )
    assert np.isnan(nan[0])
    assert nan[1] == pytest.approx(2 * x[1])
    assert reproduces(
        secant.check_gradient(own.total, [1e-9, 2e-9], [2e-9, 5e-9]), tmp_path
    )


def test_complex_arrays(package, tmp_path):
    own = package(MODULE)
    z = np.array([1 + 2j, 3j])
    for wrong in (1.0, 1j):
        reproduces(
            secant.check_gradient(own.absolute, z, 2 * z + np.array([0, wrong])),
            tmp_path,
        )


def test_a_function_of_several_values(package, tmp_path):
    own = package(MODULE)
    x = np.array([0.5, 1.5, 2.0])
    for report in (
        secant.check_vjp(own.squares, x, lambda c: 3 * x * c),
        secant.check_jvp(own.squares, x, lambda tangent: 3 * x * tangent),
        secant.check_derivative(np.sin, x, np.sin),
    ):
        assert "return np.vdot(c, " in reproduces(report, tmp_path)
    report = secant.check_vjp(
        own.outputs, x, lambda c: 2 * c["a"] * np.cos(x) + c["b"][0]
    )
    assert (
        "as a function of x: the sum of its outputs times report.cotangent (it returns"
        " several arrays, or a container)" in report.reproducer()
    )


def test_programs_of_torch(package, tmp_path, torch):
    own = package(OF_TORCH)
    x = torch.tensor([0.5, -1.5, 2.0], dtype=torch.float64, requires_grad=True)
    single = torch.tensor([0.5, 1.5], requires_grad=True)
    z = torch.tensor([1 + 2j, 3j], requires_grad=True)
    p = {"w": torch.tensor(2.0, dtype=torch.float64, requires_grad=True)}
    assert "Cube.apply(x)" in reproduces(
        secant.torch.check(own.Cube.apply, x), tmp_path
    )
    reproduces(secant.torch.check(own.Cube.apply, single), tmp_path)
    reproduces(secant.torch.check(own.Cube.apply, z), tmp_path)
    assert "torch.autograd.grad(value(x), x)[0][" in reproduces(
        secant.torch.check(own.times, x, p["w"]), tmp_path
    )
    program = secant.torch.check(own.f, x, p).reproducer()
    assert "put here f of reproduced_0, as a function of x: the sum" in program
    alone = secant.torch.check(own.WrongInFloat32.apply, single)
    assert "that of float32 alone is wrong" in alone.diagnosis
    reproduces(alone, tmp_path, rel=1e-4)
    net = torch.nn.Linear(3, 1)
    net.weight.register_hook(lambda grad: 2 * grad)
    program = secant.torch.check_module(net, torch.ones(2, 3), torch.sum).reproducer()
    assert "put here the loss of the module with these parameters" in program


def test_programs_of_jax(package, tmp_path, jax):
    own = package(OF_JAX)
    x = jax.numpy.linspace(0.5, 1.5, 3)
    assert "jax.grad(value)(x)" in reproduces(
        secant.jax.check(own.softplus, (x,)), tmp_path
    )
    program = secant.jax.check(own.f, ({"w": (x, x[:1])}, 3)).reproducer()
    assert (
        "put here f of reproduced_0, as a function of x, which is p['w'][0]" in program
    )


def test_a_placeholder_says_what_belongs_there(tmp_path):
    report = secant.check_gradient(
        lambda x: np.sum(x**2), np.ones(2), np.array([2.0, 3.0])
    )
    assert (
        "put here the lambda of test_reproducer that was checked, as a function of x"
        " (no program can import it)" in report.reproducer()
    )
    program = filled(report, "def f(x):\n    return np.sum(x**2)\n")
    gradient, numerical = run(report, tmp_path, program)
    assert (gradient, numerical) == (3.0, pytest.approx(2.0))
    x = np.ones(2)
    report = secant.check_gradient(lambda _: np.sum(x**2), x, np.array([2.0, 3.0]))
    assert "it reads x itself" in report.reproducer()
    options = {"args": (SimpleNamespace(a=1),)}
    report = secant.check_gradient(
        lambda x, _: np.sum(x**2), x, np.array([2.0, 3.0]), **options
    )
    assert "an argument is a SimpleNamespace" in report.reproducer()
    options = {"args": (lambda x: x,)}
    report = secant.check_gradient(
        lambda x, g: np.sum(g(x) ** 2), x, np.array([2.0, 3.0]), **options
    )
    assert "return f(x)" in report.reproducer()
    net = secant.TwoLayerNet(3, 2, 2, rng=0)
    gradients = net.gradient(np.ones((2, 3)), np.array([0, 1]))
    gradients["W1"][0, 1] += 1
    report = secant.check_network(net, np.ones((2, 3)), np.array([0, 1]), gradients)
    assert (
        "put here the loss of the network with these parameters" in report.reproducer()
    )


def test_a_large_array_is_loaded(package, tmp_path):
    own = package(MODULE)
    x = np.linspace(1, 2, 1001)
    report = secant.check_gradient(own.total, x, 2 * x + (np.arange(1001) == 5))
    assert (
        "# Save your array of the shape (1001,) first: np.save('array_0.npy', array)"
        in report.reproducer()
    )
    np.save(tmp_path / "array_0.npy", x)
    program = report.reproducer().replace(
        "'array_0.npy')", f"{str(tmp_path / 'array_0.npy')!r})"
    )
    gradient, numerical = run(report, tmp_path, program)
    assert (gradient, numerical) == (
        report.findings[0].gradient,
        pytest.approx(report.findings[0].numerical),
    )
    assert json.loads(report.to_json())["x"] == {"x": None}


def test_nothing_wrong_has_no_program():
    report = secant.check_gradient(lambda x: np.sum(x**2), np.ones(2), 2 * np.ones(2))
    with pytest.raises(UnsupportedError, match="no single entry was found to be wrong"):
        report.reproducer()


def test_the_json_has_x_versions_and_names(package):
    own = package(MODULE)
    report = secant.check_gradient(
        own.loss, {"w": np.array([1.0, 2.0]), "b": B}, own.wrong
    )
    again = json.loads(report.to_json())
    assert again["x"] == {"w": [1.0, 2.0], "b[0]": [0.1, 0.2]}
    assert again["versions"] == {
        "Python": sys.version.split()[0],
        "numpy": np.__version__,
        "reproduced_0": "1.2.3",
    }
    assert [finding["name"] for finding in again["findings"]] == [
        finding.name for finding in report.findings
    ]
    assert "program" not in again
    assert Path(sys.modules["reproduced_0"].__file__).exists()
