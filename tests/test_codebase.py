"""What the code base promises of itself: where things may be known, and that what is written down agrees."""

import ast
import re
from pathlib import Path

import pytest

import bounds
import secant

ROOT = Path(__file__).parent.parent
PYTHON = sorted((ROOT / "python").rglob("*.py"))
CPP = sorted((ROOT / "cpp").rglob("*.[ch]pp"))
LAYERS = [  # by folder; each may import what stands below it
    {"__main__", "cli"},
    {"book", "sklearn"},
    {"plots", "training"},  # a history draws itself
    {"jax", "testing", "torch"},
    {"checking"},
    {"networks"},
    {"functions"},
    {"differentiation"},
    {"datasets"},
    {"backends"},
    {"_common"},
    {"_startup", "errors"},
]
CPP_LAYERS = [
    "training",
    "differences",
    "network",
    "platform",
    "interface",
    "simd",
]  # each may include itself and what follows
LONGEST = 300
LONGER = dict.fromkeys(("sklearn.py", "two_layer.py"), "one public class, half of it documentation")


def layer(module: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if module.split(".")[1] in names)


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" if node.module == "secant" else node.module for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    parts = path.relative_to(ROOT / "python").with_suffix("").parts
    if parts == ("secant", "__init__"):
        return
    own = layer(".".join(parts))
    for name in imports_of(path):
        if name.startswith("secant.") and name != "secant._core":
            assert layer(name) >= own, f"{'.'.join(parts)} imports {name}"


@pytest.mark.parametrize("path", PYTHON + CPP, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_short(path):
    assert path.name in LONGER or len(path.read_text().splitlines()) <= LONGEST


def test_only_the_bindings_know_python_and_only_one_file_calls_openmp():
    for path in CPP:
        text = path.read_text()
        assert ("#include <pybind11/" in text) == (path.parent.name == "bindings"), path
        assert ("#include <omp.h>" in text) == (path.name == "parallel.hpp"), path


def includes_of(path: Path) -> list[str]:
    return re.findall(r'#include "([^"]+)"', path.read_text())


@pytest.mark.parametrize("path", CPP, ids=lambda path: str(path.relative_to(ROOT)))
def test_includes_of_the_core_point_one_way(path):
    layers = CPP_LAYERS
    if path.parent.name == "bindings":
        layers = ["interface", "platform"]
    elif path.parent.name != "src":
        layers = CPP_LAYERS[CPP_LAYERS.index(path.parent.name) :]
    for name in includes_of(path):
        if name.startswith("secant/"):
            assert name.split("/")[1] in layers, f"{path} includes {name}"
        else:
            assert path.parent.name == "bindings", f"{path} includes {name}: write secant/..."


def test_no_fast_math_anywhere_in_the_build():
    text = (ROOT / "CMakeLists.txt").read_text()
    flags = re.sub(r"#.*", "", text)
    assert "-ffast-math" not in flags
    assert "-Ofast" not in flags


def test_what_is_imported_later_is_what_type_checkers_see():
    (block,) = (node for node in ast.parse(Path(secant.__file__).read_text()).body if isinstance(node, ast.If))
    seen = {node.names[0].name: node.module for node in block.body}
    named = {name: f"secant.{module}".rstrip(".") for name, module in secant._LATER.items()}
    assert seen == named
    assert set(secant.__all__) <= set(dir(secant))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        secant.nothing  # noqa: B018


def test_every_public_name_is_documented():
    for name in secant.__all__:
        assert getattr(secant, name).__doc__, name


def test_the_readme_repeats_the_contract():
    readme = (ROOT / "README.md").read_text()
    for promise in bounds.CONTRACT:
        assert f"| {promise.quantity} | {promise.bound} |" in readme


def test_the_figures_of_the_readme_are_measured_ones():
    section = (ROOT / "README.md").read_text().split("## How fast")[1].split("## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| MNIST") or line.startswith("| dense")]
    assert len(rows) >= 2
    for row in rows:
        assert row in (ROOT / "docs" / "benchmarks.md").read_text()


def test_the_version_is_said_once_more_in_the_changelog():
    assert f"## {secant.__version__}" in (ROOT / "CHANGELOG.md").read_text()
