"""Where a network of another class keeps its parameters: found by their shapes, under
any names.
"""

import copy
import itertools
import threading
import types
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from secant._common.validation import Array, overlaps
from secant.errors import UnsupportedError
from secant.networks.batch import shared_memory

_USUAL = ("params", "param", "parameters", "network", "weights")
_SHARED = types.ModuleType, type(threading.Lock())  # by a network and its copies
_MOST = 64  # combinations of attributes that are tried
Shape = tuple[int, ...]
Sizes = tuple[int, int, int]  # I, H, O


class Layout(NamedTuple):
    """The keys of W1, b1, W2 and b2 in a dict, which is the attribute ``holder``; or,
    if that is "", in the object.
    """

    holder: str
    keys: tuple[str, str, str, str]

    def mapping(self, net: Any) -> Any:
        """The mapping that holds the keys."""
        return getattr(net, self.holder, None) if self.holder else vars(net)

    def arrays(self, net: Any) -> tuple[Array, Array, Array, Array]:
        """W1, b1, W2 and b2, not copied."""
        get = getattr(self.mapping(net), "get", lambda key: None)
        arrays: list[Any] = [get(key) for key in self.keys]
        for key, array in zip(self.keys, arrays, strict=True):
            if not isinstance(array, np.ndarray):
                raise UnsupportedError(
                    f"net.{self.holder or key} must hold the array {key!r} as before"
                )
        w1, b1, w2, b2 = arrays
        return w1, b1, w2, b2

    def __str__(self) -> str:
        """The parameters, as a reader would name them."""
        return f"{self.holder or 'attributes'} {', '.join(map(str, self.keys))}"


def layouts(net: Any) -> list[Layout]:
    """Return every way in which four arrays of a network may be W1, b1, W2 and b2, the
    likeliest first.

    Raises
    ------
    UnsupportedError
        If there is none. The message says what was found instead.
    """
    if not hasattr(net, "__dict__"):
        raise UnsupportedError("its instances have no __dict__")
    attributes = vars(net)
    dicts = [
        name
        for name, value in attributes.items()
        if isinstance(value, MutableMapping) and _floats(value)
    ]
    dicts.sort(key=lambda name: _USUAL.index(name) if name in _USUAL else len(_USUAL))
    fitting = [
        Layout(name, keys)
        for name in dicts
        for keys in _assignments(_floats(attributes[name]), exactly=True)
    ]
    fitting += [
        Layout("", keys) for keys in _assignments(_floats(attributes), exactly=False)
    ]
    if fitting:
        return fitting[:_MOST]
    if dicts:
        raise UnsupportedError(_no_two_layers(dicts[0], attributes[dicts[0]]))
    raise UnsupportedError(
        "no W1 (I, H), b1 (H,), W2 (H, O) and b2 (O,) were found: the instance must"
        " have them in a dict such as self.params, or as attributes"
    )


def require_apart(keys: Sequence[str], arrays: Sequence[Array]) -> None:
    """Raise an error if two entries of the parameters share memory: a step of h would
    shift both.
    """
    named = dict(zip(keys, arrays, strict=True))
    inside = [
        f"{key} has entries that share memory"
        for key, array in named.items()
        if overlaps(array)
    ]
    if reasons := [*filter(None, [shared_memory(named)]), *inside]:
        raise UnsupportedError(f"{reasons[0]}: such tied weights are not known")


def duplicate(
    net: Any, arrays: Sequence[Array] = (), stand_ins: Sequence[Array] = ()
) -> Any:
    """Return a deep copy in which ``stand_ins`` replace ``arrays``, wherever the object
    refers to them.
    """
    memo = _Memo(net)
    memo |= {
        id(array): stand_in for array, stand_in in zip(arrays, stand_ins, strict=True)
    }
    memo |= {
        id(value): value for value in vars(net).values() if isinstance(value, _SHARED)
    }
    try:
        made = copy.deepcopy(net, memo)
    except Exception as error:  # whatever the classes of its parts raise
        raise UnsupportedError(
            f"it cannot be copied to be tried out: {type(error).__name__}: {error}"
        ) from error
    finally:
        changed = memo.restore()
    if changed or made is net:
        name = changed[0] if changed else type(net).__name__
        raise UnsupportedError(
            f"it cannot be copied to be tried out: a deep copy of {name} is the object"
            " itself, as with a singleton"
        )
    return made


