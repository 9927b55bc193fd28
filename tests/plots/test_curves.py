import base64
import math
import re

import numpy as np
import pytest

from secant.errors import DataError, DTypeError, ValueRangeError
from secant.plots import learning_curves
from secant.plots.canvas import encoded, figure_format
from secant.training.history import History
from sweeps import grid

pytest.importorskip("matplotlib", reason="Matplotlib is not installed")

from matplotlib.figure import Figure

LOSSES = [2.3 - 0.01 * i for i in range(150)]


def history():
    return History(LOSSES, [0.1, 0.5, 0.9], [0.1, 0.4, 0.8], [0, 60, 120])


def test_the_curves_are_those_of_the_history():
    left, right = history().plot().axes
    losses, means = left.lines
    assert losses.get_ydata().tolist() == LOSSES
    assert means.get_xdata()[0] == 1.0
    assert means.get_ydata()[0] == pytest.approx(sum(LOSSES[:3]) / 3)
    assert [line.get_ydata().tolist() for line in right.lines] == [
        [0.1, 0.5, 0.9],
        [0.1, 0.4, 0.8],
    ]
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        "one mini-batch",
        "mean of 3",
    ]
    assert [text.get_text() for text in right.get_legend().get_texts()] == [
        "training set (0.900)",
        "test set (0.800)",
        "gap (0.100)",
    ]
    assert (left.get_xlabel(), right.get_xlabel()) == ("iteration", "epoch")


def test_a_loss_that_is_not_finite_is_a_gap():
    losses, means = learning_curves(History([*LOSSES, math.inf], [0.1], [0.1]))[0].lines
    assert math.isnan(losses.get_ydata()[-1])
    assert math.isnan(means.get_ydata()[-1])
    assert math.isfinite(means.get_ydata()[-2])


@pytest.mark.parametrize("history", [History(), History([2.3], [0.1], [0.1], [0])])
def test_short_histories(history, tmp_path):
    history.plot(tmp_path / "f.png")
    assert (tmp_path / "f.png").stat().st_size > 1000


MAGIC = {"f.png": b"\x89PNG", "f.PDF": b"%PDF", "f.svg": b"<?xml"}


@pytest.mark.parametrize("name", grid(lambda name: name == "f.svg", MAGIC))
def test_the_suffix_is_the_format(name, tmp_path):
    history().plot(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(MAGIC[name])
    assert encoded(history().plot(), figure_format(name)).startswith(MAGIC[name])


@pytest.mark.parametrize("name", ["f", "f.docx", ".png"])
def test_a_suffix_that_is_no_format(name, tmp_path):
    with pytest.raises(
        ValueRangeError,
        match=rf"must end in \.png, \.svg, \.pdf or the like, got '.*{name}'",
    ):
        history().plot(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match="could not be written: No such file"):
        history().plot(tmp_path / "nowhere" / "f.png")


def test_a_star_marks_the_best_of_the_test_set_if_it_is_not_the_last():
    over = History(LOSSES, [0.1, 0.5, 0.9, 1.0], [0.1, 0.6, 0.6, 0.5], [0, 40, 80, 120])
    right = learning_curves(over)[1]
    star = right.collections[-1]
    assert star.get_offsets().tolist() == [[1, 0.6]]
    names = [text.get_text() for text in right.get_legend().get_texts()]
    assert names[2:] == ["gap (0.500)", "best on the test set (0.600, epoch 1)"]


@pytest.mark.parametrize(
    ("train", "test", "names"),
    [
        ([0.1, 0.9, 0.8], [0.1, 0.9, 0.8], []),  # both fell: that is no over-fitting
        ([0.1, 0.8, 0.9], [0.1, 0.8, 0.895], []),
        ([0.1, 0.8, 0.9], [0.1, 0.8, 0.8], ["gap (0.100)"]),
        (
            [0.1, 1.0, 1.0],
            [0.1, 0.999, 0.992],
            ["best on the test set (0.999, epoch 1)"],
        ),
        ([0.1, 0.8, 0.9], [0.1, 0.9, 0.892], ["best on the test set (0.900, epoch 1)"]),
    ],
)
def test_what_is_marked(train, test, names):
    right = learning_curves(History(LOSSES, train, test, [0, 60, 120]))[1]
    assert [text.get_text() for text in right.get_legend().get_texts()][2:] == names


def test_what_is_no_history_is_refused():
    with pytest.raises(DTypeError, match="history must be a History, got list"):
        learning_curves([0.1])


def test_no_test_set_has_no_curve():
    right = History(LOSSES, [0.1, 0.5], [], [0, 60]).plot().axes[1]
    assert [text.get_text() for text in right.get_legend().get_texts()] == [
        "training set (0.500)"
    ]


def test_runs_are_drawn_over_each_other():
    figure = history().plot(label="a")
    assert history().plot(ax=figure.axes, label="b") is figure
    left, right = figure.axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        "a: mean of 3",
        "b: mean of 3",
    ]
    assert [text.get_text() for text in right.get_legend().get_texts()][2:] == [
        "b: training set (0.900)",
        "b: test set (0.800)",
    ]
    a, b = (
        [line.get_color() for line in (*left.lines[i : i + 2], *right.lines[i : i + 2])]
        for i in (0, 2)
    )
    assert len(set(a)) == len(set(b)) == 1
    assert a != b
    assert left.lines[1].get_linestyle() != left.lines[3].get_linestyle()
    assert right.lines[0].get_marker() != right.lines[2].get_marker()
    short = History([2.0]).plot(label="c").axes[0]
    assert [text.get_text() for text in short.get_legend().get_texts()] == ["c"]


