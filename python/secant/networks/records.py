"""What was recognised of a network, and when its loss is compared with that of the engines.

Design: on the first mini-batch, on the first of every new form or range, and else as often as costs 1 / `_SHARE` of the
time. Where an array was replaced that others may refer to, or something else in the object is another one, the network
is recognised anew.
"""

import operator
import time
import weakref
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common.validation import Array
from secant.errors import UnsupportedError
from secant.networks.recognition.engine import compare, engine, in_place, require_known_form
from secant.networks.recognition.found import Recognition
from secant.networks.recognition.layouts import Layout
from secant.networks.recognition.recognise import recognised
from secant.networks.recognition.state import State
from secant.networks.two_layer import TwoLayerNet

_SHARE = 1000
_MOST = 64  # networks that are watched: what is watched refers to a network, if its parts do, and keeps it in memory
_CLOSELY, _ONE_IN = 100, 8  # so many calls, and then one in so many, have the range of their inputs looked at


class NoLongerKnownError(UnsupportedError):
    """A network has become one that is not recognised."""


class Record:
    """What was recognised of an instance, and what has been compared with its loss so far."""

    def __init__(self, found: Recognition, own: Any, n_threads: int | None) -> None:
        self.found = found
        self.n_threads = n_threads
        self._own = own  # the numerical gradient of its class, as for `recognised`
        self.has_returned = False  # a gradient
        self._layout = Layout(found.holder, found.keys)
        self._arrays: tuple[Array, ...] = ()
        self._known: TwoLayerNet | None = None  # on these arrays
        self._state = State()
        self._forms: set[Any] = set()
        self._least, self._most = np.inf, -np.inf  # of the inputs that were compared
        self._largest = 0.0  # sum of squares of an array of parameters
        self._calls = 0
        self._next = 0.0  # when it is to be compared again

    def forget(self) -> None:
        """Watch nothing any more, and compare anew."""
        self._state, self._forms = State(), set()

    def arrays(self, net: Any) -> tuple[Array, ...]:
        """W1, b1, W2 and b2 of an instance, as they lie there."""
        return self._layout.arrays(net)

    def gradient(self, net: Any, x: ArrayLike, t: ArrayLike, n_threads: int | None) -> dict[Any, Array]:
        """Return the numerical gradient, with the keys, shapes and dtypes of the network's own."""
        arrays = self.arrays(net)
        replaced = any(map(operator.is_not, arrays, self._arrays))
        if self._known is not None and ((replaced and not self.found.rebinds) or self._state.changed()):
            self._recognise_anew(net)
        require_known_form(self.found, x, t)
        if replaced or self._known is None or not in_place(arrays):
            self._arrays, self._known = arrays, engine(net, self.found)
        if self._is_due(x, t):
            self.compare(net, self._known, x, t)
        grads = self._known.numerical_gradient(x, t, h=self.found.h, n_threads=n_threads or self.n_threads)
        found = {
            key: grad.reshape(array.shape).astype(array.dtype, copy=False)
            for key, grad, array in zip(self.found.gradient_keys, grads.values(), arrays, strict=True)
        }
        self.has_returned = True
        order = [key for key in self.found.order if key in found]
        return {key: found[key] for key in order} if len(order) == len(found) else found

    def _recognise_anew(self, net: Any) -> None:
        found = recognised(net, self._own)
        if not found.known:
            raise NoLongerKnownError(f"{type(net).__name__} has changed: {found.sentence}")
        self.found, self._layout = found, Layout(found.holder, found.keys)
        self._known, self._next = None, 0.0

    def compare(self, net: Any, known: TwoLayerNet, x: ArrayLike, t: ArrayLike) -> None:
        """Compare the losses of one mini-batch."""
        start, self._next = time.perf_counter(), 0.0  # after an error it is compared again
        parameters, keys = self._layout.mapping(net), self.found.keys
        if not self._forms:  # what the loss changes itself is left alone: caches, counters
            net.loss(x, t)
            _watch(self)
            self._state.look(net, parameters, keys)
        compare(net, self.found, known, x, t)
        self._state.look(net, parameters, keys, strike=1 if self._forms else 3)
        now = time.perf_counter()
        self._next = now + _SHARE * (now - start)
        self._forms.add(_form(x, t))
        self._least, self._most = min(self._least, np.min(x)), max(self._most, np.max(x))
        self._largest = max(self._largest, *map(_square, self._arrays or self.arrays(net)))

    def _is_due(self, x: ArrayLike, t: ArrayLike) -> bool:
        """Whether it is time, or inputs and targets are none like those that were compared."""
        if time.perf_counter() > self._next or _form(x, t) not in self._forms:
            return True
        self._calls += 1
        if self._calls > _CLOSELY and self._calls % _ONE_IN:
            return False
        inputs = np.asarray(x)
        if inputs.min() < self._least or inputs.max() > self._most:
            return True
        return max(map(_square, self._arrays)) > 2 * self._largest


_watching: deque[weakref.ref[Record]] = deque()


def _watch(record: Record) -> None:
    """Let another network be watched, and the first of too many be compared anew."""
    _watching.append(weakref.ref(record))
    while len(_watching) > _MOST:
        if (first := _watching.popleft()()) is not None:
            first.forget()


def _square(array: Array) -> float:
    flat = array.ravel()
    return float(flat @ flat)


def _form(x: Any, t: Any) -> Any:
    return tuple((type(array), np.shape(array), getattr(array, "dtype", None)) for array in (x, t))
