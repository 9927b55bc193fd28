"""The figures of docs/derivation.md: python bench/method.py writes docs/method-*.svg.

The truth is MPFR's, of tests/oracles.py: of a small network, so that all of its
parameters are looked at.
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import secant
from charts import GRID, INK, LEGEND, OURS, THEIRS, canvas, finish, logarithmic, save
from secant.backends.base import Parameters
from secant.backends.bound import ORDERS, analyticity_radii, truncation
from secant.backends.numpy.series import summed_series

sys.path.append(str(Path(__file__).parent.parent / "tests"))
oracles = importlib.import_module("oracles")

DOCS = Path(__file__).parent.parent / "docs"
TINY = 1e-15  # a step whose truncation float64 does not see
Grads = dict[str, np.ndarray]


def example() -> tuple[secant.TwoLayerNet, np.ndarray, np.ndarray]:
    """A network, and one sample with its target."""
    rng = np.random.RandomState(0)
    net = secant.TwoLayerNet(6, 4, 3, weight_init_std=1, rng=rng)
    return net, rng.uniform(size=(1, 6)), np.array([[0.0, 1.0, 0.0]])


def furthest(grads: Grads, truth: Grads) -> float:
    return max(float(np.abs(grads[key] - truth[key]).max()) for key in truth)


def response(path: Path) -> None:
    """phi(s) of one hidden unit, the secant through s = -h and h, and the tangent. h is
    large, to be seen.
    """
    net, x, t = example()
    unit, h = 2, 3.0
    shifts = np.linspace(-7, 7, 281)
    start = net.params["b1"][unit]
    phi = []
    for s in [0.0, *shifts]:
        # a bias shifts the pre-activation by as much
        net.params["b1"][unit] = start + s
        phi.append(net.loss(x, t))
    change = np.array(phi[1:]) - phi[0]
    net.params["b1"][unit] = start
    slope = net.gradient(x, t)["b1"][unit]
    below, above = np.interp([-h, h], shifts, change)
    quotient = (above - below) / (2 * h)
    figure, (panel,) = canvas(1, 1, 3.4)
    panel.plot(shifts, change, color=INK, linewidth=2, label="φ(s)")
    panel.plot(
        shifts,
        below + quotient * (shifts + h),
        color=OURS,
        linewidth=1.5,
        label="secant: central difference",
    )
    panel.plot(
        shifts,
        slope * shifts,
        "--",
        color=THEIRS,
        linewidth=1.5,
        label="tangent: derivative",
    )
    panel.plot([-h, h], [below, above], "o", color=OURS)
    panel.set_xticks([-h, 0, h], ["−h", "0", "h"])
    panel.set_ylim(change.min() - 0.1, change.max() + 0.1)
    panel.legend(**LEGEND)
    finish(panel, "Change of the loss when one hidden unit is shifted by s")
    save(figure, path)


def errors(path: Path) -> None:
    """The largest error in all parameters, of three ways, against the step: as
    difference and as derivative.
    """
    net, x, t = example()
    steps = np.logspace(-9, -1, 33)
    ways: dict[str, Callable[[float], Grads]] = {
        "plain loop": lambda h: {
            key: secant.numerical_gradient(lambda _: net.loss(x, t), net.params[key], h)
            for key in net.params
        },
        "Secant, direct": lambda h: net.numerical_gradient(x, t, h=h, method="direct"),
        "Secant, auto": lambda h: net.numerical_gradient(x, t, h=h),
    }
    derivative = oracles.gradients(net, x, t, TINY)
    figure, panels = canvas(2, 1, 6, sharex=True)
    for (name, way), style in zip(ways.items(), ("-", "-", ":"), strict=True):
        color = THEIRS if name == "plain loop" else OURS
        got = [way(h) for h in steps]
        truths = (
            [oracles.gradients(net, x, t, h) for h in steps],
            [derivative] * len(steps),
        )
        for panel, truth in zip(panels, truths, strict=True):
            far = [max(furthest(*pair), 1e-18) for pair in zip(got, truth, strict=True)]
            panel.plot(steps, far, style, color=color, linewidth=2, label=name)
    for panel, what in zip(
        panels, ("central difference at this h", "derivative"), strict=True
    ):
        panel.axvline(1e-4, color=GRID, linewidth=3, zorder=0)
        logarithmic(panel, "xy")
        finish(panel, f"Error against the exact {what}", "step h (gray: the chapter's)")
    panels[0].legend(**LEGEND)
    save(figure, path)


def truncations(path: Path) -> None:
    """What series of the orders 3 to 9 leave out at large steps, and the bound."""
    net, x, t = example()
    params = Parameters(
        net.params["W1"], net.params["b1"], net.params["W2"], net.params["b2"]
    )
    z1 = float(secant.sigmoid(x @ net.params["W1"] + net.params["b1"]).max())
    radii = analyticity_radii(
        "sigmoid", "sigmoid", float(np.abs(net.params["W2"]).max())
    )
    steps = np.logspace(-3, -0.5, 41)
    truth = [net.numerical_gradient(x, t, h=h, method="direct") for h in steps]
    figure, (panel,) = canvas(1, 1, 3.8)
    for order, color in zip(ORDERS, ("#fd8d3c", OURS, "#8c6bb1", THEIRS), strict=True):
        series = [
            dict(
                zip(net.params, summed_series(params, x, t, h, order)[:4], strict=True)
            )
            for h in steps
        ]
        cut = np.array([furthest(*pair) for pair in zip(series, truth, strict=True)])
        bound = [
            float(truncation(radii, h, np.abs(x).max(), z1, 1.0, order)) for h in steps
        ]
        seen = cut > 1e-16
        panel.plot(
            steps[seen], cut[seen], color=color, linewidth=2, label=f"order {order}"
        )
        panel.plot(steps, bound, "--", color=color, linewidth=1.2)
    panel.set_ylim(1e-17, 10)
    logarithmic(panel, "xy")
    panel.legend(**LEGEND)
    finish(panel, "What a series leaves out; dashed: the proven bound", "step h")
    save(figure, path)


if __name__ == "__main__":
    for name, draw in {
        "response": response,
        "error": errors,
        "truncation": truncations,
    }.items():
        draw(DOCS / f"method-{name}.svg")
