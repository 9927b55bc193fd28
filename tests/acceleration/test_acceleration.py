"""`accelerate`: a reader's network gets its numerical gradient from Secant, or an error; never a wrong number."""

import copy
import functools
import inspect
import pickle

import numpy as np
import pytest
import readers
from readers import READERS, Attributes, BiasesAsRows, Book, HeldAsNetwork, Keyed, Layers, SinglePrecision

import secant
from secant.acceleration.recognition.layouts import Layout
from secant.acceleration.script_mode import accelerate_lazily
from secant.errors import LossDiffersError, UnsupportedError
from sweeps import grid

KNOWN = [reader for reader in READERS if not reader.reason]
SOME = grid(lambda reader: KNOWN.index(reader) % 3 == 0, KNOWN)
REFUSED = [reader for reader in READERS if reader.reason]
SIZES = 6, 5, 4


def batch(samples=8, seed=0, targets="one-hot"):
    rng = np.random.default_rng(seed)
    labels = np.arange(samples) % SIZES[2]
    return rng.normal(size=(samples, SIZES[0])), labels if targets == "labels" else np.eye(SIZES[2])[labels]


@functools.cache
def layout_of(cls, **names):
    """Where a class keeps its parameters."""
    found = secant.recognize(cls(*SIZES), **names)
    return Layout(found.holder, found.keys)


def filled(net, **names):
    """Give a network weights of order 1, where they lie."""
    rng = np.random.default_rng(1)
    for array in layout_of(type(net), **names).arrays(net):
        array[...] = rng.normal(size=array.shape)
    return net


def central_difference(net, layout, x, t, h, loss="loss"):
    """The plain loop, for each array of a copy of a network."""
    loss_of = getattr(net := copy.deepcopy(net), loss)
    return [readers.numerical_gradient(lambda _: float(loss_of(x, t)), array, h) for array in layout.arrays(net)]


def fresh(cls, *bases):
    """A class like another, which nobody else has accelerated."""
    return type(cls)(cls.__name__, (cls, *bases), {"numerical_gradient": cls.numerical_gradient})


EACH_ACTIVATION = [Book, Layers, readers.HeldAsParam, readers.NothingBetween, readers.TheNotes, readers.NoOffset]


@pytest.mark.parametrize("cls", EACH_ACTIVATION)
def test_every_backend_takes_networks_of_others(cls, backend):
    reader = next(reader for reader in KNOWN if reader.cls is cls)
    test_the_gradient_is_the_central_difference_of_the_networks_own_loss(reader)


@pytest.mark.parametrize("reader", SOME, ids=lambda reader: reader.cls.__name__)
def test_the_gradient_is_the_central_difference_of_the_networks_own_loss(reader):
    net = filled(reader.cls(*SIZES), **reader.names)
    found = secant.recognize(net, **reader.names)
    layout = Layout(found.holder, found.keys)
    before = [array.copy() for array in layout.arrays(net)]
    assert secant.accelerate(net, **reader.names) is net
    x, t = batch(targets="one-hot" if "one-hot" in found.targets else "labels")
    grads = getattr(net, found.names.numerical_gradient)(x, t)
    assert list(grads) == list(found.gradient_keys)
    for array, copied, grad in zip(layout.arrays(net), before, grads.values(), strict=True):
        assert np.array_equal(array, copied)
        assert (grad.shape, grad.dtype) == (array.shape, array.dtype)
    if reader.facts.get("dtype") != np.float32:  # in which a plain loop computes rounding errors
        own = central_difference(net, layout, x, t, found.h, found.names.loss)
        rounding = 4e-15 * (len(x) if found.summed else 1)
        for grad, right in zip(grads.values(), own, strict=True):
            np.testing.assert_allclose(grad, right, rtol=0, atol=rounding / found.h)


def test_single_precision_gets_the_gradient_of_double_precision():
    single, double = filled(SinglePrecision(*SIZES)), Keyed(*SIZES)
    for key, array in single.params.items():
        double.params[key][...] = array
    x, t = batch()
    secant.accelerate(single), secant.accelerate(double)
    for key, grad in double.numerical_gradient(x, t).items():
        assert np.array_equal(single.numerical_gradient(x, t)[key], grad.astype(np.float32))


