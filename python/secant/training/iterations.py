"""Runs the iterations of a training.

Many run in one call of the backend, or one by one with the network's own methods.

Design: an iteration counts if its loss and the parameters are finite. One that diverged
is undone, by a snapshot of the parameters. A block in which something went wrong is
undone as a whole and run again, one iteration at a time: so the result does not depend
on how many iterations run in one call.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from secant._common.interrupts import held_interrupts
from secant._common.validation import Array, all_finite, as_float
from secant.acceleration.accelerate import Accelerated
from secant.acceleration.recognition.equivalent import rows
from secant.acceleration.recognition.methods import USUAL
from secant.backends import backend_module, faults
from secant.backends.base import PARAM_NAMES, Backend, Batch, Descent, Fault
from secant.backends.inputs import NormalizedPixels
from secant.errors import SecantError, UnsupportedError, ValueRangeError
from secant.networks.batch import (
    checked,
    error,
    extremes,
    network,
    require_updatable,
    require_valid,
)
from secant.networks.two_layer import TwoLayerNet, foreign_structure

_BUILT_IN = TwoLayerNet.numerical_gradient, TwoLayerNet.gradient


class Iterations(ABC):
    """Gradient descent over mini-batches.

    Attributes
    ----------
    x : ndarray or Rows
        The inputs, in the form in which they are read.
    ahead : bool
        Whether mini-batches may be drawn before they are needed: not if the network may
        draw from the same stream.
    """

    x: Any
    ahead = False

    @abstractmethod
    def run(self, indices: Array, losses: list[float]) -> None:
        """Run the mini-batches of these indices, (K, B), and append the loss of each.

        However it ends, the losses are finite, and the parameters are those after the
        iterations that they belong to.
        """

    def compare(self, batch: Array, losses: list[float]) -> None:  # noqa: B027 - most have nothing to compare with
        """Raise an error if the network's loss of a mini-batch is not the one that is
        minimized.

        The parameters and losses are then those of the last comparison that did not
        fail.
        """


def iterations_of(
    net: Any,
    x: Any,
    t: Array,
    take_gradient: partial[Any],
    learning_rate: float,
    before: bool = False,
    accelerated: Accelerated | None = None,
) -> Iterations:
    """Return the iterations that update ``net``.

    An iteration is ``params -= learning_rate * take_gradient(x[batch], t[batch])``.

    Parameters
    ----------
    net : TwoLayerNet, or a network of the user's own
    x, t : ndarray, or Rows and ndarray
        The training set, of which the indices choose.
    take_gradient : partial
        A method of ``net`` with its options.
    learning_rate : float
    before : bool
        Whether losses are those before the update, and not after it.
    accelerated : Accelerated, optional
        That of ``net``, if ``take_gradient`` is its gradient.

    Raises
    ------
    DTypeError, ShapeError, ValueRangeError
        If ``net`` is a `TwoLayerNet` that cannot take x or t.
    """
    if accelerated and accelerated.in_place():
        return _OfRecognized(
            accelerated, x, t, take_gradient.keywords, learning_rate, before
        )
    if accelerated and accelerated.recognition.holder != "params":
        raise UnsupportedError(
            "net must have its parameters in net.params to be trained, or they must be"
            " float64 and C-contiguous, with a loss that is the mean over the samples"
        )
    if isinstance(params := getattr(net, "params", None), Mapping):
        require_updatable(params)
    options = take_gradient.keywords
    is_built_in = getattr(take_gradient.func, "__func__", None) in _BUILT_IN
    if is_built_in and isinstance(net, TwoLayerNet) and not foreign_structure(net):
        backend = backend_module(net.backend)
        batch = checked_whole("train", net, x, t, backend)
        # which may refuse a mini-batch, so it must see each
        if options.get("method") != "series":
            weights = batch.t if batch.t.ndim == 1 else as_float(batch.t, np.float64)
            batch = batch._replace(x=cast(Array, backend.prepare(batch.x)), t=weights)
            one_by_one = _ByMethods(net, x, t, take_gradient, learning_rate, before)
            method, h = options.get("method", "derivative"), options.get("h", 1.0)
            descent = Descent(
                method, h, learning_rate, options["n_threads"] or 0, before
            )
            return _InBackend(net, backend, batch, x, descent, one_by_one)
    loss = accelerated.recognition.names.loss if accelerated else USUAL.loss
    return _ByMethods(net, x, t, take_gradient, learning_rate, before, loss)


def checked_whole(
    part: str, net: TwoLayerNet, x: Any, t: Array, backend: Backend
) -> Batch:
    """Return a whole set as a mini-batch, once all its elements are checked.

    An error that begins with x or t names the argument of `train`: x_train, say.
    """
    try:
        batch = checked(net, x, t, backend)
        require_valid(batch, x, backend)
    except SecantError as found:
        raise type(found)(re.sub(r"^[xt]\b", rf"\g<0>_{part}", str(found))) from None
    return batch


class _Snapshot:
    """Copies of parameters, to roll back to: the same objects with the same numbers."""

    def __init__(self, params: Any, keys: Any = None) -> None:
        self._params = params
        self._before = {
            key: (params[key], copy(params[key]))
            for key in (params if keys is None else keys)
        }

    def rollback(self) -> None:
        """Put everything back."""
        for key, (param, numbers) in self._before.items():
            if isinstance(param, np.ndarray):
                param[...] = numbers
            if self._params[key] is not param:
                self._params[key] = param


@dataclass
class _InBackend(Iterations):
    """The iterations of a `TwoLayerNet`: a block of them is one call of the backend."""

    ahead = True

    net: TwoLayerNet
    backend: Backend
    batch: Batch
    given: Any  # x, as messages show it
    descent: Descent
    one_by_one: Iterations

    @property
    def x(self) -> Any:
        """The inputs, as the backend has prepared them."""
        return self.batch.x

    def run(self, indices: Array, losses: list[float]) -> None:
        """Run the mini-batches of these indices.

        An iteration that is beyond float32 is run in float64: the others have the same
        bits in any block.
        """
        batch = self.batch._replace(net=network(self.net))
        # a callback may have changed them
        if fault := faults.first(batch.net, all_finite=self.backend.all_finite):
            raise error(fault, batch, self.given)
        params = dict(zip(PARAM_NAMES, batch.net, strict=False))
        snapshot = _Snapshot(params)
        first = len(losses)
        fault = None
        try:
            fault = self.backend.train(batch, indices, self.descent, losses)
        finally:
            with held_interrupts():
                infinite = _not_finite(params, losses[first:], self.backend.all_finite)
                if fault or infinite is not None:
                    snapshot.rollback()
                    del losses[first:]
        has_failed = fault is not None or infinite is not None
        if not has_failed:
            return
        if len(indices) > 1:
            # Find out which iteration it was: those before it have the same bits.
            for one in indices:
                self.run(one[np.newaxis], losses)
        elif fault is faults.BEYOND_FLOAT32:
            self.one_by_one.run(indices, losses)
        else:
            raise self._failure(fault, infinite, batch, losses)

    def _failure(
        self,
        fault: Fault | None,
        infinite: str | float | None,
        batch: Batch,
        losses: list[float],
    ) -> ValueRangeError:
        """Return the error of an iteration that failed.

        ``infinite`` is the key of a parameter or the loss, if it is not finite.
        """
        if infinite is None:
            assert fault is not None
            return error(fault, batch, self.given)
        learning_rate = self.descent.learning_rate
        if infinite != math.inf:
            return _divergence(learning_rate, losses, _describe(infinite))
        if batch.net.log_offset:
            return error(faults.LARGE_TARGETS, batch, self.given)
        return _divergence(learning_rate, losses, faults.UNDERFLOW.must)


class _OfRecognized(Iterations):
    """The iterations of a recognized network of another class.

    Its arrays are updated in place.

    Its own loss is compared on the first mini-batch of each size, and whenever
    `compare` is called.
    """

    def __init__(
        self,
        accelerated: Accelerated,
        x: Any,
        t: Array,
        options: dict[str, Any],
        rate: float,
        before: bool,
    ) -> None:
        self._accelerated, self._data = accelerated, (x, t)
        self._known = accelerated.two_layer_net()
        h = accelerated.recognition.h
        threads = options.get("n_threads") or accelerated.n_threads
        take_gradient = partial(
            self._known.numerical_gradient, method="auto", h=h, n_threads=threads
        )
        inputs = (
            NormalizedPixels(np.asarray(rows(x.pixels)))
            if isinstance(x, NormalizedPixels)
            else rows(x)
        )
        self._inner = iterations_of(self._known, inputs, t, take_gradient, rate, before)
        extreme = np.array(extremes(x))
        accelerated.require_same(self._known, x[extreme], t[extreme])
        self.x, self.ahead = self._inner.x, self._inner.ahead
        self._compared, self._losses_compared = _Snapshot(self._known.params), 0
        self._sizes: set[int] = set()

    def run(self, indices: Array, losses: list[float]) -> None:
        """Run the mini-batches of these indices."""
        if indices.shape[1] not in self._sizes:
            self.compare(indices[0], losses)
            self._sizes.add(indices.shape[1])
        self._inner.run(indices, losses)

    def compare(self, batch: Array, losses: list[float]) -> None:
        """Raise an error if the network's loss of a mini-batch is not the one that is
        minimized.
        """
        x, t = self._data
        try:
            self._accelerated.require_same(self._known, x[batch], t[batch])
        except UnsupportedError:
            with held_interrupts():
                self._compared.rollback()
                del losses[self._losses_compared :]
            raise
        self._compared, self._losses_compared = (
            _Snapshot(self._known.params),
            len(losses),
        )


@dataclass
class _ByMethods(Iterations):
    """Iterations by the network's own methods."""

    net: Any
    x: Any
    t: Array
    take_gradient: partial[Any]
    rate: float
    before: bool
    loss_method: str = USUAL.loss

    def run(self, indices: Array, losses: list[float]) -> None:
        """Run the mini-batches of these indices."""
        samples: Any = self.x
        for batch in indices:
            self._step(samples[batch], self.t[batch], losses)

    def _step(self, x: Any, t: Array, losses: list[float]) -> None:
        params = self.net.params
        before = self._loss(x, t, losses) if self.before else math.nan
        grads = self.take_gradient(x, t)
        if not isinstance(grads, Mapping) or not grads:
            raise UnsupportedError(
                f"gradients must be a dict with the keys of net.params, got {grads!r}"
            )
        if other := [key for key in grads if key not in params]:
            raise UnsupportedError(
                "gradients must have the keys of net.params to be trained with, got"
                f" {other!r}"
            )
        with held_interrupts():
            snapshot = _Snapshot(params, grads)
            try:
                # it is looked at what became of them
                with np.errstate(over="ignore", invalid="ignore"):
                    for key in grads:
                        params[key] -= self.rate * grads[key]
                infinite = _not_finite({key: params[key] for key in grads}, [])
                if infinite is None:
                    loss = before if self.before else self._loss(x, t, losses)
                    infinite = _not_finite({}, [loss])
                if infinite is not None:
                    raise _divergence(self.rate, losses, _describe(infinite))
                losses.append(loss)
            except BaseException:
                snapshot.rollback()
                raise

    def _loss(self, x: Any, t: Array, losses: list[float]) -> float:
        try:
            return float(getattr(self.net, self.loss_method)(x, t))
        except ValueRangeError as error:
            # the parameters are finite, but too large for a finite loss
            raise _divergence(self.rate, losses, str(error)) from error


def _not_finite(
    params: Mapping[Any, Any],
    losses: list[float],
    check: Callable[[Array], bool] = all_finite,
) -> str | float | None:
    """Return the key of a parameter, or the last loss, if it is not finite."""
    for key, param in params.items():
        is_float = isinstance(param, np.ndarray) and param.dtype.kind in "fc"
        if is_float and not check(param):
            return str(key)
    if losses and not math.isfinite(losses[-1]):
        return losses[-1]
    return None


def _describe(infinite: str | float) -> str:
    if isinstance(infinite, str):
        return f"params[{infinite!r}] is not finite"
    return f"the loss is {infinite}"


def _divergence(learning_rate: float, losses: list[float], why: str) -> ValueRangeError:
    return ValueRangeError(
        "learning_rate must be small enough for finite parameters and losses, got"
        f" {learning_rate!r}: in iteration {len(losses) + 1}, {why}"
    )
