"""show_config, and the instruction set: each one that this machine runs can be forced,
and is the one that runs.
"""

import importlib.util
import platform
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import secant
from secant.backends import BACKENDS

GRADIENT = """
import numpy as np
import secant
from secant import _core

rng = np.random.RandomState(0)
net = secant.TwoLayerNet(20, 9, 5, weight_init_std=1.0, rng=rng)
grads = net.numerical_gradient(rng.uniform(size=(7, 20)), rng.uniform(size=(7, 5)))
print(_core.build_info()["isa"])
print(*(value.hex() for grad in grads.values() for value in grad.ravel()))
"""


@pytest.fixture
def core(compiled):
    from secant import _core

    return _core


def facts(capsys):
    secant.show_config()
    return dict(
        re.split(r" {2,}", line, maxsplit=1)
        for line in capsys.readouterr().out.splitlines()
    )


def test_show_config_prints_the_facts_of_a_bug_report(backend, capsys):
    shown = facts(capsys)
    assert shown["secant"] == secant.__version__
    assert shown["python"] == platform.python_version()
    assert shown["numpy"] == np.__version__
    assert shown["platform"] == platform.platform()
    modules = {"cpp": "secant._core", "numba": "numba", "numpy": "numpy"}
    usable = [name for name in BACKENDS if importlib.util.find_spec(modules[name])]
    assert shown["backend"] == f"{backend} (of {', '.join(usable)})"


@pytest.mark.slow
def test_show_config_lists_the_backends_that_can_be_imported(run_python):
    done = run_python(
        "import secant; secant.show_config()",
        SECANT_BACKEND="numpy",
        NUMBA_DISABLE_JIT="1",
    )
    usable = "cpp, numpy" if importlib.util.find_spec("secant._core") else "numpy"
    assert f"numpy (of {usable})\n" in done.stdout


def test_show_config_prints_how_the_core_was_built(core, capsys):
    shown = facts(capsys)
    build = core.build_info()
    usable = ", ".join(build["usable_isas"])
    assert re.fullmatch(r"(gcc|clang) \d+.*", shown["compiler"])
    assert shown["instruction set"] == f"{build['isa']} (this machine runs {usable})"
    assert shown["openmp"] == (str(build["openmp"]) if build["openmp"] else "none")
    assert shown["threads"] == str(core.max_threads())


WAITS = """
import os
import secant

secant.sigmoid(0.0)
print([os.environ.get(name) for name in ("GOMP_SPINCOUNT", "KMP_BLOCKTIME")])
secant.show_config()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "variable", ["", "OMP_WAIT_POLICY=active", "GOMP_SPINCOUNT=7", "KMP_BLOCKTIME=7"]
)
def test_threads_wait_awake_for_a_short_time_unless_the_user_says_how_long(
    core, run_python, monkeypatch, variable
):
    """Only when OpenMP is loaded: no child of the process sees what is set for it."""
    if not (build := core.build_info())["openmp"]:
        pytest.skip("the core has no threads")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    name, value = (
        ("KMP_BLOCKTIME", 1)
        if build["compiler"].startswith("clang")
        else ("GOMP_SPINCOUNT", 2000)
    )
    given = dict([variable.split("=")]) if variable else {}
    done = run_python(WAITS, **given)
    assert done.stdout.splitlines()[0] == str(
        [given.get("GOMP_SPINCOUNT"), given.get("KMP_BLOCKTIME")]
    )
    expected = (
        variable if given.keys() & {name, "OMP_WAIT_POLICY"} else f"{name}={value}"
    )
    assert re.search(rf"^waiting threads .*\b{expected}\b", done.stdout, re.MULTILINE)


def test_the_best_instruction_set_is_the_default_and_the_baseline_is_always_there(core):
    usable = core.build_info()["usable_isas"]
    assert usable[-1] == "baseline"
    assert len(set(usable)) == len(usable)
    known = (
        ("x86_64_v4", "x86_64_v3", "baseline")
        if platform.machine() in ("x86_64", "AMD64")
        else ("baseline",)
    )
    assert usable == tuple(name for name in known if name in usable)


@pytest.mark.slow
def test_each_instruction_set_can_be_forced_is_the_one_that_runs_and_agrees(
    core, run_python
):
    results = {}
    for isa in core.build_info()["usable_isas"]:
        runs = [run_python(GRADIENT, "-W", "error", SECANT_ISA=isa) for _ in range(2)]
        assert [run.stderr for run in runs] == ["", ""]
        assert runs[0].stdout == runs[1].stdout  # bits, with the instruction set given
        ran, values = runs[0].stdout.splitlines()
        assert ran == isa
        results[isa] = [float.fromhex(value) for value in values.split()]
    for values in results.values():
        np.testing.assert_allclose(values, results["baseline"], rtol=0, atol=2e-14)


@pytest.mark.slow
@pytest.mark.parametrize("isa", ["sse9", "Baseline"])
def test_an_unknown_instruction_set_is_an_error_that_lists_the_good_ones(
    core, run_python, isa
):
    done = run_python("import secant; secant.sigmoid(0.0)", SECANT_ISA=isa)
    good = ", ".join(core.build_info()["usable_isas"])
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        f"ImportError: SECANT_ISA must be one of {good} on this machine, got '{isa}'"
    )


AS_ON_A_MAC = """
import ctypes, os, runpy, sys
import numpy as np