@pytest.mark.parametrize("reader", REFUSED[::6], ids=lambda reader: reader.cls.__name__)
def test_nothing_is_changed_where_a_network_is_not_known(reader):
    net = reader.cls(*SIZES)
    before, cls = dict(vars(net)), type(net)
    with pytest.raises(secant.errors.UnsupportedError, match=reader.cls.__name__):
        secant.accelerate(net)
    assert vars(net).keys() == before.keys()
    assert type(net) is cls
    assert all(value is before[name] for name, value in vars(net).items())


def test_nobody_notices_that_a_network_was_tried_out(capsys):
    net, drops = readers.Talkative(*SIZES), readers.WithDropout(*SIZES)
    params = copy.deepcopy(net.params)
    np.random.seed(3)
    state = np.random.get_state()[1].copy()
    secant.recognize(net)
    secant.recognize(drops)
    assert np.array_equal(np.random.get_state()[1], state)
    assert all(np.array_equal(net.params[key], params[key]) for key in params)
    assert capsys.readouterr() == ("", "")


def test_a_class_is_accelerated_and_its_instances_recognized_when_they_are_used():
    called = []

    @secant.accelerate
    class Net(Keyed):
        def numerical_gradient(self, x, t):
            """Slow."""
            called.append(x)
            return super().numerical_gradient(x, t)

    net = filled(Net(*SIZES))
    x, t = batch()
    assert net.numerical_gradient.__doc__ == "Slow."
    assert type(net) is Net
    assert secant.accelerate(Net) is Net
    grads = net.numerical_gradient(x, t)
    assert called
    assert not any(np.array_equal(some, x) for some in called)  # but on a copy
    for grad, right in zip(grads.values(), Keyed.numerical_gradient(net, x, t).values(), strict=True):
        np.testing.assert_allclose(grad, right, rtol=0, atol=4e-11)


def test_a_class_whose_instances_are_not_known_says_so_when_one_is_used():
    cls = secant.accelerate(fresh(readers.WeightDecay))
    net = cls(*SIZES)
    with pytest.raises(secant.errors.UnsupportedError, match="weight decay"):
        net.numerical_gradient(*batch())
    with pytest.raises(secant.errors.UnsupportedError, match=r"dict has no method loss\(x, t\): loss must name"):
        secant.accelerate(dict)
    with pytest.raises(secant.errors.UnsupportedError, match="must be an instance"):
        secant.recognize(Keyed)


def test_a_class_with_other_names_is_decorated():
    @secant.accelerate(loss="cost", numerical_gradient="slopes", n_threads=1)
    class Net(readers.CallsItCost):
        def slopes(self, x, t):
            """Slow."""
            return super().numerical_gradient(x, t)

    net, (x, t) = filled(Net(*SIZES), loss="cost", numerical_gradient="slopes"), batch()
    own = central_difference(net, Layout("params", Keyed.KEYS), x, t, 1e-4, "cost")
    for grad, right in zip(net.slopes(x, t).values(), own, strict=True):
        np.testing.assert_allclose(grad, right, rtol=0, atol=4e-10)
    assert (Net.slopes.__doc__, Net.slopes.__qualname__) == ("Slow.", f"{Net.__qualname__}.slopes")
    with pytest.raises(
        secant.errors.UnsupportedError, match=r"Net has no method price\(x, t\): loss must name .* cost"
    ):
        secant.accelerate(Net, loss="price")
    named = {"numerical_gradient": "numerical_gradients"}
    other = secant.accelerate(filled(readers.Plural(*SIZES), **named), **named)
    copied = pickle.loads(pickle.dumps(other))
    assert np.array_equal(copied.numerical_gradients(x, t)["w1"], other.numerical_gradients(x, t)["w1"])


def filled_like(net):
    rng = np.random.default_rng(1)
    for array in net.params.values():
        array[...] = rng.normal(size=array.shape)
    return net


