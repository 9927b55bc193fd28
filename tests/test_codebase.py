"""What the code base promises of itself: where things may be known, and that what is
written down agrees.
"""

import ast
import functools
import inspect
import re
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import bounds
import secant

ROOT = Path(__file__).parent.parent
PYTHON = sorted((ROOT / "python").rglob("*.py"))
CPP = sorted((ROOT / "cpp").rglob("*.[ch]pp"))
LAYERS = [  # the rooms; a file may import its own room and those below
    {"__main__", "cli"},
    {"book", "sklearn"},
    {"training"},
    {"plots"},
    {"acceleration"},
    {"networks"},
    {"functions"},
    {"datasets"},
    {"backends"},
    {"jax", "testing", "torch"},  # from here on nothing knows of networks
    {"checking"},
    {"differentiation"},
    {"_common"},
    {"_startup", "errors"},
]
# Each may include itself and what follows.
CPP_LAYERS = [
    "training",
    "differences",
    "network",
    "platform",
    "interface",
    "simd",
    "base",
]


def module_of(path: Path) -> str:
    return ".".join(
        path.relative_to(ROOT / "python").with_suffix("").parts
    ).removesuffix(".__init__")


MODULES = {module_of(path): path for path in PYTHON}


@functools.cache
def imports_of(path: Path) -> set[str]:
    """What a file of the package imports of it, in functions too, but not what only a
    type checker imports.
    """
    found, nodes = set(), [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith(
            "TYPE_CHECKING"
        ):
            nodes += node.orelse
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {
                name if name in MODULES else node.module
                for name in names.values()
                if name != "secant._core"
            }
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        nodes += ast.iter_child_nodes(node)
    return found & MODULES.keys()


def layer(module: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if module.split(".")[1] in names)


def test_imports_point_one_way():
    for module in MODULES.keys() - {"secant"}:
        imported = imports_of(MODULES[module])
        assert "secant" not in imported, (
            f"{module}: that is all of it: import what is needed from where it is"
        )
        up = sorted(name for name in imported if layer(name) < layer(module))
        assert not up, f"{module} imports {up}"


def test_no_file_imports_itself_by_way_of_others():
    graph = {module: imports_of(path) for module, path in MODULES.items()}
    TopologicalSorter(graph).prepare()  # its error names a circle


def test_only_the_bindings_know_python_and_only_one_file_calls_openmp():
    for path in CPP:
        text = path.read_text(encoding="utf-8")
        assert ("#include <pybind11/" in text) == (path.parent.name == "bindings"), path
        assert ("#include <omp.h>" in text) == (path.name == "parallel.hpp"), path


def test_one_file_asks_the_compiler_which_machine_it_compiles_for():
    of_a_machine = r"__(AVX|SSE|FMA|F16C|BMI|ARM|aarch64|x86_64)\w*|SECANT_(VECTORS|AVX512)|\b_mm\d*_|immintrin|arm_neon"
    for path in CPP:
        if path.name not in ("machine.hpp", "multiversion.hpp"):
            assert not re.search(of_a_machine, path.read_text(encoding="utf-8")), path


def includes_of(path: Path) -> list[str]:
    return re.findall(r'#include "([^"]+)"', path.read_text(encoding="utf-8"))


def test_includes_of_the_core_point_one_way():
    for path in CPP:
        layers = CPP_LAYERS
        if path.parent.name == "bindings":
            layers = ["interface", "platform"]
        elif path.parent.name != "src":
            layers = CPP_LAYERS[CPP_LAYERS.index(path.parent.name) :]
        for name in includes_of(path):
            if name.startswith("secant/"):
                assert name.split("/")[1] in layers, f"{path} includes {name}"
            else:
                assert path.parent.name == "bindings", (
                    f"{path} includes {name}: write secant/..."
                )


def test_what_is_imported_later_is_what_type_checkers_see():
    (block,) = (
        node
        for node in ast.parse(Path(secant.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.If)
    )
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    named = {
        name: f"secant.{module}".rstrip(".") for name, module in secant._LATER.items()
    }
    assert seen == {
        name: module
        for name, module in named.items()
        if name not in ("jax", "sklearn", "torch")
    }
    assert set(secant.__all__) <= set(dir(secant))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        secant.nothing  # noqa: B018


# which arguments may be left out that are no keywords; of what users call
POSITIONAL = {
    "History.plot": ["path"],
    "SimpleNet": ["input_size", "output_size"],
    "TwoLayerNet": ["weight_init_std"],
    "accelerate": ["net"],
    "check_network": ["gradients"],
    "gradient_descent": ["lr", "step_num"],
    "load_mnist": ["normalize", "flatten", "one_hot_label"],
    "numerical_diff": ["h"],
    "numerical_gradient": ["h"],
    "numerical_jacobian": ["h"],
    "to_one_hot": ["classes"],
    "train": ["x_test", "t_test"],
}


def test_options_are_keywords_and_all_else_may_be():
    public = {name: getattr(secant, name) for name in secant.__all__} | vars(
        secant.testing
    )
    called = {
        name: value
        for name, value in public.items()
        if getattr(value, "__module__", "").startswith("secant")
    }
    for name, cls in list(called.items()):
        if inspect.isclass(cls):
            called |= {
                f"{name}.{method}": f
                for method, f in vars(cls).items()
                if inspect.isfunction(f)
            }
            # What is raised, returned, or a type of arguments.
            if issubclass(cls, Exception | dict) or name in (
                "GradientReport",
                "History",
            ):
                del called[name]
    optional = {}
    for name, function in called.items():
        if not re.search(r"(^|\.)_", name):
            parameters = inspect.signature(function).parameters.values()
            assert not [
                each.name for each in parameters if each.kind is each.POSITIONAL_ONLY
            ], name
            may = [
                each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD
            ]
            optional[name] = [
                each.name for each in may if each.default is not each.empty
            ]
    assert {name: names for name, names in optional.items() if names} == POSITIONAL


def test_no_message_names_a_package_that_is_not_ours():
    """Nothing was published as secant: a message names the library that is missing, a
    page installs from the clone.
    """
    pages = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "docs").rglob("*.ipynb"),
    ]
    for path in [*pages, *(ROOT / "python").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"secant\[[a-z]|pip install ['\"]?secant\b", text), path


