"""However f is evaluated, the bits are those of the plain loop, and x is left alone."""

import ctypes
import os
import re
import signal
import threading
import time
from functools import cache

import numpy as np
import pytest
import ways

import secant
from layouts import frozen
from secant.differentiation.evaluators import c_pointer, vectorized
from secant.errors import DTypeError, UnsupportedError, ValueRangeError
from sweeps import grid

SCHEMES = ["central", "forward", "five-point"]


def plain(scheme, x, h=1e-4, f=ways.rosenbrock):
    """The formula, coordinate by coordinate, with the steps that rounding leaves."""
    gradient = np.empty(x.shape)

    def quotient(i, above, below):
        values = []
        for shift in (above, below):
            there = x.copy()
            there[i] += shift
            values.append(f(there))
        return (values[0] - values[1]) / ((x[i] + above) - (x[i] + below))

    for i in np.ndindex(x.shape):
        if scheme == "central":
            gradient[i] = quotient(i, h, -h)
        elif scheme == "forward":
            gradient[i] = quotient(i, h, 0.0)
        else:
            gradient[i] = (4 * quotient(i, h, -h) - quotient(i, 2 * h, -2 * h)) / 3
    return gradient


@cache
def point(scheme, shape):
    """A point, and the gradient there by the formula."""
    x = np.random.RandomState(0).normal(size=shape)
    return x, plain(scheme, x)


@pytest.fixture(params=[True, False], ids=["core", "no core"])
def core(request, monkeypatch):
    """With the core, and as if it were not there."""
    if not request.param:
        monkeypatch.setattr(c_pointer, "core", lambda: None)
    elif c_pointer.core() is None:
        pytest.skip("the core is not built")


@pytest.fixture
def eager(monkeypatch):
    """Threads and blocks also where they do not pay."""
    monkeypatch.setattr(c_pointer, "_ENOUGH_FOR_THREADS", 0.0)
    monkeypatch.setattr(vectorized, "_LARGEST_STACK", 64)


@pytest.mark.usefixtures("core", "eager")
@pytest.mark.parametrize(
    ("way", "scheme"),
    grid(
        lambda way, scheme: way != "stacked" or scheme == "central", ways.WAYS, SCHEMES
    ),
)
def test_the_bits_are_those_of_the_plain_loop(way, scheme):
    f, options = ways.WAYS[way]()
    for shape in ((2,), (10,), (7, 11), (300,)):
        x, expected = point(scheme, shape)
        before = x.tobytes()
        gradient = secant.numerical_gradient(f, x, scheme=scheme, **options)
        assert gradient.tobytes() == expected.tobytes()
        assert gradient.shape == shape
        assert x.tobytes() == before


@pytest.mark.parametrize("way", ways.WAYS)
def test_layouts_lists_and_empty_arrays(way):
    f, options = ways.WAYS[way]()
    x = np.random.RandomState(1).normal(size=(4, 3))
    for same in (
        x.tolist(),
        np.asfortranarray(x),
        np.repeat(x, 2, axis=1)[:, ::2],
        frozen(x),
    ):
        assert (
            secant.numerical_gradient(f, same, **options).tobytes()
            == plain("central", x).tobytes()
        )
    assert secant.numerical_gradient(f, np.zeros(0), **options).shape == (0,)


def writes_in_numba():
    numba = pytest.importorskip("numba")

    @numba.njit
    def f(x):
        value = x.sum()
        x.reshape(-1)[0] = 77.0
        return value

    return f


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: ways.in_c("writes"), id="c"),
        pytest.param(writes_in_numba, id="jitted", marks=pytest.mark.needs_numba),
    ],
)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_compiled_function_may_write_to_its_argument(make, scheme):
    f = make()
    for x in (np.arange(1.0, 4.0), np.linspace(1, 2, 40), np.ones((2, 40))):
        before = x.tobytes()
        right = ways.rosenbrock if make is not writes_in_numba else np.sum
        found = secant.numerical_gradient(f, x, scheme=scheme)
        np.testing.assert_allclose(
            found, secant.numerical_gradient(right, x, scheme=scheme)
        )
        assert x.tobytes() == before


def in_c_of(array):
    """Rosenbrock's function in C, of an array that is declared in another way."""
    address = ctypes.cast(ways.in_c(), ctypes.c_void_p).value
    return ctypes.CFUNCTYPE(ctypes.c_double, array, ctypes.c_ssize_t, ctypes.c_void_p)(
        address
    )


@pytest.mark.parametrize(
    "options", [{}, {"ndim": 1, "flags": "C_CONTIGUOUS"}], ids=repr
)
def test_an_ndpointer_of_float64_is_a_pointer(options):
    x, expected = point("central", (10,))
    f = in_c_of(np.ctypeslib.ndpointer(np.float64, **options))
    assert secant.numerical_gradient(f, x).tobytes() == expected.tobytes()


