"""One test for each kind of bad input, in all calls: the error and its words, and that
nothing was changed.
"""

import itertools
from typing import get_args

import numpy as np
import pytest

import secant
from layouts import unaligned
from secant.backends import BACKENDS, base
from secant.errors import DTypeError, ParamsError, ShapeError, ValueRangeError

X = np.random.RandomState(0).uniform(size=(4, 3))
T = np.array([0, 1, 1, 0])
METHODS = ", ".join(map(repr, get_args(base.Method)))
NAMES = ", ".join(map(repr, BACKENDS))
OVERFLOW = "x and params must be small enough for a finite result, got an overflow"


def network():
    return secant.TwoLayerNet(3, 5, 2, rng=0)


CALLS = {
    "predict": lambda net, x, t: net.predict(x),
    "loss": lambda net, x, t: net.loss(x, t),
    "accuracy": lambda net, x, t: net.accuracy(x, t),
    "gradient": lambda net, x, t: net.gradient(x, t),
    "numerical_gradient": lambda net, x, t: net.numerical_gradient(x, t),
}
WITH_TARGETS = {name: call for name, call in CALLS.items() if name != "predict"}
WITH_WEIGHTS = {name: call for name, call in WITH_TARGETS.items() if name != "accuracy"}


BY_METHOD = {
    method: lambda net, x, t, method=method: net.numerical_gradient(x, t, method=method)
    for method in ("series", "direct")
}


def cases(table):
    """A test for each row of (what makes it, the error, the message)."""
    return pytest.mark.parametrize(
        ("bad", "error", "message"), table.values(), ids=table
    )


def assert_all_refuse(calls, error, message, net=network, x=X, t=T):
    """Each of the calls, of a new network."""
    for call in calls.values():
        assert_refused(lambda call=call: call(net(), x, t), error, message)


def assert_refused(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    assert str(caught.value) == message


def changed(array, index, value):
    array = np.array(array, float)
    array[index] = value
    return array


# ---- x -------------------------------------------------------------------------------

NOT_FINITE = changed(X, (2, 1), np.nan)
BAD_X = {
    "scalar": (1.0, ShapeError, "x must have shape (N, 3) or (3,), got ()"),
    "too narrow": (np.ones((4, 2)), ShapeError, "x must have 3 columns, got 2"),
    "empty batch": (
        np.ones((0, 3)),
        ShapeError,
        "x must hold at least one sample, got shape (0, 3)",
    ),
    "ragged": (
        [[1, 2, 3], [1, 2]],
        ShapeError,
        "x must be a regular array, got rows of different lengths",
    ),
    "complex": (
        np.ones((4, 3), complex),
        DTypeError,
        "x must hold real numbers, got an array of complex128",
    ),
    "objects": (
        np.ones((4, 3), object),
        DTypeError,
        "x must hold real numbers, got an array of object",
    ),
    "nothing": (None, DTypeError, "x must hold real numbers, got None"),
    "masked": (
        np.ma.masked_greater(X, 0.5),
        DTypeError,
        "x must be a plain array, got a masked one: its mask would be lost",
    ),
    "nan": (NOT_FINITE, ValueRangeError, "x must be finite, got nan at (2, 1)"),
    "infinity": (
        changed(X, (0, 0), np.inf),
        ValueRangeError,
        "x must be finite, got inf at (0, 0)",
    ),
    "nan in fortran order": (
        np.asfortranarray(NOT_FINITE),
        ValueRangeError,
        "x must be finite, got nan at (2, 1)",
    ),
}


@cases(BAD_X)
def test_bad_inputs(backend, bad, error, message):
    assert_all_refuse(CALLS | BY_METHOD, error, message, x=bad)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [8e307, 1.7e308])
def test_weights_of_targets_whose_loss_overflows(backend, size, dtype):
    net, t = secant.TwoLayerNet(3, 5, 2, rng=0, dtype=dtype), np.full((4, 2), size)
    calls = WITH_WEIGHTS | {
        "direct": lambda net, x, t: net.numerical_gradient(x, t, method="direct"),
        "cross_entropy_error": lambda net, x, t: secant.cross_entropy_error(
            net.predict(x), t
        ),
        "train": lambda net, x, t: secant.train(
            net, x, t, n_iterations=3, batch_size=4, rng=0, progress=False
        ),
    }
    for call in calls.values():
        with pytest.raises(
            ValueRangeError,
            match=r"^t must be small enough for a finite loss, got an overflow$",
        ):
            call(net, X, t)
    for key, param in secant.TwoLayerNet(3, 5, 2, rng=0, dtype=dtype).params.items():
        np.testing.assert_array_equal(net.params[key], param)