def test_the_page_of_the_contract_has_its_rows():
    page = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    for promise in bounds.CONTRACT:
        assert f"| {promise.quantity} | {promise.bound} |" in page


def test_the_version_stands_in_one_place_and_the_changelog_and_the_citation_have_it():
    """Pages and tables that are written by programs have the one that ran."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        version = tomllib.load(file)["project"]["version"]
    assert version == secant.__version__
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(
        encoding="utf-8"
    )
    others = [
        ROOT / name
        for name in ("CMakeLists.txt", "package_metadata.py", "docs/conf.py")
    ]
    others += [*(ROOT / "python").rglob("*.py"), *(ROOT / "cpp").rglob("*.?pp")]
    assert [
        path.name for path in others if version in path.read_text(encoding="utf-8")
    ] == []


def leaves_its_encoding_to_the_platform(call):
    """Whether a call is one of open, read_text or write_text, for text, that says no
    encoding.
    """
    if any(keyword.arg in ("encoding", None) for keyword in call.keywords):
        return False
    function = call.func
    if isinstance(function, ast.Name):
        mode = call.args[1:2]
        return function.id == "open" and not any(
            "b" in ast.literal_eval(each) for each in mode
        )
    if not isinstance(function, ast.Attribute):
        return False
    return (function.attr == "read_text" and not call.args) or (
        function.attr == "write_text" and len(call.args) == 1
    )


def test_text_is_read_and_written_in_an_encoding_that_is_named():
    """On Windows the default is none that our files have."""
    programs = [
        path
        for folder in ("python", "tests", "bench", "docs", "examples")
        for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(programs) > 100
    for path in [*programs, *ROOT.glob("*.py")]:
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        ]
        assert [
            call.lineno for call in calls if leaves_its_encoding_to_the_platform(call)
        ] == [], path
