"""A user's data set: an .npz file of four plain arrays, never a pickle."""

import numpy as np

from secant._common.npz import npz_arrays
from secant._common.validation import Array

NAMES = ("x_train", "t_train", "x_test", "t_test")
MAX_BYTES = 2**32
"""Bytes that a file may unpack to."""

MOST_CLASSES = 2**20
"""Classes that labels may name."""

Arrays = tuple[Array, Array, Array, Array]


def load_npz(path: str) -> Arrays:
    """Load x_train (N, I), t_train (N,) or (N, O), x_test (M, I) and t_test from an untrusted file.

    Samples of any shape become rows. Both x are uint8, float32 or float64; t are labels from 0 on, or weights.

    Raises
    ------
    DataError
        The file cannot be read, or does not hold four such arrays that fit each other.
    """
    with npz_arrays(path, MAX_BYTES, f"is not an .npz file of {', '.join(NAMES)}") as arrays:
        if missing := [name for name in NAMES if name not in arrays]:
            raise ValueError(f"it lacks {', '.join(missing)}; it has {', '.join(sorted(arrays)) or 'nothing'}")
        return _checked(*(np.asarray(arrays[name]) for name in NAMES))


def _checked(x_train: Array, t_train: Array, x_test: Array, t_test: Array) -> Arrays:
    x_train, x_test = _samples("x_train", x_train), _samples("x_test", x_test)
    if x_train.shape[1] != x_test.shape[1] or x_train.dtype != x_test.dtype:
        rows = [f"{x.shape[1]} of {x.dtype}" for x in (x_test, x_train)]
        raise ValueError(f"x_test has rows of {rows[0]}, expected {rows[1]} as in x_train")
    _check_targets("t_train", t_train, len(x_train))
    _check_targets("t_test", t_test, len(x_test))
    for name, t in ("t_train", t_train), ("t_test", t_test):
        if t.ndim == 2 and t.shape[1] != (wanted := classes(t_train, t_test)):
            raise ValueError(f"{name} has {t.shape[1]} columns for {wanted} classes")
    return x_train, t_train, x_test, t_test


def classes(t_train: Array, t_test: Array) -> int:
    """Return the number of classes: of columns, or the largest label plus 1."""
    return max(t.shape[1] if t.ndim == 2 else int(t.max()) + 1 for t in (t_train, t_test))


def _samples(name: str, x: Array) -> Array:
    if x.dtype not in (np.uint8, np.float32, np.float64):
        raise ValueError(f"{name} holds {x.dtype}, expected uint8, float32 or float64")
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"{name} has the shape {x.shape}, expected (N, ...) and not empty")
    if x.dtype != np.uint8 and not np.isfinite(x).all():
        raise ValueError(f"{name} holds NaN or infinity")
    return x.reshape(len(x), -1)


def _check_targets(name: str, t: Array, samples: int) -> None:
    if t.ndim not in (1, 2) or len(t) != samples or t.size == 0 or t.shape[1:] == (1,):
        raise ValueError(f"{name} has the shape {t.shape}, expected ({samples},) or ({samples}, number of classes)")
    if t.dtype.kind not in ("iu" if t.ndim == 1 else "biuf"):
        raise ValueError(f"{name} holds {t.dtype}, expected {'whole numbers' if t.ndim == 1 else 'real numbers'}")
    if not (np.isfinite(t).all() and t.min() >= 0):
        raise ValueError(f"{name} holds NaN, infinity or a negative number, expected labels or weights from 0 on")
    if t.ndim == 2 and not t.any(axis=1).all():
        raise ValueError(f"{name} has a row of zeros, expected a weight for at least one class")
    if t.ndim == 1 and t.max() >= MOST_CLASSES:
        raise ValueError(f"{name} holds the label {t.max()}, expected labels below {MOST_CLASSES}")
