"""f on workers: the bits of one process, errors that end the others, and workers that are lost."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import ways

import secant
from secant.differentiation import derivatives, workers
from secant.errors import DTypeError, UnsupportedError, ValueRangeError
from sweeps import grid

joblib = pytest.importorskip("joblib")
HERE = str(Path(__file__).parent)
X = np.random.RandomState(0).normal(size=(5, 8))


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Workers also where they do not pay."""
    monkeypatch.setattr(workers, "ENOUGH_FOR_JOBS", 0.0)
    monkeypatch.setattr(workers, "ENOUGH_FOR_EXECUTOR", 0.0)


@pytest.fixture(scope="module")
def processes():
    clean = multiprocessing.get_context("forkserver")  # JAX warns where a process that has loaded it is forked
    with ProcessPoolExecutor(2, mp_context=clean) as pool:
        yield pool


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(3) as pool:
        yield pool


@pytest.fixture(params=["loky", "threading", "processes", "threads"])
def options(request):
    if request.param in ("processes", "threads"):
        yield {"executor": request.getfixturevalue(request.param)}
    elif request.param == "loky":
        yield {"workers": 2}
    else:
        with joblib.parallel_config("threading"):
            yield {"workers": 2}


def same(got, wanted):
    return got.tobytes() == wanted.tobytes() and got.shape == wanted.shape


@pytest.mark.parametrize("scheme", ["central", "forward", "five-point", "auto"])
def test_the_bits_are_those_of_one_process(options, scheme):
    x, before = X.copy(), X.tobytes()
    gradient, error = secant.numerical_gradient(ways.rosenbrock, x, scheme=scheme, return_error=True, **options)
    alone, bar = secant.numerical_gradient(ways.rosenbrock, x, scheme=scheme, return_error=True)
    assert same(gradient, alone)
    assert same(error, bar)
    assert x.tobytes() == before


def test_stacks_lists_and_jitted_functions(options):
    wanted = secant.numerical_gradient(ways.rosenbrock, X)
    assert same(secant.numerical_gradient(ways.rosenbrock_of_stacks, X, vectorized=True, **options), wanted)
    assert same(secant.numerical_gradient(ways.rosenbrock, X.tolist(), **options), wanted)
    if "executor" in options and isinstance(options["executor"], ThreadPoolExecutor):
        assert same(secant.numerical_gradient(ways.jitted(), X, **options), wanted)


def test_a_local_function_goes_to_joblib():
    scale = 2.0
    np.testing.assert_allclose(secant.numerical_gradient(lambda x: scale * x.sum(), X, workers=2), 2)


def failing(x):
    if x[11] > 11:
        raise ZeroDivisionError("no")
    time.sleep(0.001)
    return float(x.sum())


def test_the_first_error_ends_all_and_names_the_coordinate(options):
    x = np.arange(40.0)
    with pytest.raises(ValueRangeError, match=r"at x\[11\] = 11.0001, and raised ZeroDivisionError: no"):
        secant.numerical_gradient(failing, x, **options)
    assert x.tolist() == list(range(40))
    assert same(secant.numerical_gradient(ways.rosenbrock, X, **options), secant.numerical_gradient(ways.rosenbrock, X))


class FailsOnce(Executor):
    """Its first task fails, and the others wait."""

    def __init__(self):
        self.futures = []

    def submit(self, *_):
        self.futures.append(Future())
        if len(self.futures) == 1:
            self.futures[0].set_exception(ZeroDivisionError("no"))
        return self.futures[-1]


def test_the_rest_is_cancelled():
    with FailsOnce() as executor, pytest.raises(ZeroDivisionError, match="no"):
        secant.numerical_gradient(ways.rosenbrock, X, executor=executor)
    _, *others = executor.futures
    assert others
    assert all(future.cancelled() for future in others)


def ignores(_):
    return 3.0 + len(STATE)


STATE = np.ones(3)


def test_a_function_that_ignores_its_argument_is_refused(options):
    with pytest.raises(DTypeError, match=r"^f must use its argument"):
        secant.numerical_gradient(ignores, STATE, **options)


