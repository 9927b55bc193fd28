"""`accelerate`: a reader's network gets its numerical gradient from Secant, or an
error; never a wrong number.
"""

import copy
import inspect
import pickle
import random

import numpy as np
import pytest
import readers
from readers import (
    KNOWN,
    SIZES,
    Attributes,
    Book,
    Keyed,
    Layers,
    batch,
    bits,
    central_difference,
    filled,
    require_own,
)

import secant
from secant.acceleration.script_mode import accelerate_lazily
from secant.errors import (
    DTypeError,
    LossDiffersError,
    ParamsError,
    UnsupportedError,
    ValueRangeError,
)
from sweeps import grid

SOME = grid(lambda reader: KNOWN.index(reader) % 3 == 0, KNOWN)


def fresh(cls):
    """A class like another, which nobody else has accelerated."""
    return type(cls.__name__, (cls,), {"numerical_gradient": cls.numerical_gradient})


@pytest.mark.parametrize("cls", [Book, readers.TheNotes, readers.HeldAsParam])
def test_every_backend_takes_networks_of_others(cls, backend):
    require_own(secant.accelerate(filled(cls(*SIZES))), *batch())


@pytest.mark.parametrize("reader", SOME, ids=lambda reader: reader.cls.__name__)
def test_the_gradient_is_the_central_difference_of_the_networks_own_loss(reader):
    net = filled(reader.cls(*SIZES))
    found, before = secant.recognize(net, **reader.names), bits(net)
    assert secant.accelerate(net, **reader.names) is net
    x, t = batch(targets="one-hot" if "one-hot" in found.targets else "labels")
    names = found.names.loss, found.names.numerical_gradient
    grads = getattr(net, names[1])(x, t)
    assert list(grads) == list(found.gradient_keys)
    assert bits(net) == before
    assert all(
        (a.shape, a.dtype) == (g.shape, g.dtype)
        for a, g in zip(net.arrays(), grads.values(), strict=True)
    )
    # in which a plain loop computes rounding errors
    if reader.facts.get("dtype") != np.float32:
        require_own(
            net, x, t, found.h, names, rounding=4e-15 * (len(x) if found.summed else 1)
        )


def test_single_precision_gets_the_gradient_of_double_precision():
    single, double = filled(readers.SinglePrecision(*SIZES)), Keyed(*SIZES)
    for own, array in zip(double.arrays(), single.arrays(), strict=True):
        own[...] = array
    of_single, of_double = (
        secant.accelerate(net).numerical_gradient(*batch()) for net in (single, double)
    )
    assert all(
        np.array_equal(of_single[key], grad.astype(np.float32))
        for key, grad in of_double.items()
    )


@pytest.mark.parametrize(
    "reader", readers.REFUSED[::6], ids=lambda reader: reader.cls.__name__
)
def test_nothing_is_changed_where_a_network_is_not_known(reader):
    net = reader.cls(*SIZES)
    before, cls = dict(vars(net)), type(net)
    with pytest.raises(UnsupportedError, match=reader.cls.__name__):
        secant.accelerate(net)
    assert vars(net).keys() == before.keys()
    assert type(net) is cls
    assert all(value is before[name] for name, value in vars(net).items())


class DrawsFromPython(Keyed):
    def loss(self, x, t):
        random.random()
        return super().loss(x, t)


def test_nobody_notices_that_a_network_was_tried_out(capsys):
    net = readers.Talkative(*SIZES)
    others = [readers.WithDropout(*SIZES), DrawsFromPython(*SIZES)]
    params = bits(net)
    np.random.seed(3)
    state, of_python = np.random.get_state()[1].copy(), random.getstate()
    secant.recognize(net)
    for other in others:
        secant.recognize(other)
    assert np.array_equal(np.random.get_state()[1], state)
    assert random.getstate() == of_python
    assert bits(net) == params
    assert capsys.readouterr() == ("", "")


# Classes


def test_a_class_is_accelerated_and_its_instances_recognized_when_they_are_used():
    called = []

    @secant.accelerate
    class Net(Keyed):
        def numerical_gradient(self, x, t):
            """Slow."""
            called.append(x)
            return super().numerical_gradient(x, t)

    net, (x, t) = filled(Net(*SIZES)), batch()
    assert net.numerical_gradient.__doc__ == "Slow."
    assert type(net) is Net
    assert secant.accelerate(Net) is Net
    require_own(net, x, t)
    assert called
    assert not any(np.array_equal(some, x) for some in called)  # but on a copy


