"""f that takes a stack of points: the value of a point may not depend on those beside it."""

import numpy as np
import pytest

import secant
from secant.differentiation.evaluators import vectorized
from secant.differentiation.noise import scatter
from secant.errors import ValueRangeError

X = np.array([1.0, -2.0, 0.5])


def squares(stack):
    return (stack**2 * np.arange(1, stack.shape[1] + 1)).sum(-1)


def last_again(values):
    values = values.copy()
    values[-1] = values[-min(2, len(values))]
    return values


MIXED = {
    "reversed": lambda s: squares(s)[::-1],
    "rolled": lambda s: np.roll(squares(s), 1),
    "sorted": lambda s: np.sort(squares(s)),
    "cumulated": lambda s: np.cumsum(squares(s)),
    "mean": lambda s: np.full(len(s), (s**2).sum() / len(s)),
    "mean added": lambda s: squares(s) + s.mean(),
    "a little of the mean": lambda s: squares(s) + 1e-6 * s.mean(),
    "normalized": lambda s: (squares(s) - squares(s).mean()) / (squares(s).std() + 1e-9),
    "less the first": lambda s: squares(s) - squares(s)[0],
    "over the size": lambda s: squares(s) / len(s),
    "times the place": lambda s: squares(s) * np.arange(len(s)),
    "largest": lambda s: np.full(len(s), squares(s).max()),
    "last again": lambda s: last_again(squares(s)),
    "on a hill": lambda s: 1e6 + squares(s)[::-1],
    "equal values": lambda s: np.sin(s[:, -1])[::-1],
    "last of equal values": lambda s: last_again(np.sin(s[:, -1])),
    "at the edge of a domain": lambda s: np.log(3 - s).sum(-1)[::-1],
}


@pytest.mark.parametrize("x", [X, np.linspace(-2, 2, 80)], ids=["short", "long"])
@pytest.mark.parametrize("scheme", ["central", "forward"])
@pytest.mark.parametrize("name", MIXED)
def test_a_function_that_mixes_points_is_refused(name, scheme, x):
    with pytest.raises(ValueRangeError, match=r"^f must return the value of each point by itself, got .* and .* for"):
        secant.numerical_gradient(MIXED[name], x, scheme=scheme, vectorized=True)


@pytest.mark.parametrize("scheme", ["central", "auto"])
def test_a_jacobian_whose_outputs_mix_points_is_refused(scheme):
    def f(stack):
        return np.stack([squares(stack), np.sin(stack[:, 0]), squares(stack)[::-1]], axis=-1)

    with pytest.raises(ValueRangeError, match="f must return the value of each point by itself"):
        secant.numerical_jacobian(f, X, scheme=scheme, vectorized=True)


def test_large_stacks_are_looked_at_too():
    def f(stack):
        return squares(stack)[:: -1 if len(stack) > 20 else 1]

    with pytest.raises(ValueRangeError, match="f must return the value of each point by itself"):
        secant.numerical_gradient(f, np.linspace(-2, 2, 80), vectorized=True)


def test_points_that_are_shuffled_by_chance_are_refused():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        with pytest.raises(ValueRangeError, match="f must return the value of each point by itself"):
            secant.numerical_gradient(lambda s, rng=rng: rng.permutation(squares(s)), X[:1], vectorized=True)


def raises_outside(stack):
    if (np.abs(stack) > 2.001).any():
        raise FloatingPointError("outside")
    return squares(stack)


def guarded(stack):
    """Infinite for all, if one is outside."""
    return np.full(len(stack), np.inf) if (np.abs(stack) > 2.001).any() else squares(stack)


def in_float32(stack, factor):
    w, u = RANDOM[: stack.shape[1]].astype(np.float32), RANDOM[0].astype(np.float32)
    return (np.tanh(np.float32(factor) * stack.astype(np.float32) @ w) @ u).astype(float)


RANDOM = np.random.RandomState(0).normal(size=(80, 30))
APART = {
    "constant": lambda s: np.ones(len(s)),
    "nearly constant": lambda s: 1 + 1e-14 * squares(s),
    "products of matrices": lambda s: np.tanh(s @ RANDOM[: s.shape[1]]) @ RANDOM[0],
    "in float32": lambda s: in_float32(s, 1.0),
    "in float32, where values are constant": lambda s: in_float32(s, 1e3),
    "large terms that cancel": lambda s: ((s - 1e5) ** 2).sum(-1) - (s @ s.T).diagonal() - s.shape[1] * 1e10,
    "kinks": lambda s: np.abs(s).sum(-1) + np.maximum(s, 0.5).sum(-1),
    "steps": lambda s: np.floor(10 * s).sum(-1),
    "edge of a domain": lambda s: np.sqrt(2.0011 - np.abs(s)).sum(-1),
    "an error outside": raises_outside,
    "infinite outside": guarded,
    "never a number": lambda s: np.full(len(s), np.nan),
    "noise": lambda s: squares(s) * (1 + 1e-8 * np.cos(1e9 * s).sum(-1)),
}


@pytest.mark.parametrize("x", [X, np.linspace(-2, 2, 80), np.zeros(2)], ids=["short", "long", "zero"])
@pytest.mark.parametrize("name", APART)
def test_a_function_of_single_points_is_accepted(name, x):
    with np.errstate(invalid="ignore"):
        secant.numerical_gradient(APART[name], x, vectorized=True)


def test_stacks_are_no_larger_than_promised():
    for n in (1, 3, 100, 3000, 9000, 20_000):
        sizes = []

        def counted(stack, sizes=sizes):
            sizes.append(stack.size if len(stack) > 1 else 0)
            return stack[:, 0]

        secant.numerical_gradient(counted, np.ones(n), vectorized=True)
        assert max(sizes) <= vectorized._LARGEST_STACK


def test_the_noise_of_each_output_is_told_from_its_curve():
    c = np.linspace(0.5, 2, 5)

    def f(x):
        smooth = np.sin(30 * c @ x)
        return np.array([smooth, np.float32(smooth), smooth * (1 + 1e-8 * np.cos(1e12 * x[0])), 1e6 + smooth, 1.0])

    levels = scatter(f, np.linspace(1, 2, 5))
    lowest, highest = [1e-17, 1e-9, 1e-10, 1e-12, 1e-17], [1e-12, 1e-7, 1e-7, 1e-9, 1e-15]
    assert (levels >= lowest).all(), levels
    assert (levels <= highest).all(), levels


def test_an_exception_names_the_coordinates_of_its_stack():
    def f(stack):
        raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError) as caught:
        secant.numerical_gradient(f, np.ones((4, 5)), vectorized=True)
    said = "f was evaluated at a stack of points: one of x.flat[0] to x.flat[19] is shifted in each"
    assert caught.value.__notes__ == [said]
