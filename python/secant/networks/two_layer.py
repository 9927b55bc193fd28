"""`TwoLayerNet`, the network that the chapter trains on MNIST."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self, TypedDict, Unpack, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from secant._common import validation
from secant._common.files import AnyPath
from secant._common.randomness import RandomSource, stream
from secant._common.trial import being_tried
from secant._common.validation import Array, Floats
from secant._common.warn import warn
from secant.backends import backend_module, faults
from secant.backends.base import (
    LOG_OFFSET,
    PARAM_NAMES,
    AnyMethod,
    Differences,
    Fault,
    GradientInfo,
    HiddenActivation,
    Method,
    OutputActivation,
)
from secant.differentiation.options import require_perturbable
from secant.errors import ParamsError, UnsupportedError
from secant.functions import cross_entropy_by
from secant.networks import batch, checkpoint
from secant.networks.batch import SoftTargets


class _Options(TypedDict, total=False):
    h: float
    method: Method
    n_threads: int | None


class TwoLayerNet:
    """A network with one hidden layer: affine, hidden activation, affine, output
    activation, softmax.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        The numbers I, H and O of units.
    weight_init_std : float
        The standard deviation of the initial weights. Biases start at 0.
    hidden_activation : {"sigmoid", "relu", "tanh", "identity"}
        Activation between the two affine layers. Across the kink of a relu, too, a
        numerical gradient is the exact central difference.
    output_activation : {"sigmoid", "identity"}
        Activation before the softmax: sigmoid (the course notes) or identity (the
        book).
    log_offset : float
        Added to a probability before its logarithm is taken; at least 0. With 0 it is
        an error if the probability of a target has underflowed to 0.
    soft_targets : {"weights", "argmax"}
        What targets (N, O) mean: each is the weight of its class, or the largest of a
        row names the class, as in the book. They differ where a row is not one-hot.
    rng : numpy.random.Generator, numpy.random.RandomState or int, optional
        Random generator of the initial weights; by default NumPy's legacy global state,
        as in the chapter, so that ``np.random.seed`` gives the same weights. An int
        seeds a stream of its own.
    dtype : {numpy.float64, numpy.float32}
        The type of the parameters, and so of what is computed from them. Initial
        weights are drawn in float64, and rounded.
    backend : {"cpp", "numba", "numpy"}, optional
        The backend that computes; by default the one in use at each call.

    Attributes
    ----------
    params : dict
        "W1" (I, H), "b1" (H,), "W2" (H, O), "b2" (O,), C-contiguous, all float64 or all
        float32. Update them in place, or replace them: the next call uses the new
        values.
    hidden_activation, output_activation, log_offset, soft_targets, backend
        The arguments. They may be changed, too.

    Raises
    ------
    DTypeError, ValueRangeError
        If a size is not a whole number of at least 1, or another argument is not what
        it must be.

    Examples
    --------
    >>> net = secant.TwoLayerNet(784, 50, 10)
    >>> net
    <TwoLayerNet 784-50-10, sigmoid output, 39,760 parameters>
    >>> (x, t), _ = secant.load_mnist(subset=True)
    >>> grads = net.numerical_gradient(x[:100], t[:100])
    >>> for key in net.params:
    ...     net.params[key] -= 0.1 * grads[key]
    """

    # defaults for a subclass whose __init__ only sets params
    hidden_activation: HiddenActivation = "sigmoid"
    output_activation: OutputActivation = "sigmoid"
    log_offset: float = LOG_OFFSET
    soft_targets: SoftTargets = "weights"
    backend: str | None = None
    _warned_of_loop: bool = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        weight_init_std: float = 0.01,
        *,
        hidden_activation: HiddenActivation = "sigmoid",
        output_activation: OutputActivation = "sigmoid",
        log_offset: float = LOG_OFFSET,
        soft_targets: SoftTargets = "weights",
        rng: RandomSource = None,
        dtype: DTypeLike = np.float64,
        backend: str | None = None,
    ) -> None:
        inputs = validation.length("input_size", input_size)
        hidden = validation.length("hidden_size", hidden_size)
        outputs = validation.length("output_size", output_size)
        std = validation.finite_number("weight_init_std", weight_init_std)
        batch.settings(hidden_activation, output_activation, log_offset, soft_targets)
        kind = validation.real_dtype("dtype", dtype)
        if backend is not None:
            backend_module(backend)
        numbers = stream(rng)
        self.hidden_activation = hidden_activation
        self.output_activation = output_activation
        self.log_offset = log_offset
        self.soft_targets = soft_targets
        self.backend = backend
        drawn = {
            "W1": std * numbers.standard_normal((inputs, hidden)),
            "b1": np.zeros(hidden),
            "W2": std * numbers.standard_normal((hidden, outputs)),
            "b2": np.zeros(outputs),
        }
        self.params: dict[str, Array] = {
            name: array.astype(kind, copy=False) for name, array in drawn.items()
        }

    def __repr__(self) -> str:
        """Return the class, the sizes, the output activation, what else is not the
        default, and the parameters.
        """
        facts = {
            f"{self.hidden_activation} hidden": self.hidden_activation != "sigmoid",
            f"{self.output_activation} output": True,
            f"log_offset {self.log_offset}": self.log_offset != LOG_OFFSET,
            f"{self.soft_targets} targets": self.soft_targets != "weights",
            "float32": batch.is_float32(getattr(self, "params", None)),
        }
        return batch.described(
            self, *(fact for fact, applies in facts.items() if applies)
        )

    def predict(self, x: ArrayLike) -> Array:
        """Return the class probabilities y.

        Parameters
        ----------
        x : array_like, (N, I) or (I,)
            Samples, or one sample, of any real dtype, on the scale of the training: not
            pixels from 0 to 255 where those were from 0 to 1. uint8 and float32 are
            converted row by row, exactly. For float32 parameters others are rounded to
            float32.

        Returns
        -------
        ndarray, (N, O) or (O,)
            Of the type of ``params``.

        Raises
        ------
        DTypeError
            If x does not hold real numbers.
        ShapeError
            If x is empty, or does not have I columns.
        ValueRangeError
            If x is not finite in the type of ``params``, or so large that a
            pre-activation, or what is returned, overflows.
        ParamsError
            If ``params`` lacks an array or holds one that cannot be used where it lies.

        Examples
        --------
        >>> net = secant.TwoLayerNet(4, 3, 2, rng=0)
        >>> net.predict([[0, 0, 0, 1], [1, 1, 1, 1]]).round(2)
        array([[0.5, 0.5],
               [0.5, 0.5]])
        """
        backend, net = backend_module(self.backend), batch.network(self)
        samples, is_one_sample = batch.inputs(
            x, net.W1.shape[0], net.W1.dtype, backend.prepare
        )
        y = backend.predict(net, samples, 0)
        if isinstance(y, Fault):
            raise faults.error(y, net._asdict() | {"x": samples}, x)
        return y[0] if is_one_sample else y

    def loss(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the cross entropy between ``predict(x)`` and t.

        Parameters
        ----------
        x : array_like, (N, I) or (I,)
        t : array_like, (N, O) or (N,); (O,) or a single label for one sample
            Weights of the classes, one-hot or soft, or class labels. With
            ``soft_targets="argmax"`` the largest weight names the class.

        Raises
        ------
        DTypeError, ShapeError, ValueRangeError, ParamsError
            As `predict` does for x; for t, if it does not match x, a label is out of
            range, or a weight is negative; if ``log_offset`` is 0 and the probability
            of a target has underflowed to 0.

        See Also
        --------
        cross_entropy_error : the formula.

        Examples
        --------
        >>> net = secant.TwoLayerNet(4, 3, 2, rng=0)
        >>> round(net.loss([[0, 0, 0, 1], [1, 1, 1, 1]], [0, 1]), 2)
        0.69
        """
        return self._loss_of(self.predict(x), t)

    def _loss_of(self, y: Array, t: ArrayLike) -> float:
        if self.soft_targets == "argmax":
            is_one_sample, y = y.ndim == 1, np.atleast_2d(y)
            t = batch.targets(
                t, *y.shape, is_one_sample=is_one_sample, soft_targets=self.soft_targets
            )
        return cross_entropy_by(
            backend_module(self.backend), y, t, self.log_offset, given="x"
        )

    def accuracy(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the share of samples whose most probable class is that of t, from 0 to
        1.

        Parameters
        ----------
        x : array_like, (N, I) or (I,)
        t : array_like, (N, O) or (N,); (O,) or a single label for one sample
            Of one-hot or soft targets, the class with the largest value counts.

        Raises
        ------
        DTypeError, ShapeError, ValueRangeError, ParamsError
            As `loss` does.

        Examples
        --------
        >>> net = secant.TwoLayerNet(4, 3, 2, rng=0)
        >>> net.params["b2"][1] = 5
        >>> net.accuracy([[0, 0, 0, 1], [1, 1, 1, 1]], [0, 1])
        0.5
        """
        return batch.accuracy(self.predict(x), t)

    @overload
    def numerical_gradient(
        self,
        x: ArrayLike,
        t: ArrayLike,
        *,
        return_info: Literal[False] = ...,
        **options: Unpack[_Options],
    ) -> dict[str, Array]: ...

    @overload
    def numerical_gradient(
        self,
        x: ArrayLike,
        t: ArrayLike,
        *,
        return_info: Literal[True],
        **options: Unpack[_Options],
    ) -> tuple[dict[str, Array], GradientInfo]: ...

    def numerical_gradient(
        self,
        x: ArrayLike,
        t: ArrayLike,
        *,
        h: float = 1e-4,
        method: Method = "auto",
        n_threads: int | None = None,
        return_info: bool = False,
    ) -> dict[str, Array] | tuple[dict[str, Array], GradientInfo]:
        """Return the central difference of the loss in every parameter.

        Parameters
        ----------
        x : array_like, (N, I) or (I,)
        t : array_like, (N, O) or (N,); (O,) or a single label for one sample
        h : float
            The shift of a parameter.
        method : {"auto", "series", "direct"}
            "direct" evaluates the change of the loss at +h and at -h for every
            parameter. "series" sums the odd terms of its Taylor series, as many as are
            proven to suffice, at the cost of backpropagation. "auto" takes the series
            wherever enough terms are proven, sample by sample, and "direct" elsewhere.
        n_threads : int, optional
            By default as many as OMP_NUM_THREADS or threadpoolctl allow, and one for
            small work. The result is the same, bit for bit.
        return_info : bool
            Whether to return also how it was computed.

        Returns
        -------
        grads : dict
            Arrays with the keys, shapes and type of ``params``.
        info : GradientInfo
            Only with ``return_info``: the methods and orders that were used, the bound
            of the truncation, and the loss.

        Warns
        -----
        RuntimeWarning
            Once per network, if the network is not the built-in one: `predict` or
            `loss` is overridden, or ``params`` has other keys. The gradient is then
            that of its own `loss`, by a loop over every parameter.

        Raises
        ------
        DTypeError, ShapeError, ValueRangeError, ParamsError
            As `loss` does; also if h is not finite and at least 1e-150, or 1e-18 for
            float32 parameters.
        UnsupportedError
            If ``method="series"`` and no order is proven for a sample, or the network
            is not the built-in one.

        Notes
        -----
        The loss change is computed directly and never as a difference of two losses. So
        the result is closer to the exact central difference than that of the plain
        loop: docs/derivation.md has the proof and the error bounds. It also works in
        float32, where the rounding error of a plain loop is as large as the gradient.
        With h = 1e-4 a float32 gradient usually needs one term only, and then costs
        exactly what backpropagation costs.

        Examples
        --------
        >>> net, x, t = (
        ...     secant.TwoLayerNet(4, 3, 2, rng=0),
        ...     [[0, 0, 0, 1], [1, 1, 1, 1]],
        ...     [0, 1],
        ... )
        >>> grads, info = net.numerical_gradient(x, t, return_info=True)
        >>> {key: grad.shape for key, grad in grads.items()}
        {'W1': (4, 3), 'b1': (3,), 'W2': (3, 2), 'b2': (2,)}
        >>> info.method
        'series'
        """
        h = batch.step(h, self.params)
        validation.one_of("method", method, _METHODS)
        threads = validation.thread_count(n_threads)
        if reason := foreign_structure(self):
            if method == "series":
                raise UnsupportedError(
                    f"{reason}: method 'series' knows the built-in network only; use"
                    " 'auto'"
                )
            result = self._generic_gradient(x, t, h, reason)
        else:
            result = self._gradient(x, t, method, h, threads, return_info)
        return (
            (result.gradients, GradientInfo(*result[1:]))
            if return_info
            else result.gradients
        )

    def gradient(
        self, x: ArrayLike, t: ArrayLike, *, n_threads: int | None = None
    ) -> dict[str, Array]:
        """Return the derivative of the loss in every parameter, by backpropagation.

        Parameters
        ----------
        x, t, n_threads
            As for `numerical_gradient`.

        Returns
        -------
        dict
            Arrays with the keys, shapes and type of ``params``.

        Raises
        ------
        UnsupportedError
            If `predict` or `loss` is overridden, or ``params`` has other keys.
        DTypeError, ShapeError, ValueRangeError, ParamsError
            As `loss` does.

        Examples
        --------
        >>> net, x, t = (
        ...     secant.TwoLayerNet(4, 3, 2, rng=0),
        ...     [[0, 0, 0, 1], [1, 1, 1, 1]],
        ...     [0, 1],
        ... )
        >>> np.allclose(net.gradient(x, t)["W1"], net.numerical_gradient(x, t)["W1"])
        True
        """
        threads = validation.thread_count(n_threads)
        if reason := foreign_structure(self):
            raise UnsupportedError(
                f"{reason}: backpropagation knows the built-in network only; use"
                " numerical_gradient"
            )
        return self._gradient(x, t, "derivative", 1.0, threads).gradients

    def save(self, path: AnyPath) -> None:
        """Write the network to an .npz file, all of it or nothing.

        A link is followed. A pipe or a device is written to directly; a folder or a
        socket is refused.

        Raises
        ------
        ParamsError
            If ``params`` is not that of a two-layer network.
        DataError
            If the file cannot be written.

        Examples
        --------
        >>> net = secant.TwoLayerNet(4, 3, 2)
        >>> net.save("net.npz")
        >>> same = secant.TwoLayerNet.load("net.npz")
        """
        if extra := batch.mapping(self.params).keys() - _KNOWN_PARAMS:
            raise ParamsError(
                "params must have the keys W1, b1, W2 and b2 only to be saved, got"
                f" {sorted(map(str, extra))} too"
            )
        net = batch.network(self)
        if fault := faults.first(net):
            raise faults.error(fault, net._asdict())
        checkpoint.save(path, net, self.soft_targets)

    @classmethod
    def load(cls, path: AnyPath) -> Self:
        """Return the network that `save` wrote to ``path``.

        Nothing in the file is executed.

        Raises
        ------
        DataError
            If the file cannot be read or does not hold a network.
        UnsupportedError
            If a subclass takes other arguments than `TwoLayerNet`.

        Examples
        --------
        >>> secant.TwoLayerNet(4, 3, 2).save("net.npz")
        >>> secant.TwoLayerNet.load("net.npz")
        <TwoLayerNet 4-3-2, sigmoid output, 23 parameters>
        """
        saved, soft_targets = checkpoint.load(path)
        inputs, hidden = saved.W1.shape
        try:
            net = cls(inputs, hidden, len(saved.b2), rng=0)
        except TypeError as error:
            needed = "input_size, hidden_size, output_size and rng, as TwoLayerNet does"
            raise UnsupportedError(
                f"{cls.__name__} must take {needed}, to be loaded: {error}"
            ) from error
        net.params = {name: getattr(saved, name) for name in PARAM_NAMES}
        net.hidden_activation, net.output_activation = (
            saved.hidden_activation,
            saved.output_activation,
        )
        net.log_offset, net.soft_targets = saved.log_offset, soft_targets
        return net

    def _gradient(
        self,
        x: ArrayLike,
        t: ArrayLike,
        method: AnyMethod,
        h: float,
        n_threads: int,
        with_loss: bool = False,
    ) -> Differences:
        backend = backend_module(self.backend)
        samples = batch.checked(self, x, t, backend)
        result = backend.gradient(samples, method, h, n_threads, with_loss)
        if isinstance(result, Fault):
            raise batch.error(result, samples, x)
        return result

    def _generic_gradient(
        self, x: ArrayLike, t: ArrayLike, h: float, reason: str
    ) -> Differences:
        if not (being_tried.get() or self._warned_of_loop):
            self._warned_of_loop = True
            warn(
                f"{reason}: numerical_gradient falls back to a loop over every"
                " parameter, which is slow"
            )
        for key, param in self.params.items():
            require_perturbable(f"params[{key!r}]", param)
        grads = {
            key: _central_difference(lambda: self.loss(x, t), param, h)
            for key, param in self.params.items()
        }
        if not all(map(validation.all_finite, grads.values())):
            raise faults.error(faults.OVERFLOW, {})
        return Differences(grads, {}, 0.0, float(self.loss(x, t)))


def _central_difference(loss: Callable[[], float], param: Array, h: float) -> Floats:
    """The book's loop: shift one entry of the array in place, and compute two losses.

    The array is restored exactly, even if ``loss`` raises.
    """
    gradient = np.zeros(param.shape)
    original = param.copy()
    try:
        for index in np.ndindex(param.shape):
            value = param[index]
            param[index] = value + h
            above = loss()
            param[index] = value - h
            below = loss()
            param[index] = value
            gradient[index] = (above - below) / (2 * h)
    finally:
        param[...] = original
    return gradient


def foreign_structure(net: TwoLayerNet) -> str:
    """Say what makes this another network than the built-in one; "" if nothing does."""
    attributes, cls = net.__dict__, type(net)
    if cls.predict is not _PREDICT or "predict" in attributes:
        return f"{cls.__name__}.predict is overridden"
    if cls.loss is not _LOSS or "loss" in attributes:
        return f"{cls.__name__}.loss is overridden"
    params = batch.mapping(net.params)
    if not params.keys() <= _KNOWN_PARAMS:
        return (
            f"params has the extra key {min(map(str, params.keys() - _KNOWN_PARAMS))!r}"
        )
    return batch.shared_memory(params)


_KNOWN_PARAMS = frozenset(PARAM_NAMES)
_METHODS = get_args(Method)
_PREDICT, _LOSS = TwoLayerNet.predict, TwoLayerNet.loss