before, sys.platform = sys.platform, {system!r}
runpy.run_path({startup!r})
sys.platform = before
print(os.environ.get("KMP_DUPLICATE_LIB_OK"))
if {libomp!r}:
    print(ctypes.CDLL({libomp!r}).omp_get_max_threads() > 0)
import secant

net, x, t = secant.TwoLayerNet(100, 70, 10, rng=0, backend="cpp"), np.ones((300, 100)), np.arange(300) % 10
print([net.numerical_gradient(x, t, n_threads=n)["W1"].shape for n in (1, 2)])
"""
SHAPES = "[(100, 70), (100, 70)]"


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("system", "variables", "expected"),
    [
        ("darwin", {}, "TRUE"),
        ("darwin", {"KMP_DUPLICATE_LIB_OK": "FALSE"}, "FALSE"),
        ("linux", {}, "None"),
    ],
)
def test_two_copies_of_libomp_are_allowed_on_macos_unless_something_else_is_said(
    run_python, monkeypatch, system, variables, expected
):
    monkeypatch.delenv("KMP_DUPLICATE_LIB_OK", raising=False)
    code = AS_ON_A_MAC.format(
        system=system, startup=secant._startup.__file__, libomp=""
    )
    done = run_python(code, **variables)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"{expected}\n{SHAPES}\n",
        "",
    )


@pytest.mark.parametrize("system", ["darwin", "linux"])
def test_the_core_runs_beside_another_copy_of_libomp(
    core, run_python, monkeypatch, tmp_path, system
):
    if not core.build_info()["compiler"].startswith("clang"):
        pytest.skip("the core is not linked with libomp: it was not compiled by clang")
    if sys.platform != "linux":
        pytest.skip("libraries are found as on Linux")
    monkeypatch.delenv("KMP_DUPLICATE_LIB_OK", raising=False)
    secant.TwoLayerNet(4, 3, 2, rng=0, backend="cpp").predict(np.ones((1, 4)))
    library = Path(
        re.search(
            r"/\S*/libomp\S*", Path("/proc/self/maps").read_text(encoding="utf-8")
        )[0]
    )
    copy = tmp_path / "libomp-copy.so"
    # else the two are taken for one
    copy.write_bytes(library.read_bytes().replace(b"\0libomp.so", b"\0libomq.so"))
    done = run_python(
        AS_ON_A_MAC.format(
            system=system, startup=secant._startup.__file__, libomp=str(copy)
        )
    )
    if system == "darwin":
        assert (done.returncode, done.stdout, done.stderr) == (
            0,
            f"TRUE\nTrue\n{SHAPES}\n",
            "",
        )
    else:
        assert "OMP: Error #15" in done.stderr
