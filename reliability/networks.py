"""Random networks for the sweep: small, but with numbers of any size that the contract
covers.

Inputs and weights are up to 1e6, steps 1e-9 to 10, pre-activations up to 1e4.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import secant
from random_networks import HIDDEN, OUTPUTS, TARGETS, targets
from secant.backends.activations import ACTIVATIONS

LARGEST_INPUT = 1e6
LARGEST_PRE_ACTIVATION = 1e4


@dataclass
class Case:
    params: dict[str, np.ndarray]
    x: np.ndarray
    t: np.ndarray
    h: float
    output: str
    hidden: str = "sigmoid"
    log_offset: float = 1e-7
    kind: str = "given"

    @property
    def net(self) -> secant.TwoLayerNet:
        (inputs, hidden), outputs = self.params["W1"].shape, len(self.params["b2"])
        activations = {
            "hidden_activation": self.hidden,
            "output_activation": self.output,
        }
        net = secant.TwoLayerNet(
            inputs, hidden, outputs, **activations, log_offset=self.log_offset, rng=0
        )
        net.params = self.params
        return net

    @property
    def z1(self) -> np.ndarray:
        """What comes out of the hidden units."""
        return ACTIVATIONS[self.hidden].function(
            self.x @ self.params["W1"] + self.params["b1"]
        )


def log_uniform(
    rng: np.random.RandomState, low: float, high: float, shape: tuple = ()
) -> np.ndarray:
    return np.exp(rng.uniform(np.log(low), np.log(high), shape))


def signed(
    rng: np.random.RandomState, low: float, high: float, shape: tuple
) -> np.ndarray:
    return log_uniform(rng, low, high, shape) * rng.choice([-1, 1], shape)


def small(rng: np.random.RandomState) -> Case:
    """Weights and inputs as they are in practice, and some that are zero."""
    inputs, hidden, outputs, samples = (
        rng.randint(1, 5),
        rng.randint(1, 5),
        rng.randint(2, 5),
        rng.randint(1, 4),
    )
    shapes = {
        "W1": (inputs, hidden),
        "b1": (hidden,),
        "W2": (hidden, outputs),
        "b2": (outputs,),
    }
    params = {
        name: log_uniform(rng, 1e-3, 10) * rng.uniform(-1, 1, shape)
        for name, shape in shapes.items()
    }
    x = rng.uniform(0, 1, (samples, inputs)) * (
        rng.uniform(size=(samples, inputs)) > 0.3
    )
    t = targets(TARGETS[rng.randint(3)], rng, samples, outputs)
    hidden, log_offset = (
        HIDDEN[rng.randint(len(HIDDEN))],
        rng.choice([1e-7, 1e-7, 1e-3, 1e-12]),
    )
    return Case(
        params,
        x,
        t,
        float(log_uniform(rng, 1e-9, 10)),
        OUTPUTS[rng.randint(2)],
        hidden,
        float(log_offset),
    )


def wide(rng: np.random.RandomState) -> Case:
    """Numbers of any size."""
    case = small(rng)
    for values in (*case.params.values(), case.x):
        values[...] = signed(rng, 1e-3, 1e6, values.shape) * (
            rng.uniform(size=values.shape) > 0.2
        )
    return case


def pixels(rng: np.random.RandomState) -> Case:
    """Pixels that nobody normalized, some in 16 or more bits."""
    case = small(rng)
    case.x = np.round(255 * case.x) * 10.0 ** rng.randint(4)
    return case


def saturated_hidden(rng: np.random.RandomState) -> Case:
    """Hidden units far from zero, and shifts as large, so that some cross it."""
    case = small(rng)
    size = float(log_uniform(rng, 500, 1e4))
    case.h = float(log_uniform(rng, size / LARGEST_INPUT, 10))
    case.x[:, 0] = signed(
        rng,
        0.3 * size / case.h,
        min(3 * size / case.h, LARGEST_INPUT),
        case.x[:, 0].shape,
    )
    case.params["W1"][0] = 0
    carrier, by = (
        (case.params["b1"], 1.0)
        if rng.randint(2)
        else (case.params["W1"][0], np.abs(case.x[0, 0]))
    )
    carrier[...] = signed(rng, 0.3 * size, size, carrier.shape) / by
    return case


def saturated_output(rng: np.random.RandomState) -> Case:
    """Large W2, and biases that nearly cancel what it adds, so that a hidden unit moves
    an output across zero.
    """
    case = small(rng)
    w2 = case.params["W2"]
    w2[...] = signed(rng, 200, 2e4, w2.shape)
    case.params["b2"][...] = -rng.uniform() * w2.sum(axis=0) + rng.uniform(
        -1000, 1000, w2.shape[1]
    )
    case.h = float(log_uniform(rng, 1e-4, 10))
    case.x[:, 0] = signed(rng, 0.1, 100, case.x[:, 0].shape) / case.h
    case.params["W1"][0] *= rng.randint(2) / np.abs(case.x[:, 0]).max()
    return case


def far_logits(rng: np.random.RandomState) -> Case:
    """Identity outputs with logits far apart, which a shift may exchange."""
    case = saturated_output(rng)
    case.output = "identity"
    case.params["W2"] *= log_uniform(rng, 1e-3, 1)
    case.params["b2"][...] = signed(rng, 1, 1e4, case.params["b2"].shape) * rng.randint(
        2
    )
    return case


def common_logits(rng: np.random.RandomState) -> Case:
    """Hidden units that move all logits by nearly the same large amount."""
    case = saturated_hidden(rng) if rng.randint(2) else small(rng)
    w2 = case.params["W2"]
    w2 *= log_uniform(rng, 1e-4, 1)
    w2 += signed(rng, 1, 1e6, (len(w2), 1))
    case.params["b2"] -= rng.randint(2) * (case.z1[0] @ w2).mean()
    return case


def canceling(rng: np.random.RandomState) -> Case:
    """One sample whose pre-activations are small sums of large terms."""
    case = small(rng)
    case.x, case.t = case.x[:1], case.t[:1]
    case.x[...] = signed(rng, 1, 1e5, case.x.shape)
    case.params["W1"][...] = signed(rng, 1e-3, 1e4, case.params["W1"].shape)
    case.params["b1"][...] = (
        rng.uniform(-5, 5, case.params["b1"].shape) - case.x[0] @ case.params["W1"]
    )
    return case


def kinks(rng: np.random.RandomState) -> Case:
    """Pre-activations at, within and next to what a shift reaches."""
    case = small(rng) if rng.randint(2) else pixels(rng)
    case.hidden = "relu"
    n, reach = rng.randint(len(case.x)), case.h * np.append(np.abs(case.x), 1).max()
    shape = case.params["b1"].shape
    at = np.where(
        rng.randint(2, size=shape),
        rng.choice([-1, 0, 1], shape),
        rng.uniform(-2, 2, shape),
    )
    case.params["b1"][...] = reach * at - case.x[n] @ case.params["W1"]
    return case


GENERATORS: tuple[Callable[[np.random.RandomState], Case], ...] = (
    small, wide, pixels, saturated_hidden, saturated_output, far_logits, common_logits,
    canceling, kinks,
)  # fmt: skip


def draw(rng: np.random.RandomState) -> Case:
    """A network of some generator, its pre-activations within the limit."""
    make = GENERATORS[rng.randint(len(GENERATORS))]
    case = make(rng)
    p = case.params
    limit(p["W1"], p["b1"], case.x)
    limit(p["W2"], p["b2"], case.z1)
    case.kind = make.__name__.replace("_", " ")
    return case


def limit(weights: np.ndarray, biases: np.ndarray, inputs: np.ndarray) -> None:
    """Scale what leads into a unit, where its pre-activation is too large."""
    largest = np.abs(inputs @ weights + biases).max(axis=0)
    factor = np.where(
        largest > LARGEST_PRE_ACTIVATION,
        0.99 * LARGEST_PRE_ACTIVATION / np.maximum(largest, 1),
        1.0,
    )
    weights *= factor
    biases *= factor


def given(
    w1: float,
    w2: list,
    x: float,
    h: float,
    output: str = "sigmoid",
    b2: tuple = (0.0, 0.0),
) -> Case:
    """One input, one hidden unit, two classes; the first is right."""
    params = {
        "W1": np.array([[w1]]),
        "b1": np.zeros(1),
        "W2": np.array([w2], float),
        "b2": np.array(b2, float),
    }
    return Case(params, np.array([[x]]), np.array([0]), h, output)


KNOWN = {  # what was once computed wrong
    "a hidden unit leaves saturation": given(0.08, [1, -1], 1e4, 0.1),
    "logits change places": given(0.0, [800, -800], 255.0, 0.1, "identity"),
    "an output unit crosses zero": given(
        0.0, [2000, -2000], 255.0, 0.1, b2=(-1001.0, 0.0)
    ),
    "an output unit leaves zero": given(0.0, [2000, -2000], 255.0, 0.1),
}
