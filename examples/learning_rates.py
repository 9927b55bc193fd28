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
rates = {0.001: "too small", 0.1: "right", 1.02: "too large"}
for axes, (lr, what) in zip(figure.subplots(1, 3), rates.items(), strict=True):
    x, path = secant.gradient_descent(
        f, [-3.0, 4.0], lr=lr, step_num=30, return_path=True
    )
    secant.plots.descent_paths(f, path, region=[(-6, 6), (-6, 6)], ax=axes)
    axes.set_title(f"lr = {lr}: {what}", loc="left")
    print(f"lr = {lr}: from f = {f(path[0]):.3g} to {f(x):.3g}")
name = sys.argv[1] if len(sys.argv) > 1 else "learning_rates.png"
figure.savefig(name, dpi=120)

# A rate far too large leaves all numbers behind. The warning names the step.
secant.gradient_descent(f, [-3.0, 4.0], lr=10.0)
