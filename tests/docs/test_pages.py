"""Every block of code in README and docs/ runs, and prints what the page says.

- python: a doctest, or code. It runs as a script in an empty folder; a block without
  `import secant` goes on with the script above it
- text: what the python block above it prints; in pages that are records, what was
  printed in the past. The programs of records/flaws.md are run by
  tests/bench/test_found.py
- sh: commands; console: commands after "$ " with what they print. Each runs in an empty
  folder, or, below `cd examples/FOLDER`, in a copy of that
- a block whose first line is the name of a file, "# f.py" or "// f.c": a file for the
  commands of its page

Numbers that differ from machine to machine are compared as if they were the same
(`MEASURED`).
"""

import ast
import contextlib
import doctest
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from pages import PAGES, ROOT, blocks, name_of

import secant

RECORDS = ["docs/benchmarks.md"]  # by programs
RECORDS += [name_of(page) for page in PAGES if page.parent.name == "records"]
# needs a clone and a package index
INSTALL = re.compile(r"^(python3 -m venv \.venv|\.venv/bin/)", re.MULTILINE)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MEASURED = re.compile(
    r"(?<= in )[\d.e-]+(?= s;)|\d+(?= evaluations)|(?<=noise of f )[\d.e-]+|(?<=above )[\d.e-]+|\de-\d+$"
    r"|[\d.]+(?= s for )|[\d,.]+(?= per second)",
    re.MULTILINE,
)
NEEDS = {"plot": "matplotlib"}  # what a block has in it, and needs
NEEDS |= {
    name: name
    for name in ("distributed", "jax", "joblib", "numba", "scipy", "sklearn", "torch")
}
FILE = re.compile(r"(?:#|//) (\w+\.\w+)\n")
IMPORT = re.compile(
    r"^(?:>>> )?(?:import |from |import numpy as np, )secant\b", re.MULTILINE
)
GO = re.compile(r"^cd (examples/\w+)$", re.MULTILINE)
# what the prompt prints values with
HOOK = ast.parse("sys.displayhook", mode="eval").body
MARK = "-- the next piece --"

by_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


class Checker(doctest.OutputChecker):
    def check_output(self, want, got, flags):
        return super().check_output(
            MEASURED.sub("#", want), MEASURED.sub("#", got), flags
        )


def languages(page, *wanted):
    return [block for block in blocks(page) if block.language in wanted]


def files(page):
    """The blocks that are files, by name."""
    return {
        named[1]: block.text
        for block in blocks(page)
        if (named := FILE.match(block.text))
    }


def missing(code):
    """What code needs that is not installed."""
    return [
        extra
        for needle, extra in NEEDS.items()
        if needle in code and not importlib.util.find_spec(extra)
    ]


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


def programs(page):
    """The blocks of Python that a reader runs as one script: a block that imports
    secant begins one, others go on.
    """
    scripts = []
    for block in languages(page, "python"):
        if not FILE.match(block.text):
            if not scripts or IMPORT.search(block.text):
                scripts.append([])
            scripts[-1].append(block)
    return scripts


def shown(source):
    """The code of a line at the prompt, where an expression prints its value."""
    tree = ast.parse(source)
    if isinstance(tree.body[-1], ast.Expr):
        tree.body[-1].value = ast.Call(HOOK, [tree.body[-1].value], [])
    return ast.unparse(ast.fix_missing_locations(tree))


def parts(page, block):
    """What a block runs, piece by piece, and what the page says that each prints: None
    if it does not say.
    """
    if ">>> " in block.text:
        return [
            (shown(example.source), example.want)
            for example in doctest.DocTestParser().get_examples(block.text)
        ]
    every = blocks(page)
    after = every[every.index(block) + 1 :]
    printed = after[0].text if after and after[0].language == "text" else None
    return [(block.text, printed)]


def place(page, line):
    """The folder of the clone to which the page has sent its reader before this line;
    None for an empty folder.
    """
    earlier = [block.text for block in languages(page, "sh") if block.line < line]
    found = [name for text in earlier for name in GO.findall(text)]
    return found[-1] if found else None


