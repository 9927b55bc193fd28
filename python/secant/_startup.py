"""What must happen before anything else is imported: for the command ``secant``, and on
macOS.

``secant train`` and ``secant run`` have one thread in NumPy's BLAS, which asks when it
is loaded: matrices of a mini-batch are small, and on a busy machine threads would wait
for each other most of the time.

On macOS, PyTorch and scikit-learn come with a copy of libomp, as Secant does, and a
second copy ends the process unless a variable allows it. Each then has threads of its
own.
"""

import os
import sys


def _is_command() -> bool:
    """Whether this is the console script, or ``python -m secant``, whose name is "-m"
    until runpy has found it.
    """
    name = (getattr(sys, "argv", None) or [""])[0]
    options = getattr(sys, "orig_argv", [])
    if name == "-m":
        before = options[options.index("secant") - 1] if "secant" in options else ""
        return before.startswith("-") and before.endswith("m")
    return os.path.basename(name) in ("secant", "secant.exe", "secant-script.py")


if _is_command() and sys.argv[1:2] in (["train"], ["run"]):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if sys.platform == "darwin":
    os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "TRUE")
