"""The arguments of a network's methods, checked once.

They are checked by their attributes alone, and returned in the form that backends take.

Faults that only a pass over the data can find are found by a backend, which returns a
`Fault`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Array, Floats
from secant.backends import faults
from secant.backends.base import (
    PARAM_NAMES,
    Backend,
    Batch,
    Fault,
    HiddenActivation,
    OutputActivation,
    Parameters,
)
from secant.backends.inputs import NormalizedPixels, Rows
from secant.errors import ParamsError, ShapeError, ValueRangeError

SoftTargets = Literal["weights", "argmax"]
_HIDDEN, _OUTPUT, _SOFT = map(
    get_args, (HiddenActivation, OutputActivation, SoftTargets)
)
_SMALLEST_STEP, _SMALLEST_FLOAT32_STEP = 1e-150, 1e-18
"""Below these 1 / h, or in float32 a change of the loss, comes close to the end of the
range.
"""


def checked(net: Any, x: ArrayLike, t: ArrayLike, backend: Backend) -> Batch:
    """Return the mini-batch of a `TwoLayerNet`, or raise an error.

    The error names the argument.
    """
    parameters = network(net)
    samples, is_one_sample = inputs(
        x, parameters.W1.shape[0], parameters.W1.dtype, backend.prepare
    )
    rows, classes = samples.shape[0], parameters.b2.shape[0]
    return Batch(
        parameters,
        samples,
        targets(
            t, rows, classes, is_one_sample=is_one_sample, soft_targets=net.soft_targets
        ),
    )


def network(net: Any) -> Parameters:
    """Return the parameters and the settings of a `TwoLayerNet`."""
    settings(
        net.hidden_activation, net.output_activation, net.log_offset, net.soft_targets
    )
    arrays, offset = params(net.params), float(net.log_offset)
    least, most = _LIMITS[arrays[0].dtype]
    if offset != 0 and not least <= offset <= most:
        raise ValueRangeError(
            f"log_offset must be 0 or from {least:.2g} to {most:.2g} for"
            f" {arrays[0].dtype} parameters, got {offset!r}"
        )
    return Parameters(*arrays, net.hidden_activation, net.output_activation, offset)


def require_valid(batch: Batch, x: ArrayLike, backend: Backend) -> None:
    """Check all elements of a mini-batch once, before they are read many times.

    ``x`` is as the user gave it.
    """
    if fault := faults.first(*batch, backend.all_finite):
        raise error(fault, batch, x)


def error(fault: Fault, batch: Batch, x: ArrayLike) -> ValueRangeError:
    """Return the error for a fault of a mini-batch. ``x`` is as the user gave it."""
    return faults.error(fault, batch.net._asdict() | {"x": batch.x, "t": batch.t}, x)


def settings(
    hidden_activation: Any, output_activation: Any, log_offset: Any, soft_targets: Any
) -> None:
    """Check the settings of a network."""
    validation.one_of("hidden_activation", hidden_activation, _HIDDEN)
    validation.one_of("output_activation", output_activation, _OUTPUT)
    validation.one_of("soft_targets", soft_targets, _SOFT)
    validation.finite_number("log_offset", log_offset, least=0)


def inputs(
    x: ArrayLike,
    columns: int,
    dtype: Any = np.float64,
    prepare: Callable[[Any], Any] = np.asarray,
) -> tuple[Array, bool]:
    """Return the inputs (N, I) of a network, and whether they were one sample.

    Its parameters are of ``dtype``.

    uint8, float32 and float64 stay what they are, since every backend widens them
    exactly; other real dtypes become float64. For float32 parameters all but uint8
    become float32. `Rows` are prepared for the backend.
    """
    if type(x) is not np.ndarray and isinstance(x, Rows):
        if x.shape[1:] != (columns,):
            raise ShapeError(f"x must have {columns} columns, got shape {x.shape}")
        return prepare(x), False
    array = validation.real_array("x", x)
    shape = array.shape
    if len(shape) not in (1, 2):
        raise ShapeError(
            f"x must have shape (N, {columns}) or ({columns},), got {shape}"
        )
    if shape[-1] != columns:
        raise ShapeError(f"x must have {columns} columns, got {shape[-1]}")
    if shape[0] == 0:
        raise ShapeError(f"x must hold at least one sample, got shape {shape}")
    kept = array.dtype == dtype or array.dtype in _KEPT
    array = validation.in_order(array) if kept else validation.as_float(array, dtype)
    return (array, False) if len(shape) == 2 else (array[np.newaxis], True)


_KEPT = (np.dtype(np.uint8), np.dtype(np.float32))


def targets(
    t: ArrayLike, rows: int, classes: int, *, is_one_sample: bool, soft_targets: str
) -> Array:
    """Return labels (N,) or weights (N, O).

    "argmax" checks weights, and turns them into labels.
    """
    array = validation.targets(t, rows, classes, is_one_sample=is_one_sample)
    if array.ndim == 1 or soft_targets == "weights":
        return array
    if fault := faults.of_targets(array, classes):
        raise faults.error(fault, {"t": array})
    return cast(Array, array.argmax(axis=1))


def extremes(x: Array | Rows) -> list[int]:
    """Return the samples that hold the largest and the smallest input."""
    array = x.pixels if isinstance(x, NormalizedPixels) else np.asarray(x)
    columns = array.size // len(array)
    return [int(array.argmax()) // columns, int(array.argmin()) // columns]


def accuracy(y: ArrayLike, t: ArrayLike) -> float:
    """Return the share of rows of y whose largest element is that of t, from 0 to 1."""
    y = validation.float_array("y", y)
    rows = np.atleast_2d(y)
    t = validation.targets(t, *rows.shape, is_one_sample=y.ndim == 1)
    if fault := faults.of_targets(t, rows.shape[1]):
        raise faults.error(fault, {"t": t})
    expected = t if t.ndim == 1 else t.argmax(axis=1)
    return float(np.mean(rows.argmax(axis=1) == expected))


def described(net: Any, *more: str) -> str:
    """Describe a network in one line, also if its parameters are not valid."""
    params = getattr(net, "params", None)
    arrays = (
        [array for array in params.values() if isinstance(array, np.ndarray)]
        if isinstance(params, dict)
        else []
    )
    matrices = [array for array in arrays if array.ndim == 2]
    sizes = "-".join(
        map(
            str,
            (
                [*matrices[0].shape, *(matrix.shape[1] for matrix in matrices[1:])]
                if matrices
                else []
            ),
        )
    )
    facts = [
        f"{type(net).__name__} {sizes or '?'}",
        *more,
        f"{sum(array.size for array in arrays):,} parameters",
    ]
    return f"<{', '.join(facts)}>"


def is_float32(params: Any) -> bool:
    """Whether parameters are float32, also if they are not valid."""
    arrays = (
        [array for array in params.values() if isinstance(array, np.ndarray)]
        if isinstance(params, dict)
        else []
    )
    return bool(arrays) and all(array.dtype == np.float32 for array in arrays)


def mapping(values: Any) -> Mapping[str, Any]:
    """Return ``params``, which must be a mapping."""
    if not isinstance(values, (dict, Mapping)):  # dict first, which is faster
        raise ParamsError(
            f"params must be a dict with the keys W1, b1, W2 and b2, got {values!r}"
        )
    return values


def params(values: Mapping[str, Any]) -> tuple[Array, Array, Array, Array]:
    """Check the parameters of a two-layer network, all float64 or all float32.

    They are W1 (I, H), b1 (H,), W2 (H, O) and b2 (O,).

    They are used where they lie and never converted: an update in place of a copy would
    be lost. Read-only ones, as workers of joblib get them, are copied.
    """
    w1, b1, w2, b2 = (
        _param(values, "W1", 2),
        _param(values, "b1", 1),
        _param(values, "W2", 2),
        _param(values, "b2", 1),
    )
    same_type = w1.dtype == b1.dtype == w2.dtype == b2.dtype
    if not (same_type and w1.shape[1] == b1.size and w2.shape == (b1.size, b2.size)):
        got = ", ".join(
            f"{name} {values[name].shape} {values[name].dtype}" for name in PARAM_NAMES
        )
        raise ParamsError(
            "params must be W1 (I, H), b1 (H,), W2 (H, O) and b2 (O,), of one type,"
            f" got {got}"
        )
    return w1, b1, w2, b2


def shared_memory(values: Mapping[str, Any]) -> str:
    """Name two parameters that share memory, if there are such; "" if not."""
    owners = {
        id(array) for array in values.values() if getattr(array, "base", array) is None
    }
    if len(owners) == len(values):
        return ""  # arrays that are not views have their own memory
    arrays = {
        name: array for name, array in values.items() if isinstance(array, np.ndarray)
    }
    for (one, a), (other, b) in itertools.combinations(arrays.items(), 2):
        if np.may_share_memory(a, b):
            return f"params[{one!r}] and params[{other!r}] share memory"
    return ""


def step(h: Any, params: Any) -> float:
    """Return the step of central differences as a float that can be divided by."""
    number = validation.finite_number("h", h, above=0)
    if number < _SMALLEST_FLOAT32_STEP:
        single, double = (
            (_SMALLEST_FLOAT32_STEP, " for float32 parameters"),
            (_SMALLEST_STEP, ""),
        )
        least, kind = single if is_float32(params) else double
        if number < least:
            raise ValueRangeError(f"h must be at least {least:g}{kind}, got {number:g}")
    return number


_LIMITS = {
    np.dtype(kind): (float(np.finfo(kind).tiny), float(np.finfo(kind).max))
    for kind in validation.REALS
}
_REALS = tuple(_LIMITS)


def matrix(values: Mapping[str, Any], name: str) -> Floats:
    """Check the only parameter of a network, a matrix."""
    array = _param(values, name, 2, (name,), (np.dtype(np.float64),))
    if fault := faults.of_finite(name, array):
        raise faults.error(fault, {name: array})
    return array


def _param(
    values: Mapping[str, Any],
    name: str,
    ndim: int,
    names: tuple[str, ...] = PARAM_NAMES,
    dtypes: tuple[np.dtype[Any], ...] = _REALS,
) -> Array:
    try:
        array = values[name]
    except (LookupError, TypeError):
        got = ", ".join(map(str, mapping(values))) or "none"
        wanted = " and ".join(", ".join(names).rsplit(", ", 1))
        raise ParamsError(f"params must have the keys {wanted}, got {got}") from None
    plain = type(array) is np.ndarray
    if not (plain or validation.is_plain(array)):
        raise _wrong(name, f"a plain NumPy array, got {type(array).__name__}")
    if array.dtype not in dtypes:
        raise _wrong(name, f"{' or '.join(map(str, dtypes))}, got {array.dtype}")
    if array.ndim != ndim or array.size == 0:
        raise _wrong(name, f"{ndim}-dimensional and not empty, got shape {array.shape}")
    flags = array.flags
    if plain and flags.carray:
        return cast(Array, array)
    if not flags.c_contiguous:
        raise _wrong(
            name, f"C-contiguous, got strides {array.strides}: use np.ascontiguousarray"
        )
    if not flags.aligned:
        raise _wrong(name, "aligned, got an array that is not: use its copy()")
    if not flags.writeable:
        return np.array(array)  # it cannot be updated, see `require_updatable`
    return np.asarray(array)  # a view as a plain array


def _wrong(name: str, what: str) -> ParamsError:
    return ParamsError(f"params[{name!r}] must be {what}")


def require_updatable(values: Mapping[str, Any]) -> None:
    """Raise an error if a parameter cannot be trained."""
    for name, array in mapping(values).items():
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            raise ParamsError(
                f"params[{name!r}] must be writeable to be trained: use a copy() of"
                " this read-only array"
            )