def test_what_does_not_go_together(threads):
    for options, message in (
        ({"workers": 2, "executor": threads}, "n_jobs and executor do not go together"),
        ({"workers": 2, "inplace": True}, "inplace=True does not go"),
    ):
        with pytest.raises(UnsupportedError, match=message):
            secant.numerical_gradient(ways.rosenbrock, X.copy(), **options)
    with pytest.raises(UnsupportedError, match="a C function cannot be sent"):
        secant.numerical_gradient(ways.in_c(), X.copy(), executor=threads)
    client = type("Client", (), {"get_executor": None})()
    with pytest.raises(DTypeError, match=r"executor must be a .*Executor, got Client: use its get_executor\(\)"):
        secant.numerical_gradient(ways.rosenbrock, X.copy(), executor=client)
    with pytest.raises(DTypeError, match=r"executor must be a concurrent.futures.Executor, got int"):
        secant.numerical_gradient(ways.rosenbrock, X.copy(), executor=3)


@pytest.mark.parametrize(
    ("workers", "error", "message"),
    [
        (-2, ValueRangeError, "n_jobs must be at least 1, or -1 for all, got -2"),
        (True, DTypeError, "n_jobs must be a whole number, got True"),
    ],
)
def test_n_jobs_is_checked(n_jobs, error, message):
    with pytest.raises(error, match=message):
        secant.numerical_gradient(ways.rosenbrock, X.copy(), workers=n_jobs)


def test_little_work_stays_in_this_process(monkeypatch):
    monkeypatch.setattr(workers, "ENOUGH_FOR_EXECUTOR", 60.0)  # seconds, more than any pause

    class Untouched(ThreadPoolExecutor):
        def submit(self, *_, **__):
            raise AssertionError("submitted")

    with Untouched(2) as pool:
        secant.numerical_gradient(ways.rosenbrock, np.ones(3), workers=pool.map)


class DiesOnce:
    """Kills the process that evaluates it at one point, once: a file remembers."""

    def __init__(self, file):
        self.file = str(file)

    def __call__(self, x):
        if x.reshape(-1)[9] > X.reshape(-1)[9] and not os.path.exists(self.file):
            open(self.file, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return ways.rosenbrock(x)


class DiesAlways(DiesOnce):
    """Kills every process that is not this one."""

    def __call__(self, x):
        if os.getpid() != int(self.file):
            os._exit(1)
        return ways.rosenbrock(x)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("pool", grid(lambda pool: pool == "processes", ["loky", "processes"]))
def test_the_range_of_a_lost_worker_is_done_again(pool, tmp_path):
    f, wanted = DiesOnce(tmp_path / "died"), secant.numerical_gradient(ways.rosenbrock, X)
    with ProcessPoolExecutor(2) as executor, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # loky's, that a worker is lost
        options = {"workers": 2} if pool == "loky" else {"executor": executor}
        assert same(_gradient_elsewhere(f, options), wanted)
    assert os.path.exists(f.file)


def _gradient_elsewhere(f, options):
    """f is evaluated once by this process, which is not to die: that a file is there keeps it alive."""
    Path(f.file).touch()
    original = workers.computed

    def computed(*arguments):
        os.remove(f.file)
        return original(*arguments)

    workers.computed = computed
    try:
        return secant.numerical_gradient(f, X.copy(), **options)
    finally:
        workers.computed = original


@pytest.mark.parametrize("pool", grid(lambda pool: pool == "processes", ["loky", "processes"]))
def test_workers_that_are_always_lost_are_an_error(pool):
    with ProcessPoolExecutor(2) as executor, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"workers": 2} if pool == "loky" else {"executor": executor}
        with pytest.raises(BrokenExecutor):
            secant.numerical_gradient(DiesAlways(os.getpid()), X.copy(), **options)


def slow(x):
    time.sleep(0.01)
    return float(x.sum())


