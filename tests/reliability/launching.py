"""Measurements in a process of their own: it may be killed, hang or be denied its threads, and the caller goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from outcome import Outcome, Part

HERE = Path(__file__).resolve().parent
ROOMS = ("checking", "contract", "differentiation")
FOLDERS = [HERE, HERE.parent, *(HERE.parent / room for room in ROOMS), HERE.parent.parent / "bench"]


def command(function: Callable, *arguments: object) -> list[str]:
    """A fresh interpreter in which warnings are errors, and that calls ``function`` with strings."""
    code = f"import sys, {function.__module__} as m; m.{function.__name__}(*sys.argv[1:])"
    return [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]


def environment(**variables: str) -> dict[str, str]:
    paths = [*map(str, FOLDERS), os.environ.get("PYTHONPATH", "")]
    # A fork while OpenBLAS has several threads may leave the child waiting for them: that is not ours to promise.
    return {"OPENBLAS_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | variables


def launch(
    function: Callable, *arguments: object, timeout: float = 300, **variables: str
) -> subprocess.CompletedProcess:
    """What the process returned, and wrote. One that hangs is killed, and has the return code of that."""
    process = subprocess.Popen(
        command(function, *arguments),
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
        errors += f"\nkilled after {timeout} seconds"
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def measured(function: Callable, *arguments: object, timeout: float = 600, **variables: str) -> Outcome:
    """The outcome that the process reported. If it came to another end, that is a failure."""
    done = launch(function, *arguments, timeout=timeout, **variables)
    if done.returncode == 0 and done.stdout:
        return from_json(json.loads(done.stdout))
    outcome = Outcome("", "", tried=1)
    outcome.add(" ".join(map(str, arguments)), True, example=f"exit code {done.returncode}: {done.stderr[-500:]}")
    return outcome


def report(outcome: Outcome) -> None:
    """In the process: hand the outcome to `measured`."""
    print(json.dumps(asdict(outcome)))


def from_json(content: dict) -> Outcome:
    details = {kind: Part(**part) for kind, part in content["details"].items()}
    return Outcome(**content | {"details": details})