@pytest.mark.parametrize("cls", [Layers, Attributes])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_and_pickles_stay_accelerated(cls, copied):
    net = secant.accelerate(filled(cls(*SIZES)))
    x, t = batch()
    grads = net.numerical_gradient(x, t)
    other = copied(net)
    assert isinstance(other, cls)
    assert type(other) is type(net)
    assert type(other).__qualname__ == cls.__qualname__
    for key, grad in other.numerical_gradient(x, t).items():
        assert np.array_equal(grad, grads[key])


def test_what_computes_is_an_attribute_of_the_object_and_its_class_is_left_alone():
    class Known(Keyed):
        def __init_subclass__(cls, *, needed):
            pass

    net, before = filled(Known(*SIZES)), dict(vars(Known))
    (x, t), attributes = batch(), dict(vars(net))
    secant.accelerate(net).numerical_gradient(x, t)
    assert vars(net) == attributes | {"numerical_gradient": net.numerical_gradient}
    assert (type(net), dict(vars(Known))) == (Known, before)


def test_a_shallow_copy_has_its_own_gradient_or_is_refused():
    """In an accelerated class the method knows for which object it is called."""
    x, t = batch()
    net = filled_like(secant.accelerate(fresh(Keyed))(*SIZES))
    net.numerical_gradient(x, t)
    other = copy.copy(net)
    other.params = {key: 2 * array for key, array in net.params.items()}
    own = central_difference(other, Layout("params", Keyed.KEYS), x, t, 1e-4)
    for grad, right in zip(other.numerical_gradient(x, t).values(), own, strict=True):
        np.testing.assert_allclose(grad, right, rtol=0, atol=4e-11)
    alone = copy.copy(secant.accelerate(filled(Keyed(*SIZES))))
    with pytest.raises(secant.errors.UnsupportedError, match="is a shallow copy of an accelerated network"):
        secant.train(alone, x, t, n_iterations=1, progress=False)
    secant.train(secant.accelerate(alone), x, t, n_iterations=1, progress=False)


def test_a_numerical_gradient_is_that_of_the_object_alone_that_was_accelerated():
    cls = fresh_without_gradient()
    net, other = cls(*SIZES), cls(*SIZES)
    secant.accelerate(net)
    with pytest.raises(AttributeError, match="'NoGradient' object has no attribute 'numerical_gradient'"):
        other.numerical_gradient(*batch())
    secant.accelerate(cls)
    assert other.numerical_gradient(*batch()).keys() == net.numerical_gradient(*batch()).keys()
    assert cls.numerical_gradient(other, *batch()).keys() == other.params.keys()
    assert inspect.signature(cls.numerical_gradient)


def test_a_gradient_of_attributes_has_their_names_alone():
    class Net(Attributes):
        numerical_gradient = None

    net = filled(Net(*SIZES))
    net.another = 1.0
    found = secant.recognize(net)
    assert net.another == 1.0
    assert set(secant.accelerate(net).numerical_gradient(*batch())) == set(found.keys)


def fresh_without_gradient():
    return type("NoGradient", (readers.NoGradient,), {})


def test_a_deep_copy_has_the_gradient_of_its_own_parameters():
    net = secant.accelerate(filled(Layers(*SIZES)))
    x, t = batch()
    net.numerical_gradient(x, t)
    other = copy.deepcopy(net)
    other.params["W1"] *= 0
    layout = Layout("params", ("W1", "b1", "W2", "b2"))
    for some in (net, other):
        own = central_difference(some, layout, x, t, 1e-4)
        for grad, right in zip(some.numerical_gradient(x, t).values(), own, strict=True):
            np.testing.assert_allclose(grad, right, rtol=0, atol=4e-11)


def test_inputs_that_are_not_finite_are_named(backend):
    net = secant.accelerate(filled(Keyed(*SIZES)))
    x, t = batch()
    x[1, 2] = np.nan
    for _ in range(2):
        with pytest.raises(secant.errors.ValueRangeError, match=r"x must be finite, got nan at \(1, 2\)"):
            net.numerical_gradient(x, t)
        net.numerical_gradient(*batch())


def test_parameters_that_layers_do_not_see_are_an_error():
    net = secant.accelerate(filled(Layers(*SIZES)))
    x, t = batch()
    net.numerical_gradient(x, t)
    net.params["W1"] -= 0.1
    net.numerical_gradient(x, t)  # in place: the layers see it
    net.params["W1"] = net.params["W1"] - 0.1
    for _ in range(2):
        with pytest.raises(LossDiffersError, match="no gradient is returned"):
            net.numerical_gradient(x, t)


