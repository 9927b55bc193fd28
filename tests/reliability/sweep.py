"""Random networks of any size of number: no component of a gradient is further from the truth than promised."""

from collections.abc import Iterable

import numpy as np
from outcome import Outcome
from rounding import Rounding

import bounds
import oracles
import secant
from networks import KNOWN, Case, draw
from secant.backends import BACKENDS

DIGITS = 60
METHODS = ("direct", "auto")


class Truth:
    """The exact central differences of a network, and how far a result may be from them."""

    def __init__(self, case: Case):
        self.case = case
        self.network = oracles.of(case.net, case.x, case.t)
        self.effect = Rounding(case, self.network)
        self.h = oracles.mpfr(case.h)
        self.scale = 2 * self.h * len(case.x)
        self.losses = {
            (name, index): [self.network.perturbed_loss(name, index, shift) for shift in (self.h, -self.h)]
            for name, param in case.params.items()
            for index in np.ndindex(param.shape)
        }
        self.tried_out: dict[tuple, float] = {}
        self.exact = {where: float((above - below) / self.scale) for where, (above, below) in self.losses.items()}

    def share_of_bound(self, where: tuple, got: float, by_loop: bool) -> float:
        """The error of a component as a share of what is allowed. Rounding is tried out where it has to be."""
        error = abs(got - self.exact[where])
        allowed = bounds.wide_range(self.case.x, self.case.z1, self.case.params["W2"], self.exact[where])
        if by_loop:
            allowed += bounds.numpy_loop(float(max(self.losses[where])) / len(self.case.x), self.case.h)
        if error > allowed:
            allowed += self.rounding(where, by_loop)
        return np.inf if np.isnan(error) else float(error / allowed)

    def rounding(self, where: tuple, by_loop: bool) -> float:
        """What rounding does to the changes of the loss, up and down; or, in the loop, to both losses."""
        if (where, by_loop) not in self.tried_out:
            both = sum(self.effect.of(where, shift, by_loop) for shift in (self.h, -self.h))
            self.tried_out[where, by_loop] = float(both / self.scale)
        return self.tried_out[where, by_loop]


def share_of_bound(truth: Truth, backend: str, method: str) -> float:
    """The largest of all components."""
    case = truth.case
    try:
        with secant.use_backend(backend), np.errstate(all="ignore"):
            got, info = case.net.numerical_gradient(case.x, case.t, h=case.h, method=method, return_info=True)
    except secant.SecantError:  # finite arguments: so there is a NaN
        return np.inf
    by_loop = backend == "numpy" and info.method != "series"
    return max(truth.share_of_bound((name, i), got[name][i], by_loop) for name, i in truth.exact)


def check(case: Case, outcome: Outcome, backends: Iterable[str] = BACKENDS) -> None:
    truth = Truth(case)
    for backend in backends:
        for method in METHODS:
            share = share_of_bound(truth, backend, method)
            outcome.add(f"{backend}, {method}: {case.kind}", not share <= 1, share, f"{share:.3g} of the bound: {case}")
    outcome.tried += 1


def run(outcome: Outcome, trials: int, seed: int) -> None:
    rng = np.random.RandomState(seed)
    with oracles.digits(DIGITS):
        for case in KNOWN.values():
            check(case, outcome)
        for _ in range(trials):
            check(draw(rng), outcome)