def looks(axes, lines):
    """How each run looks: its last line on these axes, of so many."""
    shown = axes.lines[lines - 1 :: lines]
    # get_linestyle() returns "--" for each pattern of one's own.
    return [
        (line.get_color(), str(line._unscaled_dash_pattern), line.get_marker())
        for line in shown
    ]


@pytest.mark.parametrize(("iterations", "lines"), [(150, 2), (3, 1)])
def test_each_of_many_runs_has_its_own_look(iterations, lines):
    figure = Figure()
    both = figure.subplots(1, 2)
    for run in range(24):
        History(LOSSES[:iterations], [0.1, 0.5], [0.1, 0.4], [0, 2]).plot(
            ax=both, label=f"run {run}"
        )
    assert len(set(looks(both[0], lines))) == 24
    assert len(set(looks(both[1], 2))) == 24
    for axes, each in ((both[0], lines), (both[1], 2)):
        first = looks(axes, each)[:6]
        colors, dashes, _ = zip(*first, strict=True)
        # nor do they differ by their colors alone
        assert len(set(colors)) == len(set(dashes)) == 6


def test_runs_of_many_epochs_differ_although_they_have_no_markers():
    figure = Figure()
    both = figure.subplots(1, 2)
    for run in range(24):
        History(LOSSES, [0.1] * 50, [0.1] * 50, list(range(50))).plot(
            ax=both, label=f"run {run}"
        )
    assert len({look[:2] for look in looks(both[1], 2)}) == 24


def test_given_axes_are_drawn_on(tmp_path):
    figure = Figure()
    top, bottom = figure.subfigures(2, 1)
    both, one = top.subplots(1, 2), bottom.subplots()
    assert history().plot(ax=both) is figure
    assert history().plot(tmp_path / "f.png", ax=one) is figure
    assert [len(axes.lines) for axes in (*both, one)] == [2, 2, 2]
    assert [axes.get_title(loc="left") for axes in (*both, one)] == [
        "Loss",
        "Accuracy",
        "Loss",
    ]
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "ax", [1, [], "ab", Figure(), [None, None], np.empty((2, 2), object)], ids=str
)
def test_what_is_no_axes_is_refused(ax):
    with pytest.raises(
        DTypeError, match=r"^ax must be Axes of Matplotlib, or a pair of them, got "
    ):
        history().plot(ax=ax)


@pytest.mark.slow
def test_a_notebook_shows_the_curves():
    shown = history()._repr_html_()
    assert base64.b64decode(
        re.match('<img src="data:image/png;base64,([^"]+)"', shown)[1]
    ).startswith(b"\x89PNG")
    assert 'alt="&lt;History of 150 iterations, ' in shown
