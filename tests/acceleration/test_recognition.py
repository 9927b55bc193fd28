"""`recognize`: networks of readers' classes are named rightly, or refused with the
right reason.
"""

import logging
import re
import time
from typing import ClassVar

import numpy as np
import pytest
import readers
from readers import KNOWN, REFUSED, Keyed, relu, softmax

import secant
from secant.backends.activations import ACTIVATIONS
from sweeps import grid


def name(reader):
    return reader.cls.__name__


@pytest.mark.parametrize("reader", KNOWN, ids=name)
def test_a_network_is_recognized(reader):
    found = secant.recognize(reader.cls(6, 5, 4), **reader.names)
    assert found.known, found.sentence
    facts = dict(reader.facts)
    assert found.hidden_activation == facts.pop("hidden")
    assert found.output_activation == facts.pop("output")
    assert found.sizes == (6, 5, 4)
    offset = facts.pop("offset", 1e-7)
    assert found.log_offset == pytest.approx(
        offset, rel=1e-9, abs=1e-14 if found.output_activation == "sigmoid" else 0
    )
    assert found.soft_targets == facts.pop("soft", found.soft_targets)
    assert set(found.targets) == facts.pop("targets", set(found.targets))
    assert found.h == facts.pop("h", 1e-4)
    usual = "central difference" if hasattr(reader.cls, "numerical_gradient") else ""
    assert facts.pop("sentence", usual) in found.sentence
    for attribute in facts.keys() - {"biases", "dtype"}:
        assert getattr(found, attribute) == facts[attribute], attribute


@pytest.mark.parametrize("reader", REFUSED, ids=name)
def test_a_network_is_refused_with_the_reason(reader):
    found = secant.recognize(reader.cls(6, 5, 4))
    assert not found.known, found.sentence
    assert reader.reason in found.sentence
    assert found.sentence.startswith(name(reader))


SQUARE = [(5, 5, 3), (5, 4, 5), (5, 5, 5), (1, 1, 3)]


class Scrambled(Keyed):
    """Has its parameters in another order than the shapes suggest."""

    KEYS = ("in", "b in", "out", "b out")

    def make(self, w1, b1, w2, b2):
        self.params = {"b out": b2, "out": w2, "b in": b1, "in": w1}

    def arrays(self):
        return [self.params[key] for key in self.KEYS]


class ScrambledAttributes(Scrambled):
    def make(self, w1, b1, w2, b2):
        self.bias_of_out, self.out, self.bias_of_in, self.into, self.other = (
            b2,
            w2,
            b1,
            w1,
            w1.copy(),
        )

    def arrays(self):
        return [self.into, self.bias_of_in, self.out, self.bias_of_out]


@pytest.mark.parametrize("sizes", SQUARE)
def test_parameters_are_told_apart_where_shapes_do_not(sizes):
    for cls, keys in (
        (Scrambled, Scrambled.KEYS),
        (ScrambledAttributes, ("into", "bias_of_in", "out", "bias_of_out")),
    ):
        found = secant.recognize(cls(*sizes))
        assert found.known, found.sentence
        assert (found.keys, found.gradient_keys, found.sizes) == (
            keys,
            Scrambled.KEYS,
            sizes,
        )
        assert found.sentence.endswith(
            "its numerical_gradient is a central difference at h = 1e-4"
        )


def test_one_class_says_nothing():
    assert "cannot tell apart" in secant.recognize(Keyed(5, 4, 1)).sentence


@pytest.mark.parametrize(
    ("output", "hidden", "sizes"),
    grid(
        lambda output, hidden, sizes: (
            sizes == (2, 3, 40) or (output, hidden) == ("identity", "relu")
        ),
        ["sigmoid", "identity"],
        list(ACTIVATIONS),
        [(784, 50, 10), (2, 3, 40), (300, 2, 2)],
    ),
)
def test_networks_of_secant_are_recognized(sizes, hidden, output):
    net = secant.TwoLayerNet(
        *sizes, hidden_activation=hidden, output_activation=output, log_offset=1e-9
    )
    with secant.use_backend("numpy"):
        found = secant.recognize(net)
    assert (found.hidden_activation, found.output_activation, found.log_offset) == (
        hidden,
        output,
        pytest.approx(1e-9),
    )
    assert found.sizes == sizes
    assert str(found) == found.sentence


