"""The truth, in 50 digits: the network, its loss, and central differences of it, by
MPFR.

Nothing here knows of increments, series or unit responses; an activation is the formula
that the docs have. One thing is exploited: a perturbed weight leaves most
pre-activations as they are, so only those that change are computed again.
`test_oracle_is_the_literal_definition` checks that against two whole losses.
"""

import math
import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from operator import mul
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpfr

from secant.backends import activations


def arithmetic(digits: int) -> gmpy2.context:
    """Of numbers with so many decimal digits; what would be NaN is an error."""
    return gmpy2.context(precision=math.ceil(digits * math.log2(10)), trap_invalid=True)


gmpy2.set_context(arithmetic(50))  # of this thread; another has 16 digits


@contextmanager
def digits(count: int) -> Iterator[None]:
    """In the ``with`` block numbers have so many decimal digits."""
    before = gmpy2.get_context()
    gmpy2.set_context(arithmetic(count))
    try:
        yield
    finally:
        gmpy2.set_context(before)


def dot(u: Iterable, v: Iterable) -> mpfr:
    return gmpy2.fsum(list(map(mul, u, v)))


def evaluated(formula: str) -> Callable[[mpfr], mpfr]:
    """The function of a that such a formula of the docs says."""
    names = {"exp": gmpy2.exp, "log1p": gmpy2.log1p, "max": max, "tanh": gmpy2.tanh}
    return eval(f"lambda a: {formula}", names)


ACTIVATIONS = {
    name: evaluated(activation.formula)
    for name, activation in activations.ACTIVATIONS.items()
}
sigmoid = ACTIVATIONS["sigmoid"]


def softmax(a):
    top = max(a)
    e = [gmpy2.exp(v - top) for v in a]  # from 7e8 on, exp would be infinite
    total = gmpy2.fsum(e)
    return [v / total for v in e]


def exact(array: np.ndarray) -> list:
    """Nested lists of numbers of many digits that equal the elements."""
    return [exact(row) if np.ndim(row) else mpfr(float(row)) for row in array]


