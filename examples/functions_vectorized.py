"""The gradient of a NumPy function that takes many points at once.

python examples/functions_vectorized.py
"""

import time

import numpy as np

import secant


def of_stack(x):
    """Rosenbrock's function of each row."""
    return np.sum(100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2, axis=1)


def of_point(x):
    return of_stack(x[np.newaxis])[0]


x = np.linspace(-1, 1, 100)
# a first call also loads what is needed
secant.numerical_gradient(of_stack, x, vectorized=True)
start = time.perf_counter()
one_by_one = secant.numerical_gradient(of_point, x)
middle = time.perf_counter()
at_once = secant.numerical_gradient(of_stack, x, vectorized=True)
end = time.perf_counter()
print(
    f"one by one {1e3 * (middle - start):.2f} ms, at once {1e3 * (end - middle):.2f} ms"
)
assert np.allclose(one_by_one, at_once, rtol=0, atol=1e-6)