def test_the_sentence():
    assert secant.recognize(Keyed(8, 4, 3)).sentence == (
        "Keyed of params w1, b1, w2, b2: 8-4-3, sigmoid hidden, identity output, log offset 1e-7, targets as weights, "
        "no labels; its numerical_gradient is a central difference at h = 1e-4"
    )
    assert (
        "for 13 samples up to "
        in secant.recognize(readers.ABranchForLargeInputs(8, 4, 3)).sentence
    )


SHIFTS = {"central": (1, -1), "forward": (1, 0), "backward": (0, -1)}


def stepping(kind, h, hidden):
    """A class whose own numerical gradient is a difference of some kind, written in one
    of several ways.
    """
    kind, _, in_steps = kind.partition(", ")
    up, down = SHIFTS[kind]

    def difference(loss, array):
        grad = np.zeros_like(array)
        for i in np.ndindex(array.shape):
            before = array[i]
            array[i] += up * h
            above = loss()
            array[i] = array[i] - (up - down) * h if in_steps else before + down * h
            grad[i] = (above - loss()) / ((up - down) * h)
            array[i] = array[i] + h if in_steps else before
        return grad

    class Net(Keyed):
        def hidden(self, a):
            return hidden(a)

        def numerical_gradient(self, x, t):
            return {
                key: difference(lambda: self.loss(x, t), array)
                for key, array in self.params.items()
            }

    return Net


@pytest.mark.parametrize(
    ("kind", "h", "hidden"),
    [
        ("central", 1e-2, np.tanh),
        ("central", 1e-4, relu),
        ("central", 1e-6, readers.sigmoid),
        ("central, in steps", 1e-4, relu),
        ("central, in steps", 1e-6, np.tanh),
        ("forward", 1e-4, relu),
        ("backward", 1e-4, lambda a: a),
    ],
)
def test_the_step_of_the_networks_own_gradient_is_taken_over(kind, h, hidden):
    found = secant.recognize(stepping(kind, h, hidden)(9, 8, 7))
    # which one is less than its rounding errors
    close = 6 if kind == "central, in steps" and h < 1e-5 else 1
    assert h <= found.h <= close * h, found.sentence
    assert f"a {kind.split(',')[0]} difference at h = " in found.sentence


def test_a_step_so_small_that_the_loop_returns_zeros_is_said():
    sentence = secant.recognize(stepping("central", 1e-30, np.tanh)(9, 8, 7)).sentence
    assert (
        "its numerical_gradient is all zero. Its f does not look at what is shifted"
        in sentence
    )
    assert sentence.endswith("or its step is so small that x + h is x, as with 1e-30")


def test_what_is_said_to_write_in_place_of_a_softmax_of_the_whole_batch_is_right():
    sentence = secant.recognize(readers.SoftmaxOfTheBatch(8, 4, 3)).sentence
    first, second = re.search(r"lines: (e = .*) and (y = .*?)\. ", sentence).groups()
    for shape in ((5, 3), (3,)):
        names = {"np": np, "a": np.random.default_rng(0).normal(size=shape)}
        exec(f"{first}\n{second}", names)
        np.testing.assert_allclose(names["y"], softmax(names["a"]))


