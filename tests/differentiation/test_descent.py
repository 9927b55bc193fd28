"""Gradient descent: where it ends, its path, what it says when it diverges, and that
the start is left alone.
"""

from itertools import pairwise

import numpy as np
import pytest
from ways import function_2, not_called

import secant
from layouts import same_bits
from secant.errors import DTypeError, ShapeError, ValueRangeError


def test_the_default_rate_and_number_of_steps_are_the_chapters():
    x = secant.gradient_descent(function_2, [-3.0, 4.0])
    np.testing.assert_allclose(x, [-3 * 0.98**100, 4 * 0.98**100], rtol=1e-9)


def test_too_large_a_rate_diverges():
    loss = r"after step \d+ x reaches .*e\+12, .* lr=10 may be too large, or h=0.0001 too small"
    with pytest.warns(RuntimeWarning, match=loss) as caught:
        x = secant.gradient_descent(function_2, [-3.0, 4.0], lr=10.0)
    assert np.abs(x).min() > 1e10  # the chapter shows such numbers
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    ("scheme", "what"),
    [("central", "the gradient is nan at (0,)"), ("auto", "f must be finite")],
)
def test_divergence_beyond_all_numbers_names_step_and_value(scheme, what):
    def f(x):
        return x[0] ** 2 if abs(x[0]) < 1000 else np.inf

    with pytest.raises(secant.errors.DivergenceError) as caught:
        secant.gradient_descent(f, [3.0], lr=10.0, scheme=scheme, return_path=True)
    assert str(caught.value).startswith(
        f"gradient descent diverged in step 3, from an x of up to 1.08e+03: {what}"
    )
    assert str(caught.value).endswith("; lr=10 may be too large")
    np.testing.assert_allclose(caught.value.path, [[3.0], [-57.0], [1083.0]])
    with pytest.raises(secant.errors.DivergenceError) as caught:
        secant.gradient_descent(f, [3.0], lr=10.0, scheme=scheme)
    np.testing.assert_allclose(caught.value.path, [[1083.0]])


def test_a_function_that_does_not_use_its_argument():
    x = np.array([3.0, 4.0])
    with pytest.warns(
        RuntimeWarning,
        match=r"^f returned one and the same .* take secant.book.gradient_descent, which",
    ):
        assert secant.gradient_descent(lambda _: np.sum(x**2), x).tolist() == [3, 4]


def test_a_gradient_that_is_not_finite_at_the_start():
    with pytest.raises(
        ValueRangeError,
        match="f must be finite at init_x and beside it, but the gradient",
    ):
        secant.gradient_descent(lambda x: np.nan, [3.0, 4.0])
    with pytest.raises(
        ValueRangeError,
        match=r"f is NaN at x\[1\] = 4.0001, and finite at x; .* bounds=",
    ):
        secant.gradient_descent(lambda x: x[0] if x[1] == 4 else np.nan, [3.0, 4.0])
    with pytest.raises(ValueRangeError, match="f must be finite at x"):
        secant.gradient_descent(lambda x: np.nan, [3.0], scheme="auto")


def test_a_callback_sees_each_step_and_may_end_the_walk():
    seen = []

    def callback(step, x):
        seen.append((step, x.copy()))
        x[:] = np.nan
        return ["stop"] if step == 3 else []

    x, path = secant.gradient_descent(
        function_2, [-3.0, 4.0], lr=0.1, callback=callback, return_path=True
    )
    assert [step for step, _ in seen] == [1, 2, 3]
    assert same_bits(seen[-1][1], x)
    assert path.shape == (4, 2)
    assert same_bits(path[-1], x)


def test_the_start_is_put_back_where_f_writes_to_it():
    start = np.array([-3.0, 4.0])

    def f(x):
        start[:] = x
        return function_2(start)

    found = secant.gradient_descent(f, start, lr=0.1)
    assert np.allclose(found, 0)
    assert start.tolist() == [-3, 4]


def test_options_of_the_gradient_reach_it():
    plain = secant.gradient_descent(
        function_2, [-3.0, 4.0], lr=0.1, h=1e-3, scheme="five-point"
    )
    stacks = secant.gradient_descent(
        lambda s: s[:, 0] ** 2 + s[:, 1] ** 2,
        [-3.0, 4.0],
        lr=0.1,
        h=1e-3,
        scheme="five-point",
        vectorized=True,
    )
    assert same_bits(plain, stacks)
    with pytest.raises(ValueRangeError, match="scheme must be one of"):
        secant.gradient_descent(function_2, [-3.0, 4.0], scheme="backward")


@pytest.mark.parametrize("shape", [(2,), (2, 3)], ids=str)
def test_the_path_holds_every_point(shape):
    init_x = np.random.RandomState(2).normal(size=shape)
    x, path = secant.gradient_descent(
        function_2, init_x, lr=0.1, step_num=20, return_path=True
    )
    assert path.shape == (21, *shape)
    assert same_bits(path[0], init_x)
    assert same_bits(path[-1], x)
    assert not np.shares_memory(path, x)
    for here, there in pairwise(path):
        assert same_bits(
            there, here - 0.1 * secant.numerical_gradient(function_2, here)
        )
    assert same_bits(
        secant.gradient_descent(function_2, init_x, lr=0.1, step_num=20), x
    )


START = {
    "number": 3.0,
    "integers": np.array([-3, 4]),
    "float32": np.array([-3, 4], np.float32),
    "read-only": np.broadcast_to(np.array(2.0), (3,)),
    "fortran": np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]),
    "empty": np.empty(0),
}


@pytest.mark.parametrize("init_x", START.values(), ids=START)
def test_the_start_is_left_alone(init_x):
    before = np.array(init_x)
    x = secant.gradient_descent(function_2, init_x, lr=0.1, step_num=3)
    assert np.array_equal(init_x, before)
    assert not np.shares_memory(x, init_x)
    assert x.dtype == np.float64
    np.testing.assert_allclose(x, before.astype(float) * 0.8**3, rtol=1e-9)


BAD_DESCENTS = [
    ({"lr": np.nan}, ValueRangeError, "lr must be finite, got nan"),
    ({"lr": "0.1"}, DTypeError, "lr must be a real number, got '0.1'"),
    ({"step_num": 0}, ValueRangeError, "step_num must be at least 1, got 0"),
    ({"step_num": 0.5}, DTypeError, "step_num must be a whole number, got 0.5"),
    (
        {"init_x": [[1], [1, 2]]},
        ShapeError,
        "init_x must be a regular array, got rows of different lengths",
    ),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD_DESCENTS, ids=str)
def test_a_bad_descent_is_refused_before_f_is_called(arguments, error, message):
    with pytest.raises(error) as caught:
        secant.gradient_descent(not_called, **{"init_x": [1.0]} | arguments)
    assert str(caught.value) == message
