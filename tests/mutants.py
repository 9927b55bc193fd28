"""Whether the tests notice that the core is changed: its constants, signs and comparisons, one at a time.

    python tests/mutants.py [--count 100] [--seed 0] [--workers 2] [--whole] [--results build/mutants.jsonl]

Each worker has a clone of the repository. A mutant is compiled for the best instruction set of this machine, as a debug
build, and the default tests of the core run until one fails: that takes half a minute, or some if none does. Mutants
that do not compile are not counted. With --whole, those that the results call "survived" are tried with the slow tests.
Needs git, CMake, Ninja and a compiler.
"""

import argparse
import json
import os
import random
import re
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
THEN = ["tests/networks", "tests/training", "tests/backends", "tests/acceleration"]  # others are of Python
DOES_NOT_COMPILE = "does not compile"
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
    (r"(?<![\w.])\d+\.\d+(?:e-?\d+)?", "({} * 0.5)"),
    (r"(?<![\w.\"])\d+(?![\w.'\"])", "({} + 1)"),
]
SKIPPED = re.compile(r"^\s*(//|#|template|static_assert|using|namespace|extern|case)|operator|1u <<")


class Mutant(NamedTuple):
    file: str
    line: int
    column: int
    before: str
    after: str


def mutants() -> Iterator[Mutant]:
    """All changes, in the order of the files."""
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.[hc]pp")):
        for number, line in enumerate(path.read_text().splitlines()):
            code = line.partition("//")[0]
            if SKIPPED.search(line):
                continue
            for pattern, after in CHANGES:
                for match in re.finditer(pattern, code):
                    if match[0] == "0.0":
                        continue
                    file = str(path.relative_to(ROOT))
                    yield Mutant(file, number, match.start(), match[0], after.format(match[0]))


def run(command: Sequence[str], clone: Path, seconds: float = HANGS) -> tuple[int, str]:
    paths = [str(clone / "python"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    try:
        done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return 1, "hangs"
    return done.returncode, done.stdout + done.stderr


def build(clone: Path) -> tuple[int, str]:
    code, said = run(["cmake", "--build", "build/mutant"], clone)
    if code == 0:
        for old in (clone / "python" / "secant").glob("_core*.so"):
            old.unlink()
        (module,) = (clone / "build" / "mutant").glob("_core*")
        (clone / "python" / "secant" / module.name).write_bytes(module.read_bytes())
    return code, said


def prepared(folder: Path) -> Path:
    """A clone with a build, all of whose tests pass."""
    from secant import _core

    isa = _core.build_info()["usable_isas"][-1]
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    found = subprocess.run([sys.executable, "-m", "pybind11", "--cmakedir"], check=True, capture_output=True, text=True)
    options = [f"-DSECANT_ISAS={isa}", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-g0"]
    options += [f"-Dpybind11_DIR={found.stdout.strip()}", f"-DPython_EXECUTABLE={sys.executable}"]
    code, said = run(["cmake", "-G", "Ninja", "-B", "build/mutant", *options], folder)
    if code == 0:
        code, said = build(folder)
    if code:
        sys.exit(said)
    return folder


def tests(clone: Path, where: Sequence[str], marks: Sequence[str]) -> tuple[int, str]:
    return run([sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", *marks, *where], clone)


def verdict(clone: Path, mutant: Mutant, whole: bool) -> dict[str, object]:
    path = clone / mutant.file
    original = path.read_text()
    lines = original.splitlines(keepends=True)
    line = lines[mutant.line]
    assert line.startswith(mutant.before, mutant.column), "the results are of other sources"
    changed = line[: mutant.column] + mutant.after + line[mutant.column + len(mutant.before) :]
    lines[mutant.line] = changed
    path.write_text("".join(lines))
    try:
        code, said = build(clone)
        by = DOES_NOT_COMPILE
        if code == 0:
            by = "survived"
            rounds = [(FIRST + THEN, ["-m", "slow"])] if whole else [(FIRST, []), (THEN, [])]
            for where, marks in rounds:
                code, said = tests(clone, where, marks)
                if code:
                    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
                    by = failed[0] if failed else said[-300:]
                    break
    finally:
        path.write_text(original)
    return {**mutant._asdict(), "text": changed.strip(), "noticed": by, "whole": whole}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--whole", action="store_true", help="try those that survived with the slow tests")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "mutants.jsonl")
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    done = [json.loads(line) for line in lines]
    known = {Mutant(*(each[name] for name in Mutant._fields)): each for each in done}
    shuffled = list(mutants())
    random.Random(options.seed).shuffle(shuffled)
    if options.whole:
        shuffled = [mutant for mutant in shuffled if known.get(mutant, {}).get("noticed") == "survived"]
    with tempfile.TemporaryDirectory() as folder, options.results.open("a", encoding="utf-8") as results:
        clones: Queue[Path] = Queue()
        for worker in range(options.workers):
            clones.put(prepared(Path(folder) / str(worker)))
        if not options.whole:
            code, said = tests(clones.queue[0], FIRST + THEN, [])
            if code:
                sys.exit(f"tests fail without a change:\n{said[-2000:]}")

        left, counted = iter(shuffled), sum(each["noticed"] != DOES_NOT_COMPILE for each in done)

        def work() -> None:
            nonlocal counted
            clone = clones.get()
            for mutant in left:
                if not options.whole and counted >= options.count:
                    return
                if mutant in known and not options.whole:
                    continue
                counted += 1
                found = verdict(clone, mutant, options.whole)
                counted -= found["noticed"] == DOES_NOT_COMPILE
                results.write(json.dumps(found) + "\n")
                results.flush()
                print(
                    f"{mutant.file}:{mutant.line + 1}: {mutant.before} -> {mutant.after}: {found['noticed']}",
                    flush=True,
                )

        with ThreadPoolExecutor(options.workers) as pool:
            for worker in [pool.submit(work) for _ in range(options.workers)]:
                worker.result()


if __name__ == "__main__":
    main()
