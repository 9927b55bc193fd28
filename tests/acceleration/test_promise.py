"""No gradient is returned where the reader's loss differed, wherever the cause hides."""

import threading

import numpy as np
import pytest
import readers
from readers import Book, Keyed

import secant
from secant.acceleration.accelerate import accelerated_of
from secant.errors import LossDiffersError, UnsupportedError

SIZES = 6, 5, 4
RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(8, SIZES[0])), np.eye(SIZES[2])[np.arange(8) % SIZES[2]]


def decaying(decay, base=Book):
    """A class whose loss has a weight decay, ``decay(net)`` times the sum of the squares of W1."""

    class Net(base):
        def __init__(self, *sizes):
            super().__init__(*sizes)
            self.params["W1"] *= 100

        def loss(self, x, t):
            return super().loss(x, t) + decay(self) * np.sum(self.params["W1"] ** 2)

    return Net


def switched():
    """Such a class, and what turns its weight decay on: it hides in a closure."""
    decay = 0.0

    def turn_on():
        nonlocal decay
        decay = 0.1

    return decaying(lambda net: decay), turn_on


@pytest.mark.parametrize("as_class", [False, True], ids=["instance", "class"])
def test_a_decay_that_is_turned_on_is_noticed_by_the_next_gradient(as_class):
    cls, turn_on = switched()
    net = (secant.accelerate(cls))(*SIZES) if as_class else secant.accelerate(cls(*SIZES))
    net.numerical_gradient(X, T)
    turn_on()
    for _ in range(2):
        with pytest.raises(LossDiffersError, match="no gradient is returned"):
            net.numerical_gradient(X, T)


def test_training_ends_where_a_decay_is_turned_on():
    cls, turn_on = switched()
    net, good = secant.accelerate(cls(*SIZES)), []

    def callback(net, history):
        good.append({key: array.copy() for key, array in net.params.items()})
        turn_on()

    options = {"n_iterations": 30, "batch_size": 4, "rng": 0, "progress": False, "callback": callback}
    with pytest.raises(LossDiffersError):
        secant.train(net, X, T, **options)
    assert len(good) == 1
    assert all(np.array_equal(net.params[key], array) for key, array in good[0].items())


def test_training_compares_at_its_end():
    calls, last = [], 1e9

    def decay(net):
        calls.append(None)
        return 0.1 * (len(calls) > last)

    options = {"n_iterations": 4, "batch_size": 2, "rng": 0, "progress": False}  # an epoch, and nothing of the next
    net = secant.accelerate(decaying(decay)(*SIZES))
    calls.clear()
    secant.train(net, X, T, **options)
    assert len(calls) == 4  # before, on the first mini-batch, after it, and at the end
    calls.clear()
    last = 3
    with pytest.raises(LossDiffersError):
        secant.train(net, X, T, **options)


@pytest.mark.parametrize("decay", [1e-3, 1e-7])
def test_a_small_decay_is_noticed_too(decay):
    on = []
    net = secant.accelerate(decaying(lambda net: decay * len(on))(*SIZES))
    net.numerical_gradient(X, T)
    on.append(True)
    with pytest.raises(LossDiffersError):
        net.numerical_gradient(X, T)


@pytest.mark.parametrize(("base", "share"), [(Keyed, 1e-9), (readers.SinglePrecision, 1e-5)])
def test_losses_are_compared_to_1e_9_of_their_value_and_of_float32_to_1e_5(base, share):
    class Net(base):
        factor = 1.0

        def loss(self, x, t):
            return self.factor * super().loss(x, t)

    net = secant.accelerate(Net(*SIZES))
    for net.factor in (1 + 0.9 * share, 1 - 0.9 * share):
        net.numerical_gradient(X, T)
    for net.factor in (1 + 1.2 * share, 1 - 1.2 * share):
        with pytest.raises(LossDiffersError):
            net.numerical_gradient(X, T)


