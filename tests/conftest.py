"""What all tests share: backends to run with, fresh and forked processes, and NumPy's
random state left as it was.
"""

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

# several processes share the cores: a thread that waits lets go
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import hypothesis
import numpy as np
import pytest
from xdist.scheduler import LoadScopeScheduling

import secant
from secant.backends import BACKENDS, backend_module

if not any(map(importlib.util.find_spec, ("secant._core", "numba"))):
    # chosen, it is used without a warning, which would be an error here
    os.environ.setdefault("SECANT_BACKEND", "numpy")

# without it scikit-learn skips a check of estimators
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# a job in the background is started with Ctrl-C ignored
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no fault of an example. But at night the examples are the same each
# time: luck fails no change.
hypothesis.settings.register_profile(
    "secant",
    deadline=None,
    derandomize=not os.environ.get("SECANT_RANDOM_EXAMPLES"),
    database=None,
)
hypothesis.settings.load_profile("secant")

# by .ci/run: where what is imported has to be
if tested := os.environ.get("SECANT_TESTED"):
    found = [importlib.util.find_spec(name) for name in ("secant", "secant._core")]
    elsewhere = [
        spec.origin
        for spec in found
        if spec and not Path(spec.origin).is_relative_to(tested)
    ]
    assert not elsewhere, f"{elsewhere} would be tested in place of {tested}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Where there is the core, the other backends are not what is used.

    CI tests most of them where there is none.

    What compiles by Numba is marked by hand, or has a parameter that says so.
    """
    if not importlib.util.find_spec("secant._core"):
        return
    for item in items:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        values = {value.partition(",")[0] for value in values if isinstance(value, str)}
        by_numba = item.get_closest_marker("needs_numba") or values & {
            "numba",
            "jitted",
        }
        if by_numba or ("numpy" in values and "tests/backends/" not in item.nodeid):
            item.add_marker(pytest.mark.other_backend)


class Scheduling(LoadScopeScheduling):
    """A file on one process, but all that Numba compiles on one: it would be compiled
    on each.
    """

    def _split_scope(self, nodeid):
        return (
            "numba"
            if "numba" in nodeid or "jitted" in nodeid
            else nodeid.partition("::")[0]
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_terminal_summary(terminalreporter):
    """Keep what passed and what was skipped, for .ci/untested: it says which tests no
    run has tried.
    """
    folder = os.environ.get("SECANT_OUTCOMES")
    if not folder:
        return
    stats = terminalreporter.stats
    passed = [report.nodeid for report in stats.get("passed", ())]
    skipped = {report.nodeid: report.longrepr[2] for report in stats.get("skipped", ())}
    with tempfile.NamedTemporaryFile(
        "w", dir=folder, suffix=".json", delete=False, encoding="utf-8"
    ) as file:
        json.dump({"passed": passed, "skipped": skipped}, file)


@contextmanager
def in_use(name):
    try:
        backend_module(name)
    except ImportError as error:
        if name == "cpp" and os.environ.get("SECANT_REQUIRE_EXTENSION"):
            raise
        pytest.skip(f"backend {name} cannot be imported: {error}")
    with secant.use_backend(name):
        yield name


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Run the test with each backend in turn. The value is its name."""
    with in_use(request.param) as name:
        yield name


@pytest.fixture(params=BACKENDS[:-1])
def fast(request):
    """Run the test with each backend but the reference."""
    with in_use(request.param) as name:
        yield name


@pytest.fixture
def compiled():
    """Run the test with the compiled backend only."""
    with in_use("cpp") as name:
        yield name


@pytest.fixture
def asked(monkeypatch):
    """What the backend in use is asked for, gradient by gradient: method, h and the
    number of threads.

    Zero threads leave the number to the backend.
    """
    calls, backend = [], backend_module()
    compute_gradient = backend.gradient
    train = backend.train

    def gradient(batch, method, h, n_threads, *more):
        calls.append((method, h, n_threads))
        return compute_gradient(batch, method, h, n_threads, *more)

    def trained(batch, indices, descent, losses):
        calls.append((descent.method, descent.h, descent.n_threads))
        return train(batch, indices, descent, losses)

    monkeypatch.setattr(backend, "gradient", gradient)
    monkeypatch.setattr(backend, "train", trained)
    return calls


@pytest.fixture(autouse=True)
def global_random_state():
    """A test may seed and use the legacy global state; the next one does not notice."""
    state = np.random.get_state()
    yield
    np.random.set_state(state)


@pytest.fixture
def run_python():
    """Run code in an interpreter of its own, where no SECANT_ variable is set but those
    given.
    """

    def run(code, *options, arguments=(), **variables):
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("SECANT_")
        }
        return subprocess.run(
            [sys.executable, *options, "-c", code, *arguments],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=240,
        )

    return run


@pytest.fixture
def default_handler():
    """Python's own handler, whatever the shell that started the tests has set."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def forked():
    """Whether check() is true in a forked child: one that hangs is killed."""
    if not hasattr(os, "fork"):
        pytest.skip("this platform does not fork")

    def call(check):
        with warnings.catch_warnings():
            # of Python 3.12, and of JAX: forking with threads may deadlock
            warnings.simplefilter("ignore")
            child = os.fork()
        if child == 0:
            right = False
            try:
                signal.alarm(30)
                right = check()
            finally:
                os._exit(0 if right else 1)
        return os.waitpid(child, 0)[1] == 0  # an alarm's status is 14

    return call


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def open_terminal(monkeypatch):
    """Return a function that puts a terminal in the place of standard output, or error,
    for the rest of the test.
    """

    def opened(stream="stdout"):
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, stream, Terminal())
        return getattr(sys, stream)

    return opened


@pytest.fixture
def bar_on_stderr(open_terminal, monkeypatch):
    """Return a function that makes standard error a terminal on which bars are drawn at
    once.
    """
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    monkeypatch.setattr("secant._common.progress._DELAY_SECONDS", 0)
    monkeypatch.setattr("secant._common.progress._REDRAW_SECONDS", 0)
    return lambda: open_terminal("stderr")
