"""A network's own `numerical_gradient` that does something else, or more, is refused, even if it seldom does so."""

import collections
import copy
import dataclasses
import functools
import threading

import numpy as np
import pytest
from readers import Book, Keyed

import secant
from secant.networks import acceleration, records

SIZES = 6, 5, 4
RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(20, SIZES[0])), np.arange(20) % SIZES[2]
ONE_HOT = np.eye(SIZES[2])[LABELS]


def with_gradient(method, base=Keyed, **attributes):
    """A class whose numerical gradient is ``method(net, gradients, x, t)``, given those of the plain loop."""

    def numerical_gradient(self, x, t):
        return method(self, base.numerical_gradient(self, x, t), x, t)

    return type("Net", (base,), {"numerical_gradient": numerical_gradient, **attributes})


def everywhere(change):
    """Change each gradient, given its parameter."""
    return with_gradient(lambda net, grads, *_: {key: change(grad, net.params[key]) for key, grad in grads.items()})


def of_one(name, change):
    return with_gradient(lambda net, grads, *_: grads | {name: change(grads[name])})


def smoothed(net, grads, x, t):
    """Labels only are smoothed."""
    return Book.numerical_gradient(net, x, np.roll(t, 1)) if t.ndim == 1 else grads


OTHERS = {
    "weights that are 0 stay 0": everywhere(lambda grad, param: grad * (param != 0)),
    "no weight becomes negative": everywhere(lambda grad, param: np.where((param <= 0) & (grad > 0), 0, grad)),
    "weights above 2 are pulled back": everywhere(lambda grad, param: grad + 0.1 * np.maximum(np.abs(param) - 2, 0)),
    "small ones are 0": everywhere(lambda grad, _: np.where(np.abs(grad) < 1e-5, 0, grad)),
    "clipped at 5, of the first bias": of_one("b1", lambda grad: np.clip(grad, -5, 5)),
    "clipped at 0.6, of the second bias": of_one("b2", lambda grad: np.clip(grad, -0.6, 0.6)),
    "clipped at 0.6, of the second weights": of_one("w2", lambda grad: np.clip(grad, -0.6, 0.6)),
    "another one for labels": with_gradient(smoothed, Book),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_gradient_that_is_another_one_elsewhere_is_refused(case):
    sentence = secant.recognize(OTHERS[case](*SIZES)).sentence
    assert "its numerical_gradient" in sentence
    assert "the central difference of its loss" in sentence


def descending(net, grads, x, t):
    for key, grad in grads.items():
        net.params[key] -= 0.1 * grad
    return grads


def replacing(net, grads, x, t):
    net.params["w1"] = net.params["w1"] - 0.1 * grads["w1"]
    return grads


def keeping(net, grads, x, t):
    for key, grad in grads.items():
        net.kept[key][...] = grad
    return grads


def noting(net, grads, x, t):
    net.losses.append(net.loss(x, t))
    return grads


def counting(net, grads, x, t):
    type(net).calls += 1
    return grads


class Buffers(Keyed):
    def make(self, *arrays):
        super().make(*arrays)
        self.kept = {key: np.zeros_like(array) for key, array in self.params.items()}
        self.losses = []


EFFECTS = {
    "a step": (with_gradient(descending), "also changes the parameters, by up to "),
    "a step in new arrays": (with_gradient(replacing), "also sets self.params.w1"),
    "gradients in arrays of its own": (with_gradient(keeping, Buffers), "also sets self.kept.b1, self.kept.b2"),
    "a list of losses": (with_gradient(noting, Buffers), "also sets self.losses"),
    "a count in the class": (with_gradient(counting, calls=0), "also sets Net.calls"),
}


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_gradient_that_does_something_else_is_refused(effect):
    cls, reason = EFFECTS[effect]
    assert reason in secant.recognize(cls(*SIZES)).sentence


def test_what_the_loss_does_itself_may_happen_less_often():
    class Net(Buffers):
        def __init__(self, *sizes):
            super().__init__(*sizes)
            self.out, self.stats, self.calls = np.zeros(SIZES[1]), {}, np.zeros(1)

        def loss(self, x, t):
            self.out[: self.params["b1"].size] = (x @ self.params["w1"]).sum(axis=0)  # a cache that is filled in place
            self.stats[len(self.stats)] = float(self.out[0])
            self.losses.append(self.out[0])
            self.calls += 1
            return super().loss(x, t)

    assert secant.recognize(Net(*SIZES)).known


def test_a_loss_that_draws_numbers_without_effect_is_refused():
    class Net(Keyed):
        def loss(self, x, t):
            np.random.rand(len(x))
            return super().loss(x, t)

    net = Net(*SIZES)
    state = np.random.get_state()[1].copy()
    assert "its loss draws random numbers" in secant.recognize(net).sentence
    assert np.array_equal(np.random.get_state()[1], state)


def test_what_copies_leave_out_is_tried_too():
    class Net(with_gradient(lambda net, grads, *_: grads | ({"w1": 0 * grads["w1"]} if net.frozen else {}))):
        def __getstate__(self):
            return {"params": self.params}

        def __init__(self, *sizes):
            super().__init__(*sizes)
            self.frozen, self.lock = True, threading.Lock()

    net = Net(*SIZES)
    assert "differs from the central difference" in secant.recognize(net).sentence
    net.frozen = False
    assert secant.recognize(net).known


@pytest.mark.parametrize("h", [3e-4, 0.1, 1e-9, np.cbrt(np.finfo(float).eps), np.sqrt(np.finfo(float).eps)])
def test_unusual_steps_are_taken_over(h):
    class Net(Book):
        def numerical_gradient(self, x, t):
            return {key: secant.numerical_gradient(lambda _: self.loss(x, t), param, h, inplace=True)
                    for key, param in self.params.items()}  # fmt: skip

    assert secant.recognize(Net(*SIZES)).h == pytest.approx(h, rel=1e-12)


def test_what_a_loss_does_now_and_then_may_happen_less_often():
    class Net(Buffers):
        calls = 0

        def loss(self, x, t):
            self.calls += 1
            self.samples = len(x)
            if self.calls % 10 == 0:
                self.losses.append(0.0)
            return super().loss(x, t)

        def numerical_gradient(self, x, t):
            every = [super(Net, self).numerical_gradient(x[i : i + 1], t[i : i + 1]) for i in range(len(x))]
            return {key: np.mean([grads[key] for grads in every], axis=0) for key in every[0]}

    assert secant.recognize(Net(*SIZES)).known


def test_keys_with_dots_are_keys():
    class Net(Buffers):
        def loss(self, x, t):
            self.kept[f"{x.sum()}"] = super().loss(x, t)
            return self.kept[f"{x.sum()}"]

    assert secant.recognize(Net(*SIZES)).known


def test_nothing_comes_back_to_a_defaultdict():
    class Net(Keyed):
        def make(self, *arrays):
            super().make(*arrays)
            self.stats = collections.defaultdict(list)
            self.stats["loss"].append(1.0)

    net = secant.accelerate(Net(*SIZES))
    called(net)
    net.stats.clear()
    called(net)
    assert net.stats == {}


def test_an_attribute_that_cannot_be_copied_is_named(tmp_path):
    net = secant.accelerate(Keyed(*SIZES))
    refused = pytest.raises(secant.UnsupportedError, match="its attribute log cannot be copied")
    with open(tmp_path / "log.txt", "w") as net.log, refused:
        called(net)
    del net.log
    called(net)


def test_a_dict_of_another_kind_is_not_replaced():
    class Named(dict):
        __getattr__ = dict.__getitem__

    sentence = secant.recognize(with_gradient(lambda net, grads, *_: Named(grads))(*SIZES)).sentence
    assert "its numerical_gradient returns a Named, not a dict" in sentence


def test_arguments_have_the_names_that_their_author_gave_them():
    class Net(Keyed):
        def numerical_gradient(self, X, y):
            return super().numerical_gradient(X, y)

    net = secant.accelerate(Net(*SIZES))
    right = net.numerical_gradient(X, ONE_HOT)
    for grads in (net.numerical_gradient(X=X, y=ONE_HOT), net.numerical_gradient(X, t=ONE_HOT)):
        assert all(np.array_equal(grads[key], right[key]) for key in right)
    with pytest.raises(TypeError, match="h"):
        net.numerical_gradient(X, ONE_HOT, h=1e-3)


def frozen(net, grads, x, t):
    """W1 stays what it is, with a flag in one of many places."""
    on = net.flag or net.slots.on or net.of_class.on or net.space.on or "w1" in net.names or net.last[0]
    on = on or net.options.get("on") or net.method.__self__.on
    if on or net.shared.get("on") or net.gradient_of.on or net.partial.args[0]["on"]:
        grads["w1"] = np.zeros_like(grads["w1"])
    return grads


@dataclasses.dataclass(slots=True)
class Slots:
    on: bool = False


class Space:
    on = False


def freezing():
    """A network, and what turns it into another one whose loss is the same."""

    class Part(Space):
        def off(self):
            return not self.on

    class Net(with_gradient(frozen)):
        shared = {}  # noqa: RUF012 - of the class, as readers write it

        def __init__(self, *sizes):
            super().__init__(*sizes)
            self.flag, self.slots, self.of_class, self.space = False, Slots(), Part(), Part
            self.names, self.last = set(), collections.deque([0])
            self.gradient_of = lambda: None
            self.gradient_of.on = False
            self.options, self.method = collections.UserDict(), Part().off
            self.partial = functools.partial(dict.get, {"on": False}, "on")

    return Net, {
        "a flag": lambda net: setattr(net, "flag", True),
        "a slot": lambda net: setattr(net.slots, "on", True),
        "the class of a part": lambda net: setattr(type(net.of_class), "on", True),
        "a class": lambda net: setattr(net.space, "on", True),
        "a set": lambda net: net.names.add("w1"),
        "a deque": lambda net: net.last.__setitem__(0, 1),
        "a dict of a library": lambda net: net.options.update(on=True),
        "what a method belongs to": lambda net: setattr(net.method.__self__, "on", True),
        "a dict of its class": lambda net: net.shared.update(on=True),
        "an argument that is kept": lambda net: net.partial.args[0].update(on=True),
        "an attribute of a function": lambda net: setattr(net.gradient_of, "on", True),
    }


def called(net):
    return net.numerical_gradient(X, ONE_HOT)


def trained(net):
    secant.train(net, X, ONE_HOT, iters_num=6, batch_size=5, progress=False)


HAS_CHANGED = "Net has changed: Net is not known: its numerical_gradient"


@pytest.mark.parametrize("place", freezing()[1])
@pytest.mark.parametrize("first", [True, False])
def test_what_changes_the_gradient_alone_is_noticed(place, first):
    cls, turns = freezing()
    net = secant.accelerate(cls(*SIZES))
    if first:
        called(net)
    turns[place](net)
    with pytest.raises(secant.UnsupportedError, match=HAS_CHANGED):
        called(net)


@pytest.mark.parametrize("used_before", [lambda net: None, called, trained])
def test_training_notices_it_too(used_before):
    cls, turns = freezing()
    net = secant.accelerate(cls(*SIZES))
    used_before(net)
    turns["a flag"](net)
    before = {key: array.copy() for key, array in net.params.items()}
    with pytest.raises(secant.UnsupportedError, match=HAS_CHANGED):
        trained(net)
    assert all(np.array_equal(net.params[key], array) for key, array in before.items())


def test_training_ends_where_a_callback_changes_the_network():
    cls, turns = freezing()
    net, seen = secant.accelerate(cls(*SIZES)), []

    def callback(net, history):
        turns["a flag"](net)
        seen.append({key: array.copy() for key, array in net.params.items()})

    with pytest.raises(secant.UnsupportedError, match=HAS_CHANGED):
        secant.train(net, X, ONE_HOT, iters_num=20, batch_size=5, progress=False, callback=callback)
    assert all(np.array_equal(net.params[key], array) for key, array in seen[0].items())


def test_a_copy_is_recognised_anew():
    cls, turns = freezing()
    net = secant.accelerate(cls(*SIZES))
    turns["a flag"](net)
    with pytest.raises(secant.UnsupportedError, match=HAS_CHANGED):
        called(copy.deepcopy(net))


def test_training_uses_the_gradient_of_an_object_that_has_one():
    def clipped(net):
        own = net.numerical_gradient
        net.numerical_gradient = lambda x, t: {key: np.clip(g, -0.01, 0.01) for key, g in own(x, t).items()}
        secant.train(net, X, ONE_HOT, iters_num=6, batch_size=5, learning_rate=0.5, rng=0, progress=False)
        return net

    plain, fast = Keyed(*SIZES), secant.accelerate(type("Net", (Keyed,), {})(*SIZES))
    for key, array in plain.params.items():
        fast.params[key][...] = array
    for one, other in zip(clipped(plain).params.values(), clipped(fast).params.values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


def until_epoch_8(net, grads, x, t):
    return grads | ({"w1": grads["w1"] * 0} if net.epoch > 8 else {})


def test_a_flag_that_has_changed_without_effect_is_looked_at_again(monkeypatch):
    monkeypatch.setattr(records, "_SELDOM", 0)
    net = secant.accelerate(with_gradient(until_epoch_8, epoch=0)(*SIZES))
    for epoch in range(9):
        net.epoch = epoch
        called(net)
    net.epoch = 9
    with pytest.raises(secant.UnsupportedError, match=HAS_CHANGED):
        called(net)


def test_a_flag_that_waits_for_a_close_look_is_not_taken_for_right():
    net = secant.accelerate(with_gradient(until_epoch_8, epoch=0)(*SIZES))
    for net.epoch in range(9):
        called(net)
    net.epoch = 9
    record = acceleration.record(net)
    record._next_close_look = np.inf
    net.numerical_gradient(X[:3], ONE_HOT[:3])  # of another shape: the losses are compared
    record._next_close_look = 0.0
    with pytest.raises(secant.UnsupportedError, match=HAS_CHANGED):
        called(net)


def test_another_set_of_parameters_may_have_other_sizes():
    class Net(Keyed):
        def make(self, *arrays):
            super().make(*arrays)
            self.first, self.use = self.params, "first"
            self.second = dict(zip(self.KEYS, (np.ones((6, 3)), np.ones(3), np.ones((3, 4)), np.ones(4)), strict=True))

        def loss(self, x, t):
            self.params = getattr(self, self.use)
            return super().loss(x, t)

        def numerical_gradient(self, x, t):
            self.params = getattr(self, self.use)
            return super().numerical_gradient(x, t)

    net = secant.accelerate(Net(*SIZES))
    assert called(net)["w1"].shape == (6, 5)
    net.use = "second"
    net.params = net.second
    assert called(net)["w1"].shape == (6, 3)


def test_a_network_of_which_something_changes_at_every_call_is_not_slow(monkeypatch):
    net, anew = secant.accelerate(Buffers(*SIZES)), []
    recognised = records.recognised
    monkeypatch.setattr(records, "recognised", lambda *arguments: anew.append(1) or recognised(*arguments))
    for _ in range(100):
        net.kept = {"new": [0.0]}  # another dict
        called(net)
    assert 3 <= len(anew) <= records._OFTEN + 10


def test_gradients_under_other_keys_name_them():
    class Net(Keyed):
        def numerical_gradient(self, x, t):
            return {f"d{key}": grad for key, grad in super().numerical_gradient(x, t).items()}

    with pytest.raises(secant.UnsupportedError, match=r"gradients must have the keys of net\.params .*'dw1'"):
        trained(Net(*SIZES))
