"""Weights and the confusion matrix: what is drawn is what the network has and says."""

import numpy as np
import pytest

import secant
from secant.errors import DTypeError, ShapeError, ValueRangeError

pytest.importorskip("matplotlib", reason="Matplotlib is not installed")

from matplotlib.figure import Figure

plots = secant.plots


class Oracle:
    """A network that says what it is told."""

    def __init__(self, y):
        self.y = np.array(y, dtype=float)

    def predict(self, x):
        return self.y


X = np.arange(16.0).reshape(4, 4)
T = np.array([0, 1, 1, 0])
# the second, third and fourth are wrong
Y = [[0.9, 0.1], [0.8, 0.2], [0.95, 0.05], [0.3, 0.7]]


def captions(ax):
    return [text.get_text() for text in ax.texts]


def pictures(ax):
    return [image.get_array().data.tolist() for image in ax.images]


def test_weights_are_those_of_the_units_with_the_largest_ones():
    net = secant.TwoLayerNet(4, 3, 2, rng=0)
    net.params["W1"] *= [1, 30, 10]
    ax = plots.weights(net, units=2)
    assert captions(ax) == ["unit 1", "unit 2"]
    assert pictures(ax) == [
        net.params["W1"][:, unit].reshape(2, 2).tolist() for unit in (1, 2)
    ]
    assert len({image.get_clim() for image in ax.images}) == 1
    low, high = ax.images[0].get_clim()
    assert low == -high < 0


def test_the_largest_of_a_thousand_weights_share_the_darkest_colors():
    ax = plots.weights(np.arange(-500.0, 500.0).reshape(100, 10))
    _, high = ax.images[0].get_clim()
    darker = sum((np.abs(image.get_array()) >= high).sum() for image in ax.images)
    assert darker == 5
    assert plots.weights(np.arange(4.0).reshape(4, 1)).images[0].get_clim()[1] < 3


def test_weights_of_chosen_units_and_shape():
    matrix = np.arange(18.0).reshape(6, 3)
    ax = plots.weights(matrix, units=[2, 0], shape=(2, 3))
    assert captions(ax) == ["unit 2", "unit 0"]
    assert pictures(ax)[1] == [[0, 3, 6], [9, 12, 15]]
    assert len(plots.weights(matrix, units=100, shape=(1, 6)).images) == 3
    assert plots.weights(np.zeros((4, 1))).images[0].get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (None,),
            DTypeError,
            r'net must have params\["W1"\], or be the array itself, got NoneType',
        ),
        (
            (np.ones(4),),
            ShapeError,
            r"net must have a matrix of weights, \(I, H\), got shape \(4,\)",
        ),
        ((np.full((4, 1), np.nan),), ValueRangeError, "net must be finite"),
        (
            (np.ones((4, 2)), [2]),
            ValueRangeError,
            r"units must be from 0 to 1, got \[2\]",
        ),
        (
            (np.ones((4, 2)), [0.5]),
            DTypeError,
            "units must be whole numbers, got float64",
        ),
        (
            (np.ones((4, 2)), []),
            ShapeError,
            "units must be a number or a list of units",
        ),
        (
            (np.ones((6, 2)),),
            ShapeError,
            "shape must be given, .* since a sample is not square, got 6 pixels",
        ),
        (
            (np.ones((6, 2)), 1, (2, 2)),
            ShapeError,
            "shape must have 6 pixels as a sample has, got 2 x 2",
        ),
        (
            (np.ones((6, 2)), 1, 6),
            ShapeError,
            r"shape must be \(height, width\), got 6",
        ),
        (
            (np.ones((4, 2)), 1, None, "ax"),
            DTypeError,
            "ax must be Axes of Matplotlib, got 'ax'",
        ),
    ],
)
def test_weights_that_cannot_be_drawn(arguments, error, message):
    names = ("units", "shape", "ax")
    with pytest.raises(error, match=message):
        plots.weights(arguments[0], **dict(zip(names, arguments[1:], strict=False)))


@pytest.mark.parametrize("t", [T, np.eye(2)[T]], ids=["labels", "one-hot"])
@pytest.mark.parametrize(
    "net", [Oracle(Y), np.array(Y)], ids=["network", "predictions"]
)
def test_the_confusion_matrix_counts(net, t):
    ax = plots.confusion_matrix(net, X, t)
    cells = {
        (int(text.get_position()[1]), int(text.get_position()[0])): text.get_text()
        for text in ax.texts
    }
    assert cells == {(0, 0): "1", (0, 1): "1", (1, 0): "2"}
    assert ax.images[0].get_array().data.tolist() == [[0.5, 0.5], [1, 0]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert ax.get_title(loc="left") == "Confusion matrix: 1 of 4 are right"


@pytest.mark.parametrize(
    ("net", "x", "t", "error", "message"),
    [
        (
            None,
            X,
            T,
            DTypeError,
            "net must have a method predict, or be what it returned, got NoneType",
        ),
        (
            np.array(Y),
            X[0],
            T,
            ShapeError,
            r"x must hold samples, \(N, ...\), got shape \(4,\)",
        ),
        (
            np.array(Y)[:3],
            X,
            T,
            ShapeError,
            r"net must predict \(4, number of classes\), got shape \(3, 2\)",
        ),
        (np.array(Y), X, T[:3], ShapeError, "t must have 4 rows like x, got 3"),
        (
            np.array(Y),
            X,
            T + 1,
            ValueRangeError,
            "t must hold class labels from 0 to 1, got 2",
        ),
        (
            np.array(Y) * np.nan,
            X,
            T,
            ValueRangeError,
            r"net.predict\(x\) must be finite",
        ),
    ],
)
def test_what_cannot_be_judged(net, x, t, error, message):
    with pytest.raises(error, match=message):
        plots.confusion_matrix(net, x, t)


def test_given_axes_are_drawn_on_and_returned():
    axes = Figure().subplots(1, 2)
    assert plots.weights(np.ones((4, 2)), ax=axes[0]) is axes[0]
    assert plots.confusion_matrix(np.array(Y), X, T, ax=axes[1]) is axes[1]


@pytest.mark.parametrize(
    ("count", "columns"), [(1, 1), (4, 2), (7, 4), (10, 5), (12, 4), (16, 4), (50, 10)]
)
def test_a_mosaic_is_full_if_it_can_be(count, columns):
    ax = plots.weights(np.ones((4, count)), units=count)
    lefts = {image.get_extent()[0] for image in ax.images}
    assert len(lefts) == columns