def test_parameters_that_share_memory_are_refused():
    def tied(net):
        net.params["w2"] = net.params["w1"].T

    def reversed_rows(net):
        net.params["w2"] = net.params["w1"][::-1]

    def hankel(net):
        net.params["w1"] = np.lib.stride_tricks.as_strided(np.arange(20.0), (4, 4), (8, 8))

    x, t = batch()[0][:, :4], batch()[1]
    for change in (tied, reversed_rows, hankel):
        net = Keyed(4, 4, 4)
        change(net)
        with pytest.raises(secant.errors.UnsupportedError, match="share memory"):
            secant.accelerate(net)
        net = secant.accelerate(filled(Keyed(4, 4, 4)))
        net.numerical_gradient(x, t)
        change(net)
        with pytest.raises(secant.errors.UnsupportedError, match="share memory"):
            net.numerical_gradient(x, t)


def test_parameters_may_be_replaced_where_the_loss_follows():
    net = secant.accelerate(filled(Keyed(*SIZES)))
    x, t = batch()
    net.numerical_gradient(x, t)
    net.params = {key: array * 1.5 for key, array in net.params.items()}
    own = central_difference(net, Layout("params", Keyed.KEYS), x, t, 1e-4)
    for grad, right in zip(net.numerical_gradient(x, t).values(), own, strict=True):
        np.testing.assert_allclose(grad, right, rtol=0, atol=4e-11)
    net.params["w1"] = np.zeros((SIZES[0] + 1, SIZES[1]))
    with pytest.raises(UnsupportedError, match=r"w1 must hold floats \(6, 5\), as when it was recognized"):
        net.numerical_gradient(x, t)
    del net.params["w1"]
    with pytest.raises(UnsupportedError, match=r"must hold the array 'w1' as before"):
        net.numerical_gradient(x, t)


class Decaying(Keyed):
    decay = 0.0

    def loss(self, x, t):
        return super().loss(x, t) + self.decay * np.sum(self.params["w1"] ** 2)