def test_a_long_double_beyond_the_range_of_float64(backend):
    x = np.full((4, 3), np.longdouble("1e400"))
    assert_refused(
        lambda: network().predict(x),
        ValueRangeError,
        "x must be within the range of float64, got 1e+400 at (0, 0)",
    )


def test_bad_inputs_of_a_simple_net(backend):
    net = secant.SimpleNet(rng=0)
    for broken, error, message in [
        (
            np.full((2, 3), np.nan),
            ValueRangeError,
            "params['W'] must be finite, got nan at (0, 0)",
        ),
        (
            np.zeros(3),
            ParamsError,
            "params['W'] must be 2-dimensional and not empty, got shape (3,)",
        ),
        (np.full((2, 3), 1e308), ValueRangeError, OVERFLOW),
        (
            np.zeros((2, 3), np.float32),
            ParamsError,
            "params['W'] must be float64, got float32",
        ),
    ]:
        net.params["W"], before = broken, net.W
        assert_refused(lambda: net.predict([100.0, 100.0]), error, message)
        net.params["W"] = before
    net.params["V"] = net.params.pop("W")
    assert_refused(
        lambda: net.predict([1.0, 2.0]),
        ParamsError,
        "params must have the keys W, got V",
    )
    net = secant.SimpleNet(rng=0)
    assert_refused(
        lambda: net.predict(np.ones((1, 3))), ShapeError, "x must have 2 columns, got 3"
    )
    assert_refused(
        lambda: net.predict([0.5, np.nan]),
        ValueRangeError,
        "x must be finite, got nan at (1,)",
    )
    for call in (net.loss, net.accuracy, net.gradient, net.numerical_gradient):
        assert_refused(
            lambda call=call: call([1, 2], [3]),
            ValueRangeError,
            "t must hold class labels from 0 to 2, got 3",
        )
    assert_refused(
        lambda: secant.SimpleNet(2, 0),
        ValueRangeError,
        "output_size must be at least 1, got 0",
    )


# ---- t -------------------------------------------------------------------------------

ONE_HOT, SHAPES, LABELS = (
    np.eye(2)[T],
    "have shape (4,) or (4, 2), got",
    "hold class labels from 0 to 1, got",
)
BAD_T = {
    "too few labels": (T[:3], ShapeError, "have 4 rows like x, got 3"),
    "one label for all": (0, ShapeError, f"{SHAPES} ()"),
    "labels as a column": (
        T[:, np.newaxis],
        ShapeError,
        f"{SHAPES} (4, 1): give labels as (N,)",
    ),
    "too many classes": (np.eye(3)[T], ShapeError, f"{SHAPES} (4, 3)"),
    "three dimensions": (ONE_HOT[np.newaxis], ShapeError, f"{SHAPES} (1, 4, 2)"),
    "label too large": ([0, 1, 2, 0], ValueRangeError, f"{LABELS} 2"),
    "label negative": ([0, 1, -1, 0], ValueRangeError, f"{LABELS} -1"),
    "label beyond int64": (
        np.array([0, 1, 1, 2**63], np.uint64),
        ValueRangeError,
        f"{LABELS} {2**63}",
    ),
    "label fractional": (
        [0, 1, 0.5, 0],
        DTypeError,
        "hold class labels as integers, got float64",
    ),
    "nothing": (None, DTypeError, "hold real numbers, got None"),
    "weights, nan": (
        changed(ONE_HOT, (2, 1), np.nan),
        ValueRangeError,
        "be finite, got nan at (2, 1)",
    ),
    "weights, infinity": (
        changed(ONE_HOT, (0, 0), np.inf),
        ValueRangeError,
        "be finite, got inf at (0, 0)",
    ),
    "weights, negative": (
        changed(ONE_HOT, (1, 0), -0.25),
        ValueRangeError,
        "hold weights of at least 0, got -0.25",
    ),
}


@cases(BAD_T)
def test_bad_targets(backend, bad, error, message):
    assert_all_refuse(WITH_TARGETS | BY_METHOD, error, f"t must {message}", t=bad)


# ---- params --------------------------------------------------------------------------


