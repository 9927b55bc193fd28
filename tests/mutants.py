"""Whether the tests notice that the code is changed: its constants, signs and
comparisons, one at a time.

    python tests/mutants.py [--language python] [--only checking] [--count 100] [--seed 0] [--workers 2]
    python tests/mutants.py --promises [--only sklearn]

With ``--promises`` the changes are those of tests/promises.toml. Each breaks a sentence
of a docstring, and one that no test notices is an error. Of the others, which are
chosen at random, some are none that a test should notice.

Each worker has a clone of what is committed. A mutant of Python is tried by the folders
of tests that belong to its module (`ROOMS`), which should notice it. A mutant of the
core is compiled for the best instruction set of this machine, as a debug build, before
the default tests of the core run; those that do not compile are not counted. The tests
run until one fails: seconds, or a few minutes if none does. Results of the same commit
are kept. Needs git; for the core CMake, Ninja, pybind11 and a compiler; and an
environment in which Secant is not installed as editable, since that would be imported
in place of a clone.
"""

import argparse
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tokenize
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PROMISES = Path(__file__).with_name("promises.toml")
FOLDERS = {"cpp": ("cpp/include/secant", "cpp/src"), "python": ("python/secant",)}
OF_THE_CORE = [
    ["tests/contract", "tests/core", "tests/cpp"],  # notice most
    [
        "tests/test_functions.py",
        "tests/networks",
        "tests/training",
        "tests/backends",
        "tests/acceleration",
    ],
]
ROOMS = {  # the tests that should notice what is changed in a module
    "acceleration": ["tests/acceleration", "tests/checking/test_check_network.py"],
    "backends": ["tests/backends", "tests/contract", "tests/core"],
    "book": ["tests/book"],
    "checking": ["tests/checking"],
    "cli": ["tests/cli"],
    "datasets": ["tests/datasets"],
    "differentiation": ["tests/differentiation", "tests/ordinary"],
    "functions": ["tests/test_functions.py"],
    "jax": ["tests/checking"],
    "networks": ["tests/networks"],
    "plots": ["tests/plots"],
    "sklearn": ["tests/test_sklearn.py"],
    "testing": ["tests/checking"],
    "torch": ["tests/checking"],
    "training": ["tests/training"],
}
# what all modules share
OF_ALL = ["tests/networks", "tests/training", "tests/differentiation", "tests/backends"]
# asks for a core of several instruction sets
LEFT_OUT = "tests/backends/test_configuration.py"
DOES_NOT_COMPILE, SURVIVED = "does not compile", "survived"
HANGS = 900  # seconds
SKIPPED = re.compile(
    r"^\s*(//|#|template|static_assert|using|namespace|extern|case)|operator|1u <<"
)
OF_CPP = re.compile(  # without what is part of a type, such as <, and of a name
    r"[<>=!]=|[-+]=|(?<= )[-+<>](?= )|(?<=[ (=,{])-(?=[\w(])"
    r"|(?<![\w.])(?!0\.0\b)\d+\.\d+(?:e-?\d+)?|(?<![\w.\"])\d+(?![\w.'\"])"
)
TOKENS = {
    "<": "<=",
    ">": ">=",
    "<=": "<",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "+=": "-=",
    "-=": "+=",
    "*": "/",
    "/": "*",
}
TOKENS |= {
    "and": "or",
    "or": "and",
    "not": "",
    "True": "False",
    "False": "True",
    "min": "max",
    "max": "min",
}
# what stands between two numbers; a sign alone is dropped
BETWEEN = {"+": "-", "-": "+"}


class Mutant(NamedTuple):
    file: str
    line: int
    column: int
    before: str
    after: str


def mutants(clone: Path, language: str, only: str) -> Iterator[Mutant]:
    """All changes, in the order of the files."""
    pattern, changes = (
        ("*.[hc]pp", in_cpp) if language == "cpp" else ("*.py", in_python)
    )
    for path in sorted(
        path for folder in FOLDERS[language] for path in (clone / folder).rglob(pattern)
    ):
        file = str(path.relative_to(clone))
        if only in file:
            yield from (
                Mutant(file, *change)
                for change in changes(path.read_text(encoding="utf-8"))
            )


def in_cpp(text: str) -> Iterator[tuple[int, int, str, str]]:
    for number, line in enumerate(text.splitlines()):
        code = "" if SKIPPED.search(line) else line.partition("//")[0]
        for match in OF_CPP.finditer(code):
            yield (
                number,
                match.start(),
                match[0],
                instead_of(match[0], between=code[match.end() :].startswith(" ")),
            )