@pytest.mark.needs_numba
@pytest.mark.usefixtures("core", "eager")
@pytest.mark.parametrize("shape", [(5,), (1, 5)])
@pytest.mark.parametrize("workers", [None, 1, 3])
def test_a_jitted_function_that_may_return_none_is_no_function_of_numbers(
    shape, workers
):
    numba = pytest.importorskip("numba")

    @numba.njit
    def f(z):
        if z.flat[2] > 0.55001:
            return None
        return z.flat[0] + z.flat[1] + z.flat[2] + 1.0

    x = np.array([0.1, 0.2, 0.55, 0.3, 0.4]).reshape(shape)
    for scheme in SCHEMES:
        with pytest.raises(DTypeError, match="f must return a real number, got None"):
            secant.numerical_gradient(f, x, scheme=scheme, workers=workers)
        with pytest.raises(DTypeError, match="f must return real numbers, got None"):
            secant.numerical_jacobian(f, x, scheme=scheme, workers=workers)
    x -= 0.1  # where it returns numbers
    for scheme in (*SCHEMES, "auto"):
        gradient = secant.numerical_gradient(f, x, scheme=scheme, workers=workers)
        np.testing.assert_allclose(gradient.reshape(-1), [1, 1, 1, 0, 0], atol=1e-7)


@pytest.mark.parametrize("make", ways.POINTERS.values(), ids=ways.POINTERS)
def test_the_gradient_of_a_c_function_is_checked(make):
    x, _ = point("central", (10,))
    gradient = secant.numerical_gradient(make(), x, scheme="auto")
    assert secant.check_gradient(make(), x, gradient).passed
    wide = np.repeat(x, 2)[::2]
    report = secant.check_gradient(make(), wide, gradient + np.eye(10)[3])
    assert [finding.name for finding in report.findings if not report.passed] == [
        "x[3]"
    ]


OF_A_NUMBER = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
OF_FLOAT = ctypes.CFUNCTYPE(ctypes.c_float, *ways.SIGNATURE._argtypes_)
WRONG = {
    r"declare f.argtypes = \[ctypes.POINTER.* and f.restype = ctypes.c_double$": lambda: (
        ctypes.CDLL(None).cos
    ),
    r"got float \(void \*, long, void \*\): wrap yours in C: double f_secant": lambda: (
        OF_FLOAT(1)
    ),
    r"got double \(double\): wrap yours in C: double f_secant": lambda: OF_A_NUMBER(1),
    r"got double \(float32 \*, ": lambda: in_c_of(np.ctypeslib.ndpointer(np.float32)),
    r"got double \(double\)": lambda: (
        pytest.importorskip("cffi").FFI().cast("double(*)(double)", 1)
    ),
    r"got double \(double\):": lambda: pytest.importorskip("scipy").LowLevelCallable(
        OF_A_NUMBER(1)
    ),
    "got a NULL pointer": lambda: ways.SIGNATURE(0),
    "f must be callable, got int": lambda: 3,
}


@pytest.mark.parametrize("message", WRONG)
def test_another_signature_is_refused_before_anything_is_called(message):
    f = WRONG[message]()
    with pytest.raises(DTypeError, match=message):
        secant.numerical_gradient(f, np.ones(3))


@pytest.mark.usefixtures("compiled", "default_handler")
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_a_c_function_soon(workers):
    f, x = ways.in_c("slow"), np.ones(10_000)  # 30 ms a call: minutes of work
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    start = time.perf_counter()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        secant.numerical_gradient(f, x, workers=workers)
    assert time.perf_counter() - start < 20
    assert (x == 1).all()


@pytest.mark.usefixtures("compiled")
def test_a_c_function_releases_the_gil():
    f, ticks = ways.in_c("slow"), []
    thread = threading.Thread(target=secant.numerical_gradient, args=(f, np.ones(3)))
    thread.start()
    while thread.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
    assert len(ticks) > 10


@pytest.mark.usefixtures("compiled", "default_handler")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processors")
def test_minus_one_worker_is_as_many_as_there_are_processors():
    threads = set()

    @ways.SIGNATURE
    def f(x, n, data):
        threads.add(threading.get_ident())
        time.sleep(1e-4)
        return 1.0

    x = np.ones(300)  # the first 128 coordinates are timed, by one thread
    secant.numerical_gradient(f, x, workers=1)
    assert threads == {threading.get_ident()}
    secant.numerical_gradient(f, x, workers=-1)
    assert len(threads) > 1


