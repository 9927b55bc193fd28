"""A user's data set: an .npz file of four plain arrays, never a pickle."""

import numpy as np

from secant._common.npz import npz_arrays
from secant._common.validation import MOST_ELEMENTS, Array

NAMES = ("x_train", "t_train", "x_test", "t_test")

Arrays = tuple[Array, Array, Array, Array]


def load_npz(path: str) -> Arrays:
    """Load x_train (N, I), t_train (N,) or (N, O), x_test (M, I) and t_test from an
    untrusted file.

    Samples of any shape become rows. Both x are uint8, float32 or float64; t are labels
    from 0 on, whole numbers of any type, or weights of two or more classes. `train`
    checks the rest.

    Raises
    ------
    DataError
        The file cannot be read, or does not hold four such arrays.
    """
    with npz_arrays(path, f"is not an .npz file of {', '.join(NAMES)}") as arrays:
        if missing := [name for name in NAMES if name not in arrays]:
            raise ValueError(
                f"it lacks {', '.join(missing)}; it has"
                f" {', '.join(sorted(arrays)) or 'nothing'}"
            )
        x_train, t_train, x_test, t_test = (np.asarray(arrays[name]) for name in NAMES)
        for name, x in ("x_train", x_train), ("x_test", x_test):
            if (
                x.dtype not in (np.uint8, np.float32, np.float64)
                or x.dtype != x_train.dtype
            ):
                raise ValueError(
                    f"{name} holds {x.dtype}, expected uint8, float32 or float64, the"
                    " same in both sets"
                )
            if x.ndim < 2 or x.size == 0:
                raise ValueError(
                    f"{name} has the shape {x.shape}, expected (N, ...) and not empty"
                )
        t_train = _targets("t_train", t_train)
        t_test = _targets("t_test", t_test)
        return (
            x_train.reshape(len(x_train), -1),
            t_train,
            x_test.reshape(len(x_test), -1),
            t_test,
        )


def _targets(name: str, t: Array) -> Array:
    """Return targets whose labels, if they are labels, are integers: files often hold
    them as floats.
    """
    expected = "expected labels (N,) of whole numbers from 0 on, or weights (N, O > 1)"
    has_shape = t.ndim == 1 or (t.ndim == 2 and t.shape[1] > 1)
    if not has_shape or t.dtype.kind not in "biuf" or t.size == 0:
        raise ValueError(f"{name} holds {t.dtype} of shape {t.shape}, {expected}")
    if t.ndim == 2:
        return t
    numbers = t.astype(np.float64)
    is_label = (
        (numbers >= 0) & (numbers < MOST_ELEMENTS) & (numbers == np.round(numbers))
    )
    if not is_label.all():
        raise ValueError(f"{name} holds {t[~is_label][0]}, {expected}")
    return t if t.dtype.kind in "iu" else numbers.astype(np.int64)


def classes(t_train: Array, t_test: Array) -> int:
    """Return the number of classes: of columns, or the largest label plus 1."""
    return max(
        t.shape[1] if t.ndim == 2 else int(t.max()) + 1 for t in (t_train, t_test)
    )
