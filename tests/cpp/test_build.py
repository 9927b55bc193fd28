"""The options that a build uses, whatever CXXFLAGS says."""

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPILER = shutil.which("g++")
# Of the extra `test`, or of the machine.
CMAKE, NINJA = (
    shutil.which(
        name, path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    )
    for name in ("cmake", "ninja")
)
MISSING = [
    name
    for name, found in (("g++", COMPILER), ("cmake", CMAKE), ("ninja", NINJA))
    if found is None
]
if importlib.util.find_spec("pybind11") is None:
    MISSING.append("pybind11")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"there is no {' and no '.join(MISSING)}"),
]

INEXACT = {
    "-fallow-store-data-races",
    "-fassociative-math",
    "-fcx-limited-range",
    "-ffinite-math-only",
    "-freciprocal-math",
    "-funsafe-math-optimizations",
}


@pytest.fixture(
    scope="module",
    params=["", "-ffast-math", "-Ofast", "-funsafe-math-optimizations"],
    ids=str,
)
def build(request, tmp_path_factory):
    """A build directory that was configured with these CXXFLAGS, without an
    optimization level of CMake's.
    """
    if (
        b"__clang__"
        in subprocess.run(
            [COMPILER, "-dM", "-E", "-xc++", os.devnull], capture_output=True
        ).stdout
    ):
        pytest.skip("g++ is clang, which does not list its options")
    import pybind11

    folder = tmp_path_factory.mktemp("build")
    options = {
        "CMAKE_BUILD_TYPE": "None",
        "CMAKE_CXX_COMPILER": COMPILER,
        "CMAKE_CXX_FLAGS": request.param,
        "CMAKE_EXPORT_COMPILE_COMMANDS": "ON",
        "CMAKE_MAKE_PROGRAM": NINJA,
        "Python_EXECUTABLE": sys.executable,
        "pybind11_DIR": pybind11.get_cmake_dir(),
    }
    defined = [f"-D{name}={value}" for name, value in options.items()]
    ran = subprocess.run(
        [CMAKE, "-G", "Ninja", "-S", ROOT, "-B", folder, *defined],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return folder


def enabled(options: list[str]) -> set[str]:
    """The optimizations that the compiler does with these options."""
    listed = subprocess.run(
        [COMPILER, *options, "-Q", "--help=optimizers"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        line.split()[0]
        for line in listed.stdout.splitlines()
        if line.endswith("[enabled]")
    }


def test_every_file_is_compiled_with_exact_arithmetic(build):
    commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    assert len(commands) > 2
    for command in commands:
        options = [
            word
            for word in shlex.split(command["command"])[1:]
            if word.startswith(("-O", "-f", "-m"))
        ]
        assert not enabled(options) & INEXACT, command
        if command["file"].endswith("kernels.cpp"):
            assert "-fmath-errno" not in enabled(options)
            assert options[-1] != "-Ofast"
            assert "-ffp-contract=off" in options


def command_for(target: str, build: Path) -> str:
    """The command that makes the target when all that it needs is there."""
    commands = subprocess.run(
        [NINJA, "-C", build, "-t", "commands", target],
        capture_output=True,
        text=True,
        check=True,
    )
    return commands.stdout.splitlines()[-1]


def test_a_build_looks_for_symbols_that_instruction_sets_would_share(build):
    assert "check_symbols.cmake" in command_for("secant", build)


def test_nothing_that_is_linked_turns_on_flush_to_zero(build):
    link = shlex.split(command_for("_core", build))
    words = [
        word
        for word in link[link.index(COMPILER) : link.index("-o")]
        if word not in ("&&", ":")
    ]
    would_run = subprocess.run([*words, "-###"], capture_output=True, text=True).stderr
    assert "collect2" in would_run
    assert "crtfastmath" not in would_run


@pytest.mark.parametrize("compiler", ["g++", "clang++-19"])
@pytest.mark.parametrize(
    ("code", "shared"),
    [
        ("int own(int a) { return a; }", []),
        ("template <class T> T own(T a) { return a; } template int own(int);", []),
        # not inlined, without optimization
        ("int own(int a, int b) { return std::max(a, b); }", ["_ZSt3max"]),
        ("void own(double* a, int size) { std::sort(a, a + size); }", ["introsort"]),
        (
            '}} extern "C" int bare() { return 1; } namespace secant { namespace x86_64_v4 {',
            ["bare"],
        ),
    ],
)
def test_a_symbol_that_instruction_sets_would_share_ends_the_build(
    tmp_path, compiler, code, shared
):
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    source, library = tmp_path / "kernels.cpp", tmp_path / "libkernels.a"
    source.write_text(
        f"#include <algorithm>\nnamespace secant {{ namespace x86_64_v4 {{ {code} }} }}",
        encoding="utf-8",
    )
    subprocess.run(
        [compiler, "-O0", "-c", source, "-o", tmp_path / "kernels.o"], check=True
    )
    subprocess.run(["ar", "rc", library, tmp_path / "kernels.o"], check=True)
    script = [
        "-DNM=nm",
        f"-DLIBRARY={library}",
        "-DISAS=baseline;x86_64_v4",
        "-P",
        ROOT / "cpp" / "check_symbols.cmake",
    ]
    ran = subprocess.run([CMAKE, *script], capture_output=True, text=True)
    assert ran.returncode == bool(shared), ran.stderr
    assert all(name in ran.stderr for name in shared)
    assert library.exists() != bool(shared)  # what may not be linked is not there


def test_a_program_outside_the_tree_finds_the_library_forks_and_computes(tmp_path):
    ninja = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={NINJA}"]
    options = [
        "-DSECANT_PYTHON=OFF",
        "-DSECANT_ISAS=baseline",
        "-DCMAKE_BUILD_TYPE=Debug",
    ]
    built, installed, program = (
        tmp_path / name for name in ("build", "installed", "program")
    )
    program.mkdir()
    shutil.copy(ROOT / "tests" / "cpp" / "library.cpp", program)
    (program / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(program LANGUAGES CXX)\nfind_package(secant REQUIRED)\n"
        "add_executable(library library.cpp)\ntarget_link_libraries(library PRIVATE secant::secant)\n",
        encoding="utf-8",
    )
    steps = [
        [CMAKE, *ninja, *options, "-S", ROOT, "-B", built],
        [CMAKE, "--build", built],
        [CMAKE, "--install", built, "--prefix", installed],
        [
            CMAKE,
            *ninja,
            f"-DCMAKE_PREFIX_PATH={installed}",
            "-S",
            program,
            "-B",
            program,
        ],
        [CMAKE, "--build", program],
    ]
    for step in steps:
        ran = subprocess.run(step, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    ran = subprocess.run(
        [program / "library"], capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stdout) == (0, "library: 1 instruction sets, 0 wrong\n")
