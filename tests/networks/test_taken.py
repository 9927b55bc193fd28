"""What the core takes as it is: the checks would have found nothing wrong and nothing to convert."""

from fractions import Fraction

import numpy as np
import pytest

import secant
from secant.backends import backend_module
from secant.networks.batch import PARAM_NAMES


class Subclass(np.ndarray):
    pass


def frozen(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array):
    raw = np.empty(array.nbytes + 1, np.uint8)[1:]
    result = raw.view(array.dtype).reshape(array.shape)
    result[...] = array
    return result


def changed(array, value):
    array = array.copy()
    array.flat[-1] = value
    return array


X, WEIGHTS, LABELS = np.random.default_rng(0).uniform(size=(4, 3)), np.eye(2)[[0, 1, 1, 0]], np.array([0, 1, 1, 0])
FORMS = {
    "strided": lambda array: np.repeat(array, 2, axis=0)[::2],
    "Fortran": np.asfortranarray,
    "swapped": lambda array: array.astype(array.dtype.newbyteorder()),
    "unaligned": unaligned,
    "subclass": lambda array: array.view(Subclass),
    "masked": np.ma.array,
    "list": lambda array: array.tolist(),
    "narrower": lambda array: array.astype(array.dtype.str[:2] + "2"),
    "longer": lambda array: np.concatenate([array, array]),
    "wider": lambda array: np.concatenate([array, array], axis=-1),
    "empty": lambda array: array[:0],
    "one": lambda array: array[0],
    "none": lambda array: None,
}
XS = {name: form(X) for name, form in FORMS.items()} | {
    "right": X,
    "bytes": X.astype(np.uint8),
    "single": X.astype("f4"),
}
TS = {f"weights, {name}": form(WEIGHTS) for name, form in FORMS.items()}
TS |= {f"labels, {name}": form(LABELS) for name, form in FORMS.items()}
TS |= {"weights": WEIGHTS, "labels": LABELS, "frozen": frozen(LABELS), "unsigned": LABELS.astype(np.uint64)}
TS |= {f"weights, {bad}": changed(WEIGHTS, bad) for bad in (-1e-300, np.nan, np.inf, -0.0)}
TS |= {f"labels, {bad}": changed(LABELS, bad) for bad in (-1, 2)}
PARAMS = FORMS | {"right": np.copy, "frozen": frozen, "single": np.float32}


def unchanged(net, x, t):
    """Whether the checks leave all as it is."""
    try:
        checked, samples, targets = net._checked(backend_module("numpy"), x, t)
    except (secant.errors.SecantError, ValueError):
        return False
    before = *(net.params[name] for name in PARAM_NAMES), x, t
    return all(
        np.may_share_memory(a, b) and a.dtype == b.dtype
        for a, b in zip(before, (*checked[:4], samples, targets), strict=True)
    )


def as_given(net, x, t, method="auto", h=1e-4):
    given = *map(net.params.get, PARAM_NAMES), net.hidden_activation, net.output_activation, net.log_offset
    return backend_module("cpp").gradient_as_given(given, x, t, method, h, 1)


def taken(net, x, t):
    return as_given(net, x, t) is not None


def network(dtype=np.float64):
    return secant.TwoLayerNet(3, 5, 2, rng=0, dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("x", XS.values(), ids=XS)
def test_samples(compiled, x, dtype):
    for name, t in TS.items():
        assert taken(network(dtype), x, t) <= unchanged(network(dtype), x, t), name


@pytest.mark.parametrize("name", PARAM_NAMES)
@pytest.mark.parametrize("form", PARAMS.values(), ids=PARAMS)
def test_parameters(compiled, form, name):
    net = network()
    net.params[name] = form(net.params[name])
    assert taken(net, X, LABELS) <= unchanged(net, X, LABELS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_activation", "swish"), ("hidden_activation", 1), ("hidden_activation", "\udc80"),
        ("output_activation", "relu"), ("output_activation", None),
        ("log_offset", -1.0), ("log_offset", np.nan), ("log_offset", "0"), ("log_offset", True),
    ],
)  # fmt: skip
def test_settings(compiled, name, value):
    net = network()
    setattr(net, name, value)
    assert not taken(net, X, LABELS)


