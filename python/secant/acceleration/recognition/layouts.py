"""Where a network of another class keeps its parameters: found by their shapes, under any names."""

import copy
import itertools
import threading
import types
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from secant._common.validation import Array, overlaps
from secant.errors import UnsupportedError

_USUAL = ("params", "param", "parameters", "network", "weights")
_SHARED = (types.ModuleType, type(threading.Lock()), type(threading.RLock()))  # by a network and its copies
_MOST = 64  # combinations of attributes that are tried
Shape = tuple[int, ...]
Sizes = tuple[int, int, int]  # I, H, O


class Layout(NamedTuple):
    """The keys of W1, b1, W2 and b2 in a dict, which is the attribute ``holder``; or, if that is "", in the object."""

    holder: str
    keys: tuple[str, str, str, str]

    def mapping(self, net: Any) -> MutableMapping[str, Any]:
        """The mapping that holds the keys."""
        held = getattr(net, self.holder, None) if self.holder else vars(net)
        if type(held) is not dict and not isinstance(held, MutableMapping):  # dict first, which is faster
            raise UnsupportedError(f"net.{self.holder} must be a dict of arrays, got {held!r}")
        return held

    def arrays(self, net: Any) -> tuple[Array, Array, Array, Array]:
        """W1, b1, W2 and b2, not copied."""
        held = self.mapping(net)
        w1, b1, w2, b2 = arrays = [cast(Array, held.get(key)) for key in self.keys]
        for key, array in zip(self.keys, arrays, strict=True):
            if not isinstance(array, np.ndarray):
                raise UnsupportedError(f"net.{self.holder or key} must hold the array {key!r} as before")
        return w1, b1, w2, b2

    def names(self) -> list[str]:
        """The parameters, as a program would name them."""
        return [f"{self.holder}[{key!r}]" if self.holder else key for key in self.keys]

    def __str__(self) -> str:
        """The parameters, as a reader would name them."""
        return f"{self.holder or 'attributes'} {', '.join(map(str, self.keys))}"


def layouts(net: Any) -> list[Layout]:
    """Return every way in which four arrays of a network may be W1, b1, W2 and b2, the likeliest first.

    Raises
    ------
    UnsupportedError
        If there is none. The message says what was found instead.
    """
    attributes, dicts = getattr(net, "__dict__", {}), dicts_of_arrays(net)
    fitting = [Layout(name, keys) for name in dicts for keys in _assignments(_floats(attributes[name]), exactly=True)]
    fitting += [Layout("", keys) for keys in _assignments(_floats(attributes), exactly=False)]
    if fitting:
        return fitting[:_MOST]
    if dicts:
        raise UnsupportedError(_no_two_layers(dicts[0], attributes[dicts[0]]))
    raise UnsupportedError(
        "no W1 (I, H), b1 (H,), W2 (H, O) and b2 (O,) were found: they must stand in a dict such as net.params, or be "
        "attributes"
    )


def dicts_of_arrays(net: Any) -> list[str]:
    """The attributes that are dicts of arrays, the likeliest first."""
    attributes = getattr(net, "__dict__", {})
    names = [name for name, value in attributes.items() if isinstance(value, MutableMapping) and _floats(value)]
    return sorted(names, key=lambda name: _USUAL.index(name) if name in _USUAL else len(_USUAL))


def require_apart(keys: Sequence[str], arrays: Sequence[Array]) -> None:
    """Raise an error if two entries of the parameters share memory: a step of h would shift both."""
    if all(array.base is None for array in arrays) and len(set(map(id, arrays))) == len(arrays):
        return  # each has memory of its own
    for (a, first), (b, second) in itertools.combinations(zip(keys, arrays, strict=True), 2):
        if np.may_share_memory(first, second):
            raise UnsupportedError(f"{a} and {b} share memory: such tied weights are not known")
    for key, array in zip(keys, arrays, strict=True):
        if overlaps(array):
            raise UnsupportedError(f"{key} has entries that share memory: such tied weights are not known")


