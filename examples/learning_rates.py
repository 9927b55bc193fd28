"""Learning rates that are too small, right and too large, on x0^2 + x1^2.

python examples/learning_rates.py [FIGURE]    # by default learning_rates.png
"""

import sys

import numpy as np
from matplotlib.figure import Figure

import secant


def f(x):
    return np.sum(x**2)


figure = Figure(figsize=(10, 3.6), layout="constrained")
for axes, (lr, what) in zip(
    figure.subplots(1, 3), {0.001: "too small", 0.1: "right", 1.02: "too large"}.items(), strict=True
):
    x, path = secant.gradient_descent(f, [-3.0, 4.0], lr=lr, step_num=30, return_path=True)
    radius = 1.1 * np.abs(path).max()
    grid = np.meshgrid(*[np.linspace(-radius, radius, 100)] * 2)
    axes.contour(*grid, grid[0] ** 2 + grid[1] ** 2, levels=8, colors="#9a9a9a", linewidths=0.8)
    axes.plot(*path.T, "-o", color="#d0452f", markersize=3, linewidth=1)
    axes.set(title=f"lr = {lr}: {what}", aspect="equal")
    print(f"lr = {lr}: from f = {f(path[0]):.3g} to {f(x):.3g}")
name = sys.argv[1] if len(sys.argv) > 1 else "learning_rates.png"
figure.savefig(name, dpi=120)

# A rate far too large leaves all numbers behind. The warning names the step.
secant.gradient_descent(f, [-3.0, 4.0], lr=10.0)
