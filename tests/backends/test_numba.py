"""What is special about the Numba backend: when it compiles, where that is kept, and threads that do not come."""

import importlib
import pkgutil

import numpy as np
import pytest

import cases

numba = pytest.importorskip("numba")

from secant.backends import numba as backend  # noqa: E402
from secant.backends.numba import compilation, parallel  # noqa: E402

MODULES = [importlib.import_module(f"{backend.__name__}.{m.name}") for m in pkgutil.iter_modules(backend.__path__)]
KERNELS = {
    name: value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, numba.core.dispatcher.Dispatcher) and not value.targetoptions.get("no_cpython_wrapper")
}

USE = """
import secant
from secant.backends import compilation_noticed

secant.set_backend("numba")
with compilation_noticed(lambda: print("compiling")):
    print(secant.sigmoid(0.0))
"""


def test_importing_secant_does_not_import_numba(run_python):
    done = run_python("import secant, sys; print('numba' in sys.modules, 'llvmlite' in sys.modules)")
    assert (done.stdout, done.stderr) == ("False False\n", "")


def test_importing_the_backend_compiles_nothing(run_python):
    code = "import numba.core.event as e; e.register('numba:compile', e.RecordingListener())\n"
    code = f"{code}import secant.backends.numba\nprint(len(e._registered['numba:compile'][0].buffer))"
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize("name", KERNELS)
def test_what_is_kept_has_another_name_when_any_of_the_sources_changes(name):
    assert KERNELS[name].py_func.__qualname__ == f"{name}_{compilation.SOURCES}"


def test_the_sources_are_hashed(monkeypatch):
    read = compilation.Path.read_bytes
    for changed in ("jets.py", "bound.py"):
        monkeypatch.setattr(
            compilation.Path, "read_bytes", lambda path, c=changed: read(path) + b"#" * (path.name == c)
        )
        assert compilation._hash_of_sources() != compilation.SOURCES
    monkeypatch.undo()
    assert compilation._hash_of_sources() == compilation.SOURCES


def test_code_is_compiled_once_and_kept_in_the_folder_that_numba_is_told(run_python, tmp_path):
    first, second = (run_python(USE, "-W", "error", NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert (first.stdout, first.stderr) == ("compiling\n0.5\n", "")
    assert (second.stdout, second.stderr) == ("0.5\n", "")
    assert list(tmp_path.rglob("forward._sigmoid*.nbc"))


def test_where_nothing_can_be_kept_it_is_compiled_anew(run_python):
    nowhere = """
import numba

njit = numba.njit


def without_a_folder(*functions, cache=False, **options):
    if cache and "_nrt" in options:  # ours, and none of Numba's own
        raise RuntimeError("cannot cache function 'f': no locator available for file 'f.py'")
    return njit(*functions, cache=cache, **options)


numba.njit = without_a_folder
"""
    done = run_python(nowhere + USE)
    assert (done.stdout, done.stderr) == ("compiling\n0.5\n", "")


def test_numba_without_its_compiler_is_refused(run_python):
    done = run_python(USE, NUMBA_DISABLE_JIT="1")
    assert done.returncode == 1
    assert done.stderr.endswith("ImportError: the backend 'numba' needs Numba's compiler: unset NUMBA_DISABLE_JIT\n")


class Queue:
    """Where the caller puts work for helpers."""

    def __init__(self, put):
        self.put = put


def nobody(monkeypatch, helpers):
    """No helper ever comes."""
    helpers.ready, helpers.work = lambda wanted: wanted, Queue(lambda work: None)


def eager(monkeypatch, helpers):
    """The helpers are done before the caller begins."""
    helpers.ready, helpers.work = lambda wanted: wanted, Queue(lambda work: work())


def exhausted(monkeypatch, helpers):
    """No thread can be started."""

    def start(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(parallel.Thread, "start", start)


@pytest.mark.parametrize("who", [nobody, eager, exhausted], ids=lambda who: who.__name__)
def test_the_work_is_done_by_whoever_is_there(monkeypatch, who):
    net, x, t = cases.mnist(100, "numba")
    calls = [lambda n, m=m: net.numerical_gradient(x, t, method=m, n_threads=n) for m in ("direct", "series")]
    expected = [call(1) for call in calls]
    helpers = parallel._Helpers()
    monkeypatch.setattr(parallel, "_helpers", helpers)
    who(monkeypatch, helpers)
    for call, right in zip(calls, expected, strict=True):
        got = call(3)
        assert all(np.array_equal(got[name], right[name]) for name in right)


def test_threads_default_to_what_numba_is_told(run_python):
    code = "import secant; secant.show_config()"
    done = run_python(code, SECANT_BACKEND="numba", NUMBA_NUM_THREADS="3")
    assert "\nthreads          3\n" in done.stdout
    assert f"\nnumba            {numba.__version__} (llvmlite " in done.stdout