def test_read_only_parameters_are_read(backend):
    net, right = network(), network()
    for array in net.params.values():
        array.flags.writeable = False
    for call in CALLS.values():
        np.testing.assert_equal(call(net, X, T), call(right, X, T))


@pytest.mark.parametrize(
    "options", [{}, {"method": "series"}, {"gradient": "backprop"}]
)
def test_read_only_parameters_are_not_trained(backend, options):
    net = network()
    net.params["b1"].flags.writeable = False
    message = "params['b1'] must be writeable to be trained: use a copy() of this read-only array"
    assert_refused(
        lambda: secant.train(net, X, T, progress=False, **options), ParamsError, message
    )


@pytest.mark.parametrize("log_offset", [1e-45, 1e-50, 1e39])
def test_a_log_offset_that_float32_does_not_have(backend, log_offset):
    calls = {name: call for name, call in CALLS.items() if name != "accuracy"}
    message = f"log_offset must be 0 or from 1.2e-38 to 3.4e+38 for float32 parameters, got {log_offset!r}"

    def net():
        return secant.TwoLayerNet(
            3, 5, 2, rng=0, dtype=np.float32, log_offset=log_offset
        )

    assert_all_refuse(calls, ValueRangeError, message, net=net, x=X.astype(np.float32))


NO_MATRIX, USE = "2-dimensional and not empty, got shape", "use np.ascontiguousarray"
# the parameter that is spoilt, how, the one that is named, and what it must be
BAD_PARAMS = {
    "a list": ("W2", lambda a: a.tolist(), "W2", "be a plain NumPy array, got list"),
    "W1 of one dimension": ("W1", np.ravel, "W1", f"be {NO_MATRIX} (15,)"),
    "W1 without hidden units": (
        "W1",
        lambda a: a[:, :0].copy(),
        "W1",
        f"be {NO_MATRIX} (3, 0)",
    ),
    "fortran order": (
        "W1",
        np.asfortranarray,
        "W1",
        f"be C-contiguous, got strides (8, 24): {USE}",
    ),
    "strided": (
        "b1",
        lambda a: np.zeros(10)[::2],
        "b1",
        f"be C-contiguous, got strides (16,): {USE}",
    ),
    "unaligned": (
        "W1",
        unaligned,
        "W1",
        "be aligned, got an array that is not: use its copy()",
    ),
    "float16": (
        "W1",
        lambda a: a.astype(np.float16),
        "W1",
        "be float64 or float32, got float16",
    ),
    "int64": ("W1", lambda a: a.astype(int), "W1", "be float64 or float32, got int64"),
    "big-endian": (
        "W1",
        lambda a: a.astype(">f8"),
        "W1",
        "be float64 or float32, got >f8",
    ),
}


def spoilt(name, spoil):
    """What makes a network with that parameter."""

    def make():
        net = network()
        net.params[name] = spoil(net.params[name])
        return net

    return make


@pytest.mark.parametrize(
    ("spoiled", "spoil", "name", "must"), BAD_PARAMS.values(), ids=BAD_PARAMS
)
def test_bad_parameters(backend, spoiled, spoil, name, must):
    assert_all_refuse(
        CALLS, ParamsError, f"params['{name}'] must {must}", net=spoilt(spoiled, spoil)
    )


@pytest.mark.parametrize(
    ("spoiled", "spoil", "got"),
    [
        (
            "W1",
            lambda a: a.astype("f"),
            "W1 (3, 5) float32, b1 (5,) float64, W2 (5, 2) float64, b2 (2,) float64",
        ),
        (
            "b1",
            lambda a: a[:4],
            "W1 (3, 5) float64, b1 (4,) float64, W2 (5, 2) float64, b2 (2,) float64",
        ),
        (
            "b2",
            lambda a: np.zeros(3),
            "W1 (3, 5) float64, b1 (5,) float64, W2 (5, 2) float64, b2 (3,) float64",
        ),
    ],
)
def test_parameters_that_do_not_fit_each_other(backend, spoiled, spoil, got):
    message = f"params must be W1 (I, H), b1 (H,), W2 (H, O) and b2 (O,), of one type, got {got}"
    assert_all_refuse(CALLS, ParamsError, message, net=spoilt(spoiled, spoil))


@pytest.mark.parametrize("name", ["W1", "b1", "W2", "b2"])
def test_parameters_that_are_not_finite(backend, name):
    index = tuple(n - 1 for n in network().params[name].shape)
    for value in (np.nan, np.inf, -np.inf):
        message = f"params['{name}'] must be finite, got {value} at {index}"
        net = spoilt(name, lambda array, value=value: changed(array, index, value))
        assert_all_refuse(CALLS | BY_METHOD, ValueRangeError, message, net=net)


