"""``secant run SCRIPT ARGS`` does what ``python SCRIPT ARGS`` does; networks and
missing modules are in tests/book.
"""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

import secant
from sweeps import grid

FOLDER = os.path.dirname(os.path.dirname(secant.__file__))
PLAIN = (sys.executable,)
RUN = (sys.executable, "-m", "secant", "run")


def launch(command, script, *arguments, cwd, **options):
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SECANT_")
    }
    path = os.pathsep.join(filter(None, (FOLDER, environment.get("PYTHONPATH"))))
    return subprocess.Popen(
        [*command, script, *arguments],
        cwd=cwd,
        env=environment | {"PYTHONPATH": path, "SECANT_BACKEND": "numpy"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process, stdin=""):
    """The exit code, and what was printed but for the lines that say what Secant
    did.
    """
    with process:
        output, errors = process.communicate(stdin, timeout=120)
    return (
        process.returncode,
        output,
        "".join(without_secant(errors.splitlines(keepends=True))),
    )


def without_secant(lines):
    """What a script writes to standard error, without lines and frames of ``secant
    run`` and headings of tracebacks.
    """
    frame = ""
    for line in lines:
        if match := re.match(r'([\s|+]*)File "(.*)", line', line):
            is_secants = match[2].startswith(
                (os.path.join(FOLDER, "secant"), "<frozen ", "<string>")
            )
            frame = f"{match[1]}  " if is_secants else ""
            if is_secants:
                continue
        elif frame and line.startswith(frame):
            continue
        if not line.startswith(("secant: ", "Traceback (most recent call last):")):
            yield line


def assert_same(command, script, *arguments, cwd, plain=PLAIN, stdin=""):
    """Python and ``secant run`` do the same. Returns what."""
    both = [launch(way, script, *arguments, cwd=cwd) for way in (plain, command)]
    expected, got = (finish(process, stdin) for process in both)
    assert got == expected
    return expected


SCRIPTS = {
    "globals": "print(__name__, __file__, __doc__, __package__, __spec__)",
    "arguments": "import sys; print(sys.argv, sys.path[0], sys.flags, __name__, __file__)",
    "main": "import sys, __main__; X = 1\nprint(__main__.X, sys.modules['__main__'] is __main__)",
    "argparse": "import argparse; p = argparse.ArgumentParser(); p.add_argument('--lr'); print(p.parse_args())",
    "exit code": "import sys; print('a'); sys.exit(3)",
    "exit text": "import sys; sys.exit('no data')",
    "exit at once": "import os; os._exit(4)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "interrupted": "import atexit; atexit.register(print, 'bye')\nraise KeyboardInterrupt",
    "interrupt of its own": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nprint('no')",
    "error": "def f(x):\n    return 1 / x\n\nprint('before', flush=True)\nf(0)",
    "error in an error": "try:\n    {}['a']\nexcept KeyError:\n    undefined",
    "error in a group": "raise ExceptionGroup('two', [ValueError('a'), KeyError('b')])",
    "error with a note": "e = ValueError('a'); e.add_note('b'); raise e",
    "error in a module": "import helper\nhelper.fails()",
    "error while importing": "import broken",
    "error of Secant's": "import secant\nraise secant.errors.ShapeError('as the script likes')",
    "syntax error": "print('never')\nx = = 1",
    "syntax error in a module": "import unreadable",
    "missing module": "import nothing_of_that_name",
    "hook": "import sys\nsys.excepthook = lambda *a: print(a[0], a[1])\n1 / 0",
    "atexit": "import atexit\natexit.register(print, 'last')\nprint('first')\nraise ValueError",
    "thread": "from threading import Thread\nt = Thread(target=lambda: 1 / 0, name='T'); t.start(); t.join(); print(1)",
    "warning": "import warnings\nwarnings.warn('careful')",
    "traceback": "import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.print_exc()",
    "relative file": "print(open('data.txt').read())",
    "standard input": "print(input('? '), input())",
    "pickle": (
        "import pickle, copy\nclass Net:\n    def __init__(self):\n        self.a = 1\n"
        "n = pickle.loads(pickle.dumps(Net())); print(n.a, type(n), type(copy.deepcopy(n)))"
    ),
    "classes": (
        "from dataclasses import dataclass\nfrom enum import Enum\nfrom typing import Generic, NamedTuple, TypeVar\n"
        "T = TypeVar('T')\n@dataclass(order=True)\nclass P(Generic[T]):\n    '''doc'''\n    x: int = 1\n"
        "class C(Enum):\n    A = 1\nclass N(NamedTuple):\n    a: int\nclass S(P[int], metaclass=type):\n"
        "    def __init__(self):\n        super().__init__(2)\nprint(P(), C.A, N(1), S(), S.__mro__, P.__module__)"
    ),
    "source": "import inspect\nclass A:\n    b = 1\nprint(inspect.getsource(A), inspect.getfile(A))",
    "fork": (
        "import multiprocessing as m\ndef f(x):\n    return x * x\nif __name__ == '__main__':\n"
        "    with m.get_context('fork').Pool(2) as p:\n        print(p.map(f, range(4)))"
    ),
    "spawn": (
        "import multiprocessing as m\ndef f(x):\n    return x * x\nprint(__name__, flush=True)\n"
        "if __name__ == '__main__':\n    with m.get_context('spawn').Pool(1) as p:\n        print(p.map(f, range(4)))"
    ),
    "future": "from __future__ import annotations\ndef f(x: Undefined): ...\nprint(f.__annotations__)",
    "marked": "\ufeffprint('é')",
    "empty": "",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data.txt").write_text("some data", encoding="utf-8")
    (tmp_path / "helper.py").write_text(
        "def fails():\n    raise RuntimeError('helper')\n", encoding="utf-8"
    )
    (tmp_path / "broken.py").write_text(
        "import helper\n\nhelper.fails()\n", encoding="utf-8"
    )
    (tmp_path / "unreadable.py").write_text("def f(:\n", encoding="utf-8")
    return tmp_path


USUAL = (
    "globals",
    "arguments",
    "exit code",
    "interrupted",
    "error in a module",
    "hook",
    "warning",
    "standard input",
)


@pytest.mark.parametrize("name", grid(lambda name: name in USUAL, SCRIPTS))
def test_a_script_does_what_it_does_in_python(name, folder):
    if name == "fork" and not hasattr(os, "fork"):
        pytest.skip("this platform does not fork")
    (folder / "script.py").write_text(SCRIPTS[name], encoding="utf-8")
    assert_same(RUN, "script.py", cwd=folder, stdin="one\ntwo\n")


ARGUMENTS = (
    ("a", "--b", "-c=1", "", " "),
    ("--help",),
    ("--version",),
    ("--", "run", "x"),
)


@pytest.mark.parametrize(
    ("name", "arguments"),
    grid(
        lambda name, given: len(given) > 1 and name == "arguments",
        ["arguments", "argparse"],
        ARGUMENTS,
    ),
)
def test_arguments_are_the_scripts(name, arguments, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPTS[name], encoding="utf-8")
    assert_same(RUN, "script.py", *arguments, cwd=tmp_path)


def test_paths_are_those_of_the_script(tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "script.py").write_text(
        "import sys, beside; print(sys.argv, sys.path[0], __file__, beside.__file__)",
        encoding="utf-8",
    )
    (folder / "beside.py").touch()
    scripts = ["a/b/script.py", "./a/../a/b/script.py", str(folder / "script.py")]
    if os.name == "posix":  # elsewhere a link needs a privilege
        (tmp_path / "link.py").symlink_to(folder / "script.py")
        scripts.append("link.py")
    for script in scripts:
        assert assert_same(RUN, script, cwd=tmp_path)[0] == 0


OPTIONS = ["-O"], ["-W", "error"], ["-I"], ["-P"], ["-X", "utf8"], ["-u"]


@pytest.mark.nightly
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options_of_python_hold(options, folder):
    program = "import sys, warnings\nprint(sys.flags, sys.warnoptions, sys.path[0])\nassert 0\nwarnings.warn('w')"
    (folder / "script.py").write_text(program, encoding="utf-8")
    command = [sys.executable, *options, *RUN[1:]]
    if options in (["-I"], ["-P"]):
        main = f"import sys; sys.path.append({FOLDER!r}); sys.argv[0] = 'secant'; from secant.cli import main; main()"
        command = [sys.executable, *options, "-c", main, "run"]
    assert_same(command, "script.py", cwd=folder, plain=[*PLAIN, *options])


@pytest.mark.slow
def test_the_encoding_is_that_of_the_script(tmp_path):
    (tmp_path / "script.py").write_bytes(
        b"# coding: shift_jis\nprint(ascii('\x82\xa0'))\n1 / 0  # \x82\xa0"
    )
    assert_same(RUN, "script.py", cwd=tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="a process cannot be sent Ctrl-C alone")
@pytest.mark.parametrize("command", [PLAIN, RUN])
def test_ctrl_c_is_a_keyboard_interrupt(command, tmp_path):
    (tmp_path / "script.py").write_text(
        "import time\nprint('on', flush=True)\ntime.sleep(60)", encoding="utf-8"
    )
    with launch(command, "script.py", cwd=tmp_path) as process:
        assert process.stdout.readline() == "on\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert errors.startswith("Traceback (most recent call last):\n  File ")
    assert errors.endswith("KeyboardInterrupt\n")


@pytest.mark.parametrize("script", ["nothing.py", "."])
def test_a_script_that_cannot_be_read_is_a_line_and_the_exit_code_2(tmp_path, script):
    code, printed, errors = finish(launch(RUN, script, cwd=tmp_path))
    assert (code, printed, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("error: can't open file ")


def test_an_option_after_the_script_is_the_scripts_and_a_line_says_so(tmp_path):
    (tmp_path / "script.py").write_text(
        "import sys; print(sys.argv[1:])", encoding="utf-8"
    )
    with launch(
        RUN, "script.py", "--numerical-gradient=other", cwd=tmp_path
    ) as process:
        printed, errors = process.communicate(timeout=120)
    assert printed == "['--numerical-gradient=other']\n"
    assert (
        "--numerical-gradient=other is passed to the script; put Secant's options first"
        in errors
    )
