"""f on workers: the bits of one process, whatever maps, and errors as they are."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import ways
from ways import not_called

import secant
from layouts import same_bits as same
from secant.errors import DTypeError, UnsupportedError, ValueRangeError

joblib = pytest.importorskip("joblib")
HERE = str(Path(__file__).parent)
X = np.random.RandomState(0).normal(size=(5, 8))


@contextmanager
def joblib_of_processes():
    yield 2


@contextmanager
def joblib_of_threads():
    with joblib.parallel_config("threading"):
        yield 2


@contextmanager
def processes():
    # JAX warns where a process that has loaded it is forked
    clean = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(2, mp_context=clean) as pool:
        yield pool.map


@contextmanager
def threads():
    with ThreadPoolExecutor(3) as pool:
        yield pool.map


WORKERS = [joblib_of_processes, joblib_of_threads, processes, threads]


@pytest.fixture(scope="module", params=WORKERS, ids=lambda make: make.__name__)
def each(request):
    with request.param() as found:
        yield found


def same_derivative(got, wanted):
    return same(got.value, wanted.value) and same(got.error, wanted.error)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["central", "forward", "five-point", "auto"])
def test_the_bits_are_those_of_one_process(each, scheme):
    x, before = X.copy(), X.tobytes()
    for call in (secant.numerical_gradient, secant.numerical_jacobian):
        found = call(ways.rosenbrock, x, scheme=scheme, full_output=True, workers=each)
        assert same_derivative(
            found, call(ways.rosenbrock, x, scheme=scheme, full_output=True)
        )
    assert x.tobytes() == before


@pytest.mark.slow
def test_hessians_descent_stacks_lists_and_relative_steps(each):
    wanted = secant.numerical_gradient(ways.rosenbrock, X)
    assert same(
        secant.numerical_gradient(
            ways.rosenbrock_of_stacks, X, vectorized=True, workers=each
        ),
        wanted,
    )
    assert same(
        secant.numerical_gradient(ways.rosenbrock, X.tolist(), workers=each), wanted
    )
    for call, options in (
        (secant.numerical_gradient, {"h": None, "bounds": (-5, 5)}),
        (secant.numerical_hessian, {}),
        (secant.gradient_descent, {"lr": 1e-4, "step_num": 2}),
    ):
        assert same(
            call(ways.rosenbrock, X[0], workers=each, **options),
            call(ways.rosenbrock, X[0], **options),
        )


@pytest.mark.needs_numba
def test_jitted_functions_on_threads():
    with threads() as each:
        found = secant.numerical_gradient(ways.jitted(), X, workers=each)
    assert same(found, secant.numerical_gradient(ways.rosenbrock, X))


def test_a_map_that_returns_futures():
    """As a client of Dask does."""
    with ThreadPoolExecutor(2) as pool:
        found = secant.numerical_gradient(
            ways.rosenbrock,
            X,
            workers=lambda task, spans: [pool.submit(task, span) for span in spans],
        )
    assert same(found, secant.numerical_gradient(ways.rosenbrock, X))


def failing(x):
    if x[11] > 11:
        raise ZeroDivisionError("no")
    return float(x.sum())


@pytest.mark.parametrize("scheme", ["central", "forward", "five-point"])
def test_an_error_in_this_process_names_the_coordinate(scheme):
    with pytest.raises(ZeroDivisionError, match="no") as caught:
        secant.numerical_gradient(failing, np.arange(40.0), scheme=scheme)
    assert caught.value.__notes__[0].startswith("f was evaluated at x[11] = 11.000")


@pytest.mark.slow
def test_errors_pass_and_name_the_coordinate(each):
    x = np.arange(40.0)
    with pytest.raises(ZeroDivisionError, match="no") as caught:
        secant.numerical_gradient(failing, x, workers=each)
    assert "f was evaluated at x[11] = 11.0001" in caught.value.__notes__
    with pytest.raises(
        ValueRangeError, match=r"f is NaN at x\[1\] = 1.0001, and finite at x"
    ):
        secant.numerical_gradient(nan_above_1, np.arange(2.0), workers=each)
    assert x.tolist() == list(range(40))


def nan_above_1(x):
    return np.nan if x[1] > 1 else x[0]


def ignores(_):
    return 3.0 + len(STATE)


STATE = np.ones(3)


@pytest.mark.slow
def test_workers_have_copies_of_x(each):
    with pytest.warns(
        RuntimeWarning, match=r"^f returned one and the same value"
    ) as caught:
        assert not secant.numerical_gradient(ignores, STATE, workers=each).any()
    assert [warning.filename for warning in caught] == [__file__]


def test_without_joblib_the_error_comes_before_the_first_evaluation(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(
        secant.errors.MissingExtraError,
        match=r"workers needs joblib: pip install joblib",
    ):
        secant.numerical_gradient(not_called, X.copy(), scheme="forward", workers=2)


def slow(x):
    time.sleep(0.01)
    return float(x.sum())


def test_ctrl_c_ends_it(default_handler):
    x = np.ones(10_000)  # a minute of work, or more
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(KeyboardInterrupt):
            secant.numerical_gradient(slow, x, workers=2)
    assert time.perf_counter() - start < 30
    assert (x == 1).all()


@contextmanager
def cluster():
    """Two processes of Dask's, which can import this module."""
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
            ) as local,
            distributed.Client(local) as client,
        ):
            client.run(sys.path.insert, 0, HERE)
            yield client


