"""Gradient descent on x0^2 / 20 + x1^2, drawn on its contours.

python examples/descent_contour.py [FIGURE]    # by default descent.png
"""

import sys

import numpy as np
from matplotlib.figure import Figure

import secant


def f(x):
    return x[0] ** 2 / 20 + x[1] ** 2


_, path = secant.gradient_descent(f, [-7.0, 2.0], lr=0.9, step_num=20, return_path=True)

figure = Figure(figsize=(7, 4), layout="constrained")
axes = figure.subplots()
grid = np.meshgrid(np.linspace(-8, 8, 200), np.linspace(-3, 3, 200))
axes.contour(*grid, f(grid), levels=np.geomspace(0.05, 12, 14), colors="#9a9a9a", linewidths=0.8)
axes.plot(*path.T, "-o", color="#d0452f", markersize=4, linewidth=1.2)
axes.plot(0, 0, "+", color="#3b3b3b", markersize=12)
axes.set(xlabel="x0", ylabel="x1", title="20 steps of gradient descent, lr = 0.9")
name = sys.argv[1] if len(sys.argv) > 1 else "descent.png"
figure.savefig(name, dpi=120)
print(f"from {path[0]} to {path[-1].round(3)}: {name}")