class Network:
    """A two-layer network with a batch: W1 (I, H), b1 (H,), W2 (H, O), b2 (O,), x (N,
    I), t one-hot or soft (N, O).
    """

    def __init__(
        self,
        params: dict,
        x: np.ndarray,
        t: np.ndarray,
        output_activation: str = "sigmoid",
        hidden_activation: str = "sigmoid",
        log_offset: float = 1e-7,
    ):
        assert gmpy2.get_context().precision >= arithmetic(50).precision
        self.params = {name: exact(value) for name, value in params.items()}
        self.x, self.t = (
            exact(x),
            exact(t if t.ndim == 2 else np.eye(len(params["b2"]))[t]),
        )
        self.hidden, self.output = (
            ACTIVATIONS[hidden_activation],
            ACTIVATIONS[output_activation],
        )
        self.log_offset = mpfr(log_offset)
        # probabilities, which do not depend on t
        self.perturbed: dict[tuple, list] = {}

    @cached_property
    def a1(self) -> list:
        columns = list(zip(*self.params["W1"], strict=True))
        return [
            [
                dot(x_n, column) + b
                for column, b in zip(columns, self.params["b1"], strict=True)
            ]
            for x_n in self.x
        ]

    @cached_property
    def z1(self) -> list:
        return [[self.hidden(a) for a in row] for row in self.a1]

    @cached_property
    def a2(self) -> list:
        columns = list(zip(*self.params["W2"], strict=True))
        return [
            [
                dot(z_n, column) + b
                for column, b in zip(columns, self.params["b2"], strict=True)
            ]
            for z_n in self.z1
        ]

    def predict(self) -> list:
        return [softmax([self.output(a) for a in row]) for row in self.a2]

    def sample_loss(self, n: int, y: list) -> mpfr:
        return -gmpy2.fsum(
            [
                t * gmpy2.log(v + self.log_offset)
                for t, v in zip(self.t[n], y, strict=True)
                if t
            ]
        )

    @cached_property
    def losses(self) -> list:
        return [self.sample_loss(n, y) for n, y in enumerate(self.predict())]

    @cached_property
    def total(self) -> mpfr:
        """The loss, times N."""
        return gmpy2.fsum(self.losses)

    def loss(self) -> mpfr:
        return self.total / len(self.x)

    def perturbed_loss(self, name: str, index: tuple, shift: mpfr) -> mpfr:
        """The loss with ``shift`` added to one parameter, times N."""
        return gmpy2.fsum(
            [
                self.sample_loss(n, self.perturbed_y(n, name, index, shift))
                if self.factor(n, name, index)
                else loss
                for n, loss in enumerate(self.losses)
            ]
        )

    def perturbed_y(self, n: int, name: str, index: tuple, shift: mpfr) -> list:
        case = n, name, index, shift
        if case not in self.perturbed:
            self.perturbed[case] = softmax(
                [self.output(a) for a in self.perturbed_a2(*case)]
            )
        return self.perturbed[case]

    def factor(self, n: int, name: str, index: tuple) -> Any:
        """What the parameter is multiplied by in sample n."""
        if name in ("b1", "b2"):
            return 1
        return (self.x if name == "W1" else self.z1)[n][index[0]]

    def perturbed_a2(self, n: int, name: str, index: tuple, shift: mpfr) -> list:
        a2 = list(self.a2[n])
        if name in ("W2", "b2"):
            a2[index[-1]] += shift * self.factor(n, name, index)
            return a2
        j = index[-1]
        before = self.a1[n][j]
        after = before + shift * self.factor(n, name, index)
        change = self.hidden(after) - self.hidden(before)
        return [a + change * w for a, w in zip(a2, self.params["W2"][j], strict=True)]

    def central_difference(self, name: str, index: tuple, h: float) -> mpfr:
        h = mpfr(h)
        above, below = (self.perturbed_loss(name, index, shift) for shift in (h, -h))
        return (above - below) / (2 * h * len(self.x))


def of(net: Any, x: np.ndarray, t: np.ndarray) -> Network:
    """The truth about a `TwoLayerNet`."""
    if net.soft_targets == "argmax" and t.ndim == 2:
        t = t.argmax(axis=1)
    return Network(
        net.params, x, t, net.output_activation, net.hidden_activation, net.log_offset
    )


_known: dict[bytes, dict] = {}
"""What `gradients` returned, for each backend asks for the same."""


def gradients(net: Any, x: np.ndarray, t: np.ndarray, h: float) -> dict:
    """All central differences of a small network, rounded to float64."""
    outputs = pickle.dumps(
        (net.params, net.output_activation, net.hidden_activation, x)
    )
    question = outputs, pickle.dumps((net.soft_targets, net.log_offset, t, h))
    if question not in _known:
        network = of(net, x, t)
        network.perturbed = _perturbed(outputs, h)
        _known[question] = _gradients(network, net.params, h)
    return _known[question]


@lru_cache(maxsize=4)
def _perturbed(_outputs: bytes, _h: float) -> dict[tuple, list]:
    """Probabilities that several kinds of targets have in common: tests go through
    these one after the other.
    """
    return {}


def _gradients(network: Network, params: dict, h: float) -> dict:
    return {
        name: np.array(
            [
                float(network.central_difference(name, i, h))
                for i in np.ndindex(value.shape)
            ]
        ).reshape(value.shape)
        for name, value in params.items()
    }


def ulps(got: np.ndarray, expected: list) -> float:
    """The largest distance of float64 results from numbers of many digits, in units in
    the last place of the latter.
    """
    return max(
        float(abs(mpfr(float(g)) - e) / float(np.spacing(abs(float(e)))))
        for g, e in zip(np.ravel(got), expected, strict=True)
    )
