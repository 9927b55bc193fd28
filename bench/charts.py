"""The pictures of docs/benchmarks.md, as SVG."""

from pathlib import Path
from typing import Any

import numpy as np

import cases
import growth
from tables import significant
from timing import Contest, Contests, median, quartiles

OURS, THEIRS, INK, GRID = "#d0452f", "#4269d0", "#3b3b3b", "#e3e3e3"
QUANTITIES = {"N": "samples N", "I": "inputs I", "H": "hidden units H", "O": "classes O", "density": "density of x"}
LIGHT = 0.45  # how opaque the second number of threads is


def training_bars(contests: Contests, path: Path) -> None:
    """A bar for each peer and number of threads, with its quartiles: all that give the loss after the update."""
    inputs = [name for name in cases.INPUTS if any(key.startswith(name) for key in contests)]
    figure, axes = canvas(len(inputs), width=5.2 * len(inputs), height=8)
    for panel, name in zip(axes, inputs, strict=True):
        columns = {key.split(", ")[1]: contest for key, contest in contests.items() if key.startswith(name)}
        draw_bars(panel, columns, " | after", 1e6)
        finish(panel, f"{name}: µs per iteration")
    save(figure, path)


def gradient_dots(contests: Contests, path: Path) -> None:
    """A dot for each way to compute the gradient of MNIST, on one thread: bars have no start on a logarithmic scale."""
    figure, axes = canvas(1, width=7.5, height=7)
    samples = contests["MNIST, 1 thread"]["samples"]
    names = sorted(samples, key=lambda name: -median(samples[name]))
    for i, name in enumerate(names):
        low, middle, high = 1e3 * np.array(quartiles(samples[name]))
        axes[0].errorbar(middle, i, xerr=[[middle - low], [high - middle]], fmt="o", color=color(name), ecolor=INK)
        axes[0].annotate(significant(middle), (middle, i), (6, -3), textcoords="offset points", fontsize=7, color=INK)
    axes[0].set_yticks(range(len(names)), [name.replace(" | ", ", ") for name in names])
    axes[0].set_xscale("log")
    axes[0].margins(x=0.12, y=0.02)
    key(axes[0], "lower left")
    finish(axes[0], "MNIST: ms per gradient, one thread")
    save(figure, path)


def growth_curves(contests: Contests, path: Path) -> None:
    """Cost against each quantity, both axes logarithmic; dotted, what is proportional to it."""
    figure, axes = canvas(len(growth.SWEEPS), width=13, height=3.2, sharey=True)
    for panel, quantity in zip(axes, growth.SWEEPS, strict=True):
        for kind, shade in zip(growth.KINDS, (OURS, THEIRS), strict=True):
            turns = {name: t for name, t in contests[quantity]["samples"].items() if name.endswith(kind)}
            values = [float(name.split(" | ")[0]) for name in turns]
            low, middle, high = 1e3 * np.array([quartiles(t) for t in turns.values()]).T
            panel.fill_between(values, low, high, color=shade, alpha=0.2, linewidth=0)
            panel.plot(values, middle, color=shade, marker="o", markersize=3.5, linewidth=1.5, label=kind)
            if kind == growth.KINDS[0]:
                proportional = middle[-1] / values[-1] * np.array(values)
                panel.plot(values, proportional, ":", color=INK, linewidth=1, label="proportional")
        panel.set(xscale="log", yscale="log")
        panel.minorticks_off()
        panel.set_xticks(values, [f"{value:g}" for value in values])
        finish(panel, QUANTITIES[quantity])
    axes[0].set_ylabel("ms per gradient", fontsize=8, color=INK)
    axes[0].legend(fontsize=8, frameon=False, labelcolor=INK)
    save(figure, path)


def color(name: str) -> str:
    """Of a contestant."""
    return OURS if name.startswith("Secant") else THEIRS


def key(panel: Any, where: str) -> None:
    """Say what the two colors are."""
    from matplotlib.patches import Patch

    patches = [Patch(color=OURS, label="Secant"), Patch(color=THEIRS, label="others")]
    panel.legend(handles=patches, loc=where, fontsize=8, frameon=False, labelcolor=INK)


def draw_bars(panel: Any, columns: dict[str, Contest], ending: str, scale: float) -> None:
    """A bar a contestant whose name ends so, for each contest, with its quartiles and its median in figures."""
    first = next(iter(columns.values()))["samples"]
    names = sorted((name for name in first if name.endswith(ending)), key=lambda name: -median(first[name]))
    thickness = 0.8 / len(columns)
    for i, (label, contest) in enumerate(columns.items()):
        low, middle, high = scale * np.array([quartiles(contest["samples"][name]) for name in names]).T
        bars = panel.barh(
            np.arange(len(names)) - i * thickness,
            middle,
            thickness,
            xerr=(middle - low, high - middle),
            color=[color(name) for name in names],
            alpha=1 if i == 0 else LIGHT,
            error_kw={"ecolor": INK, "elinewidth": 0.8},
            label=label,
        )
        panel.bar_label(bars, [significant(value) for value in middle], padding=3, fontsize=7, color=INK)
    panel.margins(x=0.15)
    panel.set_yticks(range(len(names)), [name.removesuffix(ending).replace(" | ", ", ") for name in names])
    if len(columns) > 1:
        panel.legend(fontsize=8, frameon=False, labelcolor=INK, title="red: Secant", title_fontsize=8)


def canvas(columns: int, width: float, height: float, sharey: bool = False) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    return figure, figure.subplots(1, columns, squeeze=False, sharey=sharey).ravel()


def finish(panel: Any, title: str) -> None:
    panel.set_title(title, loc="left", fontsize=10, fontweight="bold", color=INK)
    panel.tick_params(labelsize=8, colors=INK, length=0)
    panel.grid(color=GRID, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)


def save(figure: Any, path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "secant"}):
        figure.savefig(path, metadata={"Date": None})
