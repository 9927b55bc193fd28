"""No bit depends on threads: on how many one call has, or on others that compute at
once, with a GIL or without.
"""

import hashlib
import json
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import secant
from secant.backends.activations import ACTIVATIONS
from sweeps import grid

pytestmark = pytest.mark.usefixtures("compiled")
THREADS = 8


class Reader:
    """A network of another class."""

    def __init__(self):
        rng = np.random.RandomState(0)
        self.params = {"w1": rng.normal(size=(6, 5)), "b1": rng.normal(size=5)}
        self.params |= {"w2": rng.normal(size=(5, 4)), "b2": rng.normal(size=4)}

    def loss(self, x, t):
        p = self.params
        a = np.maximum(x @ p["w1"] + p["b1"], 0) @ p["w2"] + p["b2"]
        return secant.cross_entropy_error(secant.softmax(a), t)


def batch(samples, inputs, outputs):
    return np.random.RandomState(1).uniform(size=(samples, inputs)), np.arange(
        samples
    ) % outputs


def bits(*results):
    """A short form of the bits of arrays, of dicts of them, and of numbers."""
    found = hashlib.sha256()
    for result in results:
        for array in result.values() if isinstance(result, dict) else [result]:
            found.update(np.asarray(array).tobytes())
    return found.hexdigest()


shared = {
    activation: secant.TwoLayerNet(60, 40, 10, rng=0, hidden_activation=activation)
    for activation in ("relu", "tanh")
}
accelerated = secant.accelerate(Reader())
one_class = secant.accelerate(type("OneClass", (Reader,), {}))


def gradient(activation, method, n_threads):
    x, t = batch(120, 60, 10)
    return bits(
        shared[activation].numerical_gradient(
            x, t, h=1e-3, method=method, n_threads=n_threads
        )
    )


def backpropagation(n_threads):
    x, t = batch(300, 60, 10)
    return bits(
        shared["tanh"].gradient(x, t, n_threads=n_threads), shared["tanh"].predict(x)
    )


def pixels():
    x = np.random.RandomState(2).randint(256, size=(50, 60)).astype(np.uint8)
    net = secant.TwoLayerNet(60, 20, 10, rng=0)
    history = secant.train(
        net,
        x,
        np.arange(50) % 10,
        x,
        np.arange(50) % 10,
        n_iterations=6,
        rng=3,
        normalize=True,
        progress=False,
    )
    return bits(net.params, history.train_loss_list)


def of_a_function():
    def f(x):
        return (np.sin(x) * x[::-1]).sum()

    x = np.linspace(0, 2, 30)
    auto = secant.numerical_gradient(f, x, scheme="auto")
    return bits(
        secant.numerical_gradient(f, x), auto, secant.numerical_hessian(f, x[:5])
    )


def checked():
    x = np.linspace(0, 1, 40).reshape(5, 8)
    right = secant.check_gradient(lambda x: (x**3).sum(), x, 3 * x**2, rng=0)
    wrong = secant.check_gradient(lambda x: (x**3).sum(), x, 3 * x**2 + (x == 1), rng=0)
    return json.dumps(
        [right.verdict, wrong.verdict, *map(str, (right.arrays, wrong.arrays))]
    )


def of_a_reader():
    x, t = batch(9, 6, 4)
    return bits(
        accelerated.numerical_gradient(x, np.eye(4)[t]),
        one_class().numerical_gradient(x, np.eye(4)[t]),
    )


OPERATIONS = [
    *(
        (gradient, activation, method, n)
        for activation in shared
        for method in ("direct", "series")
        for n in (1, 3)
    ),
    *((backpropagation, n) for n in (1, 2)),
    (pixels,),
    (of_a_function,),
    (checked,),
    (of_a_reader,),
]


