"""Where a network of another class keeps its parameters: found by their shapes, under any names."""

import contextlib
import copy
import itertools
import threading
import types
from collections.abc import Iterator, MutableMapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple, cast

import numpy as np

from secant._common.validation import Array, overlaps
from secant.errors import UnsupportedError

_USUAL = ("params", "param", "parameters", "network", "weights")
_SHARED = (
    types.ModuleType,
    type(threading.Lock()),
    type(threading.RLock()),
)  # shared by copies
_LARGE = 10_000_000  # bytes. Copies share larger arrays, which they may only read
_MOST = 64  # combinations of attributes that are tried
sharing = ContextVar("sharing", default=True)
"""Whether copies share large arrays: not if the network writes into one."""
READ_ONLY = "read-only"  # as NumPy says it where a copy wrote into one
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
    attributes = getattr(net, "__dict__", {})
    dicts = [name for name, value in attributes.items() if isinstance(value, MutableMapping) and _floats(value)]
    dicts.sort(key=lambda name: _USUAL.index(name) if name in _USUAL else len(_USUAL))
    fitting = [Layout(name, keys) for name in dicts for keys in _assignments(_floats(attributes[name]), exactly=True)]
    fitting += [Layout("", keys) for keys in _assignments(_floats(attributes), exactly=False)]
    if fitting:
        return fitting[:_MOST]
    for name in dicts:
        raise UnsupportedError(f"{name} holds {_listed(_floats(attributes[name]))}: {_why(attributes[name])}")
    raise UnsupportedError(
        "no W1 (I, H), b1 (H,), W2 (H, O) and b2 (O,) were found: they must stand in a dict such as net.params, or be "
        "attributes"
    )


def require_apart(keys: Sequence[str], arrays: Sequence[Array]) -> None:
    """Raise an error if two entries of the parameters share memory: a step of h would shift both."""
    if all(array.base is None for array in arrays) and len(set(map(id, arrays))) == len(arrays):
        return  # each has memory of its own
    for (a, first), (b, second) in itertools.combinations(zip(keys, arrays, strict=True), 2):
        if _share(first, second):
            raise UnsupportedError(f"{a} and {b} share memory: such tied weights are not known")
    for key, array in zip(keys, arrays, strict=True):
        if overlaps(array):
            raise UnsupportedError(f"{key} has entries that share memory: such tied weights are not known")


def require_no_views(net: Any, arrays: Sequence[Array]) -> None:
    """Raise an error if the parameters are views of another attribute: those of a copy are not."""
    for name, value in vars(net).items():
        if isinstance(value, np.ndarray) and any(array.base is value for array in arrays):
            raise UnsupportedError(
                f"its parameters are views of {name}, which those of a copy are not, so that a term of the loss that "
                f"reads {name} would not be seen: give them arrays of their own"
            )


def _share(a: Array, b: Array) -> bool:
    try:
        return np.shares_memory(a, b, max_work=100_000)  # type: ignore[arg-type]  # its annotation forgets numbers
    except np.exceptions.TooHardError:
        return True


def duplicate(net: Any, arrays: Sequence[Array], stand_ins: Sequence[Array]) -> Any:
    """Return a deep copy in which ``stand_ins`` replace ``arrays``, wherever the object refers to them."""
    memo: dict[int, Any] = {id(array): stand_in for array, stand_in in zip(arrays, stand_ins, strict=True)}
    for value in vars(net).values():
        if isinstance(value, _SHARED):
            memo[id(value)] = value
        elif sharing.get() and isinstance(value, np.ndarray) and value.nbytes > _LARGE:
            memo.setdefault(id(value), _read_only(value))
    try:
        made = copy.deepcopy(net, memo)
    except Exception as error:  # whatever the classes of its parts raise
        reason = f"{type(error).__name__}: {error}"
        raise UnsupportedError(f"{_not_copied(net)} cannot be copied to be tried out: {reason}") from error
    for name, value in vars(net).items():
        if name not in vars(made):  # its class leaves it out
            with contextlib.suppress(Exception):  # perhaps since it cannot be copied
                vars(made)[name] = copy.deepcopy(value, memo)
    return made


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _not_copied(net: Any) -> str:
    """Name the attribute of a network that cannot be copied, if it is one."""
    for name, value in vars(net).items():
        try:
            copy.deepcopy(value)
        except Exception:  # whatever its class raises
            if not isinstance(value, _SHARED):
                return f"its attribute {name}"
    return "it"


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


_BACKPROPAGATION = "Train it with gradients by backpropagation, and check those with secant.check_network"


def _listed(arrays: dict[str, Array]) -> str:
    return ", ".join(f"{key} {array.shape}" for key, array in arrays.items())


def _why(held: MutableMapping[str, Any]) -> str:
    """Say what kind of network the arrays belong to, if they are not those of two layers."""
    arrays = _floats(held)
    matrices = [array for array in arrays.values() if array.ndim == 2 and 1 not in array.shape]
    given = {key: value for key, value in held.items() if isinstance(value, np.ndarray) and value.ndim}
    others = [f"{key} is {value.dtype}" for key, value in given.items() if key not in arrays]
    wanted = "Secant knows networks of W1 (I, H), b1 (H,), W2 (H, O) and b2 (O,)"
    if any(array.ndim > 2 for array in arrays.values()):
        return f"this seems to be a convolutional network, and {wanted}. {_BACKPROPAGATION}"
    if len(matrices) > 2:
        return f"these are {len(matrices)} layers, {len(matrices) - 1} of them hidden, and {wanted}. {_BACKPROPAGATION}"
    if len(matrices) < 2:
        return f"this is not a network of two layers, and {wanted}"
    if len(arrays) > 4:
        return f"there are more than two layers need, as for batch normalization, and {wanted}"
    if matrices[0].shape[0] == matrices[1].shape[1]:
        return f"the matrices are (outputs, inputs), transposed, and {wanted}"
    if others:
        return f"{' and '.join(others)}, not float64 or float32"
    if matrices[0].shape[0] == matrices[1].shape[0]:
        return f"the first matrix is (outputs, inputs), transposed, and {wanted}"
    return f"the biases are missing or of another shape, and {wanted}"