@pytest.mark.parametrize("share", [5e-12, 3e-11])
def test_a_network_is_known_to_1e_11_of_its_loss(share):
    class Net(Keyed):
        numerical_gradient = None

        def loss(self, x, t):
            return (1 + share) * super().loss(x, t)

    assert secant.recognize(Net(*SIZES)).known == (share < 1e-11)


def test_rounding_is_no_difference():
    """Losses of trained networks, in float64 and in float32, near 0 too."""
    for base in (Keyed, readers.SinglePrecision):
        net = secant.accelerate(base(*SIZES))
        x = X.astype(np.float32) if base is readers.SinglePrecision else X
        for _ in range(300):
            for key, grad in net.numerical_gradient(x, T).items():
                net.params[key] -= 2 * grad
        net.params["b2"][0] += 40
        net.numerical_gradient(x[:1], T[:1])
        assert abs(net.loss(x[:1], T[:1])) < 1e-5


def test_the_loss_is_called_once_a_gradient_on_that_mini_batch():
    class Net(Book):
        seen = None

        def loss(self, x, t):
            if self.seen is not None:
                self.seen.append((x, t))
            return super().loss(x, t)

    net = secant.accelerate(Net(*SIZES))
    net.seen = []
    for n in range(1, 9):
        x, t = X[:n].copy(), T[:n].copy()
        net.numerical_gradient(x, t)
        assert len(net.seen) == n
        assert net.seen[-1][0] is x
        assert net.seen[-1][1] is t


# Each class has a stand-in of its own


def hierarchy():
    base = type("Base", (Keyed,), {"numerical_gradient": Keyed.numerical_gradient})
    return base, type("Sub", (base,), {}), type("Sibling", (base,), {})


def is_accelerated(net):
    return accelerated_of(net) is not None and net.numerical_gradient(X, T).keys() == net.params.keys()


def test_a_subclass_is_accelerated_alone():
    base, sub, sibling = hierarchy()
    first = secant.accelerate(base(*SIZES))
    secant.accelerate(sub)
    assert is_accelerated(first)
    assert is_accelerated(sub(*SIZES))
    for cls in (base, sibling):
        assert not is_accelerated(cls(*SIZES))
    assert sibling.numerical_gradient is base.numerical_gradient
    assert sub.numerical_gradient is not base.numerical_gradient


def test_a_base_class_is_accelerated_with_those_that_inherit_from_it():
    base, sub, sibling = hierarchy()
    net = secant.accelerate(sub(*SIZES))
    other = sub(*SIZES)
    assert not is_accelerated(other)
    secant.accelerate(base)
    assert all(map(is_accelerated, (net, other, base(*SIZES), sibling(*SIZES))))


def test_what_a_subclass_makes_of_it_is_recognized_as_its_own():
    base, _, _ = hierarchy()

    class Doubled(base):
        def numerical_gradient(self, x, t):
            return {key: 2 * grad for key, grad in super().numerical_gradient(x, t).items()}

    secant.accelerate(base)
    with pytest.raises(secant.errors.UnsupportedError, match="is 2 times the central difference"):
        secant.accelerate(Doubled(*SIZES))
    net = Doubled(*SIZES)
    plain = base(*SIZES)
    plain.params = net.params
    grads = plain.numerical_gradient(X, T)
    for key, grad in net.numerical_gradient(X, T).items():
        np.testing.assert_allclose(grad, 2 * grads[key], rtol=0, atol=1e-10)