def test_a_class_whose_instances_are_not_known_says_so_when_one_is_used():
    cls = secant.accelerate(fresh(readers.WeightDecay))
    with pytest.raises(UnsupportedError, match="weight decay"):
        cls(*SIZES).numerical_gradient(*batch())
    with pytest.raises(
        UnsupportedError, match=r"dict has no method loss\(x, t\): loss must name"
    ):
        secant.accelerate(dict)
    with pytest.raises(UnsupportedError, match="must be an instance"):
        secant.recognize(Keyed)


def test_a_class_with_other_names_is_decorated():
    @secant.accelerate(loss="cost", numerical_gradient="slopes", n_threads=1)
    class Net(readers.CallsItCost):
        def slopes(self, x, t):
            """Slow."""
            return super().numerical_gradient(x, t)

    require_own(filled(Net(*SIZES)), *batch(), names=("cost", "slopes"), rounding=4e-14)
    assert (Net.slopes.__doc__, Net.slopes.__qualname__) == (
        "Slow.",
        f"{Net.__qualname__}.slopes",
    )
    with pytest.raises(
        UnsupportedError,
        match=r"Net has no method price\(x, t\): loss must name .* cost",
    ):
        secant.accelerate(Net, loss="price")


def test_a_numerical_gradient_is_that_of_the_object_alone_that_was_accelerated():
    cls = type("NoGradient", (readers.NoGradient,), {})
    net, other = cls(*SIZES), cls(*SIZES)
    secant.accelerate(net)
    with pytest.raises(
        AttributeError,
        match="'NoGradient' object has no attribute 'numerical_gradient'",
    ):
        other.numerical_gradient(*batch())
    secant.accelerate(cls)
    assert (
        other.numerical_gradient(*batch()).keys()
        == net.numerical_gradient(*batch()).keys()
    )
    assert cls.numerical_gradient(other, *batch()).keys() == other.params.keys()
    assert inspect.signature(cls.numerical_gradient)


def test_what_computes_is_an_attribute_of_the_object_and_its_class_is_left_alone():
    class Known(Keyed):
        def __init_subclass__(cls, *, needed):
            pass

    net = filled(Known(*SIZES))
    attributes = dict(vars(net))
    secant.accelerate(net).numerical_gradient(*batch())
    assert vars(net) == attributes | {"numerical_gradient": net.numerical_gradient}
    assert type(net) is Known
    assert "numerical_gradient" not in vars(Known)


def test_a_library_class_is_left_as_it_is():
    assert secant.accelerate(secant.TwoLayerNet) is secant.TwoLayerNet
    assert secant.TwoLayerNet(*SIZES).numerical_gradient(*batch(), h=1e-3)


# Copies


@pytest.mark.parametrize("cls", [Layers, Attributes, readers.Plural])
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))]
)
def test_copies_and_pickles_stay_accelerated(cls, copied):
    reader = next(reader for reader in KNOWN if reader.cls is cls)
    name = reader.names.get("numerical_gradient", "numerical_gradient")
    net, (x, t) = secant.accelerate(filled(cls(*SIZES)), **reader.names), batch()
    grads, other = getattr(net, name)(x, t), copied(net)
    assert type(other) is cls
    assert all(
        np.array_equal(grad, grads[key])
        for key, grad in getattr(other, name)(x, t).items()
    )
    if copied is not copy.copy:
        other.arrays()[0][...] = 0
        require_own(other, x, t, names=("loss", name))
        require_own(net, x, t, names=("loss", name))


def test_a_shallow_copy_has_its_own_gradient_or_is_refused():
    """In an accelerated class the method knows for which object it is called."""
    x, t = batch()
    net = filled(secant.accelerate(fresh(Keyed))(*SIZES))
    net.numerical_gradient(x, t)
    assert vars(net).keys() == {"params"}
    other = copy.copy(net)
    other.params = {key: 2 * array for key, array in net.params.items()}
    require_own(other, x, t)
    alone = copy.copy(secant.accelerate(filled(Keyed(*SIZES))))
    with pytest.raises(
        UnsupportedError, match="is a shallow copy of an accelerated network"
    ):
        secant.train(alone, x, t, n_iterations=1, progress=False)
    secant.train(secant.accelerate(alone), x, t, n_iterations=1, progress=False)
    # of a class in a script, for another process
    cloudpickle = pytest.importorskip("cloudpickle")
    require_own(cloudpickle.loads(cloudpickle.dumps(net)), x, t)


# Arguments and parameters