@pytest.mark.parametrize("kind", grid(lambda kind: kind == "threads", ["threads", "loky"]))
def test_ctrl_c_ends_it(kind, default_handler, threads):
    options = {"executor": threads} if kind == "threads" else {"workers": 2}
    x = np.ones(10_000)  # a minute of work, or more
    timer = threading.Timer(0.2 if kind == "threads" else 1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(KeyboardInterrupt):
            secant.numerical_gradient(slow, x, **options)
    assert time.perf_counter() - start < 30
    assert (x == 1).all()


class Locked(Future):
    """A signal comes while its lock is held."""

    finished = 0

    def signalled(self, method, *arguments):
        with self._condition:
            signal.raise_signal(signal.SIGINT)
            Locked.finished += 1
        return method(*arguments)

    def add_done_callback(self, fn):
        self.signalled(super().add_done_callback, fn)

    def result(self, timeout=None):
        return self.signalled(super().result, timeout)


class AtOnce(Executor):
    def submit(self, fn, *arguments):
        future = Locked()
        future.set_result(fn(*arguments))
        return future


@pytest.mark.parametrize("method", ["add_done_callback", "result"])
def test_a_signal_leaves_no_future_locked(method, default_handler, monkeypatch):
    """What its handler raises comes once the lock is free: `concurrent.futures` may hang otherwise."""
    monkeypatch.setattr(Locked, "finished", 0)
    other = {"add_done_callback": "result", "result": "add_done_callback"}[method]
    monkeypatch.setattr(Locked, other, getattr(Future, other))
    with pytest.raises(KeyboardInterrupt):
        secant.numerical_gradient(ways.rosenbrock, X.copy(), executor=AtOnce())
    assert Locked.finished > 0


@contextmanager
def cluster():
    """Two processes of Dask's, which can import this module."""
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
            ) as local,
            distributed.Client(local) as client,
        ):
            client.run(sys.path.insert, 0, HERE)
            yield client


@pytest.mark.slow
def test_dask_gives_the_bits_of_one_process_and_survives_a_killed_worker(tmp_path):
    wanted = secant.numerical_gradient(ways.rosenbrock, X)
    with cluster() as client:
        executor = client.get_executor()
        assert same(secant.numerical_gradient(ways.rosenbrock, X, executor=executor), wanted)
        with joblib.parallel_config("dask"):
            assert same(secant.numerical_gradient(ways.rosenbrock, X, workers=2), wanted)
        assert same(_gradient_elsewhere(DiesOnce(tmp_path / "died"), {"executor": executor}), wanted)
        with pytest.raises(ValueRangeError, match="raised ZeroDivisionError: no"):
            secant.numerical_gradient(failing, np.arange(40.0), executor=executor)


MEMORY = """
import tracemalloc, numpy as np, secant
from concurrent.futures import ThreadPoolExecutor
x = np.ones(1_000_000)
f = lambda x: x[0]
tracemalloc.start()
with ThreadPoolExecutor(2) as pool:
    secant.numerical_gradient(f, x, workers=pool.map)
print(tracemalloc.get_traced_memory()[1] / x.nbytes)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_coordinates():
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, timeout=240, check=True)
    assert float(done.stdout) <= 4  # of each worker, the gradient, and what is on its way


class Calls:
    """A function that counts its calls, from whatever thread."""

    def __init__(self, f):
        self.f, self.count, self.lock = f, 0, threading.Lock()

    def __call__(self, x):
        with self.lock:
            self.count += 1
        return self.f(x)


def test_workers_look_at_the_groups_of_one_process(threads, monkeypatch):
    def f(x):
        return float(np.sum(x**2))

    monkeypatch.setattr(derivatives, "_MEASURED", 0.0)
    alone, shared, x = Calls(f), Calls(f), np.random.RandomState(0).normal(size=100)
    secant.numerical_gradient(alone, x, scheme="auto")
    secant.numerical_gradient(shared, x, scheme="auto", executor=threads)
    assert shared.count <= alone.count + 1  # which tells how long it takes