class _Memo(dict[int, Any]):
    """The memo of a deepcopy. A deepcopy puts copies into singletons, which it does not
    copy: the memo can undo that.
    """

    def __init__(self, net: Any) -> None:
        super().__init__()
        # it may share its attributes with its copy, too
        self._singletons = [(net, vars(net).copy())]

    def __setitem__(self, key: int, made: Any) -> None:
        super().__setitem__(key, made)
        # the copy is the object itself
        if key == id(made) and hasattr(made, "__dict__"):
            self._singletons.append((made, vars(made).copy()))

    def restore(self) -> list[str]:
        """Give the singletons back what they held. Return the names of the classes of
        those that were changed.
        """
        changed = []
        for singleton, held in self._singletons:
            if any(
                vars(singleton).get(name) is not value for name, value in held.items()
            ):
                vars(singleton).update(held)
                changed.append(type(singleton).__name__)
        return changed


def shapes(sizes: Sizes, like: Sequence[Array]) -> list[Shape]:
    """Return the shapes of W1, b1, W2 and b2, biases with as many dimensions as those
    of ``like``.
    """
    inputs, hidden, outputs = sizes
    rows = [(1,) * (array.ndim - 1) for array in like]
    return [
        (inputs, hidden),
        (*rows[1], hidden),
        (hidden, outputs),
        (*rows[3], outputs),
    ]


def _floats(held: MutableMapping[str, Any]) -> dict[str, Array]:
    arrays = {
        key: value for key, value in held.items() if isinstance(value, np.ndarray)
    }
    return {key: array for key, array in arrays.items() if array.dtype.kind == "f"}


def _assignments(
    held: dict[str, Array], *, exactly: bool
) -> Iterator[tuple[str, str, str, str]]:
    """Yield the keys of four arrays whose shapes fit; ``exactly``: only if there are no
    others.
    """
    if exactly and len(held) != 4:
        return
    matrices = [key for key, array in held.items() if array.ndim == 2]
    for w1, w2 in itertools.permutations(matrices, 2):
        (inputs, hidden), outputs = held[w1].shape, held[w2].shape[1]
        wanted = [(hidden,), (1, hidden)], [(outputs,), (1, outputs)]
        if held[w2].shape[0] != hidden or 0 in (inputs, hidden, outputs):
            continue
        firsts, seconds = (
            [key for key in held if held[key].shape in fits] for fits in wanted
        )
        for b1, b2 in itertools.product(firsts, seconds):
            if len({w1, b1, w2, b2}) == 4:
                yield w1, b1, w2, b2


def _no_two_layers(name: str, held: MutableMapping[str, Any]) -> str:
    """Say what kind of network the arrays in a dict belong to."""
    arrays = {
        key: value
        for key, value in held.items()
        if isinstance(value, np.ndarray) and value.ndim
    }
    matrices = [
        array.shape
        for array in arrays.values()
        if array.ndim == 2 and 1 not in array.shape
    ]
    layers, fit = len(matrices), len(matrices) == 2 and matrices[0][1] == matrices[1][0]
    causes = {
        "this seems to be a convolutional network": any(
            array.ndim > 2 for array in arrays.values()
        ),
        f"these are {layers} layers, {layers - 1} of them hidden": layers > 2,
        "some are not float64 or float32": not arrays.keys() <= _floats(held).keys(),
        "this is not a network of two layers": layers < 2,
        "there are more than two layers need, as for batch normalization": (
            len(arrays) > 4
        ),
        "x @ W1 @ W2 does not fit: the matrices seem to be transposed": not fit,
        "the biases are missing or of another shape": True,
    }
    listed = ", ".join(
        f"{key} {array.dtype} {array.shape}" for key, array in arrays.items()
    )
    return (
        f"{name} holds {listed}:"
        f" {next(cause for cause, holds in causes.items() if holds)}. Secant knows W1"
        " (I, H), b1 (H,), W2 (H, O) and b2 (O,). Train others with gradients by"
        " backpropagation, and check those with secant.check_network"
    )
