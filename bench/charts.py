"""The pictures of docs/, as SVG.

They are transparent, in colors that show on white and on black, and narrow: on a
telephone, 390 pixels wide, their letters are still nine pixels high.
"""

from pathlib import Path
from typing import Any

import numpy as np

import cases
import growth
from tables import significant
from timing import Contests, Samples, median, quartiles

OURS, THEIRS, INK, GRID = "#d0452f", "#4269d0", "#787878", "#80808050"
WIDTH, LETTERS = 4.9, 9  # inches, points
QUANTITIES = {
    "N": "samples N",
    "I": "inputs I",
    "H": "hidden units H",
    "O": "classes O",
    "density": "density of x",
}
LIGHT = 0.45  # how opaque the second of two bars is


def difference_dots(contests: Contests, path: Path) -> None:
    """A dot for each way to compute central differences: bars have no start on a
    logarithmic scale.
    """
    samples = contests["MNIST, 1 thread"]["samples"]
    turns = {
        short(name): t
        for name, t in samples.items()
        if "| float64 | differences" in name
    }
    names = sorted(turns, key=lambda name: -median(turns[name]))
    figure, (panel,) = canvas(1, 1, 0.28 * len(names) + 0.6)
    for i, name in enumerate(names):
        low, middle, high = 1e3 * quartiles(turns[name])
        panel.errorbar(
            middle,
            i,
            xerr=[[middle - low], [high - middle]],
            fmt="o",
            color=color(name),
            ecolor=INK,
        )
        write(panel, significant(middle), high, i)
    logarithmic(panel, "x")
    panel.set_xticks([0.1, 10, 1_000, 100_000])
    panel.set(yticks=range(len(names)), yticklabels=names)
    panel.margins(x=0.2)
    finish(panel, "MNIST: ms per gradient, by differences")
    save(figure, path)


def backpropagation_bars(contests: Contests, path: Path) -> None:
    """A bar for each library's backpropagation, and Secant's central differences, for
    each kind of input.
    """
    columns = {
        inputs: {short(name): samples[name] for name in rivals_of_the_series(samples)}
        for inputs, samples in by_inputs(contests, 1).items()
    }
    bars(columns, "ms per gradient, one thread", 1e3, path)


def training_bars(contests: Contests, path: Path) -> None:
    """A bar for each library and kind of input."""
    columns = {
        inputs: iterations(samples)
        for inputs, samples in by_inputs(contests, 1).items()
    }
    bars(columns, "µs per iteration, one thread", 1e6, path)


def thread_bars(contests: Contests, path: Path) -> None:
    """How many times faster two threads are than one, for each library and kind of
    input.
    """
    one, two = (
        {i: iterations(samples) for i, samples in by_inputs(contests, n).items()}
        for n in (1, 2)
    )
    columns = {
        inputs: {
            name: [[median(turns) / median(two[inputs][name])]]
            for name, turns in column.items()
        }
        for inputs, column in one.items()
    }
    bars(columns, "iteration: times faster on two threads", 1, path, best=max)


def growth_curves(contests: Contests, path: Path) -> None:
    """Cost against each quantity, both axes logarithmic; dotted, what is proportional
    to it.
    """
    figure, panels = canvas(3, 2, 6.2)
    for panel, quantity in zip(panels, growth.SWEEPS, strict=False):
        for kind, shade in zip(growth.KINDS, (OURS, THEIRS), strict=True):
            turns = {
                name: t
                for name, t in contests[quantity]["samples"].items()
                if name.endswith(kind)
            }
            values = [float(name.split(" | ")[0]) for name in turns]
            low, middle, high = 1e3 * np.array([quartiles(t) for t in turns.values()]).T
            panel.fill_between(values, low, high, color=shade, alpha=0.2, linewidth=0)
            panel.plot(
                values,
                middle,
                color=shade,
                marker="o",
                markersize=3.5,
                linewidth=1.5,
                label=kind,
            )
            if kind == growth.KINDS[0]:
                proportional = middle[-1] / values[-1] * np.array(values)
                panel.plot(
                    values,
                    proportional,
                    ":",
                    color=INK,
                    linewidth=1,
                    label="proportional",
                )
        logarithmic(panel, "xy")
        panel.set_xticks(
            values,
            [
                f"{value:g}" if value % 1000 else f"{value / 1000:g}k"
                for value in values
            ],
        )
        finish(panel, QUANTITIES[quantity])
    panels[-1].set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    panels[-1].legend(
        handles, labels, title="ms per gradient", loc="center", **LEGEND
    ).get_title().set_color(INK)
    save(figure, path)


def by_inputs(contests: Contests, threads: int) -> dict[str, Samples]:
    """The samples of each kind of input that was measured."""
    names = {
        inputs: f"{inputs}, {threads} thread{'s' * (threads > 1)}"
        for inputs in cases.INPUTS
    }
    return {
        inputs: contests[name]["samples"]
        for inputs, name in names.items()
        if name in contests
    }


