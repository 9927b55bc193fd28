"""C++ programs in tests/cpp/ that need nothing but a compiler."""

import importlib.util
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from sweeps import grid

ROOT = Path(__file__).parents[2]
COMPILER = shutil.which("g++") or shutil.which("c++")
pytestmark = [  # .ci/run compiles them by CMake
    pytest.mark.slow,
    pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler"),
]


def command_in(source: Path) -> list[str]:
    """The compile line at the head of a driver, without what runs it."""
    comment = (
        line.removeprefix("//").strip()
        for line in source.read_text(encoding="utf-8").splitlines()
        if line.startswith("//")
    )
    words = shlex.split(" ".join(comment).split("From the root:")[1])
    return words[1 : words.index("-o")]


def usable_isas() -> tuple[str, ...]:
    if not importlib.util.find_spec("secant._core"):
        return ()
    from secant import _core

    return _core.build_info()["usable_isas"]


def build_and_run(
    source: str, program: Path, options: list[str], root: Path = ROOT
) -> subprocess.CompletedProcess:
    path = root / "tests" / "cpp" / source
    command = [COMPILER, *command_in(path), *options, "-o", program]
    built = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return subprocess.run([program], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("driver", "options", "isa"),
    grid(
        lambda driver, options, isa: not (options or isa),
        ["bound", "contraction", "kinks", "plan", "simd", "targets"],
        [[], ["-DSECANT_SINGLE"]],
        ["", "x86-64-v3", "x86-64-v4"],
    ),
    ids=str,
)
def test_parts_of_the_core_are_right_without_python(tmp_path, driver, options, isa):
    if isa and isa.replace("-", "_") not in usable_isas():
        pytest.skip(f"this processor, or the core, has no {isa}")
    options = [*options, *([f"-march={isa}", "-Wno-psabi"] if isa else [])]
    ran = build_and_run(f"{driver}.cpp", tmp_path / driver, options)
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.startswith(f"{driver}: right")
    assert len(ran.stdout.splitlines()) == 1


@pytest.mark.parametrize("options", [[], ["-DSECANT_SINGLE"]], ids=str)
def test_inputs_that_another_thread_writes_to_have_no_more_entries_than_are_found(
    tmp_path, options
):
    ran = build_and_run("rows.cpp", tmp_path / "rows", options)
    assert ran.returncode == 0, ran.stdout


PHASES = ROOT / "cpp" / "include" / "secant" / "platform" / "phases.hpp"
BARRIER = r"(?<=constexpr Phase {name})(\{{[^}}]*, )(?:always|between_parts)\}}"
WITH_BARRIER = re.findall(
    r"constexpr Phase (\w+)\{[^}]*, (?:always|between_parts)\}",
    PHASES.read_text(encoding="utf-8"),
)


@pytest.mark.parametrize("name", grid(lambda name: name == "add_series", WITH_BARRIER))
def test_a_debug_build_notices_that_a_barrier_is_missing(tmp_path, name):
    shutil.copytree(ROOT / "cpp", tmp_path / "cpp")
    shutil.copytree(ROOT / "tests" / "cpp", tmp_path / "tests" / "cpp")
    planted, count = re.subn(
        BARRIER.format(name=name), r"\1none}", PHASES.read_text(encoding="utf-8")
    )
    assert count == 1
    (tmp_path / PHASES.relative_to(ROOT)).write_text(planted, encoding="utf-8")
    ran = build_and_run(
        "threads.cpp",
        tmp_path / "planted",
        ["-O0", "-fno-sanitize=thread", "-pthread"],
        tmp_path,
    )
    assert ran.returncode != 0
    assert "a barrier is missing before the phase" in ran.stderr
