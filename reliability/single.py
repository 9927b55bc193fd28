"""Random float32 networks, small, but with numbers of any size: 1e-30 to 1e30, and
steps from 1e-18 up.

The truth is the gradient of the same numbers in float64, whose errors are 2^29 times
smaller.
"""

from collections.abc import Callable

import numpy as np

import bounds
import secant
from networks import Case, log_uniform, signed, small
from outcome import Outcome

METHODS = ("derivative", "auto", "direct")


def any_scale(rng: np.random.RandomState, case: Case) -> None:
    """Every number has a size of its own."""
    for values in (*case.params.values(), case.x):
        values[...] = signed(rng, 1e-30, 1e30, values.shape)


def balanced(rng: np.random.RandomState, case: Case) -> None:
    """Inputs of any size, all the same or each its own, and weights that make
    pre-activations of order 1.
    """
    size = log_uniform(rng, 1e-28, 1e28, (case.x.shape[1],) if rng.randint(2) else (1,))
    case.x *= size
    case.params["W1"] /= size[:, np.newaxis]


def outgoing(rng: np.random.RandomState, case: Case) -> None:
    """Outgoing weights of any size, and steps at which a difference shows it."""
    size = log_uniform(rng, 1e-28, 1e28)
    case.params["W2"] *= size
    case.params["b2"] *= log_uniform(rng, 1e-3, 1) * (size if rng.randint(2) else 1.0)
    case.h = float(np.clip(log_uniform(rng, 1e-6, 1e2) / size, 1e-18, 1e3))


def hidden_scale(rng: np.random.RandomState, case: Case) -> None:
    """Hidden units of any size, where they are unbounded, and weights out of them that
    make up for it.
    """
    size = log_uniform(rng, 1e-28, 1e28)
    case.params["W1"] *= size
    case.params["b1"] *= size
    case.params["W2"] /= size
    case.h = float(
        np.clip(
            log_uniform(rng, 1e-6, 1e2) * (size if rng.randint(2) else 1 / size),
            1e-18,
            1e3,
        )
    )


def canceling(rng: np.random.RandomState, case: Case) -> None:
    """Pre-activations of one sample that cancel to a small part of their terms."""
    case.params["b1"][...] = -(case.x[0] @ case.params["W1"]) * (
        1 + signed(rng, 1e-8, 1, case.params["b1"].shape)
    )
    case.h = float(log_uniform(rng, 1e-18, 1e-2))


def saturated(rng: np.random.RandomState, case: Case) -> None:
    """Units of one layer far from 0: probabilities close to 0 and 1, or hidden units
    before weights of any size.
    """
    layer = "b2" if rng.randint(2) else "b1"
    case.params[layer][...] = signed(rng, 1, 1e3, case.params[layer].shape)
    if layer == "b1":
        case.params["W2"] *= log_uniform(rng, 1e-20, 1e20)


def kinks(rng: np.random.RandomState, case: Case) -> None:
    """Pre-activations at, within and next to what a shift reaches, for inputs of any
    size up to 1.
    """
    case.hidden = "relu"
    size = log_uniform(rng, 1e-28, 1.0)
    case.x *= size
    case.params["W1"] *= size if rng.randint(2) else 1.0
    case.h = float(log_uniform(rng, 1e-18, 1e-1))
    at = rng.uniform(-2, 2, case.params["b1"].shape)
    case.params["b1"][...] = case.h * at - case.x[0] @ case.params["W1"]


GENERATORS: tuple[Callable[[np.random.RandomState, Case], None], ...] = (
    any_scale, balanced, outgoing, hidden_scale, canceling, saturated, kinks,
)  # fmt: skip


def draw(rng: np.random.RandomState) -> Case:
    """A small network, then scaled; all numbers as float32 has them."""
    case = small(rng)
    case.x *= rng.choice([-1, 1], case.x.shape)
    case.log_offset *= rng.randint(5) > 0
    case.h = float(log_uniform(rng, 1e-18, 1e3))  # where the generator chooses no other
    make = GENERATORS[rng.randint(len(GENERATORS))]
    make(rng, case)
    case.kind = make.__name__.replace("_", " ")
    case.x, case.h = (
        case.x.astype(np.float32),
        float(np.nextafter(np.float32(case.h), np.float32(1e4))),
    )
    case.params = {
        name: param.astype(np.float32) for name, param in case.params.items()
    }
    return case


def gradient(case: Case, dtype: type, method: str) -> dict | None:
    """None where it is refused."""
    net = case.net
    net.params = {name: param.astype(dtype) for name, param in case.params.items()}
    try:
        if method == "derivative":
            return net.gradient(case.x, case.t)
        return net.numerical_gradient(case.x, case.t, h=case.h, method=method)
    except secant.errors.ValueRangeError:
        return None


def share_of_bound(case: Case, method: str) -> float | None:
    """The largest error of a component as a share of what is allowed; None if float64
    has no gradient of that size.
    """
    exact = gradient(case, np.float64, method)
    if (
        exact is None
        or max(np.abs(part).max() for part in exact.values())
        > 0.99 * np.finfo(np.float32).max
    ):
        return None
    found = gradient(case, np.float32, method)
    if found is None:
        return np.inf
    allowed = bounds.single_at_any_scale(
        case.net, case.x, case.t, 0.0 if method == "derivative" else case.h
    )
    return max(
        float((np.abs(found[key] - exact[key]) / allowed[key]).max()) for key in exact
    )


def run(outcome: Outcome, trials: int, seed: int) -> None:
    rng = np.random.RandomState(seed)
    with secant.use_backend("cpp"):
        while outcome.tried < trials:
            case = draw(rng)
            shares = {method: share_of_bound(case, method) for method in METHODS}
            outcome.tried += any(share is not None for share in shares.values())
            for method, share in shares.items():
                if share is not None:
                    outcome.add(
                        f"{method}: {case.kind}",
                        not share <= 1,
                        share,
                        f"{share:.3g} of the bound: {case}",
                    )
