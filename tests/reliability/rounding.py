"""What the rounding of pre-activations does to a central difference: the part of the contract that is no formula.

A pre-activation is a sum of products, each rounded. So a1[n,j] may be off by (I+1) eps (sum |x w| + |b|), and a2[n,k]
by (H+1) eps (sum |z w| + |b|), whatever the sums come to. What that does to a loss depends on the network, so it is
tried out, in many digits.
"""

from copy import copy
from functools import cached_property

import numpy as np

import bounds
import oracles
from networks import Case
from oracles import mpfr

SIGNS = (1, -1)


class Rounding:
    """The effect of rounding on the losses, times N, of a network one of whose parameters is shifted."""

    def __init__(self, case: Case, truth: oracles.Network):
        self.case, self.truth = case, truth

    def of(self, where: tuple, shift: mpfr, by_loop: bool) -> mpfr:
        """On the change of the loss, as a pre-activation is rounded once; the loop rounds all anew for each loss."""

        def quantity(net: oracles.Network) -> mpfr:
            return net.perturbed_loss(*where, shift) - (0 if by_loop else net.total)

        exact, pairs = quantity(self.truth), self.pairs[where[0] in ("W1", "b1")]
        return sum(max(abs(quantity(net) - exact) for net in pair) for pair in pairs)

    @cached_property
    def pairs(self) -> tuple[list[list[oracles.Network]], ...]:
        """For each pre-activation, the networks that this one becomes when it is rounded up or down.

        Those for shifts of a2, and those for shifts of a1.
        """
        return tuple(
            [
                [nudged(self.truth, layer, index, sign * by) for sign in SIGNS]
                for layer, errors in self.errors(across_kinks).items()
                for index, by in np.ndenumerate(errors)
            ]
            for across_kinks in (False, True)
        )

    def errors(self, across_kinks: bool) -> dict[str, np.ndarray]:
        """How far each pre-activation may be off: (N, H) and (N, O). The output of an activation is rounded, too.

        None of a1 that a shift takes across a kink: there it is as good as exact, but what it adds to a2 is not.
        """
        p, x, z = self.case.params, np.abs(self.case.x), np.abs(np.array(self.truth.z1, float))
        a1 = (len(p["W1"]) + 1) * bounds.EPS * (x @ np.abs(p["W1"]) + np.abs(p["b1"]))
        a2 = (len(p["W2"]) + 3) * bounds.EPS * (z @ np.abs(p["W2"]) + np.abs(p["b2"]))
        if across_kinks and self.case.hidden == "relu":
            reach = self.case.h * np.maximum(1, x.max(axis=1, keepdims=True))
            near = np.abs(np.array(self.truth.a1, float)) <= reach
            a2 += (near * a1) @ np.abs(p["W2"])
            a1 *= ~near
        return {"a1": a1, "a2": a2}


def nudged(network: oracles.Network, layer: str, index: tuple[int, ...], by: float) -> oracles.Network:
    """The same network with one pre-activation changed, and what follows from it computed anew."""
    n, unit = index
    other = copy(network)
    other.perturbed = {}
    for name in ("total", "losses"):
        other.__dict__.pop(name, None)
    rows = [list(row) for row in getattr(network, layer)]
    rows[n][unit] += oracles.mpfr(by)
    setattr(other, layer, rows)
    if layer == "a1":
        del other.z1, other.a2
    return other
