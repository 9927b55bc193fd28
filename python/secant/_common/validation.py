"""Checks of arguments, in one place, so that every backend raises the same errors."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from secant.errors import DTypeError, ShapeError, ValueRangeError

Array = NDArray[Any]
Floats = NDArray[np.float64]
REALS = (np.float64, np.float32)
MOST_ELEMENTS = 2**31 - 1  # along one axis: no array in memory has more
MOST_THREADS = 2**15  # more than any machine has; the core's int holds it


def positive_int(name: str, value: Any, *, most: float = math.inf) -> int:
    """A whole number from 1 to ``most``, as an int."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise DTypeError(f"{name} must be a whole number, got {value!r}")
    if number < 1:
        raise ValueRangeError(f"{name} must be at least 1, got {value!r}")
    if number > most:
        raise ValueRangeError(f"{name} must be at most {most}, got {value!r}")
    return number


def length(name: str, value: Any) -> int:
    """How many elements an array is to have along an axis, as an int."""
    return positive_int(name, value, most=MOST_ELEMENTS)


def thread_count(n_threads: int | None) -> int:
    """The number of threads; 0 leaves it to the backend."""
    return (
        0
        if n_threads is None
        else min(positive_int("n_threads", n_threads), MOST_THREADS)
    )


def finite_number(
    name: str, value: Any, *, above: float = -math.inf, least: float = -math.inf
) -> float:
    """A finite real number greater than ``above`` and of at least ``least``, as a
    float.
    """
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    if not isinstance(value, (float, numbers.Real)) or isinstance(value, bool):
        raise DTypeError(f"{name} must be a real number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and number > above and number >= least):
        wanted = "finite" + (
            f" and greater than {above:g}" if above > -math.inf else ""
        )
        wanted += f" and at least {least:g}" if least > -math.inf else ""
        raise ValueRangeError(f"{name} must be {wanted}, got {value!r}")
    return number


def require_callable(name: str, value: Any) -> None:
    """Raise an error if an argument is not callable."""
    if not callable(value):
        raise DTypeError(f"{name} must be callable, got {type(value).__name__}")


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of a closed set of names."""
    if not (isinstance(value, str) and value in choices):
        raise ValueRangeError(
            f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}"
        )
    return value


def is_plain(value: Any) -> bool:
    """Whether it is an array, or of a subclass, and not masked: a mask would be
    lost.
    """
    return isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray)


def overlaps(array: Array) -> bool:
    """Whether elements share memory, or may, as in what `as_strided` makes."""
    reach = array.itemsize
    for stride, length in sorted(
        (abs(s), n) for s, n in zip(array.strides, array.shape, strict=True) if n > 1
    ):
        if stride < reach:
            return True
        reach += stride * (length - 1)
    return False


def real_array(name: str, value: ArrayLike) -> Array:
    """An array of any real dtype, as it is; a list becomes one."""
    if type(value) is np.ndarray and value.dtype.kind in "biuf":
        return value
    try:
        array = np.asarray(value)
    except ValueError:
        raise ShapeError(
            f"{name} must be a regular array, got rows of different lengths"
        ) from None
    if isinstance(value, np.ma.MaskedArray):
        raise DTypeError(
            f"{name} must be a plain array, got a masked one: its mask would be lost"
        )
    if array.dtype.kind not in "biuf":
        plain = "None" if value is None else type(value).__name__
        got = (
            f"an array of {array.dtype}"
            if isinstance(value, np.ndarray | list | tuple)
            else plain
        )
        raise DTypeError(f"{name} must hold real numbers, got {got}")
    return array


def float_array(name: str, value: ArrayLike) -> Floats:
    """A C-contiguous float64 array: the same one where it is that already, else a
    copy.
    """
    if (
        type(value) is np.ndarray
        and value.dtype == np.float64
        and value.flags.c_contiguous
        and value.flags.aligned
    ):
        return value
    return as_float(real_array(name, value), np.float64)


def as_float(array: Array, dtype: Any) -> Array:
    """The array as C-contiguous float64 or float32, rounded; what is beyond its range
    becomes infinite.
    """
    if array.dtype == dtype:
        return in_order(array)
    with np.errstate(over="ignore"):
        return in_order(array.astype(dtype))


def real_dtype(name: str, value: Any) -> np.dtype[Any]:
    """float64 or float32, as a dtype."""
    try:
        dtype: np.dtype[Any] = np.dtype(value)
    except TypeError:
        dtype = np.dtype(object)
    if value is None or dtype not in REALS:
        raise DTypeError(f"{name} must be float64 or float32, got {value!r}")
    return dtype


def in_order(array: Array) -> Array:
    """The array, C-contiguous and aligned: the same one where it is that already, else
    a copy.
    """
    flags = array.flags
    return array if flags.c_contiguous and flags.aligned else array.copy(order="C")


def all_finite(array: Array) -> bool:
    """Whether no element is NaN or infinite."""
    return bool(np.isfinite(array).all())


def require_finite(name: str, array: Array) -> None:
    """Raise the error that names the first element which is NaN or infinite."""
    if not all_finite(array):
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueRangeError(f"{name} must be finite, got {array[first]!s} at {first}")


def targets(
    t: ArrayLike,
    rows: int,
    classes: int,
    *,
    is_one_sample: bool = False,
    like: str = "x",
) -> Array:
    """Targets in a form that backends take, by attributes alone: labels (N,) of
    integers, or weights (N, O).

    Weights are bool, integers, float32 or float64; others become float64. All are
    C-contiguous, in native byte order. ``is_one_sample``: the targets of one sample,
    either a label or ``classes`` weights. ``like``: the name of the array that has as
    many rows.
    """
    array = real_array("t", t)
    if is_one_sample and array.shape in ((), (classes,)):
        array = array[np.newaxis]
    shape, dtype = array.shape, array.dtype
    if shape not in ((rows,), (rows, classes)):
        if shape and shape[1:] in ((), (classes,)):
            raise ShapeError(f"t must have {rows} rows like {like}, got {shape[0]}")
        hint = ": give labels as (N,)" if shape[1:] == (1,) else ""
        raise ShapeError(
            f"t must have shape ({rows},) or ({rows}, {classes}), got {shape}{hint}"
        )
    if len(shape) == 1:
        require_integers("t", array)
    elif dtype.char in "eg":  # float16 and long double
        return as_float(array, np.float64)
    return in_order(array if dtype.isnative else array.astype(dtype.newbyteorder("=")))


def require_integers(name: str, array: Array) -> None:
    """Raise an error if class labels are not integers."""
    if array.dtype.kind not in "iu":
        raise DTypeError(
            f"{name} must hold class labels as integers, got {array.dtype}"
        )


def labels(array: Array, classes: int | None, name: str = "t") -> NDArray[np.int64]:
    """A copy of class labels (N,) of any integer type, as int64; each from 0 to
    ``classes - 1``.
    """
    require_integers(name, array)
    limit = 2**63 if classes is None else classes
    # they index arrays, and another thread may write to the caller's
    array = array.copy()
    as_int64: NDArray[np.int64] = array.astype(np.int64, copy=False)
    # one pass: a negative label is huge without its sign
    if as_int64.view(np.uint64).max(initial=0) >= limit:
        bad = array[(array < 0) | (array >= limit)][0]
        wanted = "of at least 0" if classes is None else f"from 0 to {classes - 1}"
        raise ValueRangeError(f"{name} must hold class labels {wanted}, got {bad}")
    return as_int64