@pytest.mark.usefixtures("compiled")
def test_a_c_function_is_not_watched_for_equal_values():
    f = ways.SIGNATURE(lambda x, n, data: 1.0)
    assert (secant.numerical_gradient(f, np.ones(3)) == 0).all()  # and does not warn


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (secant.numerical_gradient, "coordinates"),
        (
            lambda f, x, **options: secant.numerical_jacobian(
                f, x, scheme="auto", **options
            ),
            "coordinates",
        ),
        (
            lambda f, x, **options: secant.gradient_descent(
                f, x, step_num=40, **options
            ),
            "steps",
        ),
    ],
    ids=["gradient", "jacobian", "descent"],
)
def test_progress_is_a_bar_that_is_cleared(bar_on_stderr, call, said):
    terminal = bar_on_stderr()
    call(lambda x: np.sum(x**2), np.ones(40), progress=True)
    shown = terminal.getvalue().split("\r")
    assert any(re.match(rf"{said} [█-▏ ]*\d+/40 [\d:?]+ left", line) for line in shown)
    assert shown[-2].strip() == shown[-1] == ""


def test_a_pipe_gets_no_bar(capsys):
    secant.numerical_gradient(np.sum, np.ones(40), progress=True)
    assert capsys.readouterr() == ("", "")


@pytest.mark.needs_numba
def test_a_jitted_function_with_a_default_argument():
    numba = pytest.importorskip("numba")
    f = numba.njit(lambda x, factor=3: factor * x.sum())
    for shape in ((2,), (1, 2)):
        assert (secant.numerical_gradient(f, np.ones(shape)).round(6) == 3).all()


@pytest.mark.needs_numba
@pytest.mark.parametrize("shape", [(3000,), (30, 100)])
def test_parallel_loops_of_a_jitted_function_are_started_from_one_thread(
    shape, run_python
):
    """Those of a function that it calls, too: in another process, since two threads of
    "workqueue" abort it.
    """
    pytest.importorskip("numba")
    program = f"""
import numba, numpy as np, secant
from secant.differentiation.evaluators import c_pointer
c_pointer._ENOUGH_FOR_THREADS = 0.0
@numba.njit(parallel=True)
def inner(x):
    total = 0.0
    for i in numba.prange(x.size):
        total += x.flat[i]
    return total
outer = numba.njit(lambda x: 2 * inner(x))
for f, slope in ((inner, 1), (outer, 2)):
    for workers in (None, 2):
        assert (secant.numerical_gradient(f, np.ones({shape}), workers=workers).round(6) == slope).all()
assert numba.threading_layer() == "workqueue"
"""
    done = run_python(program, NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("scheme", "order"), [("forward", 1), ("central", 2), ("five-point", 4)]
)
def test_the_order_of_a_scheme_is_the_promised_one_also_on_a_bound(scheme, order):
    for f, x in ((lambda x: np.exp(x[0]), [0.3]), (np.exp, 0.3)):
        call = secant.numerical_gradient if x == [0.3] else secant.numerical_diff
        for bounds in (None, (0.3, 1)):
            errors = [
                abs(np.sum(call(f, x, h, scheme=scheme, bounds=bounds)) - np.exp(0.3))
                for h in (0.1, 0.05)
            ]
            assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)


def test_the_data_of_a_pointer_is_passed_on():
    scipy = pytest.importorskip("scipy")
    constant = ctypes.c_double(1e6)
    f = scipy.LowLevelCallable(
        ways.in_c(), ctypes.cast(ctypes.pointer(constant), ctypes.c_void_p)
    )
    found = secant.numerical_gradient(f, np.arange(4.0))
    expected = secant.numerical_gradient(ways.rosenbrock, np.arange(4.0))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.tobytes() != expected.tobytes()  # differences of values near 1e6


@pytest.mark.parametrize(
    ("f", "options", "error"),
    [
        (ways.in_c, {"vectorized": True}, UnsupportedError),
        (ways.in_c, {"inplace": True}, UnsupportedError),
        (
            lambda: ways.rosenbrock_of_stacks,
            {"inplace": True, "vectorized": True},
            UnsupportedError,
        ),
        (lambda: ways.rosenbrock, {"scheme": "backward"}, ValueRangeError),
    ],
)
def test_options_that_are_wrong_or_do_not_go_together(f, options, error):
    with pytest.raises(error, match=next(iter(options))):
        secant.numerical_gradient(f(), np.ones(3), **options)


def test_a_c_function_on_threads_after_a_fork(forked, eager):
    x, f = np.random.RandomState(0).normal(size=300), ways.in_c()
    wanted = secant.numerical_gradient(f, x, workers=3).tobytes()
    assert forked(
        lambda: secant.numerical_gradient(f, x, workers=3).tobytes() == wanted
    )
