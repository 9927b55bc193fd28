"""Every block of code in README and docs/ runs, and prints what the page says.

- python: a doctest, or code; blocks of a page share their names, of which a few are given (`names`)
- text: what the python block above it prints; in pages that are records, what was printed in the past. The programs of
  records/flaws.md are run by tests/bench/test_found.py
- sh: commands; console: commands after "$ " with what they print. Each runs in a folder with the files of a reader
- a block whose first line is the name of a file, "# f.py" or "// f.c": a file for the commands of its page

Numbers that differ from machine to machine are compared as if they were the same (`MEASURED`).
"""

import contextlib
import doctest
import functools
import importlib.util
import io
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pages import PAGES, ROOT, blocks, name_of

import secant
from secant.book import common_functions, common_gradient

READER = Path(__file__).parent / "reader"
RECORDS = [f"docs/{name}.md" for name in ("benchmarks", "reliability")]  # by programs
RECORDS += [name_of(page) for page in PAGES if page.parent.name == "records"]
INSTALL = re.compile(r"^(python3 -m venv \.venv|\.venv/bin/)", re.MULTILINE)  # needs a clone and a package index
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MEASURED = re.compile(
    r"(?<= in )[\d.e-]+(?= s;)|\d+(?= evaluations)|(?<=noise of f )[\d.e-]+|(?<=above )[\d.e-]+|\de-\d+$"
    r"|[\d.]+(?= s for )|[\d,.]+(?= per second)",
    re.MULTILINE,
)
NEEDS = {"plot": "matplotlib"}  # what a block has in it, and needs
NEEDS |= {name: name for name in ("distributed", "jax", "joblib", "numba", "scipy", "sklearn", "torch")}
FILE = re.compile(r"(?:#|//) (\w+\.\w+)\n")

by_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


class Checker(doctest.OutputChecker):
    def check_output(self, want, got, flags):
        return super().check_output(MEASURED.sub("#", want), MEASURED.sub("#", got), flags)


def languages(page, *wanted):
    return [block for block in blocks(page) if block.language in wanted]


def files(page):
    """The blocks that are files, by name."""
    return {named[1]: block.text for block in blocks(page) if (named := FILE.match(block.text))}


def missing(code):
    """What code needs that is not installed."""
    return [extra for needle, extra in NEEDS.items() if needle in code and not importlib.util.find_spec(extra)]


@by_page
def test_every_block_says_what_it_is_and_is_run(page):
    before = None
    for block in blocks(page):
        where = f"{name_of(page)}:{block.line + 1}"
        if name_of(page) in RECORDS:
            assert block.language in ("text", "python"), where
        elif block.language == "text":
            assert before.language == "python", where
            assert not FILE.match(before.text), where
        elif not FILE.match(block.text):
            assert block.language in ("python", "sh", "console"), where
        before = block
    commands = "".join(block.text for block in languages(page, "sh", "console"))
    assert [name for name in files(page) if name not in commands] == []


@pytest.fixture
def names(monkeypatch):
    """What a page need not define: a network of the reader's, and digits to train it on."""
    spec = importlib.util.spec_from_file_location("two_layer_net", READER / "two_layer_net.py")
    own = importlib.util.module_from_spec(spec)
    modules = {"common": ModuleType("common"), "common.functions": common_functions, "common.gradient": common_gradient}
    for name, module in modules.items() | {("two_layer_net", own)}:
        monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(own)
    (x_train, t_train), (x_test, t_test) = secant.load_mnist(subset=True, one_hot_label=True)
    np.random.seed(0)
    return {
        "np": np,
        "secant": secant,
        "TwoLayerNet": own.TwoLayerNet,
        "YourNetwork": own.TwoLayerNet,
        "x_train": x_train,
        "t_train": t_train,
        "x_test": x_test,
        "t_test": t_test,
        "x_batch": x_train[:100],
        "t_batch": t_train[:100],
    }


README_FIRST = [
    pytest.param(page, marks=() if name_of(page) == "README.md" else pytest.mark.slow)
    for page in PAGES
    if name_of(page) not in RECORDS
]


@pytest.mark.parametrize("page", README_FIRST, ids=name_of)
def test_python(page, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(secant.backends, "_chosen", secant.backends._chosen)
    train = functools.partial(secant.train, n_iterations=100)  # where the page does not say
    monkeypatch.setattr(secant, "train", train)
    listed = [block for block in blocks(page) if not FILE.match(block.text)]
    skipped = []
    for block, after in itertools.zip_longest(listed, listed[1:]):
        if block.language != "python":
            continue
        if lacking := missing(block.text):
            skipped += lacking
            continue
        if ">>> " not in block.text:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile("\n" * (block.line + 1) + block.text, page, "exec"), names)
            if after and after.language == "text":
                assert Checker().check_output(after.text, printed.getvalue(), FLAGS), printed.getvalue()
            continue
        example = doctest.DocTestParser().get_doctest(block.text, names, name_of(page), str(page), block.line + 1)
        output = []
        failed, _ = doctest.DocTestRunner(Checker(), optionflags=FLAGS).run(
            example, out=output.append, clear_globs=False
        )
        assert not failed, "".join(output)
        names |= example.globs
    if skipped:
        pytest.skip(f"all but the blocks that need {', '.join(sorted(set(skipped)))}, not installed here")


def commands(block):
    """The commands of a block, with what each prints; None where the page does not say."""
    if block.language == "sh":
        return [(block.text, None)]
    first, *parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not first.strip(), "a console block begins with a command"
    return [tuple(part.partition("\n")[::2]) for part in parts]


@functools.cache  # most pages have the same few commands
def outcome(command, own_files):
    """The exit code and output of a command, in a new folder with the files of a reader, and of the page."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(READER, folder, dirs_exist_ok=True)
        for name, text in own_files:
            (Path(folder) / name).write_text(text, encoding="utf-8")
        programs = Path(folder) / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name, module in {"secant": " -m secant", "python": ""}.items():
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n', encoding="utf-8")
            (programs / name).chmod(0o755)
        package = str(Path(secant.__file__).parents[1])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env=os.environ
            | {
                "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
                "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH")))),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
    return done.returncode, done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
@by_page
def test_shell(page):
    skipped = []
    for block in languages(page, "sh", "console"):
        if INSTALL.search(block.text):
            continue  # .ci/run does: see the next test
        for command, printed in commands(block):
            own_files = tuple((name, text) for name, text in files(page).items() if name in command)
            if lacking := missing(str(own_files)):
                skipped += lacking
                continue
            code, output = outcome(command, own_files)
            if "MNIST could not be downloaded" in " ".join(output.split()):
                pytest.skip("the page is about all of MNIST, which is not here")
            assert code == 0, output
            assert printed is None or Checker().check_output(printed, output, FLAGS), output
    if skipped:
        pytest.skip(f"all but the commands that need {', '.join(sorted(set(skipped)))}, not installed here")


@by_page
def test_commands_that_install_are_run_by_the_gate_as_they_stand_in_the_readme(page):
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    endings = re.findall(r"readme_command '([^']+)'", gate)
    readme = "".join(block.text for block in languages(ROOT / "README.md", "sh")).splitlines()
    for block in languages(page, "sh"):
        for line in block.text.splitlines() if INSTALL.search(block.text) else ():
            assert line in readme
            assert any(re.search(f"{ending}$", line) for ending in endings), line