def in_python(text: str) -> Iterator[tuple[int, int, str, str]]:
    """Changes tokens, so that no text and no comment is changed."""
    before = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.NUMBER, tokenize.NAME, tokenize.OP):
            after = instead_of(
                token.string, between=bool(re.search(r"[\w)\]]$", before))
            )
            if after is not None:
                yield token.start[0] - 1, token.start[1], token.string, after
        before = token.string


def instead_of(token: str, *, between: bool) -> str | None:
    """What a token becomes; a sign, if it stands between two numbers, or alone.

    None if nothing.
    """
    if token[0].isdigit():
        return f"({token} * 0.5)" if re.search(r"[.e]", token) else f"({token} + 1)"
    if token in BETWEEN:
        return BETWEEN[token] if between else ""
    return TOKENS.get(token)


def tests_of(file: str) -> list[list[str]]:
    """The tests that should notice a change of a file: the first, then those that are
    tried if none of these fails.
    """
    if file.startswith("cpp"):
        return OF_THE_CORE
    return [ROOMS.get(Path(file).parts[2].removesuffix(".py"), OF_ALL)]


def run(command: Sequence[str], clone: Path) -> tuple[int, str]:
    """The exit code, and what was printed; what hangs is ended, with all that it has
    started.
    """
    paths = [str(clone / "python"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    # a change of the same size in the same second would not be seen
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    pipe, merged = subprocess.PIPE, subprocess.STDOUT
    process = subprocess.Popen(
        command,
        cwd=clone,
        env=environment,
        start_new_session=True,
        stdout=pipe,
        stderr=merged,
        text=True,
    )
    try:
        said, _ = process.communicate(timeout=HANGS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return 1, "hangs"
    return process.returncode, said


def build(clone: Path) -> tuple[int, str]:
    code, said = run(["cmake", "--build", "build/mutant"], clone)
    if code == 0:
        for old in (clone / "python" / "secant").glob("_core*.so"):
            old.unlink()
        (module,) = (clone / "build" / "mutant").glob("_core*")
        (clone / "python" / "secant" / module.name).write_bytes(module.read_bytes())
    return code, said


def prepare(clone: Path, language: str) -> None:
    """A clone whose core is built, or the one that is installed, and imported."""
    from secant import _core

    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    code, said = 0, ""
    if language == "python":
        shutil.copy(_core.__file__, clone / "python" / "secant")
    else:
        found = subprocess.run(
            [sys.executable, "-m", "pybind11", "--cmakedir"],
            check=True,
            capture_output=True,
            text=True,
        )
        options = [
            f"-DSECANT_ISAS={_core.build_info()['isa']}",
            "-DCMAKE_BUILD_TYPE=Debug",
            "-DCMAKE_CXX_FLAGS_DEBUG=-g0",
        ]
        options += [
            f"-Dpybind11_DIR={found.stdout.strip()}",
            f"-DPython_EXECUTABLE={sys.executable}",
        ]
        code, said = run(
            ["cmake", "-G", "Ninja", "-B", "build/mutant", *options], clone
        )
        if code == 0:
            code, said = build(clone)
    if code == 0:
        code, said = run(
            [sys.executable, "-c", "from secant import _core; print(_core.__file__)"],
            clone,
        )
    if code or str(clone) not in said.splitlines()[-1]:
        sys.exit(
            f"the core of the clone is not what is imported:\n{said}"
            if code == 0
            else said
        )


def tests(clone: Path, where: Sequence[str]) -> tuple[int, str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-n0",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
    ]
    command += ["--ignore", LEFT_OUT]
    if "tests/cpp" in where:  # the drivers of the core's parts are slow
        command += ["-m", "not nightly and not other_backend"]
    return run([*command, *where], clone)


def parsed(path: Path) -> tuple[int, str]:
    try:
        compile(path.read_text(encoding="utf-8"), path, "exec")
    except SyntaxError as error:
        return 1, str(error)
    return 0, ""


def noticed_by(clone: Path, mutant: Mutant) -> str:
    """The first test that fails."""
    lines = (clone / mutant.file).read_text(encoding="utf-8").splitlines(keepends=True)
    line, end = lines[mutant.line], mutant.column + len(mutant.before)
    lines[mutant.line] = line[: mutant.column] + mutant.after + line[end:]
    return try_out(clone, mutant.file, "".join(lines), tests_of(mutant.file))


def try_out(
    clone: Path, file: str, changed: str, where_to_test: Sequence[Sequence[str]]
) -> str:
    """The first test that fails while a file has another text."""
    path = clone / file
    original = path.read_text(encoding="utf-8")
    path.write_text(changed, encoding="utf-8")
    try:
        code, said = build(clone) if path.suffix != ".py" else parsed(path)
        if code:
            return said if said == "hangs" else DOES_NOT_COMPILE
        for where in where_to_test:
            code, said = tests(clone, where)
            if code:
                failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
                return failed[0] if failed else said[-300:]
    finally:
        path.write_text(original, encoding="utf-8")
    return SURVIVED


def fault_of(clone: Path, promise: dict[str, str]) -> str:
    """Why the list does not hold for a promise: a test must notice that it is
    broken.
    """
    text = (clone / promise["file"]).read_text(encoding="utf-8")
    if text.count(promise["before"]) != 1:
        return f"{promise['file']} does not have this once: {promise['before']}"
    if not is_said(clone, promise["sentence"]):
        return "no docstring says so any more"
    changed = text.replace(promise["before"], promise["after"])
    by = try_out(clone, promise["file"], changed, [[promise["tests"]]])
    return by if by in (SURVIVED, DOES_NOT_COMPILE) else ""


def is_said(clone: Path, sentence: str) -> bool:
    """Whether a sentence stands in a module, however its lines are broken."""
    files = (clone / "python" / "secant").rglob("*.py")
    return any(
        sentence in " ".join(path.read_text(encoding="utf-8").split()) for path in files
    )


def check_promises(only: str) -> None:
    """Break each promise in turn.

    Exit with an error if one is not noticed, or the list does not fit the code.
    """
    listed = tomllib.loads(PROMISES.read_text(encoding="utf-8"))["promise"]
    chosen = [promise for promise in listed if only in promise["file"]]
    if not chosen:
        sys.exit(f"no promise is of a file whose path has {only!r}")
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        prepare(clone, "python")
        code, said = tests(clone, sorted({promise["tests"] for promise in chosen}))
        if code:
            sys.exit(f"tests fail without a change:\n{said[-2000:]}")
        for promise in chosen:
            if fault := fault_of(clone, promise):
                faults.append(f"{promise['sentence']}: {fault}")
                print(faults[-1], flush=True)
    print(
        f"{len(chosen) - len(faults)} of {len(chosen)} promises have a test that notices when they are broken"
    )
    if faults:
        sys.exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--language", choices=FOLDERS, default="cpp")
    parser.add_argument(
        "--only", default="", metavar="PART", help="files whose path has this part"
    )
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--results",
        type=Path,
        default=ROOT / "build" / "mutants.jsonl",
        help="a file that is added to",
    )
    parser.add_argument(
        "--promises",
        action="store_true",
        help="those of promises.toml: all must be noticed",
    )
    options = parser.parse_args()
    if options.promises:
        check_promises(options.only)
        return
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    commit = subprocess.run(
        git, check=True, capture_output=True, text=True
    ).stdout.strip()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        options.results.read_text(encoding="utf-8").splitlines()
        if options.results.exists()
        else []
    )
    known = {
        Mutant(*each["mutant"]): each
        for each in map(json.loads, lines)
        if each["commit"] == commit
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        options.results.open("a", encoding="utf-8") as results,
    ):
        clones: Queue[Path] = Queue()
        for worker in range(options.workers):
            clones.put(Path(folder) / str(worker))
        for clone in clones.queue:
            prepare(clone, options.language)
        chosen = list(mutants(clones.queue[0], options.language, options.only))
        random.Random(options.seed).shuffle(chosen)
        known = {each: known[each] for each in chosen if each in known}
        for where in {
            tuple(where)
            for each in chosen[: 2 * options.count]
            for where in tests_of(each.file)
        }:
            code, said = tests(clones.queue[0], where)
            if code:
                sys.exit(f"tests fail without a change:\n{said[-2000:]}")
        left = iter(chosen)

        def counted() -> int:
            return sum(
                each["noticed"] != DOES_NOT_COMPILE for each in list(known.values())
            )

        def work() -> None:
            clone = clones.get()
            for mutant in left:
                if counted() >= options.count:
                    return
                if mutant in known:
                    continue
                # so that it counts
                known[mutant] = {"commit": commit, "mutant": mutant, "noticed": ""}
                known[mutant]["noticed"] = by = noticed_by(clone, mutant)
                results.write(json.dumps(known[mutant]) + "\n")
                results.flush()
                print(
                    f"{mutant.file}:{mutant.line + 1}: {mutant.before} -> {mutant.after}: {by}",
                    flush=True,
                )

        with ThreadPoolExecutor(options.workers) as pool:
            for future in [pool.submit(work) for _ in range(options.workers)]:
                future.result()
    survived = sum(each["noticed"] == SURVIVED for each in list(known.values()))
    print(f"{counted() - survived} of {counted()} were noticed")


if __name__ == "__main__":
    main()
