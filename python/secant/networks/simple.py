"""`SimpleNet`, the chapter's first network: a single weight matrix."""

from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.randomness import RandomSource, stream
from secant._common.validation import Floats
from secant.functions import cross_entropy_error, softmax
from secant.networks import arguments


class SimpleNet:
    """One layer, x W, whose softmax is compared with the target.

    Parameters
    ----------
    rng : numpy.random.Generator, numpy.random.RandomState or int, optional
        Where W comes from; NumPy's legacy global state by default.

    Attributes
    ----------
    W : ndarray of float64, (2, 3)
    """

    def __init__(self, rng: RandomSource = None) -> None:
        self.W: Floats = stream(rng).standard_normal((2, 3))

    def predict(self, x: ArrayLike) -> Floats:
        """Return x W, the scores before the softmax: (3,) for x (2,), (N, 3) for x (N, 2)."""
        x, single = arguments.inputs(x, self.W.shape[0], validation.all_finite)
        scores: Floats = x @ self.W
        return scores[0] if single else scores

    def loss(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the cross entropy between softmax(x W) and t, one-hot or labels."""
        return cross_entropy_error(softmax(self.predict(x)), t)
