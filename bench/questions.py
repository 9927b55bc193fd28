"""docs/benchmarks.md: what most readers ask, each with a picture and a short table.

The rest is in bench/report.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import charts
import gradient
import growth
from charts import by_inputs, rivals_of_the_series, short
from tables import markdown, significant
from timing import median, ratio

Measured = dict[str, Any]

HEAD = """# Benchmarks

Written by `secant bench`, on a machine with {cores} cores ({processor}). The network is 784-50-10 with 39,760
parameters, a mini-batch has 100 samples, and h = 1e-4; one thread and float64, unless a table says otherwise. MNIST has
81 % zeros, which Secant skips; dense inputs have none. Answers are compared before anything is timed. Absolute times
vary. [Benchmarks in detail](records/benchmarks.md) has all figures and how they were measured.
"""


class Question(NamedTuple):
    """What is asked, what to know of the answer, and what shows it."""

    title: str
    text: str
    picture: str
    draw: Callable[[Measured, Path], None]
    table: Callable[[Measured], list[str]]


def page(measured: Measured) -> str:
    """The page, as Markdown."""
    lines = [HEAD.format(**measured["machine"])]
    for title, text, picture, _, table in QUESTIONS:
        lines += [
            f"## {title}",
            "",
            text,
            "",
            f"![{title}](benchmarks-{picture}.svg)",
            "",
            *table(measured),
            "",
        ]
    return "\n".join(lines)


def against_backpropagation(measured: Measured) -> list[str]:
    """Milliseconds a gradient, and how many times Secant's central difference that
    is.
    """
    columns = by_inputs(measured["A gradient"], 1)
    rows = []
    for name in rivals_of_the_series(next(iter(columns.values()))):
        row = [short(name)]
        for samples in columns.values():
            if name in samples:
                row += [
                    significant(1e3 * median(samples[name])),
                    str(ratio(samples[name], samples[gradient.SERIES])),
                ]
            else:
                row += ["–", "–"]
        rows.append(row)
    return markdown(
        [
            "",
            *(
                cell
                for inputs in columns
                for cell in (f"{inputs}, ms", "times Secant, series")
            ),
        ],
        rows,
    )


def whole_runs(measured: Measured) -> list[str]:
    """Seconds, accuracy and memory of the whole run, in float64."""
    rows = []
    for name, got in measured["The whole run"].items():
        who, dtype = name.split(" | ")
        if dtype == "float64":
            good = (
                [f"{got['accuracy']:.1%}", f"{got['MB']:,.0f}"]
                if "accuracy" in got
                else ["–", "–"]
            )
            rows.append([who, significant(got["seconds"]), *good])
    return markdown(["", "s", "test accuracy", "memory, MB"], rows)


def exponents(measured: Measured) -> list[str]:
    """How the cost of the series grows."""
    return markdown(
        growth.COLUMNS[:4],
        [row[:4] for row in growth.sweeps(measured["How the cost grows"])],
    )


QUESTIONS = (
    Question(
        "How fast is a central difference?",
        """The gradient of all 39,760 parameters, beside the plain NumPy loop of the chapter, and libraries that
evaluate the loss for each parameter. By default Secant uses the series if its error is proven to be
small enough.""",
        "gradient",
        lambda measured, path: charts.difference_dots(measured["A gradient"], path),
        lambda measured: gradient.against_the_loop(measured["A gradient"]),
    ),
    Question(
        "How does it compare with backpropagation elsewhere?",
        """A central difference of Secant costs about as much as backpropagation elsewhere; *by hand* means
backpropagation written out for this network. Ratios are medians within a round; below 1, the other
is faster.""",
        "backpropagation",
        lambda measured, path: charts.backpropagation_bars(
            measured["A gradient"], path
        ),
        against_backpropagation,
    ),
    Question(
        "How fast is training?",
        """The picture: one iteration, which draws a mini-batch and returns the loss after the update. Others
train by backpropagation. The table: the chapter's 10,000 iterations on MNIST, including conversion
and compilation. scikit-learn trains a network without the second sigmoid.""",
        "training",
        lambda measured, path: charts.training_bars(
            measured["A training iteration"], path
        ),
        whole_runs,
    ),
    Question(
        "How does the cost grow?",
        """One gradient; one quantity varies, the others have the chapter's size. The exponent is fitted from
there up: it is above 1 where weights or inputs outgrow a cache.""",
        "growth",
        lambda measured, path: charts.growth_curves(
            measured["How the cost grows"], path
        ),
        exponents,
    ),
    Question(
        "What does a second thread bring?",
        """The picture: a training iteration. One thread is timed in CPU time and two threads in wall time. The
table: a gradient of Secant, of two sizes.""",
        "threads",
        lambda measured, path: charts.thread_bars(
            measured["A training iteration"], path
        ),
        lambda measured: growth.two_threads(measured["How the cost grows"]),
    ),
)
