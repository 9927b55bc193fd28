"""f that takes a stack of points: the value of a point may not depend on those beside
it.
"""

import tracemalloc

import numpy as np
import pytest

import secant
from secant.differentiation.evaluators import vectorized
from secant.errors import ShapeError, ValueRangeError

X = np.array([1.0, -2.0, 0.5])
MIXES = r"^f must return the value of each point by itself, got .* and .* for"


def squares(stack):
    return (stack**2 * np.arange(1, stack.shape[1] + 1)).sum(-1)


MIXED = {
    "one point": lambda s: np.full(len(s), np.sum(s**2)),
    "reversed": lambda s: squares(s)[::-1],
    "sorted": lambda s: np.sort(squares(s)),
    "cumulated": lambda s: np.cumsum(squares(s)),
    "normalized": lambda s: (
        (squares(s) - squares(s).mean()) / (squares(s).std() + 1e-9)
    ),
    "over the size": lambda s: squares(s) / len(s),
    "largest": lambda s: np.full(len(s), squares(s).max()),
}


@pytest.mark.parametrize("x", [X, np.linspace(-2, 1, 80)], ids=["short", "long"])
@pytest.mark.parametrize("scheme", ["central", "forward"])
@pytest.mark.parametrize("name", MIXED)
def test_a_function_that_mixes_points_is_refused(name, scheme, x):
    with pytest.raises(ValueRangeError, match=MIXES):
        secant.numerical_gradient(MIXED[name], x, scheme=scheme, vectorized=True)


def test_a_jacobian_whose_outputs_mix_points_is_refused():
    def f(stack):
        return np.stack(
            [np.sin(stack[:, 0]), squares(stack), squares(stack)[::-1]], axis=-1
        )

    with pytest.raises(ValueRangeError, match=MIXES):
        secant.numerical_jacobian(f, X, vectorized=True)


def test_stacks_are_checked_once_a_call_by_two_points():
    sizes = []

    def counted(stack):
        sizes.append(len(stack))
        return squares(stack)

    secant.numerical_gradient(counted, X, vectorized=True)
    assert sizes == [6, 1, 1]
    secant.gradient_descent(counted, X, step_num=10, vectorized=True)
    assert sizes == [6, 1, 1, 6, 1, 1] + 9 * [6]


def raises_outside(stack):
    if (np.abs(stack) > 2.001).any():
        raise FloatingPointError("outside")
    return squares(stack)


def in_float32(stack, factor):
    w, u = RANDOM[: stack.shape[1]].astype(np.float32), RANDOM[0].astype(np.float32)
    return (np.tanh(np.float32(factor) * stack.astype(np.float32) @ w) @ u).astype(
        float
    )


RANDOM = np.random.RandomState(0).normal(size=(80, 30))
APART = {
    "nearly constant": lambda s: 1 + 1e-8 * squares(s),
    "products of matrices": lambda s: np.tanh(s @ RANDOM[: s.shape[1]]) @ RANDOM[0],
    "in float32": lambda s: in_float32(s, 1.0),
    "kinks": lambda s: np.abs(s).sum(-1) + np.maximum(s, 0.5).sum(-1),
    "steps": lambda s: np.floor(10 * s).sum(-1),
    "edge of a domain": lambda s: np.sqrt(2.0011 - np.abs(s)).sum(-1),
    "an error outside": raises_outside,
    "never a number": lambda s: np.full(len(s), np.nan),
    "noise": lambda s: squares(s) * (1 + 1e-8 * np.cos(1e9 * s).sum(-1)),
    "writes to its stack": lambda s: squares(np.multiply(s, 2, out=s)),
}


@pytest.mark.parametrize(
    "x", [X, np.linspace(-2, 2, 80), np.zeros(2)], ids=["short", "long", "zero"]
)
@pytest.mark.parametrize("name", APART)
def test_a_function_of_single_points_is_accepted(name, x):
    before = x.tobytes()
    with np.errstate(invalid="ignore"):
        secant.numerical_gradient(APART[name], x, vectorized=True)
    assert x.tobytes() == before


def test_the_result_for_a_stack_is_checked():
    for wrong in (
        lambda x: 0.0,
        lambda x: np.zeros(len(x) + 1),
        lambda x: np.zeros((len(x), 2)),
    ):
        with pytest.raises(
            ShapeError,
            match=r"^f must return a value for each of 6 points, got an array of shape",
        ):
            secant.numerical_gradient(wrong, np.ones(3), vectorized=True)


def test_stacks_and_memory_are_bounded():
    sizes = []

    def counted(stack):
        sizes.append(stack.size if len(stack) > 1 else 0)
        return stack[:, 0]

    for n in (1, 3, 100, 9000):
        secant.numerical_gradient(counted, np.ones(n), vectorized=True)
    assert max(sizes) <= vectorized._LARGEST_STACK
    tracemalloc.start()
    secant.numerical_gradient(lambda stack: stack[:, 0], np.ones(3000), vectorized=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # all points at once would be 140 MB
    assert peak < 6 * 8 * vectorized._LARGEST_STACK


@pytest.mark.parametrize(
    ("size", "place", "first", "last"), [(20, 0, 0, 19), (1000, 999, 992, 999)]
)
def test_an_exception_names_the_coordinates_of_its_stack(size, place, first, last):
    def f(stack):
        if (stack[:, place] != 1).any():
            raise ZeroDivisionError("no")
        return stack.sum(axis=1)

    with pytest.raises(ZeroDivisionError) as caught:
        secant.numerical_gradient(f, np.ones(size), vectorized=True)
    said = (
        f"f was evaluated at a stack of points: one of x.flat[{first}] to"
        f" x.flat[{last}] is shifted in each"
    )
    assert caught.value.__notes__ == [said]