class Doubled(dict):
    def __getitem__(self, name):
        return 2 * super().__getitem__(name)


def test_params_that_are_no_dict_are_asked_as_elsewhere(backend):
    net, twice = network(), network()
    twice.params = Doubled(net.params)
    net.params = {name: 2 * array for name, array in net.params.items()}
    for name, gradient in net.gradient(X, LABELS).items():
        np.testing.assert_array_equal(twice.gradient(X, LABELS)[name], gradient)
        np.testing.assert_array_equal(
            twice.numerical_gradient(X, LABELS)[name], net.numerical_gradient(X, LABELS)[name]
        )


@pytest.mark.parametrize("value", [np.array("weights"), np.array(["weights", "argmax"]), None])
def test_soft_targets_that_are_no_string(compiled, value):
    net = network()
    net.soft_targets = value
    with pytest.raises(secant.errors.ValueRangeError, match="soft_targets must be one of"):
        net.gradient(X, LABELS)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("t", [WEIGHTS, LABELS], ids=["weights", "labels"])
def test_what_most_calls_give_is_taken(compiled, t, dtype):
    assert taken(network(dtype), X.astype(dtype), t)


def test_parameters_that_share_memory_are_not_taken(compiled):
    memory = np.random.default_rng(0).normal(size=12)
    for end in range(5):
        net = network()
        net.params["b1"], net.params["b2"] = memory[:5], memory[5 - end :][:2]
        assert taken(net, X, LABELS) == (end == 0)
        net.params["b1"], net.params["b2"] = memory[5 - end :][:5], memory[3:5]
        assert taken(net, X, LABELS) == (end == 0)


@pytest.mark.parametrize("method", ["derivative", "auto", "series", "direct"])
def test_what_has_no_finite_gradient_counts_no_samples(compiled, method):
    for bad in (np.nan, np.inf):
        assert as_given(network(), changed(X, bad), LABELS, method)[1] == {}
        for name in PARAM_NAMES:
            net = network()
            net.params[name].flat[-1] = bad
            assert as_given(net, X, LABELS, method)[1] == {}, (name, bad)


def test_a_series_that_is_not_proven_is_refused(compiled):
    assert as_given(network(), X, LABELS, "series", 2.0)[1] == {0: 4}
    with pytest.raises(secant.errors.UnsupportedError, match="no proven order for 4 of 4 samples"):
        network().numerical_gradient(X, LABELS, method="series", h=2.0)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"method": "derivative"}, "method"), ({"method": np.array(["auto", "series"])}, "method"), ({"h": 0.0}, "h"),
        ({"h": np.nan}, "h"), ({"h": -1e-4}, "h"), ({"h": np.inf}, "h"), ({"n_threads": 0}, "n_threads"),
        ({"n_threads": 1.0}, "n_threads"),
    ],
)  # fmt: skip
def test_other_arguments_are_checked_where_all_else_is_taken(backend, options, named):
    with pytest.raises(secant.errors.SecantError, match=f"^{named} must be"):
        network().numerical_gradient(X, LABELS, **options)


@pytest.mark.parametrize("h", [np.float64(0.5), Fraction(1, 2)])
@pytest.mark.parametrize("n_threads", [np.int64(2), None])
def test_other_types_of_arguments_mean_the_same(compiled, h, n_threads):
    expected = network().numerical_gradient(X, LABELS, h=0.5, n_threads=2)
    for name, gradient in network().numerical_gradient(X, LABELS, h=h, n_threads=n_threads).items():
        np.testing.assert_array_equal(gradient, expected[name])
