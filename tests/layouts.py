"""Arrays that hold the same numbers in another form."""

import numpy as np


class Subclass(np.ndarray):
    pass


def unaligned(array):
    result = (
        np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    )
    result[...] = array
    return result


def frozen(array):
    array = array.copy()
    array.flags.writeable = False
    return array


ARRAYS = {  # what makes one of a plain array, of any number of dimensions
    "Fortran": lambda a: a.copy(order="F"),
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "reversed": lambda a: np.flip(np.flip(a).copy()),
    "part of a larger one": lambda a: np.pad(a, 1)[
        tuple(slice(1, -1) for _ in a.shape)
    ],
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "unaligned": unaligned,
}
FORMS = ARRAYS | {
    "subclass": lambda a: a.view(Subclass),
    "frozen": frozen,
    "list": np.ndarray.tolist,
    "tuple": tuple,
}


def same_bits(got, expected):
    """Compare arrays or numbers; or dicts of these, which must have the same keys in
    the same order.
    """
    if isinstance(expected, dict):
        return list(got) == list(expected) and all(
            same_bits(got[name], expected[name]) for name in expected
        )
    got, expected = np.asarray(got), np.asarray(expected)
    return (got.dtype, got.shape, got.tobytes()) == (
        expected.dtype,
        expected.shape,
        expected.tobytes(),
    )
