"""C++ programs in tests/cpp/ that need nothing but a compiler."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPILER = shutil.which("g++") or shutil.which("c++")


def command_in(source: Path) -> list[str]:
    """The compile line at the head of a driver, without what runs it."""
    comment = (line.removeprefix("//").strip() for line in source.read_text().splitlines() if line.startswith("//"))
    words = shlex.split(" ".join(comment).split("From the root:")[1])
    return words[1 : words.index("-o")]


@pytest.mark.skipif(COMPILER is None, reason="there is no C++ compiler")
def test_simd_functions_stand_alone_and_are_right(tmp_path):
    source = ROOT / "tests" / "cpp" / "simd.cpp"
    program = tmp_path / "simd"
    built = subprocess.run([COMPILER, *command_in(source), "-o", program], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    assert len(ran.stdout.splitlines()) == 1
