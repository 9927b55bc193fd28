"""What was recognised of a network, and when its loss is compared with that of the engines.

Design: on the first mini-batch, on the first of every new form or range, and else as often as costs 1 / `_SHARE` of the
time. Where an array was replaced that others may refer to, or something else in the object is another one, the network
is recognised anew; so is a copy, which may hold what its original held after it was recognised.
"""

import itertools
import operator
import time
import weakref
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from secant._common.validation import Array, require_finite
from secant.errors import NoLongerKnownError
from secant.networks.recognition.engine import compare, engine, in_place, is_known_by_shape, require_known_form, rows
from secant.networks.recognition.found import Recognition
from secant.networks.recognition.layouts import Layout
from secant.networks.recognition.recognise import recognised
from secant.networks.recognition.state import NEVER, State, changes, contents
from secant.networks.two_layer import TwoLayerNet

_SHARE = 1000
_OFTEN = 20  # times that a network was recognised anew as the same; after that
_SELDOM = 50  # times as long as it takes must lie between
_MOST = 64  # networks that are watched: what is watched refers to a network, if its parts do, and keeps it in memory
_CLOSELY, _ONE_IN = 100, 64  # so many calls, and then one in so many, have the range of their inputs looked at


class Record:
    """What was recognised of an instance, and what has been compared with its loss so far."""

    def __init__(self, found: Recognition, own: Any, n_threads: int | None, net: Any = None) -> None:
        """``net`` is what was recognised; None if ``found`` is that of its original."""
        self.n_threads = n_threads
        self._own = own  # the numerical gradient of its class, as for `recognised`
        self.has_returned = False  # a gradient
        self._take(found)
        self._arrays: tuple[Array, ...] = ()
        self._known: TwoLayerNet | None = None  # on these arrays,
        self._in_place = False  # or on copies
        self._state = State()
        self._forms: set[Any] = set()
        self._form: Any = None  # of these, the last
        self._least, self._most = np.inf, -np.inf  # of the inputs that were compared
        self._largest = 0.0  # sum of squares of an array of parameters
        self._calls = 0
        self._next = 0.0  # when it is to be compared again
        self._next_close_look = 0.0  # at values that have changed without an effect
        self._in_vain = 0  # how often it was recognised anew, and as the same
        self._leaves = False  # whether a loss leaves something in the object, such as what layers keep
        self._is_copy = net is None
        if not self._is_copy:
            self._look(net)

    def _look(self, net: Any, strike: float = 1) -> None:
        """Take what the network holds for that of the one that was recognised."""
        if not self._state.has_looked:
            _watch(self)
        self._state.look(net, self._layout.mapping(net), self.found.keys, strike)

    def _take(self, found: Recognition) -> None:
        """Take what was recognised for what it is."""
        self.found = found
        self._layout = Layout(found.holder, found.keys)
        self._get = operator.itemgetter(*found.keys)
        order = [key for key in found.order if key in found.gradient_keys]
        self._order = order if len(order) == len(found.gradient_keys) else list(found.gradient_keys)

    def _has_the_same_arrays(self, net: Any) -> bool:
        held: Any = getattr(net, self._layout.holder, None) if self._layout.holder else vars(net)
        try:
            return bool(self._arrays) and all(map(operator.is_, self._get(held), self._arrays))
        except (LookupError, TypeError):
            return False

    def forget(self) -> None:
        """Watch nothing any more, and compare anew."""
        self._state, self._forms, self._form = State(), set(), None

    def arrays(self, net: Any) -> tuple[Array, ...]:
        """W1, b1, W2 and b2 of an instance, as they lie there."""
        return self._layout.arrays(net)

    def gradient(self, net: Any, x: ArrayLike, t: ArrayLike, n_threads: int | None) -> dict[Any, Array]:
        """Return the numerical gradient, with the keys, shapes and dtypes of the network's own."""
        if not self._has_the_same_arrays(net):
            self.arrays(net)  # raises the error that names one that is missing
            if self._known is not None and not self.found.rebinds:
                self._recognise_anew(net)
        self.refresh(net)
        replaced = not self._has_the_same_arrays(net)
        arrays = self.arrays(net) if replaced else self._arrays
        form = _form(x, t)
        is_new = form != self._form and form not in self._forms
        if is_new or not is_known_by_shape(self.found):
            require_known_form(self.found, x, t)
        if replaced or self._known is None or not self._in_place:
            self._arrays, self._known, self._in_place = arrays, engine(net, self.found), in_place(arrays)
        if is_new or time.perf_counter() > self._next or self._is_beyond(x):
            self.compare(net, self._known, x, t)
        elif self._leaves:
            net.loss(x, t)  # what it leaves is that of this mini-batch, as after the network's own loop
        self._form = form
        grads = self._known.numerical_gradient(rows(x), t, h=self.found.h, n_threads=n_threads or self.n_threads)
        found = dict(zip(self.found.gradient_keys, map(_like, grads.values(), arrays), strict=True))
        self.has_returned = True
        return {key: found[key] for key in self._order}

    def refresh(self, net: Any) -> None:
        """Recognise it anew, if it holds something else than before."""
        now = time.perf_counter()
        closely = now > self._next_close_look
        looked_at = closely or self._in_vain < _OFTEN
        if self._is_copy or (looked_at and self._state.changed(net, closely=closely)):
            self._recognise_anew(net)
            self._next_close_look = time.perf_counter() + _SELDOM * (time.perf_counter() - now)

    def _recognise_anew(self, net: Any) -> None:
        found = recognised(net, self._own)
        if not found.known:
            raise NoLongerKnownError(f"{type(net).__name__} has changed: {found.sentence}")
        is_same = found == self.found
        self._in_vain += is_same
        self._take(found)
        self._look(net, strike=int(is_same))
        self._known, self._next, self._is_copy = None, 0.0, False

    def compare(self, net: Any, known: TwoLayerNet, x: ArrayLike, t: ArrayLike) -> None:
        """Compare the losses of one mini-batch."""
        start, self._next = time.perf_counter(), 0.0  # after an error it is compared again
        if (inputs := np.asarray(x)).dtype.kind == "f":
            require_finite("x", inputs)
        unseen = self._state.changed(net, closely=True)  # what waits for a close look must not be taken for right
        arrays = self.arrays(net)
        held = [contents(net, arrays)]
        if not self._forms:  # what the loss changes itself is left alone: caches, counters
            net.loss(*_others(x, t))
            self._look(net)
            held.append(contents(net, arrays))
        compare(net, self.found, known, x, t)
        held.append(contents(net, arrays))
        self._leaves = self._leaves or any(changes(*pair) for pair in itertools.pairwise(held))
        if not unseen:
            self._look(net, strike=1 if self._forms else NEVER)
        now = time.perf_counter()
        self._next = now + _SHARE * (now - start)
        self._forms.add(_form(x, t))
        self._least, self._most = min(self._least, np.min(x)), max(self._most, np.max(x))
        self._largest = max(self._largest, *map(_square, self._arrays or self.arrays(net)))

    def _is_beyond(self, x: ArrayLike) -> bool:
        """Whether inputs or parameters are larger than those that were compared, if it is time to look."""
        self._calls += 1
        if self._calls > _CLOSELY and self._calls % _ONE_IN:
            return False
        inputs = np.asarray(x)
        if inputs.min() < self._least or inputs.max() > self._most:
            return True
        return max(map(_square, self._arrays)) > 2 * self._largest