def test_the_arguments_are_x_and_t_by_the_readers_names_and_n_threads():
    class Scaled(Keyed):
        def numerical_gradient(self, x_batch, y, times=1):
            return {
                key: times * grad
                for key, grad in super().numerical_gradient(x_batch, y).items()
            }

    net, (x, t) = secant.accelerate(filled(Scaled(*SIZES))), batch()
    right, named = (
        net.numerical_gradient(x, t),
        net.numerical_gradient(y=t, x_batch=x, n_threads=1),
    )
    assert all(np.array_equal(named[key], right[key]) for key in right)
    # of the reader's own, and not the number of threads
    for more, named in ((), {"h": 1e-3}), ((2,), {}):
        with pytest.raises(TypeError, match=r"takes x and t; its h is 0\.0001"):
            net.numerical_gradient(x, t, *more, **named)


@pytest.mark.parametrize("as_class", [False, True], ids=["instance", "class"])
@pytest.mark.parametrize(
    ("given", "of_call", "threads"),
    [(None, None, 0), (3, None, 3), (3, 2, 2), (None, 2, 2)],
)
def test_the_number_of_threads_is_that_of_the_call_or_of_accelerate(
    asked, as_class, given, of_call, threads
):
    cls = fresh(Keyed)
    if as_class:
        net = secant.accelerate(cls, n_threads=given)(*SIZES)
    else:
        net = secant.accelerate(cls(*SIZES), n_threads=given)
    net.numerical_gradient(*batch())
    asked.clear()  # of what recognized it
    net.numerical_gradient(*batch(), n_threads=of_call)
    assert [n_threads for _, _, n_threads in asked] == [threads]
    asked.clear()
    secant.train(
        net, *batch(20), n_iterations=3, batch_size=5, n_threads=of_call, **OPTIONS
    )
    assert {n_threads for _, _, n_threads in asked} == {threads}


@pytest.mark.parametrize(("bad", "error"), [(0, ValueRangeError), ("all", DTypeError)])
def test_the_number_of_threads_is_checked(bad, error):
    for call in (
        lambda: secant.accelerate(Keyed(*SIZES), n_threads=bad),
        lambda: secant.accelerate(fresh(Keyed), n_threads=bad),
        lambda: secant.accelerate(fresh(Keyed))(*SIZES).numerical_gradient(
            *batch(), n_threads=bad
        ),
    ):
        with pytest.raises(error, match=r"^n_threads must be "):
            call()


def test_inputs_that_are_not_finite_are_named():
    net, (x, t) = secant.accelerate(filled(Keyed(*SIZES))), batch()
    x[1, 2] = np.nan
    for _ in range(2):
        with pytest.raises(
            ValueRangeError, match=r"x must be finite, got nan at \(1, 2\)"
        ):
            net.numerical_gradient(x, t)
        net.numerical_gradient(*batch())


def test_one_sample_is_known_where_the_loss_takes_it():
    net = secant.accelerate(filled(Book(*SIZES)))
    x, t = batch(1)
    for targets in (t[0], t[0].argmax()):
        for key, grad in net.numerical_gradient(x[0], targets).items():
            np.testing.assert_allclose(
                grad, net.numerical_gradient(x, t)[key], rtol=0, atol=1e-13
            )


def test_targets_for_which_the_loss_is_not_known_are_refused():
    net = secant.accelerate(Keyed(*SIZES))  # multiplies by t: of labels, something else
    with pytest.raises(LossDiffersError, match="no labels"):
        net.numerical_gradient(*batch(SIZES[2], targets="labels"))
    ones, (x, t) = secant.accelerate(readers.SelectsByOnes(*SIZES)), batch()
    ones.numerical_gradient(x, t)
    for soft in (t * 0.5 + 0.125, t * 0.5):
        with pytest.raises(LossDiffersError):
            ones.numerical_gradient(x, soft)


def test_parameters_that_layers_do_not_see_are_an_error():
    net, (x, t) = secant.accelerate(filled(Layers(*SIZES))), batch()
    net.numerical_gradient(x, t)
    net.params["W1"] -= 0.1
    net.numerical_gradient(x, t)  # in place: the layers see it
    net.params["W1"] = net.params["W1"] - 0.1
    for _ in range(2):
        with pytest.raises(LossDiffersError, match="no gradient is returned"):
            net.numerical_gradient(x, t)


SHARED = {
    "transposed": lambda params: params | {"w2": params["w1"].T},
    "reversed": lambda params: params | {"w2": params["w1"][::-1]},
    "one in itself": lambda params: (
        params
        | {"w1": np.lib.stride_tricks.as_strided(np.arange(20.0), (4, 4), (8, 8))}
    ),
}


