"""Measurements in a process of their own: it may be killed, hang or be denied its
threads, and the caller goes on.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from outcome import Outcome, from_json

HERE = Path(__file__).resolve().parent
ROOMS = ("checking", "contract", "differentiation")
FOLDERS = [
    HERE,
    HERE.parent / "tests",
    *(HERE.parent / "tests" / room for room in ROOMS),
    HERE.parent / "bench",
]


def measured(name: str, trials: int, seed: int, timeout: float = 600) -> Outcome:
    """What some trials of a row come to, where warnings are errors.

    Another end of the process is a failure.
    """
    paths = [*map(str, FOLDERS), os.environ.get("PYTHONPATH", "")]
    # A fork while OpenBLAS has several threads may leave the child waiting for them:
    # that is not ours to promise.
    environment = (
        {"OPENBLAS_NUM_THREADS": "1"}
        | os.environ
        | {"PYTHONPATH": os.pathsep.join(paths)}
    )
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        "import sys, rows; rows.part(*sys.argv[1:])",
    ]
    command += [name, str(trials), str(seed)]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout
        )
        if done.returncode == 0 and done.stdout:
            return from_json(json.loads(done.stdout))
        end = f"exit code {done.returncode}: {done.stderr[-500:]}"
    except subprocess.TimeoutExpired:
        end = f"killed after {timeout} seconds"
    outcome = Outcome("", "", tried=1)
    outcome.add(" ".join(command[-3:]), True, example=end)
    return outcome