@contextlib.contextmanager
def folder_of_reader(example, own_files):
    """An empty folder, or a copy of one with examples, and the files that the page
    shows.
    """
    with tempfile.TemporaryDirectory() as folder:
        if example:
            shutil.copytree(ROOT / example, folder, dirs_exist_ok=True)
        for name, text in own_files:
            (Path(folder) / name).write_text(text, encoding="utf-8")
        yield folder


def environment(**others):
    package = str(Path(secant.__file__).parents[1])
    paths = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": paths} | others


SCRIPTS = [
    pytest.param(
        page,
        number,
        id=f"{name_of(page)}:{script[0].line + 1}",
        marks=() if name_of(page) == "README.md" else pytest.mark.slow,
    )
    for page in PAGES
    if name_of(page) not in RECORDS
    for number, script in enumerate(programs(page))
]


@pytest.mark.parametrize(("page", "number"), SCRIPTS)
def test_python(page, number):
    """Each script runs in an empty folder, and is given nothing that the page does not
    give its reader.
    """
    script = programs(page)[number]
    text = "\n".join(block.text for block in script)
    if lacking := missing(text):
        pytest.skip(f"{', '.join(sorted(set(lacking)))}: not installed here")
    pieces = [part for block in script for part in parts(page, block)]
    source = f"print({MARK!r})\n".join(f"{code}\n" for code, _ in pieces)
    if any(">>> " in block.text for block in script):
        source = f"import sys\n{source}"
    with folder_of_reader(place(page, script[0].line), ()) as folder:
        (Path(folder) / "script.py").write_text(source, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "script.py"],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert (done.returncode, done.stderr) == (0, "")
    outputs = done.stdout.split(f"{MARK}\n")
    for (code, wanted), printed in zip(pieces, outputs, strict=True):
        assert wanted is None or Checker().check_output(wanted, printed, FLAGS), (
            f"{code}\n{printed}"
        )


def commands(block):
    """The commands of a block, with what each prints; None where the page does not
    say.
    """
    if block.language == "sh":
        return [(block.text, None)]
    first, *parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not first.strip(), "a console block begins with a command"
    return [tuple(part.partition("\n")[::2]) for part in parts]


@functools.cache  # most pages have the same few commands
def outcome(command, example, own_files):
    """The exit code and output of a command, in a folder of its own."""
    with folder_of_reader(example, own_files) as folder:
        programs = Path(folder) / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name, module in {"secant": " -m secant", "python": ""}.items():
            (programs / name).write_text(
                f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n', encoding="utf-8"
            )
            (programs / name).chmod(0o755)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env=environment(PATH=os.pathsep.join([str(programs), os.environ["PATH"]])),
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
        if GO.fullmatch(block.text.strip()):
            continue
        for command, printed in commands(block):
            own_files = tuple(
                (name, text) for name, text in files(page).items() if name in command
            )
            if lacking := missing(str(own_files)):
                skipped += lacking
                continue
            code, output = outcome(command, place(page, block.line), own_files)
            if "MNIST could not be downloaded" in " ".join(output.split()):
                pytest.skip("the page is about all of MNIST, which is not here")
            assert code == 0, output
            assert printed is None or Checker().check_output(printed, output, FLAGS), (
                output
            )
    if skipped:
        pytest.skip(
            f"all but the commands that need {', '.join(sorted(set(skipped)))}, not installed here"
        )


@by_page
def test_commands_that_install_are_run_by_the_gate_as_they_stand_in_the_readme(page):
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    endings = re.findall(r"readme_command '([^']+)'", gate)
    readme = "".join(
        block.text for block in languages(ROOT / "README.md", "sh")
    ).splitlines()
    for block in languages(page, "sh"):
        for line in block.text.splitlines() if INSTALL.search(block.text) else ():
            assert line in readme
            assert any(re.search(f"{ending}$", line) for ending in endings), line