class Records:
    """What was recognised of objects that live, also where they cannot be compared or hashed."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[weakref.ref[Any], Record | None]] = {}

    def __contains__(self, net: Any) -> bool:
        """Whether it was tried to recognise an object."""
        return id(net) in self._kept

    def get(self, net: Any) -> Record | None:
        """Return what was recognised; None if it was not, or nothing was tried yet."""
        return self._kept.get(id(net), (None, None))[1]

    def put(self, net: Any, found: Record | None) -> None:
        """Keep what was recognised as long as an object lives."""
        key = id(net)
        self._kept[key] = weakref.ref(net, lambda _: self._kept.pop(key, None)), found


_watching: deque[weakref.ref[Record]] = deque()


def _watch(record: Record) -> None:
    """Let another network be watched, and the first of too many be compared anew."""
    _watching.append(weakref.ref(record))
    while len(_watching) > _MOST:
        if (first := _watching.popleft()()) is not None:
            first.forget()


def _like(grad: Array, array: Array) -> Array:
    """Return a gradient in the shape and type of its parameter."""
    if grad.shape == array.shape and grad.dtype == array.dtype:
        return grad
    return grad.reshape(array.shape).astype(array.dtype)


def _others(x: Any, t: Any) -> tuple[Any, Any]:
    """Return samples of another loss, in other arrays: what keeps them, or the loss, keeps something else next."""
    if not type(x) is np.ndarray is type(t):
        return x, t
    return np.roll(x, 1, axis=0 if len(x) > 1 else None), t.copy()


def _square(array: Array) -> float:
    flat = array.ravel()
    return float(flat @ flat)


def _form(x: Any, t: Any) -> Any:
    if type(x) is np.ndarray is type(t):
        return x.shape, x.dtype, t.shape, t.dtype
    return tuple((type(array), np.shape(array), getattr(array, "dtype", None)) for array in (x, t))
