"""What all plots share: figures, errors, and what they leave alone."""

import sys

import pytest

import secant
from secant.errors import MissingExtraError

DRAW = """
images, labels, y = np.ones((3, 4)), np.array([0, 1, 1]), np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]])
draw = {
    "confusion_matrix": lambda: secant.plots.confusion_matrix(y, images, labels),
    "descent_paths": lambda: secant.plots.descent_paths(lambda x: x @ x, {"a": [[1.0, 2.0], [0.0, 0.0]]}),
    "learning_curves": lambda: secant.plots.learning_curves(secant.History([1.0], [0.5], [0.4])),
    "weights": lambda: secant.plots.weights(np.ones((4, 2))),
}
assert sorted(draw) == sorted(secant.plots.__all__)
"""


def test_a_missing_matplotlib_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    names = {"np": pytest.importorskip("numpy"), "secant": secant}
    exec(DRAW, names)
    for draw in names["draw"].values():
        with pytest.raises(
            MissingExtraError, match=r"^Plots need Matplotlib: pip install matplotlib$"
        ):
            draw()


NOTEBOOK = "import sys, types; sys.modules['ipykernel.zmqshell'] = types.ModuleType('zmqshell')\n"
PROGRAMS = {  # and what they print
    "neither pyplot nor settings are touched": (
        f"import sys, matplotlib, numpy as np, secant; settings = matplotlib.rcParams.copy()\n{DRAW}"
        "for call in draw.values(): np.ravel(call())[0].figure.canvas.draw()\n"
        "print(matplotlib.rcParams.copy() == settings, 'matplotlib.pyplot' in sys.modules)",
        "True False\n",
    ),
    "figures are pyplot's where that has been imported": (
        f"import matplotlib.pyplot as plt, numpy as np, secant\n{DRAW}"
        "for call in draw.values(): assert np.ravel(call())[0].figure is plt.gcf()\n"
        "print(len(plt.get_fignums()))",
        "4\n",
    ),
    "a figure that is saved is not pyplot's": (
        "import matplotlib.pyplot as plt, secant, os, tempfile\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    path = os.path.join(folder, 'a.png'); secant.History([1.0]).plot(path); print(os.path.exists(path), plt.get_fignums())",
        "True []\n",
    ),
    "a notebook shows figures without an import of pyplot": (
        f"{NOTEBOOK}import numpy as np, secant; ax = secant.plots.weights(np.ones((4, 2)))\n"
        "import matplotlib.pyplot as plt; print(ax.figure is plt.gcf(), ax.figure.dpi == plt.rcParams['figure.dpi'])",
        "True True\n",
    ),
    "a notebook shows a returned figure once": (
        f"{NOTEBOOK}import secant; figure = secant.History([1.0]).plot()\n"
        "import matplotlib.pyplot as plt; print(plt.get_fignums(), len(figure.axes))\n"
        "(first, second) = plt.figure().subplots(1, 2); secant.History([1.0]).plot(ax=first); print(plt.get_fignums())",
        "[] 2\n[1]\n",
    ),
    "a call that fails leaves no figure open": (
        "import contextlib, matplotlib.pyplot as plt, numpy as np, secant; x = np.ones((2, 4))\n"
        "def fails(x): raise RuntimeError\n"
        "for call in (lambda: secant.plots.confusion_matrix(x, x, [9, 9]), lambda: secant.History(['a']).plot(),\n"
        "             lambda: secant.plots.weights(np.ones((5, 2))),\n"
        "             lambda: secant.plots.descent_paths(fails, [[1.0, 2.0]])):\n"
        "    with contextlib.suppress(ValueError, RuntimeError): print(call())\n"
        "print(plt.get_fignums())",
        "[]\n",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("program", "printed"), PROGRAMS.values(), ids=PROGRAMS)
def test_figures_of_a_program(program, printed, run_python):
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    done = run_python(program, "-W", "error", MPLBACKEND="agg")
    assert (done.stdout, done.stderr) == (printed, "")
