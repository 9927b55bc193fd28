"""Descent on contours, and the error of differences."""

import math
import warnings

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


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


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
    ax = plots.descent_paths(bowl, PATH, levels=[1.0, 4.0, 30.0], region=[(-4, 4), (-4, 4)])
    lines = ax.collections[-1]
    assert lines.levels.tolist() == [1, 4, 30]
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        assert len(path.vertices) > 20
        assert [bowl(vertex) for vertex in path.vertices] == pytest.approx([level] * len(path.vertices), abs=0.05)


def test_paths_are_told_apart_by_more_than_color():
    ax = plots.descent_paths(bowl, {"slow": PATH, "fast": PATH[:2]})
    assert names(ax) == ["slow", "fast"]
    assert len({line.get_marker() for line in (ax.lines[0], ax.lines[3])}) == 2
    assert len({line.get_color() for line in (ax.lines[0], ax.lines[3])}) == 2


@pytest.mark.parametrize("path", [np.zeros((1, 2)), [[0.0, 0.0], [1.0, 0.0]]], ids=["a point", "a line"])
def test_a_path_without_extent_has_room(path):
    ax = plots.descent_paths(bowl, path)
    assert ax.get_ylim()[0] < 0 < ax.get_ylim()[1]


def test_functions_that_are_flat_or_not_defined_everywhere():
    assert len(plots.descent_paths(lambda x: 1.0, PATH).collections) == 0
    ax = plots.descent_paths(lambda x: math.log(x[0]) if x[0] > 0 else math.nan, [[1.0, 1.0], [2.0, 1.0]])
    assert len(ax.collections) == 2


@pytest.mark.parametrize(
    ("f", "paths", "options", "error", "message"),
    [
        (1, PATH, {}, DTypeError, "f must be callable, got int"),
        (lambda x: x, PATH, {}, DTypeError, "f must return a number, got array"),
        (lambda x: math.nan, PATH, {}, ValueRangeError, "f must be finite somewhere in the region"),
        (bowl, PATH[0], {}, ShapeError, r"paths must be points of two numbers, \(points, 2\), got shape \(2,\)"),
        (bowl, {"a": np.ones((3, 3))}, {}, ShapeError, r"paths\['a'\] must be points of two numbers"),
        (bowl, {}, {}, ShapeError, "paths must hold at least one path, got none"),
        (bowl, np.full((2, 2), np.inf), {}, ValueRangeError, "paths must be finite"),
        (bowl, PATH, {"levels": 0}, ValueRangeError, "levels must be at least 1, got 0"),
        (bowl, PATH, {"levels": [1.0]}, ShapeError, "levels must be a number or a list of at least two values"),
        (bowl, PATH, {"levels": [2.0, 1.0]}, ValueRangeError, r"levels must be finite and rise, got \[2.0, 1.0\]"),
        (bowl, PATH, {"region": (1, 2)}, ShapeError, r"region must be \(\(from, to\), \(from, to\)\)"),
        (bowl, PATH, {"region": [(1, 2), (2, 2)]}, ValueRangeError, "region must be from a smaller to a larger"),
        (bowl, PATH, {"region": [(1, 2), (2, np.inf)]}, ValueRangeError, "region must be finite"),
        (bowl, PATH, {"ax": Figure()}, DTypeError, "ax must be Axes of Matplotlib, got <Figure"),
    ],
)
def test_descents_that_cannot_be_drawn(f, paths, options, error, message):
    with pytest.raises(error, match=message), np.errstate(invalid="ignore"):
        plots.descent_paths(f, paths, **options)


def test_errors_are_those_of_the_differences():
    steps = [1e-8, 1e-4, 1e-2]
    ax = plots.difference_error(np.exp, 1.0, np.e, schemes=["central"], h=steps[::-1])
    assert ax.lines[0].get_xdata().tolist() == steps
    wanted = [abs(secant.numerical_diff(np.exp, 1.0, h) - np.e) for h in steps]
    assert ax.lines[0].get_ydata().tolist() == wanted


@pytest.mark.parametrize(("scheme", "order"), [("forward", 1), ("central", 2), ("five-point", 4)])
def test_the_slopes_are_those_of_truncation_and_rounding(scheme, order):
    ax = plots.difference_error(np.exp, 1.0, lambda x: np.exp(x), schemes=[scheme])
    errors, truncation, rounding = ax.lines
    assert names(ax) == [scheme, f"truncation: {({1: 'h', 2: 'h²', 4: 'h⁴'})[order]}", "rounding: eps |f| / h"]
    # The true coefficients of exp at 1.
    coefficient = math.e * {1: 1 / 2, 2: 1 / 6, 4: 1 / 30}[order]
    steps = truncation.get_xdata()
    assert truncation.get_ydata() == pytest.approx(coefficient * steps**order, rel=0.1)
    assert rounding.get_ydata() == pytest.approx(2**-52 * math.e / rounding.get_xdata())
    assert np.nanmax(errors.get_ydata()) < 10 * max(np.max(truncation.get_ydata()), np.max(rounding.get_ydata()))


def test_a_line_has_no_truncation_and_no_logarithm_of_0():
    ax = plots.difference_error(lambda x: 2 * x, 0.0, 2.0)
    assert names(ax) == ["forward", "central", "five-point"]  # f(0) is 0, without rounding
    assert all(not (line.get_ydata() <= 0).any() for line in ax.lines)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((1, 1.0, 1.0), {}, DTypeError, "f must be callable, got int"),
        ((lambda x: [x, x], 1.0, 1.0), {}, DTypeError, "f must return a number"),
        ((np.exp, "1", 1.0), {}, DTypeError, "x must be a real number, got '1'"),
        ((np.exp, 1.0, math.nan), {}, ValueRangeError, "derivative must be finite, got nan"),
        ((np.exp, 1.0, lambda x: "2"), {}, DTypeError, "derivative must be a real number"),
        ((lambda x: math.inf, 1.0, 1.0), {}, ValueRangeError, r"f\(x\) must be finite"),
        ((np.exp, 1.0, 1.0), {"schemes": ["auto"]}, ValueRangeError, "schemes must be one of 'central'"),
        ((np.exp, 1.0, 1.0), {"h": 0.1}, ShapeError, r"h must be a list of steps, got shape \(\)"),
        ((np.exp, 1.0, 1.0), {"h": [0.1, 0]}, ValueRangeError, "h must be finite and greater than 0, got 0.0"),
    ],
)
def test_differences_that_cannot_be_drawn(arguments, options, error, message):
    with pytest.raises(error, match=message):
        plots.difference_error(*arguments, **options)


def test_given_axes_are_drawn_on_and_returned():
    axes = Figure().subplots(1, 2)
    assert plots.descent_paths(bowl, PATH, ax=axes[0]) is axes[0]
    assert plots.difference_error(np.exp, 1.0, np.e, ax=axes[1]) is axes[1]
