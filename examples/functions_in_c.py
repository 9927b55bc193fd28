"""The gradient of a function in C: no Python is called, and several threads may run.

python examples/functions_in_c.py
"""

import ctypes
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import secant

SOURCE = """
#include <stdint.h>
double rosenbrock(const double *x, intptr_t n, void *data) {
    double sum = 0;
    for (intptr_t i = 0; i + 1 < n; ++i) {
        const double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        sum += 100 * a * a + b * b;
    }
    return sum;
}
"""

folder = Path(tempfile.mkdtemp())
(folder / "rosenbrock.c").write_text(SOURCE, encoding="utf-8")
subprocess.run(
    ["cc", "-O3", "-shared", "-fPIC", "rosenbrock.c", "-o", "rosenbrock.so"],
    cwd=folder,
    check=True,
)

f = ctypes.CDLL(str(folder / "rosenbrock.so")).rosenbrock
f.restype = ctypes.c_double
f.argtypes = [ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t, ctypes.c_void_p]

x = np.zeros(1000)
# workers says that f is thread-safe
gradient = secant.numerical_gradient(f, x, workers=2)
print(gradient[:3])
assert np.allclose(gradient[:-1], -2, atol=1e-5)

# In steps chosen for each entry, with error bars.
found = secant.numerical_gradient(f, x, scheme="auto", full_output=True)
print(found.value[0], "+-", found.error[0])
assert np.all(np.abs(found.value[:-1] + 2) <= found.error[:-1])