@pytest.mark.parametrize("option", ["loss", "numerical_gradient"])
def test_a_method_that_there_is_not_is_an_error_that_names_the_option(option):
    net, expected = readers.TakesAFunction(8, 4, 3), "it has no method lose(x, t)"
    expected += (
        '; if loss(x, t) is meant, write loss="loss"' if option == "loss" else ""
    )
    assert expected in secant.recognize(net, **{option: "lose"}).sentence
    with pytest.raises(secant.errors.UnsupportedError, match=re.escape(expected)):
        secant.accelerate(net, **{option: "lose"})
    assert not hasattr(net, "lose")


@pytest.mark.parametrize("decay", [0.05, 0.0])
def test_a_penalty_that_a_copy_does_not_follow_is_no_part_of_the_network(decay):
    class PenaltyInAClosure(Keyed):
        """A copy's penalty is that of the original's arrays: a constant."""

        def make(self, *arrays):
            super().make(*arrays)
            self.penalty = lambda: decay * sum(np.sum(array**2) for array in arrays)

        def loss(self, x, t):
            return super().loss(x, t) + self.penalty()

    assert secant.recognize(PenaltyInAClosure(6, 5, 4)).known == (decay == 0)


def with_one_instance(base):
    class Only(base):
        one = None

        def __new__(cls, *sizes):
            cls.one = cls.one or super().__new__(cls)
            return cls.one

    return Only


class SharedAttributes(Keyed):
    shared: ClassVar = {}

    def __new__(cls, *sizes):
        net = super().__new__(cls)
        net.__dict__ = cls.shared
        return net


class ItsOwnCopy(Keyed):
    def __deepcopy__(self, memo):
        return self


def assert_refused_and_left_as_it_is(net, held_by):
    before = dict(vars(held_by))
    assert "is the object itself, as with a singleton" in secant.recognize(net).sentence
    assert all(vars(held_by)[key] is value for key, value in before.items())


@pytest.mark.parametrize(
    "cls", [with_one_instance(Keyed), SharedAttributes, ItsOwnCopy]
)
def test_a_network_that_is_its_own_copy_is_refused(cls):
    net = cls(6, 5, 4)
    assert_refused_and_left_as_it_is(net, net)


def test_a_network_that_refers_to_a_singleton_with_its_arrays_is_refused():
    net = Keyed(6, 5, 4)
    net.store = with_one_instance(object)()
    net.store.held = net.params
    assert_refused_and_left_as_it_is(net, net.store)


def test_a_logger_is_no_reason_to_refuse_a_network():
    net = Keyed(6, 5, 4)
    net.log = logging.getLogger("a net")
    assert secant.recognize(net).known


def test_a_loss_that_ends_the_program():
    class Strict(Keyed):
        def loss(self, x, t):
            loss = super().loss(x, t)
            if loss > 5:
                raise SystemExit("diverged")
            return loss

    found = secant.recognize(Strict(6, 5, 4))
    assert not found.known
    assert (
        "it ends the program, by SystemExit('diverged'), in a trial" in found.sentence
    )


def test_a_loss_that_takes_long_is_refused_soon_and_says_so():
    calls = []

    class Slow(Keyed):
        def loss(self, x, t):
            calls.append(x)
            time.sleep(0.15)
            return super().loss(x, t)

    found = secant.recognize(Slow(6, 5, 4))
    assert len(calls) <= 14  # the first, and 2 s of others
    assert re.search(
        r"it takes too long, 0\.\d+ s a call: recognition takes at most 2 s",
        found.sentence,
    )


def test_calls_that_compile_do_not_count_as_slow(monkeypatch):
    seen = set()

    class Compiled(Keyed):
        def loss(self, x, t):
            if t.ndim not in seen:
                seen.add(t.ndim)
                time.sleep(0.5)
            return super().loss(x, t)

    monkeypatch.setattr("secant.acceleration.recognition.probe_net._SECONDS", 0.4)
    assert secant.recognize(Compiled(6, 5, 4)).known


def test_the_live_arrays_are_never_written():
    net = Keyed(6, 5, 4)
    for array in net.params.values():
        array.flags.writeable = False
    assert secant.recognize(net).known
