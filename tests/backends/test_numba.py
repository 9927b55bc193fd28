"""What is special about the Numba backend: when it compiles, where that is kept, threads, and shifts of any size."""

import os
import threading
import time

import numpy as np
import pytest

import oracles
import secant
from secant.backends import plan
from secant.backends.activations import ACTIVATIONS
from secant.networks import batch

numba = pytest.importorskip("numba")
pytestmark = pytest.mark.needs_numba

from secant.backends import numba as backend  # noqa: E402
from secant.backends.numba import kernels, threads  # noqa: E402

USE = """
import secant

secant.set_backend("numba")
from numba.core import event

with event.install_recorder("numba:compile") as compiled:
    print(secant.TwoLayerNet(1, 1, 2, rng=0, output_activation="identity", weight_init_std=0.0).predict([1.0]))
print(len(compiled.buffer) > 0)
"""


def test_importing_secant_does_not_import_numba(run_python):
    done = run_python("import secant, sys; print('numba' in sys.modules, 'llvmlite' in sys.modules)")
    assert (done.stdout, done.stderr) == ("False False\n", "")


def test_importing_the_backend_compiles_nothing(run_python):
    code = "import numba.core.event as e; e.register('numba:compile', e.RecordingListener())\n"
    code = f"{code}import secant.backends.numba\nprint(len(e._registered['numba:compile'][0].buffer))"
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.slow
def test_code_is_compiled_once_and_kept_in_the_folder_that_numba_is_told(run_python, tmp_path):
    first, second = (run_python(USE, "-W", "error", NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert (first.stdout, first.stderr) == ("[0.5 0.5]\nTrue\n", "")
    assert (second.stdout, second.stderr) == ("[0.5 0.5]\nFalse\n", "")
    assert list(tmp_path.glob("**/kernels.activate*.nbc"))


@pytest.mark.slow
def test_where_nothing_can_be_kept_it_is_compiled_anew(run_python, tmp_path):
    code = "from numba.core import caching; caching.CacheImpl._locator_classes = []"
    done = run_python(code + USE, "-W", "error")
    assert (done.stdout, done.stderr) == ("[0.5 0.5]\nTrue\n", "")


def test_numba_without_its_compiler_is_refused(run_python):
    done = run_python(USE, NUMBA_DISABLE_JIT="1")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert (
        last == "secant.errors.MissingExtraError: the backend 'numba' needs Numba's compiler: unset NUMBA_DISABLE_JIT"
    )
    assert "During handling" not in done.stderr


# ---- threads ---------------------------------------------------------------------------------------------------------


def work():
    """A case that is worth several threads, and its gradients by both methods."""
    net = secant.TwoLayerNet(100, 64, 10, rng=0, backend="numba")
    x, t = np.random.RandomState(1).uniform(0.01, 1, (2000, 100)), np.arange(2000) % 10
    return [net.numerical_gradient(x, t, method=m, n_threads=2) for m in ("direct", "series")], net, x, t


@pytest.mark.slow
def test_work_for_several_threads_is_taken_by_them_and_the_bits_are_the_same(monkeypatch):
    wanted = []
    choose = threads.choose_threads
    monkeypatch.setattr(backend.gradients, "choose_threads", lambda *given: wanted.append(choose(*given)) or wanted[-1])
    by_two, net, x, t = work()
    assert set(wanted) == {min(2, threads.max_threads())}
    for method, grads in zip(("direct", "series"), by_two, strict=True):
        by_one = net.numerical_gradient(x, t, method=method, n_threads=1)
        assert all(np.array_equal(by_one[key], grads[key]) for key in grads)


@pytest.mark.slow
def test_a_forked_child_computes_the_same(forked):
    expected, *_ = work()

    def same():
        grads, *_ = work()
        return all(np.array_equal(a[key], b[key]) for a, b in zip(grads, expected, strict=True) for key in a)

    assert forked(same)


THREADS = """
import numpy as np, secant
from secant.backends.numba import threads

net = secant.TwoLayerNet(100, 64, 10, rng=0, backend="numba")
x = np.random.RandomState(1).uniform(0.01, 1, (900, 100))
net.gradient(np.tile(x, (3, 1)), np.arange(2700) % 10, n_threads=30000)
print(threads.max_threads() <= 64)
"""


@pytest.mark.slow
@pytest.mark.skipif((os.cpu_count() or 1) > 64, reason="this machine has more processors than that")
def test_more_threads_than_a_system_has_are_not_started(run_python):
    done = run_python(THREADS, NUMBA_NUM_THREADS="100000")
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


def test_threads_default_to_what_numba_is_told(run_python):
    code = "import secant; secant.show_config()"
    done = run_python(code, SECANT_BACKEND="numba", NUMBA_NUM_THREADS="3")
    assert "\nthreads          3\n" in done.stdout
    assert f"\nnumba            {numba.__version__} (llvmlite " in done.stdout


# ---- shifts and pre-activations of any size --------------------------------------------------------------------------

FAR = {  # W1, b1, W2, b2, x, h, output, and the central difference in W1
    "a hidden unit across zero": (0.08, 0, [1, -1], 0, 1e4, 0.1, "sigmoid", -1.02299352),
    "an output unit far off": (0.0, 0, [800, -800], 0, 255, 0.1, "identity", -3.46573537),
    "an output unit across zero": (0.0, -10, [2000, -2000], -1001, 255, 0.1, "sigmoid", -1.89942715),
}


@pytest.mark.parametrize("case", FAR)
def test_a_shift_may_carry_a_saturated_unit_across_zero(case):
    w1, b1, w2, b2, x, h, output, expected = FAR[case]
    net = secant.TwoLayerNet(1, 1, 2, output_activation=output, rng=0, backend="numba")
    for key, value in (("W1", w1), ("b1", b1), ("W2", [w2]), ("b2", b2)):
        net.params[key][...] = value
    x, t = np.array([[float(x)]]), np.array([0])
    got = net.numerical_gradient(x, t, h=h, method="direct")
    assert got["W1"][0, 0] == pytest.approx(expected, rel=1e-8)


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


# ---- the bounds and the plan, shared with the NumPy backend ----------------------------------------------------------


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


def test_the_samples_that_have_an_order_are_those_with_the_smaller_inputs():
    net = secant.TwoLayerNet(1, 1, 2, rng=0, backend="numpy")
    x = np.logspace(-3, 6, 40)[:, np.newaxis]
    proven, order, _ = plan.plan(batch.network(net), x, np.zeros(40, np.int64), 1e-3)
    one_by_one = [plan.plan(batch.network(net), x[[n]], np.zeros(1, np.int64), 1e-3) for n in range(40)]
    assert proven.tolist() == [bool(alone[0][0]) for alone in one_by_one]
    assert 0 < proven.sum() < 40
    assert order == max(alone[1] for alone in one_by_one)


def test_python_goes_on_while_a_kernel_runs():
    @numba.njit(nogil=True)
    def kernel(first, last, state, answered, enough):  # it has to look again each time
        while not state[answered + first] and state[1] < enough:
            state[1] += 1

    state, enough = np.zeros(2, np.int64), 3_000_000_000
    threads.run(kernel, 1, 2, state, 0, 0)
    thread = threading.Thread(target=threads.run, args=(kernel, 1, 2, state, 0, enough))
    thread.start()
    while not state[1]:
        time.sleep(0.001)
    state[0] = 1
    thread.join()
    assert state[1] < enough


# ---- the functions that are compiled ---------------------------------------------------------------------------------


@pytest.mark.parametrize("u", [1.5, -1.5, 30.0, -30.0, 800.0, -800.0])
@pytest.mark.parametrize("name", [name for name, activation in ACTIVATIONS.items() if not activation.kinked])
def test_a_large_change_does_not_cancel(name, u):
    activation, f = ACTIVATIONS[name], oracles.ACTIVATIONS[name]
    for a in [*np.linspace(-40, 40, 41).tolist(), 700.0, -700.0, 1e4, -1e4]:
        _, p, q = kernels.state(activation.rate, False, a)
        got = kernels.unit_change(activation.rate, a, p, q, u)
        truth = float(f(oracles.mpfr(a) + u) - f(oracles.mpfr(a)))
        assert abs(got - truth) <= 2e-15 * max(abs(truth), abs(u) * 1e-15), (a, got, truth)
