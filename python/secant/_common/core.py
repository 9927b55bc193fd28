"""Imports secant._core so that its threads do not wait awake for long.

libgomp's threads spin 300,000 times, about 4 ms, wherever they wait for each other. On
a busy machine they then keep the core that the others need: two threads took 8 to 50
times as long as one. `python bench/busy.py` measures this, in five rounds. On two cores
of an AMD Zen, gradients of 784-50-10 and 100 samples took two threads, in units of the
time of one:

- beside eight busy processes, 1.5 with 2,000 spins (1.2 to 2.3), 4.4 with 8,000;
- with other work at a load of 10 to 15, 3.4 (2.9 to 4.0) and 9.2;
- on an idle machine 0.72 (0.68 to 0.76) and 0.74; with 1,000 spins 0.83 (0.73 to 1.13).

On an Intel Xeon 2,000 spins lose a quarter of what two threads gain when idle: a small
loss there is better than a large one on a busy machine. libomp's threads spin for 200
ms.

OpenMP reads the variables when it is loaded, so they are set for that moment only: no
child of this process, and no other library, sees them.
"""

import os

_SHORT_WAITS = {"GOMP_SPINCOUNT": "2000", "KMP_BLOCKTIME": "1"}
_ours = (
    {}
    if "OMP_WAIT_POLICY" in os.environ
    else {k: v for k, v in _SHORT_WAITS.items() if k not in os.environ}
)

os.environ.update(_ours)
waits = {
    name: os.environ[name]
    for name in ("OMP_WAIT_POLICY", *_SHORT_WAITS)
    if name in os.environ
}
"""What decides how long threads wait awake."""
try:
    from secant import _core
finally:
    for _name in _ours:
        del os.environ[_name]

__all__ = ["_core", "waits"]
