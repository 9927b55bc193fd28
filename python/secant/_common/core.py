"""Imports secant._core so that its threads do not wait awake for long.

libgomp's threads spin 300,000 times, about 4 ms, wherever they wait for each other. On a
busy machine they then keep the core that the others need: two threads took 8 to 50 times
as long as one. With 8,000 spins a gradient took 4.4 times as long (2.6 to 4.9 in five
rounds), with 2,000 spins 1.5 times (1.2 to 2.3). This was measured on two cores of an
AMD Zen, beside eight busy processes, by `python bench/busy.py`; the gradient is that of
784-50-10 and 100 samples. libomp's threads spin for 200 ms.

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