@pytest.mark.slow
def test_dask_gives_the_bits_of_one_process():
    with cluster() as client:
        for each in (client.map, client.get_executor().map):
            for call in (secant.numerical_gradient, secant.numerical_jacobian):
                found = call(
                    ways.rosenbrock, X, scheme="auto", full_output=True, workers=each
                )
                assert same_derivative(
                    found, call(ways.rosenbrock, X, scheme="auto", full_output=True)
                )
            with pytest.raises(ZeroDivisionError, match="no"):
                secant.numerical_gradient(failing, np.arange(40.0), workers=each)
        with joblib.parallel_config("dask"):
            found = secant.numerical_gradient(ways.rosenbrock, X, workers=2)
        assert same(found, secant.numerical_gradient(ways.rosenbrock, X))


WORKERS_OF_INPLACE = "inplace=True shifts x itself: "
BAD_WORKERS = [
    (
        not_called,
        {"workers": 0},
        ValueRangeError,
        "workers must be at least 1, or -1 for all, got 0",
    ),
    (
        not_called,
        {"workers": True},
        DTypeError,
        "workers must be a whole number or a map-like callable, got True",
    ),
    (
        not_called,
        {"workers": "2"},
        DTypeError,
        "workers must be a whole number or a map-like callable, got '2'",
    ),
    (not_called, {"workers": 2, "inplace": True}, UnsupportedError, WORKERS_OF_INPLACE),
    (
        not_called,
        {"workers": map, "inplace": True},
        UnsupportedError,
        WORKERS_OF_INPLACE,
    ),
    (
        ways.SIGNATURE(not_called),
        {"workers": map},
        UnsupportedError,
        "a C function cannot be sent to workers",
    ),
]


@pytest.mark.parametrize(("f", "options", "error", "message"), BAD_WORKERS)
@pytest.mark.parametrize("scheme", ["central", "forward", "auto"])
def test_workers_are_checked_before_the_first_evaluation(
    f, options, error, message, scheme
):
    with pytest.raises(error, match=message):
        secant.numerical_gradient(f, X.copy(), scheme=scheme, **options)


def test_workers_evaluate_f_as_often_as_one_process():
    calls, x = [], np.random.RandomState(0).normal(size=100)

    def f(x):
        calls.append(1)
        return float(np.sum(x**2))

    secant.numerical_gradient(f, x, scheme="auto")
    alone = len(calls)
    with threads() as each:
        found = secant.numerical_gradient(
            f, x, scheme="auto", full_output=True, workers=each
        )
    assert alone == found.nfev == len(calls) - alone
