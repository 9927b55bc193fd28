"""Gradient descent on x0^2 / 20 + x1^2, drawn on its contours.

python examples/descent_contour.py [FIGURE]    # by default descent.png
"""

import sys

import secant


def f(x):
    return x[0] ** 2 / 20 + x[1] ** 2


_, path = secant.gradient_descent(f, [-7.0, 2.0], lr=0.9, step_num=20, return_path=True)

axes = secant.plots.descent_paths(f, path)
axes.plot(0, 0, "+", color="black", markersize=12)
name = sys.argv[1] if len(sys.argv) > 1 else "descent.png"
axes.figure.savefig(name)
print(f"from {path[0]} to {path[-1].round(3)}: {name}")
