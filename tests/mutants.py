"""Whether the tests notice that the core is changed: its constants, signs and comparisons, one at a time.

    python tests/mutants.py [--count 100] [--seed 0] [--workers 2] [--whole] [--results build/mutants.jsonl]

Each worker has a clone of what is committed. A mutant is compiled for the best instruction set of this machine, as a
debug build, and the default tests of the core run until one fails: that takes half a minute, or a few minutes if none
does. Mutants that do not compile are not counted. Results of the same commit are kept. With --whole, those that
survived are tried with the slow tests. Needs git, CMake, Ninja, pybind11 and a compiler; and an environment in which
Secant is not installed as editable, since that would be imported in place of a clone.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FOLDERS = "cpp/include/secant", "cpp/src"
FIRST = ["tests/contract", "tests/cpp"]  # notice most
THEN = ["tests/test_functions.py"]
THEN += [f"tests/{room}" for room in ("networks", "training", "backends", "acceleration", "differentiation")]
LEFT_OUT = "tests/backends/test_configuration.py"  # asks for a core of several instruction sets
DOES_NOT_COMPILE, SURVIVED = "does not compile", "survived"
HANGS = 900  # seconds
CHANGES = [
    (r"(?<= )<(?= )", "<="),
    (r"(?<= )>(?= )", ">="),
    (r"<=", "<"),
    (r">=", ">"),
    (r"==", "!="),
    (r"!=", "=="),
    (r"(?<= )\+(?= )", "-"),
    (r"(?<= )-(?= )", "+"),
    (r"\+=", "-="),
    (r"-=", "+="),
    (r"(?<=[ (=,{])-(?=[\w(])", ""),
    (r"(?<![\w.])(?!0\.0\b)\d+\.\d+(?:e-?\d+)?", "({} * 0.5)"),
    (r"(?<![\w.\"])\d+(?![\w.'\"])", "({} + 1)"),
]
SKIPPED = re.compile(r"^\s*(//|#|template|static_assert|using|namespace|extern|case)|operator|1u <<")


class Mutant(NamedTuple):
    file: str
    line: int
    column: int
    before: str
    after: str


def mutants(clone: Path) -> Iterator[Mutant]:
    """All changes, in the order of the files."""
    for path in sorted(path for folder in FOLDERS for path in (clone / folder).rglob("*.[hc]pp")):
        for number, line in enumerate(path.read_text().splitlines()):
            code = line.partition("//")[0]
            if SKIPPED.search(line):
                continue
            for pattern, after in CHANGES:
                for match in re.finditer(pattern, code):
                    file = str(path.relative_to(clone))
                    yield Mutant(file, number, match.start(), match[0], after.format(match[0]))


def run(command: Sequence[str], clone: Path) -> tuple[int, str]:
    """The exit code, and what was printed; what hangs is ended, with all that it has started."""
    paths = [str(clone / "python"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    pipe, merged = subprocess.PIPE, subprocess.STDOUT
    process = subprocess.Popen(
        command, cwd=clone, env=environment, start_new_session=True, stdout=pipe, stderr=merged, text=True
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


def prepare(clone: Path, isa: str) -> None:
    """A clone whose core is built, and imported."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    found = subprocess.run([sys.executable, "-m", "pybind11", "--cmakedir"], check=True, capture_output=True, text=True)
    options = [f"-DSECANT_ISAS={isa}", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-g0"]
    options += [f"-Dpybind11_DIR={found.stdout.strip()}", f"-DPython_EXECUTABLE={sys.executable}"]
    code, said = run(["cmake", "-G", "Ninja", "-B", "build/mutant", *options], clone)
    if code == 0:
        code, said = build(clone)
    if code == 0:
        code, said = run([sys.executable, "-c", "from secant import _core; print(_core.__file__)"], clone)
    if code or str(clone) not in said.splitlines()[-1]:
        sys.exit(f"the core of the clone is not what is imported:\n{said}" if code == 0 else said)


def tests(clone: Path, where: Sequence[str], marks: Sequence[str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", "--ignore", LEFT_OUT]
    return run([*command, *marks, *where], clone)


def noticed_by(clone: Path, mutant: Mutant, whole: bool) -> str:
    """The first test that fails."""
    path = clone / mutant.file
    original = path.read_text()
    lines = original.splitlines(keepends=True)
    line, end = lines[mutant.line], mutant.column + len(mutant.before)
    lines[mutant.line] = line[: mutant.column] + mutant.after + line[end:]
    path.write_text("".join(lines))
    try:
        code, said = build(clone)
        if code:
            return said if said == "hangs" else DOES_NOT_COMPILE
        for where, marks in [(FIRST + THEN, ["-m", "slow"])] if whole else [(FIRST, []), (THEN, [])]:
            code, said = tests(clone, where, marks)
            if code:
                failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
                return failed[0] if failed else said[-300:]
    finally:
        path.write_text(original)
    return SURVIVED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--whole", action="store_true", help="try those that survived with the slow tests")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "build" / "mutants.jsonl", help="a file that is added to"
    )
    options = parser.parse_args()
    from secant import _core

    isa = _core.build_info()["isa"]
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    commit = subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    known = {Mutant(*each["mutant"]): each for each in map(json.loads, lines) if each["commit"] == commit}
    with tempfile.TemporaryDirectory() as folder, options.results.open("a", encoding="utf-8") as results:
        clones: Queue[Path] = Queue()
        for worker in range(options.workers):
            clones.put(Path(folder) / str(worker))
        for clone in clones.queue:
            prepare(clone, isa)
        code, said = tests(clones.queue[0], FIRST + THEN, [])
        if code:
            sys.exit(f"tests fail without a change:\n{said[-2000:]}")
        chosen = list(mutants(clones.queue[0]))
        random.Random(options.seed).shuffle(chosen)
        if options.whole:
            chosen = [each for each in chosen if each in known and known[each]["noticed"] == SURVIVED]
        left = iter(chosen)

        def counted() -> int:
            return sum(each["noticed"] != DOES_NOT_COMPILE for each in list(known.values()))

        def work() -> None:
            clone = clones.get()
            for mutant in left:
                if not options.whole and counted() >= options.count:
                    return
                if not options.whole and mutant in known:
                    continue
                known[mutant] = {"commit": commit, "mutant": mutant, "noticed": ""}  # so that it counts
                known[mutant]["noticed"] = by = noticed_by(clone, mutant, options.whole)
                results.write(json.dumps(known[mutant]) + "\n")
                results.flush()
                print(f"{mutant.file}:{mutant.line + 1}: {mutant.before} -> {mutant.after}: {by}", flush=True)

        with ThreadPoolExecutor(options.workers) as pool:
            for future in [pool.submit(work) for _ in range(options.workers)]:
                future.result()
    survived = sum(each["noticed"] == SURVIVED for each in list(known.values()))
    print(f"{counted() - survived} of {counted()} were noticed")


if __name__ == "__main__":
    main()
