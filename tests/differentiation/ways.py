"""Rosenbrock's function, written for each way of evaluating: all have the same bits at
every point.
"""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import tempfile
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

SOURCE = """
#include <stdint.h>
double rosenbrock(const double *x, intptr_t n, void *data) {
    double sum = data ? *(double *)data : 0.0;
    for (intptr_t i = 0; i + 1 < n; ++i) {
        const double a = x[i + 1] - x[i] * x[i], b = 1.0 - x[i];
        sum += 100.0 * (a * a) + b * b;
    }
    return sum;
}
double writes(double *x, intptr_t n, void *data) {
    const double value = rosenbrock(x, n, data);
    x[0] = 77.0;
    return value;
}
double slow(const double *x, intptr_t n, void *data) {
    volatile double sum = 0;
    for (long k = 0; k < 20000000; ++k) sum += x[k % n];
    return sum;
}
"""
SIGNATURE = ctypes.CFUNCTYPE(
    ctypes.c_double, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_void_p
)


def rosenbrock(x):
    """In Python, one term after the other."""
    flat = np.asarray(x).reshape(-1).tolist()
    total = 0.0
    for here, there in pairwise(flat):
        a, b = there - here * here, 1.0 - here
        total += 100.0 * (a * a) + b * b
    return total


def rosenbrock_of_stacks(stack):
    """Of each point of a stack, one term after the other."""
    rows = np.asarray(stack).reshape(len(stack), -1)
    total = np.zeros(len(rows))
    for i in range(rows.shape[1] - 1):
        a, b = rows[:, i + 1] - rows[:, i] * rows[:, i], 1.0 - rows[:, i]
        total += 100.0 * (a * a) + b * b
    return total


def function_2(x):
    """The chapter's."""
    return np.sum(x**2)


def not_called(*_):
    raise AssertionError("f was called")


@cache
def jitted():
    """By Numba."""
    if not importlib.util.find_spec("numba"):
        pytest.skip("numba is not installed")
    import numba

    @numba.njit
    def f(x):
        flat = x.reshape(-1)
        total = 0.0
        for i in range(flat.size - 1):
            a, b = flat[i + 1] - flat[i] * flat[i], 1.0 - flat[i]
            total += 100.0 * (a * a) + b * b
        return total

    return f


@cache
def library():
    """The source above, compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("there is no C compiler")
    folder = tempfile.mkdtemp()
    source, target = os.path.join(folder, "f.c"), os.path.join(folder, "f.so")
    with open(source, "w", encoding="utf-8") as file:
        file.write(SOURCE)
    options = ["-O2", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run([compiler, *options, source, "-o", target], check=True)
    return ctypes.CDLL(target)


def in_c(name="rosenbrock"):
    """By ctypes."""
    function = library()[name]
    function.restype = ctypes.c_double
    function.argtypes = [
        ctypes.POINTER(ctypes.c_double),
        ctypes.c_ssize_t,
        ctypes.c_void_p,
    ]
    return function


def in_cffi():
    """By cffi."""
    ffi = pytest.importorskip("cffi").FFI()
    address = ctypes.cast(in_c(), ctypes.c_void_p).value
    return ffi.cast("double (*)(const double *, intptr_t, void *)", address)


def in_scipy():
    """SciPy's, with data."""
    data = ctypes.cast(ctypes.pointer(CONSTANT), ctypes.c_void_p)
    return pytest.importorskip("scipy").LowLevelCallable(in_c(), data)


CONSTANT = ctypes.c_double(0.0)


@cache
def in_cfunc():
    """By numba.cfunc."""
    numba = pytest.importorskip("numba")
    types, of_array = numba.types, jitted()

    @numba.cfunc(
        types.float64(types.CPointer(types.float64), types.intp, types.voidptr)
    )
    def f(pointer, n, data):
        return of_array(numba.carray(pointer, (n,)))

    return f


POINTERS = {"ctypes": in_c, "cffi": in_cffi, "scipy": in_scipy, "cfunc": in_cfunc}
WAYS = {
    "plain": lambda: (rosenbrock, {}),
    "stacked": lambda: (rosenbrock_of_stacks, {"vectorized": True}),
    "a map": lambda: (rosenbrock, {"workers": map}),
    "jitted": lambda: (jitted(), {}),
    "jitted, one thread": lambda: (jitted(), {"workers": 1}),
    "jitted, three threads": lambda: (jitted(), {"workers": 3}),
} | {
    f"{name}, {threads} threads": lambda make=make, threads=threads: (
        make(),
        {"workers": threads},
    )
    for name, make in POINTERS.items()
    for threads in (1, 2, 7)
}
"""Functions, and the options that they are called with."""
