"""ReLU's kinks: what comes out is the central difference, also where a shift takes a
unit across its kink.
"""

import platform

import numpy as np
import pytest

import oracles
import secant
from random_networks import DTYPES, OUTPUTS, error, random_case

H = 2.0**-13
INPUTS = np.array([0.25, -0.5, 1.0, 0.0, 1.5])
REACH = H * 1.5  # no shift of a pre-activation is larger
SHIFTS = np.array([H, *(H * np.abs(INPUTS))])
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def with_pre_activations(a1, output, dtype=np.float64):
    """A network and a sample whose pre-activations are exactly ``a1``: all numbers have
    few binary digits.
    """
    net, _, _ = random_case(
        1, sizes=(len(INPUTS), len(a1), 3), output=output, hidden="relu", dtype=dtype
    )
    net.params["W1"] = np.round(net.params["W1"] * 64) / 64
    net.params["b1"] = (a1 - INPUTS @ net.params["W1"]).astype(dtype)
    assert (INPUTS @ net.params["W1"] + net.params["b1"] == a1).all()
    return net, INPUTS[np.newaxis].astype(dtype), np.array([1])


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
@each_dtype
def test_pre_activations_at_within_and_next_to_what_a_shift_reaches(
    backend, sign, output, dtype
):
    near = 2.0**-30 if dtype == np.float64 else 2.0**-6  # as few digits as it has
    for by in (0.0, near, -near, 2.0**-4, -(2.0**-4)):
        assert (
            error(*with_pre_activations(sign * SHIFTS * (1 + by), output, dtype), H)
            <= 1
        )


@pytest.mark.parametrize("h", [1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("output", OUTPUTS)
@each_dtype
def test_pre_activations_that_cancel(backend, output, h, dtype):
    """Rounded, they are off by more than the contract allows: an error of 1e-16 is one
    of 1e-12 in a difference.
    """
    net, x, t = random_case(
        2, sizes=(30, 9, 3), samples=1, output=output, hidden="relu", dtype=dtype
    )
    sums = x[0].astype(float) @ net.params["W1"].astype(float)
    net.params["b1"] = (np.linspace(-2, 2, 9) * h - sums).astype(dtype)
    assert error(net, x, t, h) <= 1


@pytest.mark.parametrize("output", OUTPUTS)
def test_samples_near_a_kink_and_others(backend, output):
    """The first sample and some of its units are near a kink."""
    net, x, t = random_case(3, samples=3, output=output, hidden="relu", kind="soft")
    x[2] = 0
    net.params["b1"][:2] = -(x[0] @ net.params["W1"])[:2]
    assert error(net, x, t, 1e-4) <= 1


def test_only_a_shift_across_the_kink_is_no_derivative(backend):
    net, x, t = with_pre_activations(
        np.array([REACH * 1.25, REACH * 0.75, 0.0]), "sigmoid"
    )
    difference, derivative = net.numerical_gradient(x, t, h=H), net.gradient(x, t)
    apart = np.abs(difference["W1"] - derivative["W1"])[-1]  # its input is the largest
    assert apart[0] < 1e-7 < 1e-4 < min(apart[1:])
    # the slope at the kink is 0, as the book has it
    assert not derivative["W1"][:, 2].any()
    slope_of_outputs = derivative["b2"]
    np.testing.assert_allclose(
        difference["b1"][2] * 2, net.params["W2"][2] @ slope_of_outputs, rtol=1e-3
    )


@pytest.mark.parametrize("huge", [0, 7])
def test_a_huge_unit_hides_no_kink_of_another(backend, huge):
    """The absolute values of its terms have an infinite sum, so what rounding may do to
    it is no number.
    """
    x, t, h = np.array([[1e154, 1e154, 0.0]]), np.array([1]), 1e-2
    for kink in set(range(8)) - {huge}:
        net = secant.TwoLayerNet(3, 8, 3, hidden_activation="relu", rng=0)
        net.params["W1"] = np.zeros((3, 8))
        net.params["W1"][0] = -1.0
        net.params["W1"][:2, huge] = 1e154, -1.6e154
        net.params["W1"][0, kink] = 0.0
        net.params["b1"][kink] = 1e-3
        net.params["W2"] = np.linspace(-1, 1, 24).reshape(8, 3) + 0.05
        net.params["b2"] = np.array([0.1, 0.2, 0.3])
        exact = float(oracles.of(net, x, t).central_difference("W1", (0, kink), h))
        for method in ("auto", "direct"):
            got = net.numerical_gradient(x, t, h=h, method=method)["W1"][0, kink]
            np.testing.assert_allclose(got, exact, rtol=1e-11)


@pytest.mark.slow
@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="MALLOC_PERTURB_ is glibc's"
)
@pytest.mark.parametrize("hidden", [35, 51])
def test_training_does_not_depend_on_what_memory_held(compiled, run_python, hidden):
    """The last pack of units is not full, and a mini-batch has several blocks."""
    code = f"""
import numpy as np, secant
rng = np.random.RandomState(1)
x, t = rng.uniform(0.01, 1, (300, 40)).astype(np.float32), rng.randint(3, size=300)
net = secant.TwoLayerNet(40, {hidden}, 3, hidden_activation="relu", rng=0, dtype=np.float32, backend="cpp")
core, batches = secant.backends.backend_module("cpp"), np.arange(300)[np.newaxis].repeat(3, 0)
net.params["W1"] *= 30
descent = secant.backends.base.Descent("auto", 1e-4, 0.1, 1)
core.train(secant.networks.batch.checked(net, x, t, core), batches, descent, [])
assert all(np.isfinite(param).all() for param in net.params.values())
print(*(param.tobytes().hex() for param in net.params.values()))
"""
    # M_PERTURB: the variable cannot ask for bytes of 255
    nan = "import ctypes; ctypes.CDLL(None).mallopt(-6, 256)"
    # Each byte of new memory is the complement: a large negative number, 0, a small
    # negative number.
    runs = [run_python(code, MALLOC_PERTURB_=str(byte)) for byte in (1, 255, 85)] + [
        run_python(nan + code)
    ]
    assert not any(run.returncode for run in runs), [run.stderr for run in runs]
    assert len({run.stdout for run in runs}) == 1