def duplicate(net: Any, arrays: Sequence[Array] = (), stand_ins: Sequence[Array] = ()) -> Any:
    """Return a deep copy in which ``stand_ins`` replace ``arrays``, wherever the object refers to them."""
    memo: dict[int, Any] = {id(array): stand_in for array, stand_in in zip(arrays, stand_ins, strict=True)}
    memo |= {id(value): value for value in vars(net).values() if isinstance(value, _SHARED)}
    try:
        return copy.deepcopy(net, memo)
    except Exception as error:  # whatever the classes of its parts raise
        raise UnsupportedError(f"it cannot be copied to be tried out: {type(error).__name__}: {error}") from error


def shapes(sizes: Sizes, like: Sequence[Array]) -> list[Shape]:
    """Return the shapes of W1, b1, W2 and b2, biases with as many dimensions as those of ``like``."""
    inputs, hidden, outputs = sizes
    rows = [(1,) * (array.ndim - 1) for array in like]
    return [(inputs, hidden), (*rows[1], hidden), (hidden, outputs), (*rows[3], outputs)]


def _floats(held: MutableMapping[str, Any]) -> dict[str, Array]:
    arrays = {key: value for key, value in held.items() if isinstance(value, np.ndarray)}
    return {key: array for key, array in arrays.items() if array.dtype.kind == "f"}


def _assignments(held: dict[str, Array], *, exactly: bool) -> Iterator[tuple[str, str, str, str]]:
    """Yield the keys of four arrays whose shapes fit; ``exactly``: only if there are no others."""
    if exactly and len(held) != 4:
        return
    matrices = [key for key, array in held.items() if array.ndim == 2]
    for w1, w2 in itertools.permutations(matrices, 2):
        (inputs, hidden), outputs = held[w1].shape, held[w2].shape[1]
        wanted = [(hidden,), (1, hidden)], [(outputs,), (1, outputs)]
        if held[w2].shape[0] != hidden or 0 in (inputs, hidden, outputs):
            continue
        firsts, seconds = ([key for key in held if held[key].shape in fits] for fits in wanted)
        for b1, b2 in itertools.product(firsts, seconds):
            if len({w1, b1, w2, b2}) == 4:
                yield w1, b1, w2, b2


_CHECK = ". Train it with gradients by backpropagation, and check those with secant.check_network"
# What arrays that are not those of two layers seem to be: the first that is true, given the arrays, the matrices, and
# the types of other numbers.
_OTHER_NETWORKS: list[tuple[Callable[[list[Array], list[Array], str], bool], str]] = [
    (lambda arrays, *_: any(array.ndim > 2 for array in arrays), f"this seems to be a convolutional network{_CHECK}"),
    (lambda _, matrices, *__: len(matrices) > 2, f"these are {{layers}} layers, {{hidden}} of them hidden{_CHECK}"),
    (lambda _, matrices, *__: len(matrices) < 2, "this is not a network of two layers"),
    (lambda arrays, *_: len(arrays) > 4, "there are more than two layers need, as for batch normalization"),
    (lambda _, m, __: m[0].shape[0] == m[1].shape[1], "the matrices are (outputs, inputs), transposed"),
    (lambda _, __, others: bool(others), "there are numbers of {others}, not float64 or float32"),
    (lambda _, m, __: m[0].shape[0] == m[1].shape[0], "the first matrix is (outputs, inputs), transposed"),
    (lambda *_: True, "the biases are missing or of another shape"),
]


def _no_two_layers(name: str, held: MutableMapping[str, Any]) -> str:
    """Say what kind of network the arrays in a dict belong to."""
    floats = _floats(held)
    arrays = list(floats.values())
    matrices = [array for array in arrays if array.ndim == 2 and 1 not in array.shape]
    given = [value for key, value in held.items() if isinstance(value, np.ndarray) and key not in floats and value.ndim]
    others = ", ".join(sorted({str(value.dtype) for value in given}))
    reason = next(reason for holds, reason in _OTHER_NETWORKS if holds(arrays, matrices, others))
    reason = reason.format(layers=len(matrices), hidden=len(matrices) - 1, others=others)
    listed = ", ".join(f"{key} {array.shape}" for key, array in floats.items())
    return f"{name} holds {listed}: {reason}. Secant knows W1 (I, H), b1 (H,), W2 (H, O) and b2 (O,)"
