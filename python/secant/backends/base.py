"""What a backend offers. Each is a module; the same names mean the same contract."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from secant._common.validation import Array, Floats
from secant.backends.activations import HiddenActivation as HiddenActivation
from secant.backends.activations import OutputActivation as OutputActivation
from secant.datasets.pixels import Rows
from secant.errors import UnsupportedError

Method = Literal["auto", "series", "direct"]

LOG_OFFSET = 1e-7
"""Added to y before its logarithm is taken, as in the chapter: it keeps the loss finite where y is 0."""
USUAL_STEP = 1e-4
"""The h of central differences, as in the chapter."""


class Parameters(NamedTuple):
    """A checked two-layer network: W1 (I, H), b1 (H,), W2 (H, O), b2 (O,), and what it makes of them.

    The arrays are all float64 or all float32.
    """

    W1: Array
    b1: Array
    W2: Array
    b2: Array
    hidden_activation: HiddenActivation = "sigmoid"
    output_activation: OutputActivation = "sigmoid"
    log_offset: float = LOG_OFFSET


class Gradients(NamedTuple):
    """Gradients, in the shapes and the type of the parameters."""

    W1: Array
    b1: Array
    W2: Array
    b2: Array


@dataclass(frozen=True)
class GradientInfo:
    """How a numerical gradient was computed.

    Attributes
    ----------
    samples : dict of int to int
        How many samples of the mini-batch had a series of which order; the key 0 counts those that were evaluated
        directly. Empty where the network is not ours and its loss was differenced as a whole.
    truncation_bound : float
        Upper bound on the truncation error of each component of the gradient.
    loss : float
        The loss of the mini-batch.
    """

    samples: dict[int, int]
    truncation_bound: float
    loss: float

    @property
    def method(self) -> str:
        """Either "series", "direct", "mixed" where samples differed, or "generic" for a network that is not ours."""
        if not self.samples:
            return "generic"
        if 0 not in self.samples:
            return "series"
        return "direct" if len(self.samples) == 1 else "mixed"

    @property
    def order(self) -> int:
        """The highest order of a series; 0 if there is none."""
        return max(self.samples, default=0)


def require_proven(samples: dict[int, int], h: float) -> None:
    """Raise the error that method "series" makes of samples for which no order is proven."""
    if 0 in samples:
        raise UnsupportedError(
            f"method 'series' has no proven order for {samples[0]} of {sum(samples.values())} samples at "
            f"h = {h:g}, with these inputs and weights: use 'auto' or 'direct', or a smaller h"
        )


NumericalGradient = tuple[Gradients, dict[int, int], float]
"""The gradients, then the fields of `GradientInfo`, which is made only where it is asked for."""


class Backend(Protocol):
    """The operations every backend has. Arguments are validated before they arrive, but see `finds_non_finite`.

    ``x`` is (N, I), C-contiguous, uint8, float32 or, where the parameters are, float64. ``t`` is either labels (N,) of
    int64 or weights (N, O) of float64. ``n_threads`` of 0 leaves the choice to the backend.
    """

    name: str
    finds_non_finite: bool
    """Whether its gradients look for NaN and infinity in x, the parameters and the result: that of b2 is NaN then."""

    def all_finite(self, array: Array) -> bool:
        """Whether no element is NaN or infinite."""

    def sigmoid(self, x: Floats) -> Floats:
        """1 / (1 + exp(-x)), in the shape of x."""

    def softmax(self, x: Floats) -> Floats:
        """exp(x) over its sum along the last axis."""

    def cross_entropy(self, y: Floats, t: Array, log_offset: float) -> float:
        """-sum(t log(y + log_offset)) / N of y (N, O); a t of 0 counts nothing. NaN where a y or t is negative or NaN.

        It is infinite, or NaN, where ``log_offset`` is 0, and so is the y of a target.
        """

    def prepare(self, x: Array | Rows) -> Array | Rows:
        """Return x in the form that `predict` and `train` read fastest, for whoever reads it many times."""

    def predict(self, net: Parameters, x: Array, n_threads: int) -> Array:
        """The network's output y (N, O), in the type of the parameters, as are gradients."""

    def gradient(self, net: Parameters, x: Array, t: Array, n_threads: int) -> Gradients:
        """The derivative of the loss, by backpropagation; not finite where the loss is not, as in all gradients."""

    def numerical_gradient(
        self, net: Parameters, x: Array, t: Array, h: float, method: Method, n_threads: int
    ) -> NumericalGradient:
        """The central difference of the loss in every parameter."""

    def gradient_as_given(
        self, net: tuple[object, ...], x: ArrayLike, t: ArrayLike, method: str, h: float, n_threads: int
    ) -> tuple[dict[str, Array], dict[int, int], float] | None:
        """`numerical_gradient`, or `gradient` for the method "derivative", of arguments that nobody has checked.

        ``net`` has the fields of `Parameters`. None if there is something to convert or to complain of in the
        arguments. The caller refuses a series that is not proven. No samples are counted where the gradient is not
        finite. Only asked of a backend that `finds_non_finite`.
        """

    def train(
        self,
        net: Parameters,
        x: Array,
        t: Array,
        indices: NDArray[np.int64],
        method: Literal["derivative", "auto", "direct"],
        h: float,
        learning_rate: float,
        n_threads: int,
        losses: list[float],
        before: bool = False,
    ) -> None:
        """Update the parameters in place, by the mini-batch of each row of ``indices`` (K, B), and append the losses.

        Each is that of its mini-batch after the update, or ``before`` it. The first that is not finite is the last. An
        interrupted call has appended those of the iterations that it completed, and leaves the parameters as the last
        did.
        """
