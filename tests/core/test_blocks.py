"""Mini-batches of several blocks of samples, nets of several panels of units: right,
and the same for any threads.
"""

import itertools

import numpy as np
import pytest

import secant
from random_networks import OUTPUTS, share_of_bound, trained_by_the_core
from secant.errors import ValueRangeError
from sweeps import grid

pytestmark = pytest.mark.usefixtures("compiled")

SAMPLES = 300  # three blocks, or two where there are more than 128 hidden units
H = 1e-3
THREADS = (2, 3, 5)
HIDDEN_UNITS = (7, 70, 130)
MIXED = {  # the samples without a proven order
    "series": [],
    "mixed": range(0, SAMPLES, 7),
    "a block": range(128, 256),
    "the first block": range(128),
    "the last": range(SAMPLES - 44, SAMPLES),
    "direct": range(SAMPLES),
}


def case(hidden=70, output="sigmoid", large="series"):
    """A network with inputs 0 to 1, some of them so large that no order is proven."""
    rng = np.random.RandomState(0)
    net = secant.TwoLayerNet(
        120, hidden, 6, weight_init_std=0.1, output_activation=output, rng=rng
    )
    x = rng.uniform(0, 1, (SAMPLES, 120)) * (rng.uniform(size=(SAMPLES, 120)) > 0.7)
    x[list(MIXED[large]), 5] = 900.0
    return net, x, rng.randint(6, size=SAMPLES)


each_case = pytest.mark.parametrize(
    ("hidden", "large"),
    grid(lambda hidden, large: hidden == 70 or large == "mixed", HIDDEN_UNITS, MIXED),
)


def mean_of(parts):
    return {key: np.mean([part[key] for part in parts], axis=0) for key in parts[0]}


@each_case
@pytest.mark.parametrize("output", OUTPUTS)
def test_gradients(hidden, output, large):
    net, x, t = case(hidden, output, large)
    got, info = net.numerical_gradient(x, t, h=H, n_threads=2, return_info=True)
    assert info.samples.get(0, 0) == len(MIXED[large])
    parts = [
        net.numerical_gradient(x[i : i + 50], t[i : i + 50], h=H, method="direct")
        for i in range(0, SAMPLES, 50)
    ]
    assert share_of_bound(got, mean_of(parts), x) <= 2
    parts = [net.gradient(x[i : i + 50], t[i : i + 50]) for i in range(0, SAMPLES, 50)]
    assert share_of_bound(net.gradient(x, t, n_threads=2), mean_of(parts), x) <= 2


@each_case
def test_a_step_of_training_is_that_of_the_gradient(hidden, large):
    got = trained_by_the_core(
        *case(hidden, large=large), np.arange(SAMPLES)[np.newaxis], h=H, n_threads=2
    )
    net, x, t = case(hidden, large=large)
    grads = net.numerical_gradient(x, t, h=H)
    for key, param in net.params.items():
        param -= 0.1 * grads[key]
    for key, param in net.params.items():
        assert np.all(
            np.abs(got[key] - param) <= 1e-15 * np.maximum(1, np.abs(grads[key]))
        ), key
    assert abs(got["losses"][0] - net.loss(x, t)) <= 1e-14 * net.loss(x, t)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
# weights: in place, copied by blocks, all at once
@pytest.mark.parametrize("samples", [5, 40, SAMPLES])
def test_a_parameter_that_is_not_finite_is_found(samples, dtype):
    rng = np.random.RandomState(1)
    net = secant.TwoLayerNet(120, 70, 6, rng=rng, dtype=np.dtype(dtype))
    x, t = rng.uniform(size=(samples, 120)), rng.randint(6, size=samples)
    for (name, param), n_threads in itertools.product(
        net.params.items(), (1, *THREADS)
    ):
        for place, bad in itertools.product((0, -1), (np.nan, np.inf)):
            kept, param.flat[place] = param.flat[place], bad
            for gradient in (net.gradient, net.numerical_gradient):
                with pytest.raises(
                    ValueRangeError,
                    match=rf"params\['{name}'\] must be finite, got {bad}",
                ):
                    gradient(x, t, n_threads=n_threads)
            param.flat[place] = kept


@pytest.mark.parametrize("column", [0, 119])
@pytest.mark.parametrize("samples", [5, 40, SAMPLES])
def test_a_gradient_that_overflows_is_found(samples, column):
    rng = np.random.RandomState(1)
    net = secant.TwoLayerNet(120, 70, 6, output_activation="identity", rng=rng)
    net.params["W1"][:] = 0
    # large slopes of z1, whose sum is 0
    net.params["W2"][:, 0] = np.tile([1e6, -1e6], 35)
    x, t = rng.uniform(size=(samples, 120)), rng.randint(6, size=samples)
    assert np.isfinite(net.gradient(x, t)["W1"]).all()
    x[-1, column] = 1e308
    for n_threads in (1, *THREADS):
        with pytest.raises(
            ValueRangeError,
            match=r"^x and params must be small enough for a finite result",
        ):
            net.gradient(x, t, n_threads=n_threads)
