"""Descent on contours."""

import math

import numpy as np
import pytest

import secant
from secant.errors import DTypeError, ShapeError, ValueRangeError

pytest.importorskip("matplotlib", reason="Matplotlib is not installed")

from matplotlib.figure import Figure

plots = secant.plots
PATH = np.array([[-3.0, 4.0], [-1.0, 2.0], [0.0, 0.0]])


def bowl(x):
    return x[0] ** 2 + 2 * x[1] ** 2


def names(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_path_its_start_and_its_end():
    ax = plots.descent_paths(bowl, PATH)
    path, start, end = ax.lines
    assert path.get_xydata().tolist() == PATH.tolist()
    assert (start.get_marker(), start.get_xydata().tolist()) == ("s", [[-3, 4]])
    assert (end.get_marker(), end.get_xydata().tolist()) == ("*", [[0, 0]])
    assert ax.get_legend() is None
    assert ax.get_xlim() == (-3.75, 0.75)
    assert ax.get_ylim() == (-1, 5)


def test_contours_are_those_of_the_function():
    ax = plots.descent_paths(
        bowl, PATH, levels=[1.0, 4.0, 30.0], region=[(-4, 4), (-4, 4)]
    )
    lines = ax.collections[-1]
    assert lines.levels.tolist() == [1, 4, 30]
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        assert len(path.vertices) > 20
        assert [bowl(vertex) for vertex in path.vertices] == pytest.approx(
            [level] * len(path.vertices), abs=0.05
        )


def test_paths_are_told_apart_by_more_than_color():
    ax = plots.descent_paths(bowl, {"slow": PATH, "fast": PATH[:2]})
    assert names(ax) == ["slow", "fast"]
    assert len({line.get_marker() for line in (ax.lines[0], ax.lines[3])}) == 2
    assert len({line.get_color() for line in (ax.lines[0], ax.lines[3])}) == 2


def test_each_of_many_paths_has_its_own_look():
    ax = plots.descent_paths(bowl, {f"path {i}": PATH for i in range(24)})
    paths = ax.lines[::3]
    assert len({(line.get_color(), line.get_marker()) for line in paths}) == 24


@pytest.mark.parametrize(
    "path", [np.zeros((1, 2)), [[0.0, 0.0], [1.0, 0.0]]], ids=["a point", "a line"]
)
def test_a_path_without_extent_has_room(path):
    ax = plots.descent_paths(bowl, path)
    assert ax.get_ylim()[0] < 0 < ax.get_ylim()[1]


def test_functions_that_are_flat_or_not_defined_everywhere():
    assert len(plots.descent_paths(lambda x: 1.0, PATH).collections) == 0
    ax = plots.descent_paths(
        lambda x: math.log(x[0]) if x[0] > 0 else math.nan, [[1.0, 1.0], [2.0, 1.0]]
    )
    assert len(ax.collections) == 2


@pytest.mark.parametrize(
    ("f", "paths", "options", "error", "message"),
    [
        (
            lambda x: x,
            PATH,
            {},
            ShapeError,
            "f must return a single number, got an array of shape",
        ),
        (
            lambda x: math.nan,
            PATH,
            {},
            ValueRangeError,
            "f must be finite somewhere in the region",
        ),
        (
            bowl,
            PATH[0],
            {},
            ShapeError,
            r"paths must be points of two numbers, \(points, 2\), got shape \(2,\)",
        ),
        (bowl, {}, {}, ShapeError, "paths must hold at least one path, got none"),
        (bowl, np.full((2, 2), np.inf), {}, ValueRangeError, "paths must be finite"),
        (
            bowl,
            PATH,
            {"levels": [1.0]},
            ShapeError,
            "levels must be a number or a list of at least two values",
        ),
        (
            bowl,
            PATH,
            {"levels": [2.0, 1.0]},
            ValueRangeError,
            r"levels must be finite and rise, got \[2.0, 1.0\]",
        ),
        (
            bowl,
            PATH,
            {"region": (1, 2)},
            ShapeError,
            r"region must be \(\(from, to\), \(from, to\)\)",
        ),
        (
            bowl,
            PATH,
            {"region": [(1, 2), (2, 2)]},
            ValueRangeError,
            "region must be from a smaller to a larger",
        ),
        (
            bowl,
            PATH,
            {"ax": Figure()},
            DTypeError,
            "ax must be Axes of Matplotlib, got <Figure",
        ),
    ],
)
def test_descents_that_cannot_be_drawn(f, paths, options, error, message):
    with pytest.raises(error, match=message), np.errstate(invalid="ignore"):
        plots.descent_paths(f, paths, **options)


def test_given_axes_are_drawn_on_and_returned():
    ax = Figure().subplots()
    assert plots.descent_paths(bowl, PATH, ax=ax) is ax