@pytest.mark.parametrize("shared", SHARED.values(), ids=SHARED)
def test_parameters_that_share_memory_are_refused(shared):
    net, known = Keyed(4, 4, 4), secant.accelerate(filled(Keyed(4, 4, 4)))
    for each in (net, known):
        each.params = shared(each.params)
    with pytest.raises(UnsupportedError, match="share memory"):
        secant.accelerate(net)
    with pytest.raises(UnsupportedError, match="share memory"):
        known.numerical_gradient(batch()[0][:, :4], batch()[1])


def test_parameters_may_be_replaced_where_the_loss_follows():
    net, (x, t) = secant.accelerate(filled(Keyed(*SIZES))), batch()
    net.numerical_gradient(x, t)
    net.params = {key: array * 1.5 for key, array in net.params.items()}
    require_own(net, x, t)
    net.params["w1"] = np.zeros((SIZES[0] + 1, SIZES[1]))
    with pytest.raises(
        UnsupportedError,
        match=r"w1 must hold floats \(6, 5\), as when it was recognized",
    ):
        net.numerical_gradient(x, t)
    del net.params["w1"]
    with pytest.raises(UnsupportedError, match=r"must hold the array 'w1' as before"):
        net.numerical_gradient(x, t)


# secant.train

OPTIONS = {"rng": 0, "progress": False}


@pytest.mark.parametrize(
    "cls", [Keyed, Attributes, Layers, readers.BiasesAsRows, readers.HeldAsParam]
)
def test_training_is_that_of_the_network_that_was_recognized(cls):
    x, t = batch(60)
    net, found = filled(cls(*SIZES)), secant.recognize(cls(*SIZES))
    kinds = {
        "hidden_activation": found.hidden_activation,
        "output_activation": "identity",
    }
    same, arrays = (
        secant.TwoLayerNet(*SIZES, **kinds, soft_targets=found.soft_targets),
        net.arrays(),
    )
    for ours, theirs in zip(same.params.values(), arrays, strict=True):
        ours[...] = theirs.reshape(ours.shape)
    settings = {"n_iterations": 50, "batch_size": 10, **OPTIONS}
    history = secant.train(secant.accelerate(net), x, t, x, t, **settings)
    assert (
        history.train_loss_list
        == secant.train(same, x, t, x, t, **settings).train_loss_list
    )
    assert len(history.train_acc_list) == 9
    for ours, theirs, now in zip(
        same.params.values(), arrays, net.arrays(), strict=True
    ):
        assert np.array_equal(theirs.ravel(), ours.ravel())
        assert now is theirs


NAMED = [reader for reader in KNOWN if reader.names or reader.facts.get("summed")]


