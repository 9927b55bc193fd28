"""Which backend is used, and that a broken one is never hidden."""

import threading

import numpy as np
import pytest

import secant
from secant.backends import BACKENDS, backend_module
from secant.errors import ValueRangeError

ORDER = """
import secant
from secant.backends import backend_module

print(backend_module().name)
with secant.use_backend("numpy"):
    print(backend_module().name, backend_module("cpp").name)
print(backend_module().name)
"""

BROKEN = """
import importlib.util, sys


class First:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return importlib.util.spec_from_file_location(name, FILE) if name == "secant._core" else None


sys.meta_path.insert(0, First)
"""

MISSING = """
import sys

sys.modules["secant._core"] = None  # what importlib takes for "there is none"
"""

ALONE = MISSING + 'sys.modules["numba"] = None'

USE = """
import secant

print(secant.sigmoid(0.0))
print(secant.backends.backend_module().name)
"""


@pytest.fixture
def broken(tmp_path):
    """Code after which secant._core is there, and cannot be imported."""
    file = tmp_path / "_core.py"
    file.write_text(
        "raise ImportError('undefined symbol: _ZN6secant')", encoding="utf-8"
    )
    return BROKEN.replace("FILE", repr(str(file)))


# ---- selection -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ({}, "cpp"),
        ({"SECANT_BACKEND": "numpy"}, "numpy"),
        ({"SECANT_BACKEND": ""}, "cpp"),
    ],
    ids=str,
)
def test_a_context_counts_before_the_environment(run_python, asked, first):
    done = run_python(ORDER, "-W", "error", **asked)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.split("\n") == [first, "numpy cpp", first, ""]


@pytest.mark.parametrize("name", ["cuda", "", "CPP"], ids=repr)
def test_an_unknown_name_is_an_error_that_lists_the_good_ones(name, run_python):
    good = ", ".join(map(repr, BACKENDS))
    with pytest.raises(ValueRangeError) as caught, secant.use_backend(name):
        pass
    assert str(caught.value) == f"backend must be one of {good}, got {name!r}"
    if name:
        done = run_python(USE, SECANT_BACKEND=name)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.strip().endswith(
            f"ValueRangeError: SECANT_BACKEND must be one of {good}, got {name!r}"
        )


def test_the_name_in_use_is_public(backend):
    assert secant.get_backend() == backend


@pytest.mark.filterwarnings("ignore:secant was installed without its compiled core")
def test_contexts_nest_and_one_of_none_is_the_default(backend, monkeypatch):
    monkeypatch.delenv("SECANT_BACKEND", raising=False)
    secant.backends._default.cache_clear()
    expected = secant.backends._default()
    with secant.use_backend("numpy"):
        with secant.use_backend(backend):
            assert backend_module().name == backend
            with secant.use_backend(None):
                assert backend_module().name == expected
            assert backend_module().name == backend
        assert backend_module().name == "numpy"
    assert backend_module().name == backend
    secant.backends._default.cache_clear()


def test_a_context_ends_where_an_exception_leaves_it(backend):
    with pytest.raises(ZeroDivisionError), secant.use_backend("numpy"):
        raise ZeroDivisionError
    assert secant.get_backend() == backend


def test_a_context_holds_for_its_own_thread_only(backend):
    inside, seen = threading.Event(), {}

    def elsewhere():
        with secant.use_backend(backend):
            inside.set()
            seen["there"] = backend_module().name
            leave.wait(timeout=30)
            seen["still there"] = backend_module().name

    leave = threading.Event()
    thread = threading.Thread(target=elsewhere)
    with secant.use_backend("numpy"):
        thread.start()
        assert inside.wait(timeout=30)
        assert backend_module().name == "numpy"
    leave.set()
    thread.join(timeout=30)
    assert seen == {"there": backend, "still there": backend}


def test_a_network_keeps_its_backend_whatever_is_in_use(backend):
    net = secant.TwoLayerNet(3, 2, 2, rng=0, backend=backend)
    expected = net.predict([1, 2, 3]).tobytes(), net.loss([1, 2, 3], 1)
    for name in ("numpy", backend):
        with secant.use_backend(name):
            assert (
                net.predict([1, 2, 3]).tobytes(),
                net.loss([1, 2, 3], 1),
            ) == expected


@pytest.mark.parametrize(
    "call", ["predict", "loss", "accuracy", "gradient", "numerical_gradient"]
)
def test_a_network_with_a_backend_of_its_own_calls_no_other(
    compiled, monkeypatch, call
):
    net, other = (
        secant.TwoLayerNet(3, 2, 2, rng=0, backend=compiled),
        backend_module("numpy"),
    )
    for name in ("predict", "cross_entropy", "gradient"):
        monkeypatch.setattr(
            other,
            name,
            lambda *_, name=name: pytest.fail(f"{name} of another backend was called"),
        )
    with secant.use_backend("numpy"):
        getattr(net, call)([1, 2, 3], *[1] * (call != "predict"))


# ---- what every backend computes -----------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=repr)
@pytest.mark.parametrize(
    "dtype", [np.float64, np.float32], ids=lambda dtype: dtype.__name__
)
@pytest.mark.parametrize("index", [0, 1, 8191, 8192, 99_999])
def test_no_element_that_is_not_finite_is_overlooked(backend, bad, dtype, index):
    array = np.full((100, 1000), np.finfo(dtype).max, dtype)
    assert backend_module().all_finite(array) is True
    array.flat[index] = bad
    assert backend_module().all_finite(array) is False


# ---- broken and missing extensions ---------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("-W", "ignore")], ids=str)
def test_a_broken_extension_is_an_error_and_not_a_slow_backend(
    run_python, broken, options
):
    done = run_python(broken + USE, *options)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.strip().endswith("ImportError: undefined symbol: _ZN6secant")


@pytest.mark.slow
def test_a_broken_extension_does_not_keep_anyone_from_the_numpy_backend(
    run_python, broken
):
    done = run_python(broken + USE, "-W", "error", SECANT_BACKEND="numpy")
    assert (done.stdout, done.stderr, done.returncode) == ("0.5\nnumpy\n", "", 0)


def test_without_the_extension_numba_computes(run_python):
    pytest.importorskip("numba")
    done = run_python(MISSING + USE, "-W", "error")
    assert (done.stdout, done.stderr, done.returncode) == ("0.5\nnumba\n", "", 0)


def test_without_numba_too_it_is_said_once_and_numpy_computes(run_python):
    done = run_python(ALONE + USE)
    assert (done.stdout, done.returncode) == ("0.5\nnumpy\n", 0)
    said = "RuntimeWarning: secant was installed without its compiled core, and uses the slow NumPy backend: "
    assert done.stderr.count(said) == 1
    assert "pip install numba" in done.stderr


def test_numba_that_is_asked_for_and_missing_is_an_error(run_python):
    done = run_python(ALONE + USE, SECANT_BACKEND="numba")
    assert done.returncode == 1
    last = done.stderr.strip().split("\n")[-1]
    assert (
        last
        == "secant.errors.MissingExtraError: the backend 'numba' needs Numba: pip install numba"
    )
