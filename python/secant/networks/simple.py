"""`SimpleNet`, the chapter's first network: a single weight matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.randomness import RandomSource, stream
from secant._common.validation import Array, Floats
from secant.backends import faults
from secant.backends.base import LOG_OFFSET
from secant.differentiation.gradient import numerical_gradient
from secant.functions import cross_entropy_error, softmax, to_one_hot
from secant.networks import batch


class SimpleNet:
    """One layer, x W, whose softmax is compared with the target.

    Parameters
    ----------
    input_size, output_size : int
        The numbers I and O of units: 2 and 3 in the chapter.
    rng : numpy.random.Generator, numpy.random.RandomState or int, optional
        Where W comes from; NumPy's legacy global state by default.

    Attributes
    ----------
    params : dict
        "W" (I, O), float64.
    W : ndarray of float64, (I, O)
        The same array as ``params["W"]``, under the chapter's name.

    Raises
    ------
    DTypeError, ValueRangeError
        If a size is not a whole number of at least 1, or rng is not a source of random
        numbers.

    Examples
    --------
    >>> net = secant.SimpleNet(rng=0)
    >>> net
    <SimpleNet 2-3, 6 parameters>
    >>> x, t = [0.6, 0.9], [0, 0, 1]
    >>> secant.numerical_gradient(lambda W: net.loss(x, t), net.W).shape
    (2, 3)
    """

    def __init__(
        self, input_size: int = 2, output_size: int = 3, *, rng: RandomSource = None
    ) -> None:
        inputs = validation.length("input_size", input_size)
        outputs = validation.length("output_size", output_size)
        numbers = stream(rng)
        self.params: dict[str, Floats] = {
            "W": numbers.standard_normal((inputs, outputs))
        }

    @property
    def W(self) -> Floats:
        """``params["W"]``."""
        return self.params["W"]

    @W.setter
    def W(self, value: Floats) -> None:
        self.params["W"] = value

    def __repr__(self) -> str:
        """Return the class, the sizes and the number of parameters."""
        return batch.described(self)

    def predict(self, x: ArrayLike) -> Floats:
        """Return x W, the scores before the softmax.

        Parameters
        ----------
        x : array_like, (N, I) or (I,)

        Returns
        -------
        ndarray of float64, (N, O) or (O,)

        Raises
        ------
        DTypeError, ShapeError, ValueRangeError
            If x does not hold finite real numbers in I columns, or the scores overflow.
        ParamsError
            If ``params["W"]`` is not a matrix of finite float64.

        Examples
        --------
        >>> net = secant.SimpleNet(rng=0)
        >>> net.W = np.array([[1.0, 2, 3], [4, 5, 6]])
        >>> net.predict([1, 1])
        array([5., 7., 9.])
        """
        weights = batch.matrix(self.params, "W")
        given, (x, is_one_sample) = x, batch.inputs(x, len(weights))
        if fault := faults.of_finite("x", x):
            raise faults.error(fault, {"x": x}, given)
        with np.errstate(over="ignore", invalid="ignore"):
            scores: Floats = x @ weights
        if not validation.all_finite(scores):
            raise faults.error(faults.OVERFLOW, {})
        return scores[0] if is_one_sample else scores

    def loss(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the cross entropy between softmax(x W) and t.

        Parameters
        ----------
        x : array_like, (N, I) or (I,)
        t : array_like, (N, O) or (N,); (O,) or a single label for one sample
            Weights of the classes, one-hot or soft, or class labels.

        Raises
        ------
        DTypeError, ShapeError, ValueRangeError
            As `predict` and `cross_entropy_error` do.

        Examples
        --------
        >>> net = secant.SimpleNet(rng=0)
        >>> net.W = np.zeros((2, 3))
        >>> round(net.loss([0.6, 0.9], 2), 4)  # log 3
        1.0986
        """
        return cross_entropy_error(softmax(self.predict(x)), t)

    def accuracy(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the share of samples whose highest score is that of t, from 0 to 1.

        Parameters
        ----------
        x, t
            As for `loss`. Of one-hot or soft targets, the class with the largest value
            counts.

        Raises
        ------
        DTypeError, ShapeError, ValueRangeError
            As `loss` does.

        Examples
        --------
        >>> net = secant.SimpleNet(2, 2, rng=0)
        >>> net.W = np.eye(2)
        >>> net.accuracy([[3, 1], [0, 1]], [0, 0])
        0.5
        """
        return batch.accuracy(self.predict(x), t)

    def numerical_gradient(
        self, x: ArrayLike, t: ArrayLike, *, h: float = 1e-4
    ) -> dict[str, Floats]:
        """Return the central difference of the loss in W, by the generic
        `secant.numerical_gradient`.

        Parameters
        ----------
        x, t
            As for `loss`.
        h : float
            The shift of a weight.

        Returns
        -------
        dict
            "W" (I, O).

        Raises
        ------
        DTypeError, ShapeError, ValueRangeError
            As `loss` does, and if h is not finite and greater than 0.

        Examples
        --------
        >>> net = secant.SimpleNet(rng=0)
        >>> net.numerical_gradient([0.6, 0.9], 2)["W"].shape
        (2, 3)
        """
        return {
            "W": numerical_gradient(lambda _: self.loss(x, t), self.W, h, inplace=True)
        }

    def gradient(self, x: ArrayLike, t: ArrayLike) -> dict[str, Floats]:
        """Return the derivative of the loss in W.

        Parameters
        ----------
        x, t
            As for `loss`.

        Returns
        -------
        dict
            "W" (I, O).

        Raises
        ------
        DTypeError, ShapeError, ValueRangeError
            As `loss` does.

        Examples
        --------
        >>> net, x, t = secant.SimpleNet(rng=0), [0.6, 0.9], 2
        >>> np.allclose(net.gradient(x, t)["W"], net.numerical_gradient(x, t)["W"])
        True
        """
        y = softmax(self.predict(x))
        cross_entropy_error(y, t)  # whatever is wrong with t
        rows: Array = np.atleast_2d(validation.as_float(np.asarray(x), np.float64))
        y = np.atleast_2d(y)
        weights = validation.targets(t, *y.shape, is_one_sample=np.ndim(x) == 1)
        if weights.ndim == 1:
            weights = to_one_hot(weights, y.shape[1])
        slope = -weights / (y + LOG_OFFSET) / len(y)
        with np.errstate(over="ignore", invalid="ignore"):
            gradient = rows.T @ (y * (slope - (slope * y).sum(axis=1, keepdims=True)))
        if not validation.all_finite(gradient):
            raise faults.error(faults.OVERFLOW, {})
        return {"W": gradient}
