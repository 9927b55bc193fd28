"""Imports secant._core so that its threads do not wait awake for long.

libgomp's threads spin 300,000 times, about 4 ms, wherever they wait for each other. On a busy machine they then keep
the core that the others need: two threads took 8 to 50 times as long as one. `python bench/busy.py` measures this. On
two cores of an AMD Zen 4, gradients of 784-50-10 and 100 samples took two threads, in units of one thread's time and
five rounds each: with 2,000 spins 1.5 (1.2 to 2.3) beside the script's 8 busy processes and other work, and 3.4 (2.9 to
4.0) beside other work alone, at a load of 10 to 15; with 8,000 spins 4.4 (2.6 to 4.9) and 9.2 (8.0 to 10). On an idle
machine, where this was measured before there was the script, both took 0.6, 1,000 spins 0.7, and 300 gained nothing. On
an Intel Xeon 2,000 spins lose a quarter of what two threads gain when idle: a small loss there is better than a large
one on a busy machine. libomp's threads spin for 200 ms.

OpenMP reads the variables when it is loaded, so they are set for that moment only: no child of this process, and no
other library, sees them.
"""

import os

_SHORT_WAITS = {"GOMP_SPINCOUNT": "2000", "KMP_BLOCKTIME": "1"}
_ours = {} if "OMP_WAIT_POLICY" in os.environ else {k: v for k, v in _SHORT_WAITS.items() if k not in os.environ}

os.environ.update(_ours)
waits = {name: os.environ[name] for name in ("OMP_WAIT_POLICY", *_SHORT_WAITS) if name in os.environ}
"""What decides how long threads wait awake."""
try:
    from secant import _core
finally:
    for _name in _ours:
        del os.environ[_name]

__all__ = ["_core", "waits"]
