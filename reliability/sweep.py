"""Random networks of any size of number: no component of a gradient is further from the
truth than promised.

A pre-activation is a sum of products, each rounded. So a1[n,j] may be off by (I+1) eps
(sum |x w| + |b|), and a2[n,k] by (H+1) eps (sum |z w| + |b|), whatever the sums come
to. What that does to a loss depends on the network: it is the part of the contract that
is no formula, and is tried out, in many digits.
"""

from collections.abc import Iterable
from copy import copy
from functools import cached_property

import numpy as np

import bounds
import oracles
import secant
from networks import KNOWN, Case, draw
from oracles import mpfr
from outcome import Outcome
from secant.backends import BACKENDS

DIGITS = 60
METHODS = ("direct", "auto")


class Truth:
    """The exact central differences of a network, and how far a result may be from
    them.
    """

    def __init__(self, case: Case):
        self.case = case
        self.network = oracles.of(case.net, case.x, case.t)
        self.shifts = (mpfr(case.h), -mpfr(case.h))
        self.scale = 2 * self.shifts[0] * len(case.x)
        self.losses = {
            (name, index): [
                self.network.perturbed_loss(name, index, shift) for shift in self.shifts
            ]
            for name, param in case.params.items()
            for index in np.ndindex(param.shape)
        }
        self.exact = {
            where: float((above - below) / self.scale)
            for where, (above, below) in self.losses.items()
        }
        self.tried_out: dict[tuple, float] = {}

    def share_of_bound(self, where: tuple, got: float) -> float:
        """The error of a component as a share of what is allowed.

        Rounding is tried out where it has to be.
        """
        error = abs(got - self.exact[where])
        allowed = bounds.wide_range(
            self.case.x, self.case.z1, self.case.params["W2"], self.exact[where]
        )
        if error > allowed:
            if where not in self.tried_out:
                self.tried_out[where] = self.rounding(where)
            allowed += self.tried_out[where]
        return np.inf if np.isnan(error) else float(error / allowed)

    def rounding(self, where: tuple) -> float:
        """What is changed by pre-activations that are rounded up or down once,
        whichever is worse, one by one: the change of the loss, up and down.
        """

        def quantity(net: oracles.Network, shift: mpfr) -> mpfr:
            return net.perturbed_loss(*where, shift) - net.total

        total = mpfr(0)
        for shift in self.shifts:
            exact = quantity(self.network, shift)
            for pair in self.rounded[where[0] in ("W1", "b1")]:
                total += max(abs(quantity(net, shift) - exact) for net in pair)
        return float(total / self.scale)

    @cached_property
    def rounded(self) -> tuple[list[list[oracles.Network]], ...]:
        """For each pre-activation, the two networks in which it is rounded: for shifts
        of a2, and for shifts of a1.
        """
        return tuple(
            [
                [nudged(self.network, layer, index, sign * by) for sign in (1, -1)]
                for layer, errors in self.errors(across_kinks).items()
                for index, by in np.ndenumerate(errors)
            ]
            for across_kinks in (False, True)
        )

    def errors(self, across_kinks: bool) -> dict[str, np.ndarray]:
        """How far each pre-activation may be off: (N, H) and (N, O).

        The output of an activation is rounded, too.

        None of a1 that a shift takes across a kink: there it is as good as exact, but
        what it adds to a2 is not.
        """
        p, x, z = (
            self.case.params,
            np.abs(self.case.x),
            np.abs(np.array(self.network.z1, float)),
        )
        a1 = (len(p["W1"]) + 1) * bounds.EPS * (x @ np.abs(p["W1"]) + np.abs(p["b1"]))
        a2 = (len(p["W2"]) + 3) * bounds.EPS * (z @ np.abs(p["W2"]) + np.abs(p["b2"]))
        if across_kinks and self.case.hidden == "relu":
            reach = self.case.h * np.maximum(1, x.max(axis=1, keepdims=True))
            near = np.abs(np.array(self.network.a1, float)) <= reach
            a2 += (near * a1) @ np.abs(p["W2"])
            a1 *= ~near
        return {"a1": a1, "a2": a2}


def nudged(
    network: oracles.Network, layer: str, index: tuple[int, ...], by: float
) -> oracles.Network:
    """The same network with one pre-activation changed, and what follows from it
    computed anew.
    """
    n, unit = index
    other = copy(network)
    other.perturbed = {}
    for name in ("total", "losses"):
        other.__dict__.pop(name, None)
    rows = [list(row) for row in getattr(network, layer)]
    rows[n][unit] += mpfr(by)
    setattr(other, layer, rows)
    if layer == "a1":
        del other.z1, other.a2
    return other


def share_of_bound(truth: Truth, backend: str, method: str) -> float:
    """The largest of all components."""
    case = truth.case
    try:
        with secant.use_backend(backend), np.errstate(all="ignore"):
            got = case.net.numerical_gradient(case.x, case.t, h=case.h, method=method)
    except secant.SecantError:  # finite arguments: so there is a NaN
        return np.inf
    return max(truth.share_of_bound((name, i), got[name][i]) for name, i in truth.exact)


def check(case: Case, outcome: Outcome, backends: Iterable[str] = BACKENDS) -> None:
    truth = Truth(case)
    for backend in backends:
        for method in METHODS:
            share = share_of_bound(truth, backend, method)
            outcome.add(
                f"{backend}, {method}: {case.kind}",
                not share <= 1,
                share,
                f"{share:.3g} of the bound: {case}",
            )
    outcome.tried += 1


def run(outcome: Outcome, trials: int, seed: int) -> None:
    rng = np.random.RandomState(seed)
    with oracles.digits(DIGITS):
        for case in KNOWN.values():
            check(case, outcome)
        for _ in range(trials):
            check(draw(rng), outcome)
