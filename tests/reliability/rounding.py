"""What the rounding of pre-activations does to a central difference: the part of the contract that is no formula.

A pre-activation is a sum of products, each rounded. So it may be off by (terms) eps (sum of their sizes), whatever the
sum comes to. What that does to a loss depends on the network, so it is tried out, in many digits.
"""

from collections.abc import Callable
from copy import copy
from functools import cached_property

import mpmath
import numpy as np

import bounds
import oracles
import secant
from networks import Case

Quantity = Callable[[oracles.Network], mpmath.mpf]


class Rounded:
    """A network, and each of those that it becomes when one pre-activation is rounded up or down."""

    def __init__(self, case: Case, truth: oracles.Network):
        self.case, self.truth = case, truth

    def effect(self, quantity: Quantity) -> float:
        """The sum of how far ``quantity`` moves with each pre-activation, up or down."""
        exact = quantity(self.truth)
        return float(sum(max(abs(quantity(net) - exact) for net in pair) for pair in self.pairs))

    @cached_property
    def pairs(self) -> list[tuple[oracles.Network, ...]]:
        return [
            tuple(nudged(self.truth, layer, index, sign * by) for sign in (1, -1))
            for layer, errors in self.errors().items()
            for index, by in np.ndenumerate(errors)
        ]

    def errors(self) -> dict[str, np.ndarray]:
        """How far each pre-activation may be off, before a parameter is shifted by h or after: (N, H) and (N, O)."""
        p, x, h = self.case.params, np.abs(self.case.x), self.case.h
        shift = h * np.maximum(1, x.max(axis=1, keepdims=True))
        z = secant.sigmoid(np.array(self.truth.a1, float) + shift)  # the largest that it becomes
        return {
            "a1": (len(p["W1"]) + 1) * bounds.EPS * (x @ np.abs(p["W1"]) + np.abs(p["b1"]) + shift),
            "a2": (len(p["W2"]) + 1) * bounds.EPS * (z @ np.abs(p["W2"]) + np.abs(p["b2"]) + h),
        }


def nudged(network: oracles.Network, layer: str, index: tuple[int, ...], by: float) -> oracles.Network:
    """The same network with one pre-activation changed, and what follows from it computed anew."""
    n, unit = index
    other = copy(network)
    other.__dict__.pop("total", None)
    rows = [list(row) for row in getattr(network, layer)]
    rows[n][unit] += oracles.mp.mpf(by)
    setattr(other, layer, rows)
    if layer == "a1":
        del other.z1, other.a2
    return other
