"""What was recognised of a network, and when its loss is compared with that of the engines.

Design: on the first mini-batch, on the first of every new form or range, when an array was replaced that others may
refer to or a switch of the network was turned, and else as often as costs 1 / `_SHARE` of the time.
"""

import operator
import time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common.validation import Array
from secant.networks.recognition.engine import compare, engine, in_place, require_known_form
from secant.networks.recognition.found import Recognition
from secant.networks.recognition.layouts import Layout
from secant.networks.two_layer import TwoLayerNet

_SHARE = 1000
_CLOSELY, _ONE_IN = 100, 8  # so many calls, and then one in so many, have the range of their inputs looked at


class Record:
    """What was recognised of an instance, and what has been compared with its loss so far."""

    def __init__(self, found: Recognition, n_threads: int | None) -> None:
        self.found = found
        self.n_threads = n_threads
        self._layout = Layout(found.holder, found.keys)
        self._arrays: tuple[Array, ...] = ()
        self._known: TwoLayerNet | None = None  # on these arrays
        self._switches: Any = None
        self._forms: set[Any] = set()
        self._least, self._most = np.inf, -np.inf  # of the inputs that were compared
        self._calls = 0
        self._next = 0.0  # when it is to be compared again

    def __reduce__(self) -> Any:
        """A copy compares anew."""
        return Record, (self.found, self.n_threads)

    def arrays(self, net: Any) -> tuple[Array, ...]:
        """W1, b1, W2 and b2 of an instance, as they lie there."""
        return self._layout.arrays(net)

    def gradient(self, net: Any, x: ArrayLike, t: ArrayLike, n_threads: int | None) -> dict[Any, Array]:
        """Return the numerical gradient, with the keys, shapes and dtypes of the network's own."""
        require_known_form(self.found, x, t)
        arrays = self.arrays(net)
        replaced = self._known is None or any(map(operator.is_not, arrays, self._arrays))
        if replaced or not in_place(arrays):
            self._arrays, self._known = arrays, engine(net, self.found)
        assert self._known is not None
        if (replaced and not self.found.rebinds) or self._is_due(net, x, t):
            self.compare(net, self._known, x, t)
        grads = self._known.numerical_gradient(x, t, h=self.found.h, n_threads=n_threads or self.n_threads)
        return {
            key: grad.reshape(array.shape).astype(array.dtype, copy=False)
            for key, grad, array in zip(self.found.gradient_keys, grads.values(), arrays, strict=True)
        }

    def compare(self, net: Any, known: TwoLayerNet, x: ArrayLike, t: ArrayLike) -> None:
        """Compare the losses of one mini-batch."""
        start, self._next = time.perf_counter(), 0.0  # after an error it is compared again
        compare(net, self.found, known, x, t)
        now = time.perf_counter()
        self._switches = _switches(net)
        self._next = now + _SHARE * (now - start)
        self._forms.add(_form(x, t))
        self._least, self._most = min(self._least, np.min(x)), max(self._most, np.max(x))

    def _is_due(self, net: Any, x: ArrayLike, t: ArrayLike) -> bool:
        """Whether it is time, or inputs and targets are none like those that were compared."""
        if time.perf_counter() > self._next or _form(x, t) not in self._forms or _switches(net) != self._switches:
            return True
        self._calls += 1
        if self._calls > _CLOSELY and self._calls % _ONE_IN:
            return False
        inputs = np.asarray(x)
        return bool(inputs.min() < self._least or inputs.max() > self._most)


def _switches(net: Any) -> Any:
    """What may make a network another one, and that its loss does not change: flags, names and functions."""
    own = vars(net).items()
    kept = [(name, value) for name, value in own if isinstance(value, bool | str) or callable(value)]
    return kept, getattr(net.loss, "__func__", net.loss)


def _form(x: Any, t: Any) -> Any:
    return np.shape(x), getattr(x, "dtype", None), np.shape(t), getattr(t, "dtype", None)
