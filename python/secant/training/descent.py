"""Gradient descent over some mini-batches: in one call of the backend, or in a loop over the network's own methods.

Design: an iteration counts if its loss and the parameters are finite. One that diverged is undone: the parameters are
copied before a block of iterations and, if the block diverged, put back. Its halves are run again, then theirs, to find
the last good iteration: the result does not depend on what is run in one call.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np

from secant._common.interrupts import held_interrupts
from secant._common.validation import Array, all_finite, as_float64
from secant.backends import backend_module, faults
from secant.backends.faults import UNDERFLOW
from secant.backends.inputs import NormalizedPixels, Rows
from secant.errors import UnsupportedError, ValueRangeError
from secant.networks.acceleration import record
from secant.networks.batch import checked, error, extremes, network, require_step, require_updatable, require_valid
from secant.networks.recognition.engine import engine, in_place, require_known_form, rows
from secant.networks.records import Record
from secant.networks.simple import SimpleNet
from secant.networks.two_layer import TwoLayerNet, foreign_structure


class Descent(NamedTuple):
    """Gradient descent over some mini-batches.

    Attributes
    ----------
    run : callable
        Takes the indices of mini-batches, (K, B), and a list, to which it appends the loss of each.
        However it ends, the losses are finite, and the parameters are those that the losses belong to.
    x : ndarray or Rows
        The inputs, in the form that they are read in.
    ahead : bool
        Whether mini-batches may be drawn before they are needed: not if the network may draw from the same stream.
    compare : callable
        Takes the indices of a mini-batch and the losses so far, and raises an error if the loss of the network is not
        the one that is minimised. The parameters and losses are then those of the last mini-batch where it was.
    own : bool
        Whether the network's own numerical gradient runs, which `accelerate` may replace.
    """

    run: Callable[[Array, list[float]], None]
    x: Array | Rows
    ahead: bool
    compare: Callable[[Array, list[float]], None] = lambda *_: None
    own: bool = False


_ALL_THREADS, _ONE_THREAD = 0, 1
_BUILT_IN: dict[Any, str] = {
    TwoLayerNet.numerical_gradient: "auto",
    TwoLayerNet.gradient: "derivative",
    SimpleNet.numerical_gradient: "auto",  # by a loop, but not the user's own
}


def descent(
    net: Any, x: Any, t: Array, take_gradient: partial[Any], learning_rate: float, before: bool = False
) -> Descent:
    """Return what updates ``net`` by ``params -= learning_rate * take_gradient(x[batch], t[batch])``.

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

    Raises
    ------
    DTypeError, ShapeError, ValueRangeError
        If ``net`` is a `TwoLayerNet` that cannot take x or t.
    """
    numerical = take_gradient.func == getattr(net, "numerical_gradient", None)
    accelerated = record(net) if numerical else None
    if accelerated and in_place(accelerated.arrays(net)):
        return _accelerated(net, accelerated, x, t, take_gradient.keywords, learning_rate, before)
    if accelerated and not hasattr(net, "params"):
        raise UnsupportedError("net must have params, or parameters that are float64 and C-contiguous, to be trained")
    if isinstance(params := getattr(net, "params", None), Mapping):
        require_updatable(params)
    method = _BUILT_IN.get(getattr(take_gradient.func, "__func__", None), "")
    options = take_gradient.keywords
    known = method and isinstance(net, TwoLayerNet) and not foreign_structure(net)
    if known:
        backend = backend_module(net.backend)
        batch = checked(net, x, t, backend)
        require_valid(batch, x, backend)
        require_step(options.get("h", 1.0), batch.net)
    if not known or options.get("method") == "series":  # it refuses a mini-batch, and has to see each
        by_loop = partial(_by_loop, net, x, t, take_gradient, learning_rate, before)
        return Descent(by_loop, x, ahead=False, own=numerical and not accelerated and not method)
    t = batch.t if batch.t.ndim == 1 else as_float64(batch.t)
    batch = batch._replace(x=cast(Array, backend.prepare(batch.x)), t=t)
    if method == "auto":
        method = options["method"]
    asked = options["n_threads"]

    def run(indices: Array, losses: list[float], n_threads: int) -> None:
        own = batch._replace(net=network(net))
        fault = faults.first(own.net, all_finite=backend.all_finite)  # a callback may have changed them
        if fault:
            raise error(fault, own, x)
        params = own.net
        kept, first = [param.copy() for param in params[:4]], len(losses)
        try:
            h = options.get("h", 1.0)
            fault = backend.train(own, indices, cast(Any, method), h, learning_rate, n_threads, losses, before)
        finally:
            with held_interrupts():
                diverged = _not_finite(params._asdict(), losses[first:], backend.all_finite)
                if diverged:
                    diverged = UNDERFLOW.must if params.log_offset == 0 and diverged == "the loss is inf" else diverged
                    _put_back(params[:4], kept)
                    del losses[first:]
        if fault:
            raise error(fault, own, x)
        if diverged and len(indices) == 1:
            raise _divergence(learning_rate, losses, diverged)
        if diverged:
            for half in np.array_split(indices, 2):
                run(half, losses, n_threads)

    faster = _FasterThreads(run) if asked is None else partial(run, n_threads=asked)
    return Descent(faster, batch.x, ahead=True)


def _accelerated(
    net: Any, accelerated: Record, x: Any, t: Array, options: dict[str, Any], learning_rate: float, before: bool
) -> Descent:
    """Return what updates a network of another class where its parameters lie, and watches its own loss."""
    accelerated.refresh(net)
    found = accelerated.found
    require_known_form(found, x[:1], t)
    known = engine(net, found)
    own = [*known.params.values()]
    threads = options.get("n_threads") or accelerated.n_threads
    options = {"method": "auto", "h": found.h, "n_threads": threads}
    inputs = NormalizedPixels(np.asarray(rows(x.pixels))) if isinstance(x, NormalizedPixels) else rows(x)
    inner = descent(known, inputs, t, partial(known.numerical_gradient, **options), learning_rate, before)
    good, sure = [param.copy() for param in own], 0

    def compare(batch: Array, losses: list[float]) -> None:
        nonlocal sure
        try:
            accelerated.refresh(net)
            if accelerated.found != found:
                raise UnsupportedError(f"net must stay what it was when training began, got {accelerated.found}")
            if not all(map(np.may_share_memory, own, engine(net, found).params.values())):
                raise UnsupportedError("the arrays of net must stay those that it had when training began")
            accelerated.compare(net, known, x[batch], t[batch])
        except UnsupportedError:
            with held_interrupts():
                _put_back(own, good)
                del losses[sure:]
            raise
        _put_back(good, own)
        sure = len(losses)

    def run(indices: Array, losses: list[float]) -> None:
        if not losses:
            compare(indices[0], losses)
            compare(np.array(extremes(x)), losses)
        inner.run(indices, losses)

    return Descent(run, inner.x, inner.ahead, compare)


class _FasterThreads:
    """Runs on one thread or on all, whichever was faster of late: what is computed does not depend on it.

    An iteration is over in less time than a busy machine takes to run a thread that waits. So threads that should
    share the work may wait for each other instead, and be many times slower than one.
    """

    _CALLS_A_TRIAL = 10

    def __init__(self, run: Callable[[Array, list[float], int], None]) -> None:
        self._run = run
        self._seconds = {_ALL_THREADS: 0.0, _ONE_THREAD: 0.0}  # that an iteration took, at last
        self._calls = 0

    def __call__(self, indices: Array, losses: list[float]) -> None:
        faster, slower = sorted(self._seconds, key=self._seconds.__getitem__)
        if self._calls % self._CALLS_A_TRIAL == 0 and len(indices) > 1:
            some = -(-len(indices) // 16)
            self._timed(indices[:some], losses, slower)
            indices = indices[some:]
        self._calls += 1
        self._timed(indices, losses, faster)

    def _timed(self, indices: Array, losses: list[float], n_threads: int) -> None:
        start = time.perf_counter()
        self._run(indices, losses, n_threads)
        self._seconds[n_threads] = (time.perf_counter() - start) / len(indices)


def _by_loop(
    net: Any,
    x: Any,
    t: Any,
    take_gradient: Any,
    learning_rate: float,
    before: bool,
    indices: Array,
    losses: list[float],
) -> None:
    for batch in indices:
        first = _loss(net, x[batch], t[batch], learning_rate, losses) if before else math.nan
        grads = take_gradient(x[batch], t[batch])
        if not isinstance(grads, Mapping) or not grads:
            raise UnsupportedError(f"gradients must be a dict with the keys of net.params, got {grads!r}")
        if other := [key for key in grads if key not in net.params]:
            raise UnsupportedError(f"gradients must have the keys of net.params to be trained with, got {other!r}")
        with held_interrupts(), _undone_by_errors(net.params, grads):
            for key in grads:
                net.params[key] -= learning_rate * grads[key]
            diverged = _not_finite({key: net.params[key] for key in grads}, [])
            loss = first if before or diverged else _loss(net, x[batch], t[batch], learning_rate, losses)
            if diverged := diverged or _not_finite({}, [loss]):
                raise _divergence(learning_rate, losses, diverged)
            losses.append(loss)


def _loss(net: Any, x: Any, t: Array, learning_rate: float, losses: list[float]) -> float:
    try:
        return float(net.loss(x, t))
    except ValueRangeError as error:  # the parameters are finite, and too large for a loss that is
        raise _divergence(learning_rate, losses, str(error)) from error


@contextmanager
def _undone_by_errors(params: Any, keys: Iterable[Any]) -> Iterator[None]:
    """Put the parameters of some keys back if the ``with`` block raises."""
    arrays = {key: params[key] for key in keys}
    copies = [array.copy() if isinstance(array, np.ndarray) else array for array in arrays.values()]
    try:
        yield
    except BaseException:
        _put_back(arrays.values(), copies)
        for key, array in arrays.items():
            if params[key] is not array:
                params[key] = array
        raise


def _put_back(params: Iterable[Any], copies: Iterable[Any]) -> None:
    for param, copy in zip(params, copies, strict=True):
        if isinstance(param, np.ndarray):
            param[...] = copy


def _not_finite(params: Mapping[Any, Any], losses: list[float], check: Callable[[Array], bool] = all_finite) -> str:
    """Say what is NaN or infinite, if anything is."""
    for key, param in params.items():
        if isinstance(param, np.ndarray) and param.dtype.kind in "fc" and not check(param):
            return f"params[{key!r}] is not finite"
    return f"the loss is {losses[-1]}" if losses and not math.isfinite(losses[-1]) else ""


def _divergence(learning_rate: float, losses: list[float], what: str) -> ValueRangeError:
    return ValueRangeError(
        f"learning_rate must be small enough for finite parameters and losses, got {learning_rate!r}: "
        f"in iteration {len(losses) + 1}, {what}"
    )
