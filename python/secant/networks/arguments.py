"""What the methods of networks check of their arguments: samples, and the parameters themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import ArrayLike

from secant._common import validation
from secant._common.validation import Array, Floats
from secant.backends.base import Gradients, HiddenActivation, OutputActivation, Parameters
from secant.datasets.pixels import NormalizedPixels, Rows
from secant.errors import ParamsError, ShapeError, ValueRangeError

SoftTargets = Literal["weights", "argmax"]
_HIDDEN, _OUTPUT, _SOFT = map(get_args, (HiddenActivation, OutputActivation, SoftTargets))
PARAM_NAMES = Gradients._fields
SMALLEST_SINGLE_STEP = 1e-18  # below, changes of the loss come close to the end of float32's range


def settings(hidden_activation: Any, output_activation: Any, log_offset: Any, soft_targets: Any) -> None:
    """Check what a network is besides its parameters."""
    validation.one_of("hidden_activation", hidden_activation, _HIDDEN)
    validation.one_of("output_activation", output_activation, _OUTPUT)
    validation.finite_number("log_offset", log_offset, least=0)
    validation.one_of("soft_targets", soft_targets, _SOFT)


def inputs(
    x: ArrayLike,
    columns: int,
    check: Callable[[Array], bool],
    prepare: Callable[[Any], Any] = np.asarray,
    dtype: Any = np.float64,
) -> tuple[Array, bool]:
    """Check inputs of a network with parameters of ``dtype``: returns (N, I) and whether they were one sample.

    uint8, float32 and float64 stay what they are, since every backend widens them exactly; other real dtypes become
    float64. For float32 parameters all but uint8 become float32. `Rows`, which are finite, are prepared for the
    backend.
    """
    if isinstance(x, Rows):
        if x.shape[1:] != (columns,):
            raise ShapeError(f"x must have {columns} columns, got shape {x.shape}")
        return prepare(x), False
    array = validation.real_array("x", x)
    single = array.ndim == 1
    if array.ndim not in (1, 2):
        raise ShapeError(f"x must have shape (N, {columns}) or ({columns},), got {array.shape}")
    if array.shape[-1] != columns:
        raise ShapeError(f"x must have {columns} columns, got {array.shape[-1]}")
    if array.shape[0] == 0:
        raise ShapeError(f"x must hold at least one sample, got shape {array.shape}")
    kept = array.dtype in (np.uint8, np.float32, dtype)
    given, array = array, validation.in_order(array) if kept else validation.as_float(array, dtype)
    validation.require_finite("x", array, check, given)
    return (array[np.newaxis] if single else array), single


def targets(t: ArrayLike, rows: int, classes: int, *, single: bool, soft_targets: str) -> Array:
    """Check targets: labels (N,) or weights (N, O); of the latter "argmax" leaves labels."""
    array = validation.targets(t, rows, classes, single=single)
    if array.ndim == 2:
        validation.require_weights("t", array)
        if soft_targets == "argmax":
            array = array.argmax(axis=1)
    return array


def largest(x: Array | NormalizedPixels) -> float:
    """Return the largest absolute value."""
    if isinstance(x, NormalizedPixels):
        return float(x.pixels.max()) / 255
    return max(float(x.max()), -float(x.min()))


def extremes(x: Array | Rows) -> list[int]:
    """Return the samples that hold the largest and the smallest input."""
    array = x.pixels if isinstance(x, NormalizedPixels) else np.asarray(x)
    columns = array.size // len(array)
    return [int(array.argmax()) // columns, int(array.argmin()) // columns]


def accuracy(y: ArrayLike, t: ArrayLike) -> float:
    """Return the share of rows of y whose largest element is that of t, from 0 to 1."""
    y = validation.float_array("y", y)
    rows = np.atleast_2d(y)
    t = validation.targets(t, *rows.shape, single=y.ndim == 1)
    validation.require_weights("t", t)
    expected = t if t.ndim == 1 else t.argmax(axis=1)
    return float(np.mean(rows.argmax(axis=1) == expected))


def described(net: Any, *more: str) -> str:
    """Say in one line what a network is, also where its parameters are not what they must be."""
    params = getattr(net, "params", None)
    arrays = [array for array in params.values() if isinstance(array, np.ndarray)] if isinstance(params, dict) else []
    matrices = [array for array in arrays if array.ndim == 2]
    sizes = "-".join(map(str, [*matrices[0].shape, *(matrix.shape[1] for matrix in matrices[1:])] if matrices else []))
    facts = [f"{type(net).__name__} {sizes or '?'}", *more, f"{sum(array.size for array in arrays):,} parameters"]
    return f"<{', '.join(facts)}>"


def is_single(params: Any) -> bool:
    """Whether parameters are float32, also where they are not what they must be."""
    arrays = [array for array in params.values() if isinstance(array, np.ndarray)] if isinstance(params, dict) else []
    return bool(arrays) and all(array.dtype == np.float32 for array in arrays)


def mapping(values: Any) -> Mapping[str, Any]:
    """What can be asked for its keys."""
    if not isinstance(values, Mapping):
        raise ParamsError(f"params must be a dict with the keys W1, b1, W2 and b2, got {values!r}")
    return values


def params(values: Mapping[str, Any], check: Callable[[Array], bool]) -> tuple[Array, Array, Array, Array]:
    """Check the parameters of a two-layer network, as W1 (I, H), b1 (H,), W2 (H, O), b2 (O,): float64 or float32.

    They are used where they lie and never converted: an update in place of a copy would be lost. Read-only ones, as
    workers of joblib get them, are copied.
    """
    w1, b1, w2, b2 = (_param(values, name, ndim) for name, ndim in zip(PARAM_NAMES, (2, 1, 2, 1), strict=True))
    for name, array in zip(PARAM_NAMES, (w1, b1, w2, b2), strict=True):
        if array.dtype != w1.dtype:
            raise ParamsError(f"params[{name!r}] must be {w1.dtype} like params['W1'], got {array.dtype}")
    for name, array, beside, weights in (("b1", b1, "W1", w1), ("W2", w2, "W1", w1), ("b2", b2, "W2", w2)):
        if len(array) != weights.shape[1]:
            shape = (weights.shape[1], *array.shape[1:])
            fit = f"to fit params[{beside!r}] {weights.shape}"
            raise ParamsError(f"params[{name!r}] must have shape {shape} {fit}, got {array.shape}")
    for name, array in zip(PARAM_NAMES, (w1, b1, w2, b2), strict=True):
        validation.require_finite(f"params[{name!r}]", array, check)
    return w1, b1, w2, b2


def require_step(h: float, net: Parameters) -> None:
    """Raise the error that says so, if h is too small for the type of the parameters."""
    if net.W1.dtype == np.float32 and h < SMALLEST_SINGLE_STEP:
        raise ValueRangeError(f"h must be at least {SMALLEST_SINGLE_STEP:g} for float32 parameters, got {h:g}")


_LIMITS = {np.dtype(kind): (float(np.finfo(kind).tiny), float(np.finfo(kind).max)) for kind in validation.REALS}


def require_offset(log_offset: float, dtype: np.dtype[Any]) -> None:
    """Raise the error that says so, if the type of the parameters has no such number."""
    least, most = _LIMITS[dtype]
    if log_offset != 0 and not least <= log_offset <= most:
        raise ValueRangeError(
            f"log_offset must be 0 or from {least:.2g} to {most:.2g} for {dtype} parameters, got {log_offset!r}"
        )


def matrix(values: Mapping[str, Any], name: str) -> Floats:
    """Check the only parameter of a network, a matrix."""
    array = _param(values, name, 2, (name,), (np.float64,))
    validation.require_finite(f"params[{name!r}]", array)
    return array


def require_result(check: Callable[[Array], bool], *arrays: Array) -> None:
    """Raise an error if a result of finite arguments is not finite."""
    if not all(map(check, arrays)):
        raise ValueRangeError("x and params must be small enough for a finite result, got an overflow")


def _param(
    values: Mapping[str, Any],
    name: str,
    ndim: int,
    names: tuple[str, ...] = PARAM_NAMES,
    dtypes: tuple[type[Any], ...] = validation.REALS,
) -> Array:
    if name not in mapping(values):
        got = ", ".join(map(str, values)) or "none"
        raise ParamsError(f"params must have the keys {' and '.join(', '.join(names).rsplit(', ', 1))}, got {got}")
    array = values[name]
    title = f"params[{name!r}]"
    plain = type(array) is np.ndarray
    if not (plain or validation.is_plain(array)):
        raise ParamsError(f"{title} must be a plain NumPy array, got {type(array).__name__}")
    if array.dtype not in dtypes:
        raise ParamsError(f"{title} must be {' or '.join(kind.__name__ for kind in dtypes)}, got {array.dtype}")
    if array.ndim != ndim or array.size == 0:
        raise ParamsError(f"{title} must be {ndim}-dimensional and not empty, got shape {array.shape}")
    if plain and array.flags.carray:
        return cast(Array, array)
    if not array.flags.c_contiguous:
        raise ParamsError(f"{title} must be C-contiguous, got strides {array.strides}: use np.ascontiguousarray")
    if not array.flags.aligned:
        raise ParamsError(f"{title} must be aligned, got an array that is not: use its copy()")
    if not array.flags.writeable:
        return np.array(array)  # which nobody can update, see `require_updatable`
    return np.asarray(array)  # a view without the habits of a subclass


def require_updatable(values: Mapping[str, Any]) -> None:
    """Raise an error if a parameter cannot be trained."""
    for name, array in mapping(values).items():
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            raise ParamsError(f"params[{name!r}] must be writeable to be trained: use a copy() of this read-only array")
