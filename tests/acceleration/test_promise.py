"""No gradient is returned where the reader's loss differed, wherever the cause
hides.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
import readers
from readers import SIZES, Keyed, batch, bits, filled, require_own

import secant
from secant.acceleration.accelerate import accelerated_of
from secant.errors import LossDiffersError, UnsupportedError

X, T = batch()


def decaying(decay):
    """A class whose loss has a weight decay, ``decay(net)`` times the sum of the
    squares of W1.
    """

    class Net(Keyed):
        reduction = "mean"

        def loss(self, x, t):
            loss = super().loss(x, t) + decay(self) * np.sum(self.params["w1"] ** 2)
            return loss * (len(x) if self.reduction == "sum" else 1)

    return Net


CLOSURE = {"decay": 0.0}
TURNS = {
    "a closure": lambda net: CLOSURE.update(decay=0.1),
    "a small decay": lambda net: CLOSURE.update(decay=1e-7),
    "an attribute": lambda net: setattr(net, "reduction", "sum"),
    "its loss": lambda net: setattr(net, "loss", lambda x, t: 2.5),
    "its predict": lambda net: setattr(
        net, "predict", lambda x: np.full((len(x), SIZES[2]), 0.25)
    ),
    "its activation": lambda net: setattr(net, "hidden", np.tanh),
}


@pytest.mark.parametrize("as_class", [False, True], ids=["instance", "class"])
@pytest.mark.parametrize("turn", TURNS)
def test_what_changes_inside_is_noticed_by_the_next_gradient(turn, as_class):
    CLOSURE["decay"] = 0.0
    cls = decaying(lambda net: CLOSURE["decay"])
    net = (
        filled(secant.accelerate(cls)(*SIZES))
        if as_class
        else secant.accelerate(filled(cls(*SIZES)))
    )
    net.numerical_gradient(X, T)
    before = bits(net)
    TURNS[turn](net)
    for _ in range(2):
        with pytest.raises(
            LossDiffersError, match=r"no gradient is returned.* call accelerate again"
        ):
            net.numerical_gradient(X, T)
    assert bits(net) == before


def test_a_network_that_was_changed_on_purpose_is_accelerated_again():
    net = secant.accelerate(filled(Keyed(*SIZES)))
    net.numerical_gradient(X, T)
    net.hidden = np.tanh
    require_own(secant.accelerate(net), X, T)


@pytest.mark.parametrize(
    ("base", "share"), [(Keyed, 1e-9), (readers.SinglePrecision, 1e-5)]
)
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


@pytest.mark.parametrize("base", [Keyed, readers.SinglePrecision])
def test_rounding_is_no_difference(base):
    """Losses of trained networks, near 0 too."""
    net, x = secant.accelerate(base(*SIZES)), X.astype(base(*SIZES).params["w1"].dtype)
    for _ in range(300):
        for key, grad in net.numerical_gradient(x, T).items():
            net.params[key] -= 2 * grad
    net.params["b2"][0] += 40
    net.numerical_gradient(x[:1], T[:1])
    assert abs(net.loss(x[:1], T[:1])) < 1e-5


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_small_loss_that_doubles_is_noticed(dtype):
    """What rounding may change is in proportion to the loss, also where pre-activations
    are large.
    """

    class Confident(Keyed):
        factor = 1

        def hidden(self, a):
            return np.maximum(a, 0)

        def loss(self, x, t):
            return self.factor * super().loss(x, t)

    np.random.seed(3)
    net = Confident(4, 3, 2, weight_init_std=1.0)
    net.params = {key: array.astype(dtype) for key, array in net.params.items()}
    x = np.random.default_rng(1).integers(0, 256, (4000, 4)).astype(dtype)
    improbable = net.predict(x).min(axis=1)
    x = x[(np.exp(-10) < improbable) & (improbable < np.exp(-8.5))]
    assert len(x) > 10
    t = np.eye(2)[net.predict(x).argmax(axis=1)]
    secant.accelerate(net).numerical_gradient(x, t)
    net.factor = 2
    with pytest.raises(LossDiffersError):
        net.numerical_gradient(x, t)


def test_the_loss_is_called_once_a_gradient_on_that_mini_batch():
    net, seen = secant.accelerate(Keyed(*SIZES)), []

    def loss(x, t):
        seen.append((x, t))
        return Keyed.loss(net, x, t)

    net.loss = loss
    for n in range(1, 9):
        x, t = X[:n].copy(), T[:n].copy()
        net.numerical_gradient(x, t)
        assert len(seen) == n
        assert seen[-1][0] is x
        assert seen[-1][1] is t


def test_threads_may_compute_while_another_network_is_put_in_its_place():
    """Each gradient is that of a loss that the network had meanwhile, or an error that
    says that it changed.
    """
    net = secant.accelerate(Keyed(*SIZES))
    one, other = net.params, Keyed(*SIZES).params
    right = []
    for net.params in (one, other):
        right.append(net.numerical_gradient(X, T)["w1"])
    stop = threading.Event()

    def compute():
        while not stop.is_set():
            with suppress(LossDiffersError):
                grad = net.numerical_gradient(X, T)["w1"]
                assert any(np.array_equal(grad, some) for some in right)

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(compute) for _ in range(4)]
        for i in range(20_000):
            net.params = (one, other)[i % 2]
        stop.set()
    for each in running:
        each.result()


# Classes that inherit


def hierarchy():
    base = type("Base", (Keyed,), {"numerical_gradient": Keyed.numerical_gradient})
    return base, type("Sub", (base,), {}), type("Sibling", (base,), {})


def is_accelerated(net):
    return (
        accelerated_of(net) is not None
        and net.numerical_gradient(X, T).keys() == net.params.keys()
    )


def test_a_subclass_is_accelerated_alone():
    base, sub, sibling = hierarchy()
    first = secant.accelerate(base(*SIZES))
    secant.accelerate(sub)
    assert is_accelerated(first)
    assert is_accelerated(sub(*SIZES))
    for cls in (base, sibling):
        assert not is_accelerated(cls(*SIZES))
    assert sibling.numerical_gradient is base.numerical_gradient


def test_a_base_class_is_accelerated_with_those_that_inherit_from_it():
    base, sub, sibling = hierarchy()
    net, other = secant.accelerate(sub(*SIZES)), sub(*SIZES)
    assert not is_accelerated(other)
    secant.accelerate(base)
    assert all(map(is_accelerated, (net, other, base(*SIZES), sibling(*SIZES))))


def test_what_a_subclass_makes_of_it_is_recognized_as_its_own():
    base, _, _ = hierarchy()

    class Doubled(base):
        def numerical_gradient(self, x, t):
            return {
                key: 2 * grad for key, grad in super().numerical_gradient(x, t).items()
            }

    secant.accelerate(base)
    with pytest.raises(UnsupportedError, match="is 2 times the central difference"):
        secant.accelerate(Doubled(*SIZES))
    net, plain = Doubled(*SIZES), base(*SIZES)
    plain.params = net.params
    grads = plain.numerical_gradient(X, T)
    for key, grad in net.numerical_gradient(X, T).items():
        np.testing.assert_allclose(grad, 2 * grads[key], rtol=0, atol=1e-10)


# Training


def test_training_ends_where_a_decay_is_turned_on():
    CLOSURE["decay"] = 0.0
    net, good = secant.accelerate(decaying(lambda net: CLOSURE["decay"])(*SIZES)), []

    def callback(net, history):
        good.append((bits(net), [*history.train_loss_list]))
        CLOSURE["decay"] = 0.1

    options = {
        "n_iterations": 30,
        "batch_size": 4,
        "rng": 0,
        "progress": False,
        "callback": callback,
    }
    history = secant.History()
    with pytest.raises(LossDiffersError):
        secant.train(net, X, T, history=history, **options)
    assert good == [(bits(net), history.train_loss_list)]


def test_training_compares_at_its_end():
    calls, last = [], 1e9

    def decay(net):
        calls.append(None)
        return 0.1 * (len(calls) > last)

    # an epoch, and nothing of the next
    options = {"n_iterations": 4, "batch_size": 2, "rng": 0, "progress": False}
    net = secant.accelerate(decaying(decay)(*SIZES))
    calls.clear()
    secant.train(net, X, T, **options)
    assert len(calls) == 4  # before, on the first mini-batch, after it, and at the end
    calls.clear()
    last = 3
    with pytest.raises(LossDiffersError):
        secant.train(net, X, T, **options)


class BranchForHuge(Keyed):
    def loss(self, x, t):
        return super().loss(x, t) * (1.001 if np.abs(x).max() > 1e5 else 1)


class InParts(Keyed):
    """The mean of the means of parts of 50 samples: another one for a short last
    mini-batch.
    """

    def loss(self, x, t):
        parts = range(0, len(x), 50)
        return np.mean(
            [super(InParts, self).loss(x[i : i + 50], t[i : i + 50]) for i in parts]
        )


@pytest.mark.parametrize("cls", [BranchForHuge, InParts, decaying(lambda net: 0)])
def test_training_ends_at_once_where_the_loss_is_another_one(cls):
    net = secant.accelerate(filled(cls(*SIZES)))
    before, (x, t) = bits(net), batch(170)
    x[17] *= 1e6 if cls is BranchForHuge else 1
    net.reduction = "sum"  # of the third, whose loss is no mean by now
    with (
        np.errstate(over="ignore"),
        pytest.raises(UnsupportedError, match="no gradient is returned"),
    ):
        secant.train(
            net,
            x,
            t,
            n_iterations=3,
            batch_size=100,
            sampling="ordered",
            progress=False,
        )
    # of which the first mini-batch is the mean
    assert bits(net) == before or cls is InParts


def test_parameters_in_another_dict_than_params_are_not_trained_by_that():
    class Kept(readers.SumOverSamples):
        def make(self, *arrays):
            super().make(*arrays)
            self.weights = self.params
            # as they were at first
            self.params = {key: array.copy() for key, array in self.weights.items()}

        def arrays(self):
            return list(self.weights.values())

    net = secant.accelerate(Kept(*SIZES))
    before = bits(net)
    with pytest.raises(
        UnsupportedError,
        match=r"net must have its parameters in net\.params to be trained",
    ):
        secant.train(net, X, T, n_iterations=3, batch_size=4, progress=False)
    assert bits(net) == before