@pytest.mark.parametrize("reader", NAMED, ids=lambda reader: reader.cls.__name__)
def test_training_takes_the_steps_of_the_networks_own_loss(reader):
    x, t = batch(40)
    net, plain = (filled(reader.cls(*SIZES)) for _ in range(2))
    found = secant.recognize(net, **reader.names)

    class Plain:
        accuracy, loss = plain.accuracy, getattr(plain, found.names.loss)

        def __init__(self):
            self.params = dict(enumerate(plain.arrays()))

        def numerical_gradient(self, x, t):
            return dict(
                enumerate(central_difference(plain, x, t, found.h, found.names.loss))
            )

    options = {"n_iterations": 9, "batch_size": 8, "learning_rate": 0.05, **OPTIONS}
    nets = Plain(), secant.accelerate(net, **reader.names)
    np.testing.assert_allclose(
        *(secant.train(each, x, t, **options).train_loss_list for each in nets),
        rtol=1e-7,
    )
    for one, other in zip(plain.arrays(), net.arrays(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_training_measures_the_accuracy_of_a_network_without_such_a_method(dtype):
    class Bare(Keyed):
        accuracy = property()

    x, t = batch(40)
    nets = [filled(cls(*SIZES)) for cls in (Bare, Keyed)]
    for net in nets:
        net.params = {key: array.astype(dtype) for key, array in net.params.items()}
    options = {"n_iterations": 50, "batch_size": 9, "learning_rate": 1.0, **OPTIONS}
    bare, right = (
        secant.train(secant.accelerate(net), x, t, x[:9], t[:9], **options)
        for net in nets
    )
    assert (bare.train_acc_list, bare.test_acc_list) == (
        right.train_acc_list,
        right.test_acc_list,
    )
    assert len(set(bare.train_acc_list)) > 1


def test_uint8_pixels_are_normalized_for_the_networks_own_loss_too():
    x, t = (
        np.random.default_rng(0).integers(0, 256, (40, SIZES[0])).astype(np.uint8),
        batch(40)[1],
    )
    losses = [
        secant.train(
            secant.accelerate(filled(Keyed(*SIZES))),
            pixels,
            t,
            normalize=normalize,
            n_iterations=20,
            **OPTIONS,
        ).train_loss_list
        for pixels, normalize in ((x, True), ((x / 255).astype(np.float32), False))
    ]
    assert losses[0] == losses[1]


def test_what_training_refuses():
    x, t = batch(60)
    net, some = (
        secant.accelerate(filled(Keyed(*SIZES))),
        {"n_iterations": 3, "batch_size": 10, **OPTIONS},
    )
    secant.train(net, x, t, n_threads=1, **some)
    with pytest.raises(UnsupportedError, match="does not take h"):
        secant.train(net, x, t, h=1e-3, **some)
    net.params["w2"].flags.writeable = False
    with pytest.raises(
        ParamsError, match=r"params\['w2'\] must be writeable to be trained"
    ):
        secant.train(net, x, t, **some)


def test_training_uses_the_gradient_of_an_object_that_has_one():
    def clipped(net):
        own = net.numerical_gradient
        net.numerical_gradient = lambda x, t: {
            key: np.clip(g, -0.01, 0.01) for key, g in own(x, t).items()
        }
        secant.train(
            net, *batch(20), n_iterations=6, batch_size=5, learning_rate=0.5, **OPTIONS
        )
        return net

    plain, fast = filled(Keyed(*SIZES)), secant.accelerate(filled(fresh(Keyed)(*SIZES)))
    for one, other in zip(clipped(plain).arrays(), clipped(fast).arrays(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


def test_gradients_under_other_keys_name_them():
    cls = next(
        reader.cls for reader in KNOWN if reader.cls.__name__ == "OtherGradientKeys"
    )
    with pytest.raises(
        UnsupportedError, match=r"gradients must have the keys of net\.params .*'dw1'"
    ):
        secant.train(cls(*SIZES), *batch(20), n_iterations=6, **OPTIONS)


# for `secant run`


def lazily(cls):
    """Accelerate a class like this one, and what is said of it."""
    said, cls = [], fresh(cls)
    accelerate_lazily(cls, lambda cls, sentence: said.append(sentence))
    return cls, said


def test_lazily_a_known_network_is_reported_and_accelerated():
    cls, said = lazily(Keyed)
    assert said == []
    for _ in range(2):
        net = filled(cls(*SIZES))
        net.numerical_gradient(*batch())
        net.numerical_gradient(*batch())
    assert len(said) == 2  # once for each instance
    assert "sigmoid hidden, identity output" in said[0]


def test_lazily_what_is_not_known_runs_its_own_numerical_gradient():
    cls, said = lazily(readers.WeightDecay)
    net, (x, t) = cls(*SIZES), batch()
    right = readers.WeightDecay.numerical_gradient(net, x, t)
    for _ in range(2):
        assert all(
            np.array_equal(grad, right[key])
            for key, grad in net.numerical_gradient(x, t).items()
        )
    assert len(said) == 1
    assert "weight decay" in said[0]
    assert said[0].endswith(". Its own numerical_gradient runs, at Python's speed")
    assert (
        len(
            secant.train(
                net, x, t, n_iterations=2, batch_size=4, progress=False
            ).train_loss_list
        )
        == 2
    )


def test_lazily_targets_that_are_not_known_run_its_own():
    cls, said = lazily(Keyed)
    net, (x, t) = cls(*SIZES), batch(1, targets="labels")
    # of labels times logarithms: not a loss, but theirs
    right = Keyed.numerical_gradient(net, x, t)
    net.numerical_gradient(*batch())
    assert np.array_equal(net.numerical_gradient(x, t)["w1"], right["w1"])
    assert "no gradient is returned" in said[1]
    assert said[1].endswith("Its own numerical_gradient runs")


def test_lazily_a_network_whose_loss_differed_runs_its_own_for_good():
    class Changing(Keyed):
        factor = 1

        def loss(self, x, t):
            return self.factor * super().loss(x, t)

    cls, said = lazily(Changing)
    net, (x, t) = filled(cls(*SIZES)), batch()
    net.numerical_gradient(x, t)
    for net.factor in (2, 1):  # also when it is again what it was
        right = Changing.numerical_gradient(net, x, t)
        assert all(
            np.array_equal(grad, right[key])
            for key, grad in net.numerical_gradient(x, t).items()
        )
    assert len(said) == 2
    assert said[1].endswith("Its own numerical_gradient runs")