@pytest.mark.parametrize(
    "missing", [["W1"], ["b1"], ["W2"], ["b2"], ["W1", "b1", "W2", "b2"]], ids=str
)
def test_parameters_that_are_missing(missing):
    rest = ", ".join(name for name in network().params if name not in missing) or "none"

    def net():
        net = network()
        net.params = {
            name: param for name, param in net.params.items() if name not in missing
        }
        return net

    assert_all_refuse(
        CALLS,
        ParamsError,
        f"params must have the keys W1, b1, W2 and b2, got {rest}",
        net=net,
    )


# ---- options -------------------------------------------------------------------------

BAD_H = "h must be finite and greater than 0, got"
BAD_CALLS = {
    "h zero": ({"h": 0}, ValueRangeError, f"{BAD_H} 0"),
    "h nan": ({"h": np.nan}, ValueRangeError, f"{BAD_H} nan"),
    "h infinite": ({"h": np.inf}, ValueRangeError, f"{BAD_H} inf"),
    "h too small to divide by": (
        {"h": 1e-151},
        ValueRangeError,
        "h must be at least 1e-150, got 1e-151",
    ),
    "h text": ({"h": "1e-4"}, DTypeError, "h must be a real number, got '1e-4'"),
    "method": (
        {"method": "taylor"},
        ValueRangeError,
        f"method must be one of {METHODS}, got 'taylor'",
    ),
    "no threads": (
        {"n_threads": 0},
        ValueRangeError,
        "n_threads must be at least 1, got 0",
    ),
    "threads fractional": (
        {"n_threads": 1.5},
        DTypeError,
        "n_threads must be a whole number, got 1.5",
    ),
}


@cases(BAD_CALLS)
def test_bad_options_of_a_gradient(bad, error, message):
    assert_refused(lambda: network().numerical_gradient(X, T, **bad), error, message)
    if "n_threads" in bad:
        assert_refused(lambda: network().gradient(X, T, **bad), error, message)


def test_more_threads_than_an_int_can_count(backend):
    network().gradient(X, T, n_threads=2**40)
    network().numerical_gradient(X, T, n_threads=2**40)


# ---- construction --------------------------------------------------------------------

SIZES = ["input_size", "hidden_size", "output_size"]
TYPES = (np.float16, ">f4", complex, "number")
BAD_OPTIONS = {
    **{
        f"no {name}": ({name: 0}, ValueRangeError, f"{name} must be at least 1, got 0")
        for name in SIZES
    },
    **{
        f"{dtype!r}": (
            {"dtype": dtype},
            DTypeError,
            f"dtype must be float64 or float32, got {dtype!r}",
        )
        for dtype in TYPES
    },
    "size fractional": (
        {"hidden_size": 2.5},
        DTypeError,
        "hidden_size must be a whole number, got 2.5",
    ),
    "std infinite": (
        {"weight_init_std": np.inf},
        ValueRangeError,
        "weight_init_std must be finite, got inf",
    ),
    "std text": (
        {"weight_init_std": "he"},
        DTypeError,
        "weight_init_std must be a real number, got 'he'",
    ),
    "backend": (
        {"backend": "cuda"},
        ValueRangeError,
        f"backend must be one of {NAMES}, got 'cuda'",
    ),
}


@cases(BAD_OPTIONS)
def test_bad_options_of_a_network(bad, error, message):
    sizes = {"input_size": 3, "hidden_size": 5, "output_size": 2}
    assert_refused(lambda: secant.TwoLayerNet(**sizes | bad), error, message)


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: secant.TwoLayerNet(3, 5, 2, rng=rng),
        lambda rng: secant.SimpleNet(rng=rng),
    ],
)
def test_bad_sources_of_random_numbers(make):
    for rng, error in (("seed", DTypeError), (-1, ValueRangeError)):
        with pytest.raises(error, match=r"^rng must be "):
            make(rng)


# ---- overflows -----------------------------------------------------------------------


def test_a_pre_activation_that_overflows_is_an_error(backend):
    net = secant.TwoLayerNet(2, 2, 2, output_activation="identity", rng=0)
    # z1 = 1 for both units, so a2 is an infinity, and the softmax NaN
    net.params["b1"][:] = 50.0
    net.params["W2"][:] = [[1.7e308, 1.0], [1.7e308, 1.0]]
    net.params["b2"][0] = 1.7e308
    assert_all_refuse(
        CALLS, ValueRangeError, OVERFLOW, net=lambda: net, x=[[0.0, 0.0]], t=[0]
    )


