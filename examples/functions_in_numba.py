"""The gradient of a function that Numba compiles: the loop over its coordinates is
compiled too, and runs on all cores.

python examples/functions_in_numba.py
"""

import numba
import numpy as np

import secant


@numba.njit
def rosenbrock(x):
    total = 0.0
    for i in range(x.size - 1):
        total += 100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
    return total


x = np.zeros(1000)
gradient = secant.numerical_gradient(rosenbrock, x)
print(gradient[:3])
# the same bits on one thread
assert np.array_equal(gradient, secant.numerical_gradient(rosenbrock, x, workers=1))


# A function of many outputs has a Jacobian. If its zeros are known, few evaluations are
# enough: here six.
@numba.njit
def second_difference(x):
    result = -2 * x
    result[1:] += x[:-1]
    result[:-1] += x[1:]
    return result


near = np.abs(np.subtract.outer(np.arange(1000), np.arange(1000))) <= 1
jacobian = secant.numerical_jacobian(second_difference, x, sparsity=near)
print(jacobian[:3, :3].toarray().round(6))