def test_threads_may_compute_while_another_network_is_put_in_its_place():
    """Each gradient is that of a loss that the network had meanwhile, or an error that says that it changed."""
    net = secant.accelerate(Keyed(*SIZES))
    one, other = net.params, Keyed(*SIZES).params
    right = []
    for net.params in (one, other):
        right.append(net.numerical_gradient(X, T)["w1"])
    wrong, stop = [], threading.Event()

    def compute():
        while not stop.is_set():
            try:
                grad = net.numerical_gradient(X, T)["w1"]
            except LossDiffersError:
                continue
            except Exception as error:
                wrong.append(error)
                break
            if not any(np.array_equal(grad, some) for some in right):
                wrong.append(grad)

    threads = [threading.Thread(target=compute) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(20_000):
        net.params = (one, other)[i % 2]
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def confident(dtype):
    """A network of that type, and samples that it is all but sure of: their loss is small."""
    net = Confident(dtype)
    p = net.params
    x = np.random.default_rng(1).integers(0, 256, (4000, 4)).astype(dtype)
    a = np.maximum(x @ p["W1"], 0) @ p["W2"]
    margin = np.abs(a[:, 0] - a[:, 1])
    chosen = (margin > 8.5) & (margin < 10)
    return net, x[chosen], a.argmax(axis=1)[chosen]


class Confident:
    factor = 1

    def __init__(self, dtype):
        rng = np.random.default_rng(0)
        arrays = {"W1": rng.normal(size=(4, 3)), "b1": np.zeros(3), "W2": rng.normal(size=(3, 2)), "b2": np.zeros(2)}
        self.params = {key: array.astype(dtype) for key, array in arrays.items()}

    def loss(self, x, t):
        p = self.params
        a = np.maximum(x @ p["W1"] + p["b1"], 0) @ p["W2"] + p["b2"]
        return self.factor * secant.cross_entropy_error(secant.softmax(a), t)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_small_loss_that_doubles_is_noticed(dtype):
    """What rounding may change is in proportion to the loss, also where pre-activations are large."""
    net, x, t = confident(dtype)
    secant.accelerate(net).numerical_gradient(x, t)
    net.factor = 2
    with pytest.raises(LossDiffersError):
        net.numerical_gradient(x, t)


class Reduced(Keyed):
    reduction = "mean"

    def loss(self, x, t):
        return super().loss(x, t) * (len(x) if self.reduction == "sum" else 1)


def test_a_loss_that_is_a_sum_by_now_is_not_trained_as_the_mean():
    net = secant.accelerate(Reduced(*SIZES))
    before = {key: array.tobytes() for key, array in net.params.items()}
    net.reduction = "sum"
    with pytest.raises(UnsupportedError, match="no gradient is returned"):
        secant.train(net, X, T, n_iterations=3, batch_size=4, progress=False)
    assert {key: array.tobytes() for key, array in net.params.items()} == before


def test_parameters_in_another_dict_than_params_are_not_trained_by_that():
    class Kept(readers.SumOverSamples):
        def make(self, *arrays):
            super().make(*arrays)
            self.weights = self.params
            self.params = {key: array.copy() for key, array in self.weights.items()}  # as they were at first

        def arrays(self):
            return list(self.weights.values())

        def predict(self, x):
            w1, b1, w2, b2 = self.arrays()
            return readers.softmax(self.hidden(x @ w1 + b1) @ w2 + b2)

    net = secant.accelerate(Kept(*SIZES))
    before = {key: array.tobytes() for key, array in net.params.items()}
    with pytest.raises(UnsupportedError, match=r"net must have its parameters in net\.params to be trained"):
        secant.train(net, X, T, n_iterations=3, batch_size=4, progress=False)
    assert {key: array.tobytes() for key, array in net.params.items()} == before


def test_a_loss_that_is_another_one_of_a_short_last_mini_batch():
    class InParts(Keyed):
        """The mean of the means of parts of 50 samples."""

        def loss(self, x, t):
            if len(x) <= 50:
                return super().loss(x, t)
            parts = range(0, len(x), 50)
            return np.mean([super(InParts, self).loss(x[i : i + 50], t[i : i + 50]) for i in parts])

    net = secant.accelerate(InParts(*SIZES))
    x, t = RNG.normal(size=(170, SIZES[0])), np.eye(SIZES[2])[np.arange(170) % SIZES[2]]
    with pytest.raises(UnsupportedError, match="differ"):
        secant.train(net, x, t, n_iterations=2, batch_size=100, sampling="ordered", progress=False)