TURNS = {
    "an attribute": lambda net: setattr(net, "decay", 0.1),
    "its loss": lambda net: setattr(net, "loss", lambda x, t: 2.5),
    "its predict": lambda net: setattr(net, "predict", lambda x: np.full((len(x), SIZES[2]), 0.25)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_what_changes_inside_is_noticed_at_once(turn):
    x, t = batch()
    net = secant.accelerate(filled(Decaying(*SIZES)))
    net.numerical_gradient(x, t)
    before = {key: array.copy() for key, array in net.params.items()}
    TURNS[turn](net)
    for _ in range(2):
        with pytest.raises(LossDiffersError, match=r"no gradient is returned.* call accelerate again"):
            net.numerical_gradient(x, t)
    assert all(np.array_equal(net.params[key], array) for key, array in before.items())


def test_a_network_that_was_changed_on_purpose_is_accelerated_again():
    x, t = batch()
    net = secant.accelerate(filled(Keyed(*SIZES)))
    net.numerical_gradient(x, t)
    net.hidden = np.tanh
    with pytest.raises(LossDiffersError):
        net.numerical_gradient(x, t)
    own = central_difference(net, Layout("params", Keyed.KEYS), x, t, 1e-4)
    for grad, right in zip(secant.accelerate(net).numerical_gradient(x, t).values(), own, strict=True):
        np.testing.assert_allclose(grad, right, rtol=0, atol=4e-11)


def test_targets_for_which_the_loss_is_not_known_are_refused():
    net = secant.accelerate(Keyed(*SIZES))  # multiplies by t: of labels, something else
    with pytest.raises(LossDiffersError, match="no labels"):
        net.numerical_gradient(*batch(SIZES[2], targets="labels"))
    ones = secant.accelerate(readers.SelectsByOnes(*SIZES))
    x, t = batch()
    ones.numerical_gradient(x, t)
    for soft in (t * 0.5 + 0.125, t * 0.5):
        with pytest.raises((secant.errors.UnsupportedError, IndexError)):  # or what its own loss raises
            ones.numerical_gradient(x, soft)


def test_gradients_come_in_the_order_of_the_networks_own():
    class Ordered(Keyed):
        def numerical_gradient(self, x, t):
            grads = super().numerical_gradient(x, t)
            return {key: grads[key] for key in sorted(grads, reverse=True)}

    net = secant.accelerate(Ordered(*SIZES))
    assert list(net.numerical_gradient(*batch())) == sorted(Keyed.KEYS, reverse=True)


CHANGES = {
    "clipped": lambda net, key, grad: np.clip(grad, -5, 5),
    "clipped by the norm": lambda net, key, grad: grad * min(1.0, 100 / np.linalg.norm(grad)),
    "a weight decay": lambda net, key, grad: grad + 1e-6 * net.params[key],
    "half": lambda net, key, grad: grad / 2,
    "the sign": lambda net, key, grad: np.sign(grad),
    "rounded": lambda net, key, grad: grad.round(8),
    "one is left out": lambda net, key, grad: grad * (key != "b2"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_gradient_that_is_changed_before_it_is_returned_is_refused(change):
    class Changed(Book):
        def numerical_gradient(self, x, t):
            grads = super().numerical_gradient(x, t)
            return {key: CHANGES[change](self, key, grad) for key, grad in grads.items()}

    with pytest.raises(secant.errors.UnsupportedError, match="it must return exactly the central difference"):
        secant.accelerate(Changed(*SIZES))


@pytest.mark.parametrize("returned", [np.zeros(2), "text", [[1], [1, 2]], None])
def test_what_is_no_gradient_of_a_parameter_is_refused(returned):
    class Other(Book):
        def numerical_gradient(self, x, t):
            return {**super().numerical_gradient(x, t), "W1": returned}

    with pytest.raises(secant.errors.UnsupportedError, match=r"it returns an? .* for a parameter \(6, 5\)"):
        secant.accelerate(Other(*SIZES))


def test_one_sample_is_known_where_the_loss_takes_it():
    net = secant.accelerate(filled(Book(*SIZES)))
    x, t = batch(1)
    for targets in (t[0], t[0].argmax()):
        for key, grad in net.numerical_gradient(x[0], targets).items():
            np.testing.assert_allclose(grad, net.numerical_gradient(x, t)[key], rtol=0, atol=1e-13)


# secant.train


@pytest.mark.parametrize("cls", [Keyed, BiasesAsRows, Attributes, HeldAsNetwork, Layers])
def test_training_is_that_of_the_network_that_was_recognized(cls):
    x, t = batch(60)
    net, found = filled(cls(*SIZES)), secant.recognize(cls(*SIZES))
    kinds = {"hidden_activation": found.hidden_activation, "output_activation": "identity"}
    same = secant.TwoLayerNet(*SIZES, **kinds, soft_targets=found.soft_targets)
    arrays = Layout(found.holder, found.keys).arrays(net)
    for ours, theirs in zip(same.params.values(), arrays, strict=True):
        ours[...] = theirs.reshape(ours.shape)
    settings = {"n_iterations": 50, "batch_size": 10, "rng": 0, "progress": False}
    history = secant.train(secant.accelerate(net), x, t, x, t, **settings)
    assert history.train_loss_list == secant.train(same, x, t, x, t, **settings).train_loss_list
    assert len(history.train_acc_list) == 9
    for ours, theirs in zip(same.params.values(), arrays, strict=True):
        assert np.array_equal(theirs.ravel(), ours.ravel())
    assert all(a is b for a, b in zip(arrays, Layout(found.holder, found.keys).arrays(net), strict=True))


NAMED = [reader for reader in KNOWN if reader.names or reader.facts.get("summed")]


@pytest.mark.parametrize("reader", NAMED, ids=lambda reader: reader.cls.__name__)
def test_training_takes_the_steps_of_the_networks_own_loss(reader):
    (x, t), options = (
        batch(40),
        {"n_iterations": 9, "batch_size": 8, "learning_rate": 0.05, "rng": 0, "progress": False},
    )
    net, plain = (filled(reader.cls(*SIZES), **reader.names) for _ in range(2))
    found = secant.recognize(net, **reader.names)
    layout = Layout(found.holder, found.keys)

    class Plain:
        params = layout.mapping(plain)
        accuracy, loss = plain.accuracy, getattr(plain, found.names.loss)

        def numerical_gradient(self, x, t):
            own = central_difference(plain, layout, x, t, found.h, found.names.loss)
            return dict(zip(found.keys, own, strict=True))

    losses = [
        secant.train(some, x, t, **options).train_loss_list
        for some in (Plain(), secant.accelerate(net, **reader.names))
    ]
    np.testing.assert_allclose(*losses, rtol=1e-7)
    for one, other in zip(layout.arrays(plain), layout.arrays(net), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_training_measures_the_accuracy_of_a_network_without_such_a_method(dtype):
    class Bare(Keyed):
        accuracy = property()

    x, t = batch(40)
    nets = [filled(cls(*SIZES)) for cls in (Bare, Keyed)]
    for net in nets:
        net.params = {key: array.astype(dtype) for key, array in net.params.items()}
    options = {"n_iterations": 50, "batch_size": 9, "learning_rate": 1.0, "rng": 0, "progress": False}
    bare, right = (secant.train(secant.accelerate(net), x, t, x[:9], t[:9], **options) for net in nets)
    assert (bare.train_acc_list, bare.test_acc_list) == (right.train_acc_list, right.test_acc_list)
    assert len(set(bare.train_acc_list)) > 1


def test_read_only_parameters_are_not_trained():
    net = secant.accelerate(filled(Keyed(*SIZES)))
    net.params["w2"].flags.writeable = False
    with pytest.raises(secant.errors.ParamsError, match=r"params\['w2'\] must be writeable to be trained"):
        secant.train(net, *batch(), progress=False)


def test_uint8_pixels_are_normalized_for_the_networks_own_loss_too():
    x, t = np.random.default_rng(0).integers(0, 256, (40, SIZES[0])).astype(np.uint8), batch(40)[1]
    runs = []
    for pixels, normalize in ((x, True), ((x / 255).astype(np.float32), False)):
        net = secant.accelerate(filled(Keyed(*SIZES)))
        runs.append(
            secant.train(net, pixels, t, n_iterations=20, batch_size=5, rng=0, progress=False, normalize=normalize)
        )
    assert runs[0].train_loss_list == runs[1].train_loss_list


def test_training_does_not_begin_where_the_loss_is_another_one():
    x, t = batch(60)
    x[17] *= 1e6
    net = secant.accelerate(filled(BranchForHuge(*SIZES)))
    before = copy.deepcopy(net.params)
    with np.errstate(over="ignore"), pytest.raises(secant.errors.UnsupportedError, match="loss"):
        secant.train(net, x, t, n_iterations=20, batch_size=2, rng=0, progress=False)
    assert all(np.array_equal(net.params[key], before[key]) for key in before)


class BranchForHuge(Keyed):
    def loss(self, x, t):
        return super().loss(x, t) * (1.001 if np.abs(x).max() > 1e5 else 1)


def test_a_numerical_gradient_that_is_an_attribute_would_hide_ours():
    net = Keyed(*SIZES)
    net.numerical_gradient = lambda x, t: {}
    with pytest.raises(secant.errors.UnsupportedError, match="is an attribute"):
        secant.accelerate(net)


def test_options_of_training():
    x, t = batch(60)
    net = secant.accelerate(Keyed(*SIZES))
    some = {"n_iterations": 3, "batch_size": 10, "progress": False}
    secant.train(net, x, t, n_threads=1, **some)
    with pytest.raises(secant.errors.UnsupportedError, match="does not take h"):
        secant.train(net, x, t, h=1e-3, **some)
    with pytest.raises((LossDiffersError, ValueError)):  # or what its own loss raises
        secant.train(net, x, t.argmax(axis=1), **some)


# for `secant run`


def test_lazily_a_known_network_is_reported_and_accelerated():
    said = []
    cls = fresh(Keyed)
    accelerate_lazily(cls, lambda cls, sentence: said.append(sentence))
    assert said == []
    for _ in range(2):
        net = filled(cls(*SIZES))
        x, t = batch()
        net.numerical_gradient(x, t)
        net.numerical_gradient(x, t)
    assert len(said) == 2  # once for each instance
    assert "sigmoid hidden, identity output" in said[0]


def test_lazily_what_is_not_known_runs_its_own_numerical_gradient():
    said = []
    cls = fresh(readers.WeightDecay)
    accelerate_lazily(cls, lambda cls, sentence: said.append(sentence))
    net = cls(*SIZES)
    x, t = batch()
    right = readers.WeightDecay.numerical_gradient(net, x, t)
    for _ in range(2):
        for key, grad in net.numerical_gradient(x, t).items():
            assert np.array_equal(grad, right[key])
    assert len(said) == 1
    assert "weight decay" in said[0]
    assert said[0].endswith(". Its own numerical_gradient runs, at Python's speed")
    history = secant.train(net, x, t, n_iterations=2, batch_size=4, progress=False)
    assert len(history.train_loss_list) == 2


def test_lazily_targets_that_are_not_known_run_its_own():
    said = []
    cls = fresh(Keyed)
    accelerate_lazily(cls, lambda cls, sentence: said.append(sentence))
    net = cls(*SIZES)
    x, t = batch(1, targets="labels")
    right = Keyed.numerical_gradient(net, x, t)  # of labels times logarithms: not a loss, but theirs
    net.numerical_gradient(*batch())
    assert np.array_equal(net.numerical_gradient(x, t)["w1"], right["w1"])
    assert "no gradient is returned" in said[1]


def test_the_number_of_threads_is_checked():
    for bad, error in ((0, secant.errors.ValueRangeError), ("all", secant.errors.DTypeError)):
        for net in (Keyed(*SIZES), fresh(Keyed)):
            with pytest.raises(error, match=r"^n_threads must be "):
                secant.accelerate(net, n_threads=bad)
        with pytest.raises(error, match=r"^n_threads must be "):
            secant.accelerate(filled(fresh(Keyed)(*SIZES))).numerical_gradient(*batch(), n_threads=bad)


@pytest.mark.parametrize("lacking", ["loss", "numerical_gradient"])
def test_no_other_method_is_called_to_find_out_which_is_meant(lacking):
    called = []

    class Net(Keyed):
        def clear(self, x=None, t=None):
            called.append("clear")

        def fit(self, x, t):
            called.append("fit")
            raise SystemExit

        def compute_loss(self, x, t):
            called.append("compute_loss")
            return 0.0

        def num_gradient(self, x, t):
            called.append("num_gradient")
            return {}

    setattr(Net, lacking, None)
    other = {"loss": "compute_loss", "numerical_gradient": "num_gradient"}[lacking]
    sentence = secant.recognize(Net(*SIZES)).sentence
    assert f'if {other}(x, t) is meant, write {lacking}="{other}"' in sentence
    assert "fit" not in sentence
    assert called == []


def test_a_library_class_is_left_as_it_is():
    assert secant.accelerate(secant.TwoLayerNet) is secant.TwoLayerNet
    assert secant.TwoLayerNet(6, 5, 4).numerical_gradient(*batch(), h=1e-3)


def test_an_argument_of_the_readers_own_is_not_taken_for_the_number_of_threads():
    class Scaled(Keyed):
        def numerical_gradient(self, x, t, times=1):
            return {key: times * grad for key, grad in super().numerical_gradient(x, t).items()}

    net = secant.accelerate(filled(Scaled(*SIZES)))
    with pytest.raises(TypeError, match="positional"):
        net.numerical_gradient(*batch(), 2)


def test_shapes_that_stand_in_a_gradient_are_tried_on_a_copy_of_their_size():
    (inputs, hidden, outputs), keys = SIZES, Keyed.KEYS
    shapes = dict(zip(keys, ((inputs, hidden), hidden, (hidden, outputs), outputs), strict=True))

    class Fixed(Keyed):
        def numerical_gradient(self, x, t):
            return {key: np.resize(grad, shapes[key]) for key, grad in super().numerical_gradient(x, t).items()}

    assert secant.recognize(Fixed(*SIZES)).known
