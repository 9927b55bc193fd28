"""Run the code of docs/gallery.md, and write the picture of each block.

    python docs/gallery.py [FOLDER]      # by default docs/
    python docs/gallery.py --training    # docs/training.png: it trains on all of MNIST

The pictures of the pages are transparent, in colors that show on white and on black,
and narrow: on a telephone, 390 pixels wide, their letters are still nine pixels high.
"""

import ast
import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

import secant.plots

PAGE = Path(__file__).parent / "gallery.md"
COLORS = {"INK": "#787878", "GRID": "#80808050", "PAPER": "none"}
LEGEND = {"frameon": False, "labelcolor": COLORS["INK"]}
SVG = {"svg.fonttype": "none", "svg.hashsalt": "secant", "path.simplify_threshold": 0.5}
WIDTH, LETTERS = 4.9, 9  # inches, points
LOOP = "NumPy loop, extrapolated from one gradient"


def entries(text: str) -> list[tuple[str, str]]:
    """The path of each picture, and the code below it."""
    return re.findall(
        r"^!\[[^]]*\]\(([^)]+)\)\n\n```python\n(.*?)^```$",
        text,
        re.MULTILINE | re.DOTALL,
    )


def figure_of(code: str, names: dict[str, Any]) -> Any:
    """Run a block, and return the figure of what its last line returns: axes, some of
    them, or a figure.
    """
    *first, last = ast.parse(code).body
    assert isinstance(last, ast.Expr), (
        f"the last line must return axes: {ast.unparse(last)}"
    )
    exec(compile(ast.Module(first, []), str(PAGE), "exec"), names)
    value = eval(compile(ast.Expression(last.value), str(PAGE), "eval"), names)
    return (
        np.ravel(np.array(value, dtype=object))[0].figure.figure
        if not hasattr(value, "savefig")
        else value
    )


@contextmanager
def page_colors() -> Iterator[None]:
    """Draw in the colors of the pages."""
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("secant.plots."):
                for color in COLORS.keys() & vars(module).keys():
                    stack.enter_context(patch.object(module, color, COLORS[color]))
        yield


def narrow(figure: Any) -> None:
    """Fit a figure into a telephone: two plots side by side become two below each
    other.
    """
    from matplotlib.contour import ContourSet
    from matplotlib.text import Text
    from matplotlib.ticker import MaxNLocator

    width, height = figure.get_size_inches()
    plots = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    if len(plots) == 2:
        rows = figure.add_gridspec(2, 1)
        for row, ax in zip(rows, plots, strict=True):
            ax.set_subplotspec(row)
        figure.set_size_inches(WIDTH, 1.4 * height)
    elif width > WIDTH:
        figure.set_size_inches(WIDTH, height * WIDTH / width)
    figure.set_facecolor(COLORS["PAPER"])
    for ax in plots:
        ax.set_facecolor(COLORS["PAPER"])
        ax.tick_params(which="both", colors=COLORS["INK"])
        ax.spines[:].set_edgecolor(COLORS["INK"])
        if any(isinstance(artist, ContourSet) for artist in ax.collections) and (
            legend := ax.get_legend()
        ):
            legend.remove()  # it is drawn below, where nothing is behind it
            figure.legend(
                *ax.get_legend_handles_labels(),
                loc="outside lower center",
                ncols=3,
                **LEGEND,
            )
        for axis in (ax.xaxis, ax.yaxis):
            if isinstance(axis.get_major_locator(), MaxNLocator):
                axis.get_major_locator().set_params(nbins=6)
            if axis.get_scale() == "log":  # the exponent of a power would be too small
                axis.set_major_formatter(
                    lambda value, _: f"{value:.0e}".replace("e-0", "e-").replace(
                        "e+0", "e"
                    )
                )
    for text in figure.findobj(Text):
        text.set_color(
            COLORS["INK"] if str(text.get_color()) == "black" else text.get_color()
        )
        text.set_fontsize(min(max(text.get_fontsize(), LETTERS), LETTERS + 1))


def compact(png: bytes) -> bytes:
    """Return a PNG with a palette of 256 colors, which is less than half as large."""
    content = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        if image.mode == "P":
            return png
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
            content, "png", optimize=True
        )
    return content.getvalue()


def main(folder: Path) -> None:
    """Write all pictures."""
    from matplotlib import rc_context

    names: dict[str, Any] = {}
    for picture, code in entries(PAGE.read_text(encoding="utf-8")):
        path = folder / picture
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.StringIO()
        with page_colors(), rc_context(SVG):
            figure = figure_of(code, names)
            narrow(figure)
            figure.savefig(content, format="svg", metadata={"Date": None})
        path.write_text(
            re.sub(
                r"\d+\.\d{3,}",
                lambda number: f"{float(number[0]):.2f}",
                content.getvalue(),
            ),
            encoding="utf-8",
        )
        print(path)


def training(path: Path) -> None:
    """Draw what `secant train` does on MNIST: both curves in one row, with letters as
    large as they are there.

    A line says how long the run takes, and how long the book's loop would take, as
    `secant bench` measured them.
    """
    runs = json.loads((PAGE.parent / "benchmarks.json").read_text(encoding="utf-8"))[
        "The whole run"
    ]
    loop, ours = (
        runs[f"{name} | float64"]["seconds"] for name in (LOOP, "Secant, numerical")
    )
    (x_train, t_train), (x_test, t_test) = secant.load_mnist()
    np.random.seed(0)
    net = secant.TwoLayerNet(784, 50, 10)
    history = secant.train(net, x_train, t_train, x_test, t_test)
    with page_colors():
        loss, accuracy = secant.plots.learning_curves(history)
        narrow(loss.figure)
        for column, ax in zip(
            loss.figure.add_gridspec(1, 2), (loss, accuracy), strict=True
        ):
            ax.set_subplotspec(column)
            ax.locator_params("x", nbins=4)
        accuracy.legend(loc="lower right", fontsize=LETTERS, **LEGEND)
        times = (
            f"Secant: {ours:.1f} s. The book's loop: {loop / 86_400:.1f} days"
            " (extrapolated)"
        )
        loss.figure.suptitle(times, fontsize=LETTERS + 1, color=COLORS["INK"])
        loss.figure.set_size_inches(WIDTH, WIDTH / 1.8)
        loss.figure.savefig(path, dpi=300)
    print(path)


if __name__ == "__main__":
    if sys.argv[1:] == ["--training"]:
        training(PAGE.parent / "training.png")
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE.parent)