@pytest.mark.parametrize(
    "operations", [160, pytest.param(10_000, marks=pytest.mark.nightly)]
)
def test_eight_threads_compute_what_one_computes(operations):
    expected = [function(*arguments) for function, *arguments in OPERATIONS]
    wrong, done, start = [], [], threading.Barrier(THREADS)

    def work(seed):
        rng = random.Random(seed)
        start.wait()
        for _ in range(operations // THREADS):
            i = rng.randrange(len(OPERATIONS))
            function, *arguments = OPERATIONS[i]
            if function(*arguments) != expected[i]:
                wrong.append(OPERATIONS[i])
            done.append(i)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    assert not wrong
    assert len(done) == operations
    assert {*done} == {*range(len(OPERATIONS))}


# ---- OpenMP's threads, and Numba's ---------------------------------------------------

# of 300 samples, which are three blocks, and their hidden units: more than 128 have
# longer blocks
INPUTS = {
    "dense": (300, lambda rng, x: x),
    "sparse": (37, lambda rng, x: x * (rng.uniform(size=x.shape) > 0.7)),
    "some without a series": (
        70,
        lambda rng, x: x * np.where(np.arange(300) % 7, 1, 900)[:, np.newaxis],
    ),
}


@pytest.mark.parametrize(
    "dtype", [np.float64, np.float32], ids=lambda dtype: dtype.__name__
)
@pytest.mark.parametrize(
    ("inputs", "hidden"),
    grid(
        lambda inputs, hidden: hidden in ("sigmoid", "relu") or "some" not in inputs,
        INPUTS,
        ACTIVATIONS,
    ),
)
def test_the_bits_do_not_depend_on_the_number_of_threads(fast, inputs, hidden, dtype):
    rng, (units, change) = np.random.RandomState(0), INPUTS[inputs]
    x, t = (
        change(rng, rng.uniform(0, 1, (300, 24))).astype(dtype),
        rng.randint(6, size=300),
    )
    settings = {"hidden_activation": hidden, "weight_init_std": 0.1, "dtype": dtype}
    net = secant.TwoLayerNet(24, units, 6, rng=0, **settings)

    def results(n_threads):
        trained = secant.TwoLayerNet(24, units, 6, rng=0, **settings)
        options = {
            "n_iterations": 3,
            "batch_size": 200,
            "rng": 0,
            "progress": False,
            "n_threads": n_threads,
        }
        history = secant.train(trained, x, t, x[:9], t[:9], **options)
        yield bits(trained.params, history.train_loss_list, history.train_acc_list)
        yield bits(net.gradient(x, t, n_threads=n_threads))
        for options in ({}, {"h": 1e-2}, {"h": 1e-3, "method": "direct"}):
            grads, info = net.numerical_gradient(
                x, t, **options, n_threads=n_threads, return_info=True
            )
            yield bits(grads), info

    expected = [*results(1)]
    for n_threads in (2, 3, 1000):
        assert [*results(n_threads)] == expected, n_threads


LARGE = np.random.RandomState(4).normal(0, 3, (200_000, 10))


@pytest.mark.parametrize(
    "function",
    [
        lambda: secant.sigmoid(LARGE),
        lambda: secant.softmax(LARGE),
        lambda: secant.cross_entropy_error(
            1 / (1 + LARGE**2), np.arange(len(LARGE)) % 10
        ),
        lambda: secant.cross_entropy_error(1 / (1 + LARGE**2), abs(LARGE)),
    ],
    ids=["sigmoid", "softmax", "cross entropy of labels", "cross entropy of weights"],
)
def test_a_limit_is_kept_and_changes_no_bit(function):
    from secant import _core

    if not _core.build_info()["openmp"]:
        pytest.skip("built without OpenMP")
    results = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="openmp"):
            assert _core.max_threads() == threads
            results.append(bits(function()))
    assert len({*results}) == 1


def test_other_threads_of_python_run_meanwhile():
    net, x, t = (
        secant.TwoLayerNet(784, 100, 10, rng=0),
        np.ones((6000, 784)),
        np.arange(6000) % 10,
    )
    options = {"method": "direct", "h": 0.1, "n_threads": 1}  # half a second

    def turns():
        thread = threading.Thread(
            target=net.numerical_gradient, args=(x, t), kwargs=options
        )
        thread.start()
        count = 0
        while thread.is_alive():
            time.sleep(1e-3)
            count += 1
        return count

    # With the GIL held there would be the one or two before and after, each time; on a
    # busy machine there may be.
    assert any(turns() > 5 for _ in range(20))


@pytest.mark.skipif(
    not hasattr(sys, "_is_gil_enabled"), reason="this Python always has a GIL"
)
def test_the_core_leaves_a_python_without_a_gil_as_it_is(run_python):
    import sysconfig

    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("this Python always has a GIL")
    done = run_python(
        "import sys, secant._core; print(sys._is_gil_enabled())", "-W", "error"
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.slow
def test_subnormal_numbers_count_on_every_thread_whatever_one_was_told(compiled):
    """PyTorch turns them off for the thread that asks, and threads that start later."""
    torch = pytest.importorskip("torch")
    net, rng = secant.TwoLayerNet(4, 9, 3, rng=0), np.random.default_rng(0)
    x, t = rng.uniform(size=(40, 4)), rng.integers(0, 3, 40)
    x[:, 0] = 1e-310
    expected = {
        key: grad.tobytes()
        for key, grad in net.numerical_gradient(x, t, n_threads=1).items()
    }
    torch.set_flush_denormal(True)
    try:
        for n_threads in (1, 2):
            grads = net.numerical_gradient(x, t, n_threads=n_threads)
            assert {key: grad.tobytes() for key, grad in grads.items()} == expected, (
                n_threads
            )
        assert np.float64(1e-310) * 1 == 0  # as it was told
    finally:
        torch.set_flush_denormal(False)
    assert net.numerical_gradient(x, t)["W1"][0].any()