@pytest.mark.parametrize("hidden", get_args(base.HiddenActivation))
def test_a_hidden_unit_that_overflows_is_an_error(backend, hidden):
    """By the order of its terms the sum is NaN or an infinity, of which an activation
    makes a number.
    """
    x = np.array([[1.0, 1.0], [1e160, 1e160]])
    for column, unit in itertools.product(
        ([-1e160, 2e160], [2e160, -1e160], [-1e160, -1e160]), (0, 49)
    ):
        net = secant.TwoLayerNet(2, 50, 2, hidden_activation=hidden, rng=0)
        net.params["W1"][:, unit], net.params["W2"][unit] = column, 0.0
        assert_all_refuse(
            CALLS, ValueRangeError, OVERFLOW, net=lambda net=net: net, x=x, t=[0, 1]
        )
        # which stay as they were
        before = {name: param.tobytes() for name, param in net.params.items()}
        with pytest.raises(
            secant.errors.ValueRangeError,
            match=r"in iteration 1, the loss is nan|is not finite",
        ):
            secant.train(net, x, [0, 1], x, [0, 1], n_iterations=2, batch_size=2, rng=0)
        assert {name: param.tobytes() for name, param in net.params.items()} == before


@pytest.mark.parametrize("gradient", ["numerical", "backprop"])
@pytest.mark.parametrize("loss", ["before", "after"])
def test_an_overflow_before_the_first_step_is_an_error(backend, loss, gradient):
    """The step that follows from it would make the loss finite."""
    net = secant.TwoLayerNet(2, 2, 2, rng=0)
    net.params["W1"][...] = 1.0
    x, options = (
        [[1e308, 1e308], [1.0, 0.0]],
        {"learning_rate": 10, "n_iterations": 2, "batch_size": 2},
    )
    with pytest.raises(
        secant.errors.ValueRangeError, match="in iteration 1, the loss is nan"
    ):
        secant.train(
            net,
            x,
            [0, 1],
            loss=loss,
            gradient=gradient,
            sampling="ordered",
            progress=False,
            **options,
        )
    assert (net.params["W1"] == 1).all()


def test_an_output_that_overflows_is_an_error(backend):
    net = secant.TwoLayerNet(2, 2, 2, hidden_activation="relu", rng=0)
    net.params["W1"][:], net.params["W2"][:] = 1.0, [[-1e160, 1.0], [2e160, 1.0]]
    assert_all_refuse(
        CALLS, ValueRangeError, OVERFLOW, net=lambda: net, x=[[1e160, 1e160]], t=[0]
    )


def test_a_gradient_that_overflows_in_one_array_only_is_an_error(backend):
    net = secant.TwoLayerNet(1, 2, 2, output_activation="identity", rng=0)
    net.params["W1"][:], net.params["W2"][:] = 0.0, [[1e150, -1e150], [-1e150, 1e150]]
    x, t = [[1e300]], [[1e200, 1e190]]  # the weight of a target is a factor of the loss
    assert_refused(lambda: net.gradient(x, t), ValueRangeError, OVERFLOW)
    assert_refused(
        lambda: net.numerical_gradient(x, t, h=1e-150), ValueRangeError, OVERFLOW
    )


@pytest.mark.filterwarnings("ignore:Own.loss is overridden")
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_gradient_of_a_loss_of_ones_own_that_overflows_is_an_error():
    class Own(secant.TwoLayerNet):
        def loss(self, x, t):
            return 1e308 * (self.params["b2"][0] * 1e3)

    net = Own(2, 2, 2, rng=0)
    before = {name: param.copy() for name, param in net.params.items()}
    assert_refused(
        lambda: net.numerical_gradient([[1.0, 1.0]], [0]), ValueRangeError, OVERFLOW
    )
    for name, param in net.params.items():
        assert np.array_equal(param, before[name])


def test_parameters_that_are_not_a_dict(tmp_path):
    net = network()
    net.params = None
    message = "params must be a dict with the keys W1, b1, W2 and b2, got None"
    assert_all_refuse(CALLS, ParamsError, message, net=lambda: net)
    assert_refused(lambda: net.save(tmp_path / "net"), ParamsError, message)
