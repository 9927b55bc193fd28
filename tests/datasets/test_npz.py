import re
import tracemalloc

import numpy as np
import pytest

from secant.datasets import npz_data
from secant.errors import DataError

PIXELS = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
GOOD = {
    "x_train": PIXELS,
    "t_train": np.array([1, 0, 2, 1]),
    "x_test": PIXELS[:2],
    "t_test": np.array([4, 1]),
}


def write(path, **arrays):
    np.savez_compressed(path, **(GOOD | arrays))
    return str(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_samples_become_rows_of_the_type_that_they_have(tmp_path, dtype):
    path = write(
        tmp_path / "d.npz",
        x_train=PIXELS.astype(dtype),
        x_test=PIXELS[:2].astype(dtype),
    )
    x_train, t_train, x_test, t_test = npz_data.load_npz(path)
    assert (x_train.shape, x_test.shape, x_train.dtype, x_test.dtype) == (
        (4, 6),
        (2, 6),
        dtype,
        dtype,
    )
    np.testing.assert_array_equal(x_train, PIXELS.reshape(4, 6))
    assert npz_data.classes(t_train, t_test) == 5


def test_labels_may_be_one_hot(tmp_path):
    one_hot = {name: np.eye(7)[GOOD[name]] for name in ("t_train", "t_test")}
    for targets in (
        {"t_train": one_hot["t_train"]},
        {"t_test": one_hot["t_test"]},
        one_hot,
    ):
        _, t_train, _, t_test = npz_data.load_npz(write(tmp_path / "d.npz", **targets))
        assert npz_data.classes(t_train, t_test) == 7


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.longdouble, bool]
)
def test_labels_may_be_whole_numbers_of_any_type(tmp_path, dtype):
    labels = np.array([1, 0, 1, 1], dtype)
    _, t_train, _, t_test = npz_data.load_npz(write(tmp_path / "d.npz", t_train=labels))
    assert (t_train.tolist(), t_train.dtype.kind) == ([1, 0, 1, 1], "i")
    assert t_test.tolist() == [4, 1]


def test_a_small_file_does_not_take_much_memory(tmp_path):
    path = write(tmp_path / "d.npz", x_train=np.zeros((4, 2**26), np.uint8))
    message = r"d\.npz is not an .npz file of .*: it has .* bytes and unpacks to more than .*\.$"
    tracemalloc.start()
    with pytest.raises(DataError, match=message):
        npz_data.load_npz(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**26


BAD = {
    "no numbers": (
        {"x_train": np.array([["a"]])},
        "x_train holds <U1, expected uint8, float32 or float64",
    ),
    "whole numbers": ({"x_train": PIXELS.astype(int)}, "x_train holds int64, expected"),
    "no samples": ({"x_test": PIXELS[:0]}, r"x_test has the shape (0, 3, 2)"),
    "other type": (
        {"x_test": PIXELS[:2] / 255},
        "x_test holds float64, expected uint8, float32 or float64, the same",
    ),
    "half a label": (
        {"t_train": np.full(4, 0.5)},
        "t_train holds 0.5, expected labels (N,) of whole numbers",
    ),
    "no label": (
        {"t_test": np.array([1, np.nan])},
        "t_test holds nan, expected labels (N,) of whole numbers",
    ),
    "huge label": (
        {"t_test": np.array([1, 1e300])},
        "t_test holds 1e+300, expected labels (N,) of whole numbers",
    ),
    "labels of -1 and 1": (
        {"t_train": np.array([1, -1, 1, -1])},
        "t_train holds -1, expected labels (N,) of whole",
    ),
    "a number for a label": (
        {"t_test": np.array([1, 10**15])},
        "t_test holds 1000000000000000, expected labels (N,) of",
    ),
    "text": (
        {"t_test": np.array(["a", "b"])},
        "t_test holds <U1 of shape (2,), expected labels (N,) of whole numbers",
    ),
    "no targets": (
        {"t_test": np.array(3)},
        "t_test holds int64 of shape (), expected labels (N,) of whole",
    ),
    "column of labels": (
        {"t_train": np.ones((4, 1), int)},
        "t_train holds int64 of shape (4, 1), expected labels",
    ),
    "pickle": ({"t_train": np.array([object()] * 4)}, "allow_pickle=False"),
}


@pytest.mark.parametrize(("arrays", "message"), BAD.values(), ids=BAD)
def test_what_does_not_fit(tmp_path, arrays, message):
    path = write(tmp_path / "d.npz", **arrays)
    with pytest.raises(
        DataError,
        match=re.escape(path)
        + " is not an .npz file of x_train, .*"
        + re.escape(message),
    ):
        npz_data.load_npz(path)


def test_a_file_that_lacks_an_array(tmp_path):
    np.savez(tmp_path / "d.npz", x_train=PIXELS)
    with pytest.raises(
        DataError, match=r"it lacks t_train, x_test, t_test; it has x_train\.$"
    ):
        npz_data.load_npz(str(tmp_path / "d.npz"))
    with pytest.raises(DataError, match="could not be read"):
        npz_data.load_npz(str(tmp_path / "e.npz"))
