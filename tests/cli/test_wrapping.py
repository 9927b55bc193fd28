"""Notes and reports in a terminal: lines are broken between words."""

import os
import struct
import subprocess
import sys

import pytest

from secant._common.output import Output, wrapped

TEXT = "note: MNIST could-not be downloaded\n  indented by two, and longer than it is wide\n"


@pytest.fixture
def terminal():
    """Return a function that makes a stream of a terminal with so many columns, and the descriptor to read it from."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals")
    import fcntl
    import termios

    opened = []

    def make(columns):
        main, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        opened.extend([open(end, "w"), open(main, "rb", buffering=0)])  # noqa: SIM115
        return opened[-2], main

    yield make
    for file in opened:
        file.close()


def test_lines_are_broken_between_words(terminal):
    stream, _ = terminal(22)
    expected = "note: MNIST could-not\n    be downloaded\n  indented by two, and\n      longer than it\n      is wide"
    assert wrapped(TEXT, stream) == expected
    assert wrapped(TEXT, Output(stream)) == expected
    assert wrapped("anextremelylongwordofmorethan22", stream) == "anextremelylongwordofmorethan22"


@pytest.mark.parametrize("columns", [0, 80])
def test_lines_that_fit_stay_as_they_are(terminal, columns):
    assert wrapped(TEXT, terminal(columns)[0]) == TEXT.rstrip("\n")


def test_where_there_is_no_terminal_nothing_is_broken(tmp_path):
    with open(tmp_path / "file", "w") as stream:
        assert wrapped(TEXT, stream) == TEXT
    for closed in (stream, None):
        assert wrapped(TEXT, closed) == TEXT


@pytest.mark.parametrize("command", ["check", "run"])
def test_the_commands_themselves(terminal, tmp_path, command):
    stream, main = terminal(30)
    (tmp_path / "net.py").write_text("import numpy as np\nfrom common.functions import sigmoid\n")
    done = subprocess.run([sys.executable, "-m", "secant", command, "net.py"], cwd=tmp_path, stderr=stream)
    lines = os.read(main, 10000).decode().splitlines()
    assert done.returncode == (command == "check")
    assert len(lines) > 2
    assert all(len(line) <= 30 or " " not in line.strip() for line in lines)
    assert "secant.book.common_functions" in " ".join(lines)
