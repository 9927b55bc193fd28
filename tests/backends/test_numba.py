"""What is special about the Numba backend: when it compiles, where that is kept, and
what its plan takes.
"""

import numpy as np
import pytest

import oracles
import secant
from secant.backends import plan
from secant.backends.activations import ACTIVATIONS
from secant.networks import batch

numba = pytest.importorskip("numba")
pytestmark = pytest.mark.needs_numba

from secant.backends.numba import gradients  # noqa: E402
from secant.backends.numpy.forward import activated  # noqa: E402

USE = """
import secant
from numba.core import event

with secant.use_backend("numba"), event.install_recorder("numba:compile") as compiled:
    net = secant.TwoLayerNet(1, 1, 2, rng=0, output_activation="identity", weight_init_std=0.0)
    print(net.gradient([1.0], 1)["b2"].round(3))
print(len(compiled.buffer) > 0)
"""


def test_importing_the_backend_compiles_nothing(run_python):
    code = "import numba.core.event as e; e.register('numba:compile', e.RecordingListener())\n"
    code = f"{code}import secant.backends.numba\nprint(len(e._registered['numba:compile'][0].buffer))"
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.slow
def test_code_is_compiled_once_and_kept_in_the_folder_that_numba_is_told(
    run_python, tmp_path
):
    first, second = (
        run_python(USE, "-W", "error", NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)
    )
    assert (first.stdout, first.stderr) == ("[ 0.5 -0.5]\nTrue\n", "")
    assert (second.stdout, second.stderr) == ("[ 0.5 -0.5]\nFalse\n", "")
    assert list(tmp_path.glob("**/kernels.add_targets*.nbc"))


@pytest.mark.slow
def test_where_nothing_can_be_kept_it_is_compiled_anew(run_python, tmp_path):
    code = "from numba.core import caching; caching.CacheImpl._locator_classes = []"
    done = run_python(code + USE, "-W", "error")
    assert (done.stdout, done.stderr) == ("[ 0.5 -0.5]\nTrue\n", "")


def test_numba_without_its_compiler_is_refused(run_python):
    done = run_python(USE, NUMBA_DISABLE_JIT="1")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert (
        last
        == "secant.errors.MissingExtraError: the backend 'numba' needs Numba's compiler: unset NUMBA_DISABLE_JIT"
    )
    assert "During handling" not in done.stderr


@pytest.mark.slow
def test_a_forked_child_computes_the_same(forked):
    net, x, t = (
        secant.TwoLayerNet(8, 6, 10, rng=0, backend="numba"),
        np.eye(8),
        np.arange(8),
    )

    def gradients():
        return [
            net.numerical_gradient(x, t, method=method)
            for method in ("direct", "series")
        ]

    def same():
        pairs = zip(gradients(), expected, strict=True)
        return all(
            np.array_equal(got[key], grads[key])
            for got, grads in pairs
            for key in grads
        )

    expected = gradients()
    assert forked(same)


def test_the_configuration_names_numba(run_python):
    done = run_python("import secant; secant.show_config()", SECANT_BACKEND="numba")
    assert f"\nnumba            {numba.__version__} (llvmlite " in done.stdout
    assert "\nthreads" not in done.stdout  # a gradient runs on one


# ---- memory --------------------------------------------------------------------------


IN_BOUNDS = """
import numpy as np, secant
from secant.backends.activations import ACTIVATIONS

rng = np.random.RandomState(0)
for i, hidden in enumerate(ACTIVATIONS):
    output = ("identity", "sigmoid")[i % 2]
    activations = {"hidden_activation": hidden, "output_activation": output}
    net = secant.TwoLayerNet(7, 5, 3, **activations, rng=0, backend="numba")
    x, t = rng.uniform(-1, 1, (9, 7)) * (rng.uniform(size=(9, 7)) > 0.5), np.arange(9) % 3
    net.gradient(x, t)
    for h in (1e-6, 1e-3, 1e-2, 0.1, 10):  # 4 terms, 8 terms, the full functions; orders 3 to 9 and none
        for method in ("auto", "direct"):
            net.numerical_gradient(x, t, h=h, method=method)
"""


@pytest.mark.slow
def test_nothing_is_read_or_written_out_of_bounds(run_python, tmp_path):
    done = run_python(IN_BOUNDS, NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(tmp_path))
    assert (done.stderr, done.returncode) == ("", 0)


# ---- the bounds and the plan, shared with the NumPy backend --------------------------


@pytest.mark.parametrize("h", [1e-150, 1.0, 1e300])
@pytest.mark.parametrize("largest", [0.0, 1.0, 1.7e308])
@pytest.mark.parametrize("weight", [0.0, 5e-324, 1.0, 1.79e308])
def test_bounds_of_any_numbers_are_silent(weight, largest, h):
    net = secant.TwoLayerNet(1, 1, 2, rng=0, backend="numpy")
    net.params["W2"][...] = weight
    x, t = np.array([[largest], [0.0]]), np.array([0, 1])
    proven, order, cut = plan.plan(batch.network(net), x, t, h)
    assert proven.any() == (order > 0)
    assert cut <= 2e-15


def test_an_activation_that_is_not_in_the_kernels_has_the_same_differences(monkeypatch):
    net, x, t = (
        secant.TwoLayerNet(4, 3, 2, rng=0, backend="numba"),
        np.eye(4),
        np.arange(4) % 2,
    )
    by_kernels = net.numerical_gradient(x, t, method="direct")
    monkeypatch.setattr(gradients, "_COMPILED", set())
    one_by_one = net.numerical_gradient(x, t, method="direct")
    assert all(
        np.allclose(one_by_one[key], by_kernels[key], rtol=0, atol=1e-16)
        for key in by_kernels
    )


# ---- changes of any size -------------------------------------------------------------


@pytest.mark.parametrize("u", [1.5, -1.5, 30.0, -30.0, 800.0, -800.0])
@pytest.mark.parametrize(
    "name", [name for name, activation in ACTIVATIONS.items() if not activation.kinked]
)
def test_a_large_change_does_not_cancel(name, u):
    activation, f = ACTIVATIONS[name], oracles.ACTIVATIONS[name]
    points = [*np.linspace(-40, 40, 41).tolist(), 700.0, -700.0, 1e4, -1e4]
    for a, got in zip(
        points,
        activated(activation, np.array([points])).change(0, np.array(u)),
        strict=True,
    ):
        truth = float(f(oracles.mpfr(a) + u) - f(oracles.mpfr(a)))
        assert abs(got - truth) <= 2e-15 * max(abs(truth), abs(u) * 1e-15), (
            a,
            got,
            truth,
        )