def iterations(samples: Samples) -> Samples:
    """Those of an iteration in float64 that gives the loss after the update, by `short`
    names, of the core only.
    """
    return {
        short(name): turns
        for name, turns in samples.items()
        if "| float64 | after" in name and not name.startswith("Secant in")
    }


def rivals_of_the_series(samples: Samples) -> list[str]:
    """The names of Secant's central differences, and of what computes by
    backpropagation, in float64.
    """
    return [
        name
        for name in samples
        if name == "Secant, series | float64 | differences"
        or ("| float64 | backpropagation" in name and not name.startswith("Secant in"))
    ]


def short(name: str) -> str:
    """What a contestant is called in a picture and in a short table."""
    who, _, kind = name.split(" | ")
    if who == "Secant":
        return f"Secant, {kind}"
    return {
        "SciPy approx_derivative, 3-point": "SciPy approx_derivative",
        "scikit-learn MLPClassifier": "scikit-learn",
        "PyTorch, torch.compile": "PyTorch compiled",
        "SciPy, sparse, by hand": "SciPy by hand",
        "JAX jit and lax.scan": "JAX jit and scan",
    }.get(who, who)


def color(name: str) -> str:
    """Of a contestant."""
    return OURS if name.startswith("Secant") else THEIRS


def bars(
    columns: dict[str, dict[str, Any]],
    title: str,
    scale: float,
    path: Path,
    best: Any = min,
) -> None:
    """A bar for each name and column, with its quartiles and its median in figures; the
    best is at the top.
    """
    from matplotlib.patches import Patch

    first = next(iter(columns.values()))
    names = sorted(first, key=lambda name: median(first[name]), reverse=best is min)
    figure, (panel,) = canvas(1, 1, 0.4 * len(names) + 0.8)
    thickness = 0.8 / len(columns)
    for i, column in enumerate(columns.values()):
        at = [row - i * thickness for row, name in enumerate(names) if name in column]
        shown = [name for name in names if name in column]
        low, middle, high = (
            scale * np.array([quartiles(column[name]) for name in shown]).T
        )
        panel.barh(
            at,
            middle,
            thickness,
            xerr=(middle - low, high - middle),
            color=[color(name) for name in shown],
            alpha=1 if i == 0 else LIGHT,
            error_kw={"ecolor": INK, "elinewidth": 0.8},
        )
        for value, end, row in zip(middle, high, at, strict=True):
            write(panel, significant(value), end, row)
    panel.margins(x=0.15, y=0.02)
    panel.set_yticks(np.arange(len(names)) - 0.4 + thickness / 2, names)
    if len(columns) > 1:
        patches = [
            Patch(color=INK, alpha=1 if i == 0 else LIGHT, label=label)
            for i, label in enumerate(columns)
        ]
        panel.legend(
            handles=patches,
            **LEGEND,
            loc="upper right" if best is min else "lower right",
        )
    finish(panel, title)
    save(figure, path)


LEGEND: dict[str, Any] = {
    "fontsize": LETTERS,
    "title_fontsize": LETTERS,
    "frameon": False,
    "labelcolor": INK,
}


def logarithmic(panel: Any, axes: str) -> None:
    """Make axes logarithmic, with plain numbers at their ticks: the exponent of a power
    would be too small to read.
    """
    panel.set(**{f"{name}scale": "log" for name in axes})
    panel.minorticks_off()
    for name in axes:
        getattr(panel, f"{name}axis").set_major_formatter(
            lambda value, _: f"{value:,.6g}".replace("e-0", "e-")
        )


def write(panel: Any, text: str, x: float, y: float) -> None:
    """Write a figure to the right of what is drawn at a place."""
    panel.annotate(
        text,
        (x, y),
        (6, 0),
        textcoords="offset points",
        va="center",
        fontsize=LETTERS,
        color=INK,
    )


def canvas(rows: int, columns: int, height: float, **options: Any) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="none")
    return figure, figure.subplots(rows, columns, squeeze=False, **options).ravel()


def finish(panel: Any, title: str, xlabel: str = "") -> None:
    panel.set_title(
        title, loc="left", fontsize=LETTERS + 1, fontweight="bold", color=INK
    )
    panel.set_xlabel(xlabel, fontsize=LETTERS, color=INK)
    panel.tick_params(labelsize=LETTERS, colors=INK, length=0)
    panel.set_facecolor("none")
    panel.grid(color=GRID, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines["bottom"].set_color(INK)
    panel.spines[["top", "right", "left"]].set_visible(False)


def save(figure: Any, path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "secant"}):
        figure.savefig(path, metadata={"Date": None})
