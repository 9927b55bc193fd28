import copy
import io
import math
import signal
import threading

import numpy as np
import pytest

import secant
from secant.errors import (
    DTypeError,
    ParamsError,
    ShapeError,
    UnsupportedError,
    ValueRangeError,
)
from secant.networks.simple import SimpleNet
from secant.networks.two_layer import TwoLayerNet
from secant.training.history import History
from secant.training.loop import train

I, H, O = 6, 4, 3  # noqa: E741 - the field's names
SIZE = 50


def make_data(rng, size):
    x = rng.random_sample((size, I)) * (rng.random_sample((size, I)) > 0.5)
    return x, rng.randint(0, O, size)


@pytest.fixture
def data():
    rng = np.random.RandomState(0)
    return *make_data(rng, SIZE), *make_data(rng, 20)


@pytest.fixture
def net():
    return TwoLayerNet(I, H, O, weight_init_std=0.5, rng=1)


def quiet(net, data, **options):
    return train(
        net,
        *data,
        **{"n_iterations": 5, "batch_size": 10, "rng": 2, "progress": False} | options,
    )


class ByHand:
    """The chapter's network and its central differences in plain NumPy, one loss at a
    time.
    """

    def __init__(self, params):
        self.params = {key: value.copy() for key, value in params.items()}

    def predict(self, x):
        sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
        p = self.params
        z2 = sigmoid(sigmoid(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"])
        e = np.exp(z2 - z2.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def loss(self, x, t):
        return -np.mean(np.log(self.predict(x)[np.arange(len(t)), t] + 1e-7))

    def accuracy(self, x, t):
        return np.mean(self.predict(x).argmax(axis=1) == t)

    def numerical_gradient(self, x, t):
        return {
            key: self._difference(param, x, t) for key, param in self.params.items()
        }

    def _difference(self, param, x, t, h=1e-4):
        grad = np.empty_like(param)
        for index, value in np.ndenumerate(param):
            losses = []
            for shifted in (value + h, value - h):
                param[index] = shifted
                losses.append(self.loss(x, t))
            param[index] = value
            grad[index] = (losses[0] - losses[1]) / (2 * h)
        return grad


class Stub:
    """A network of one parameter, which calls back at the start of each loss."""

    def __init__(self, callback=lambda net: None):
        self.params = {"w": np.zeros(1)}
        self.callback = callback
        self.calls = 0

    def numerical_gradient(self, x, t):
        return {"w": np.ones(1)}

    def loss(self, x, t):
        self.calls += 1
        self.callback(self)
        return 1.0

    def accuracy(self, x, t):
        return 0.5


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda net: ByHand(net.params), 1),
        (lambda net: secant.accelerate(ByHand(net.params)), 0),
        (lambda net: net, 0),
    ],
    ids=["own", "accelerated", "known"],
)
def test_who_waits_for_a_gradient_of_their_own_is_told_of_accelerate(
    net, data, make, said, capsys, monkeypatch
):
    monkeypatch.setattr("secant.training.loop._LONG_SECONDS", 0.0)
    train(make(net), *data, n_iterations=3, batch_size=10, rng=2)
    assert (
        capsys.readouterr().out.count(
            "note: training is slow: ByHand computes its own gradient"
        )
        == said
    )


def test_backpropagation_trains_a_network_whose_class_is_accelerated_but_not_known(
    net, data
):
    class Decaying(ByHand):
        def loss(self, x, t):
            return super().loss(x, t) + 1e-3 * sum(
                np.sum(param**2) for param in self.params.values()
            )

        def gradient(self, x, t):
            return {
                key: self._difference(param, x, t) for key, param in self.params.items()
            }

    plain = quiet(Decaying(net.params), data, gradient="backprop").train_loss_list
    secant.accelerate(Decaying)
    assert (
        quiet(Decaying(net.params), data, gradient="backprop").train_loss_list == plain
    )
    with pytest.raises(UnsupportedError, match="weight decay"):
        quiet(Decaying(net.params), data)


@pytest.mark.parametrize("one_hot", [False, True])
def test_the_losses_are_those_of_a_loop_by_hand(net, data, one_hot):
    x_train, t_train, x_test, t_test = data
    reference = ByHand(net.params)
    losses, accuracies = [], []
    np.random.seed(8)
    for i in range(20):
        mask = np.random.choice(SIZE, 10)
        grads = reference.numerical_gradient(x_train[mask], t_train[mask])
        for key in ("W1", "b1", "W2", "b2"):
            reference.params[key] -= 0.3 * grads[key]
        losses.append(reference.loss(x_train[mask], t_train[mask]))
        if i % 5 == 0:
            accuracies.append(
                (
                    reference.accuracy(x_train, t_train),
                    reference.accuracy(x_test, t_test),
                )
            )

    np.random.seed(8)
    targets = (np.eye(O)[t_train], np.eye(O)[t_test]) if one_hot else (t_train, t_test)
    history = quiet(
        net,
        (x_train, targets[0], x_test, targets[1]),
        n_iterations=20,
        learning_rate=0.3,
        rng=None,
    )
    assert history.train_loss_list == pytest.approx(losses, rel=0, abs=1e-9)
    assert history.epoch_iterations == [0, 5, 10, 15]
    assert (
        list(zip(history.train_acc_list, history.test_acc_list, strict=True))
        == accuracies
    )
    for key, param in net.params.items():
        assert param == pytest.approx(reference.params[key], rel=0, abs=1e-9)


def test_losses_before_the_update_of_a_network_of_ones_own(net, data):
    """Each is that of the parameters that the iterations before it have left."""
    seen = []

    class Watched(ByHand):
        def numerical_gradient(self, x, t):
            seen.append(ByHand(self.params).loss(x, t))
            return super().numerical_gradient(x, t)

    history = quiet(Watched(net.params), data, loss="before")
    assert history.train_loss_list == seen
    accelerated = quiet(secant.accelerate(ByHand(net.params)), data, loss="before")
    assert accelerated.train_loss_list == pytest.approx(seen, rel=0, abs=1e-9)
    assert history.settings["loss"] == "before"


@pytest.mark.parametrize(
    ("options", "method", "h", "n_threads"),
    [
        ({}, "auto", 1e-4, 0),
        ({"h": 1e-3}, "auto", 1e-3, 0),
        ({"method": "direct", "n_threads": 3}, "direct", 1e-4, 3),
        ({"method": "series", "n_threads": 1}, "series", 1e-4, 1),
        ({"gradient": "backprop", "n_threads": 3}, "derivative", 1.0, 3),
    ],
)
def test_the_options_of_a_gradient_reach_the_backend(
    net, data, asked, options, method, h, n_threads
):
    quiet(net, data, **options)
    assert {*asked} == {(method, h, n_threads)}


@pytest.mark.parametrize("h", [1e-4, 0.5])
def test_training_takes_steps_of_that_h(net, data, h):
    by_hand, draws = copy.deepcopy(net), np.random.RandomState(2)
    for _ in range(5):
        batch = draws.choice(SIZE, 10)
        grads = by_hand.numerical_gradient(data[0][batch], data[1][batch], h=h)
        for key, param in by_hand.params.items():
            param -= 0.1 * grads[key]
    quiet(net, data, h=h)
    for key, param in net.params.items():
        np.testing.assert_allclose(param, by_hand.params[key], rtol=0, atol=1e-12)


class Dropout(ByHand):
    """Drops half of the hidden units of each mini-batch, drawn from the stream that the
    mini-batches come from.
    """

    def numerical_gradient(self, x, t):
        kept = np.random.random(H) > 0.5
        w2 = self.params["W2"]
        whole = w2.copy()
        w2[~kept] = 0.0
        grads = super().numerical_gradient(x, t)
        w2[...] = whole
        return grads


@pytest.mark.parametrize("sampling", ["replacement", "epoch"])
def test_a_network_may_draw_from_the_stream_of_the_mini_batches(net, data, sampling):
    x_train, t_train, *_ = data
    by_hand = Dropout(net.params)
    expected = []
    np.random.seed(5)
    for i in range(15):
        if sampling == "replacement":
            batch = np.random.choice(SIZE, 10)
        elif i % 5 == 0:
            order = np.random.permutation(SIZE).reshape(5, 10)
        if sampling == "epoch":
            batch = order[i % 5]
        grads = by_hand.numerical_gradient(x_train[batch], t_train[batch])
        for key in by_hand.params:
            by_hand.params[key] -= 0.1 * grads[key]
        expected.append(by_hand.loss(x_train[batch], t_train[batch]))

    np.random.seed(5)
    assert (
        quiet(
            Dropout(net.params), data, n_iterations=15, sampling=sampling, rng=None
        ).train_loss_list
        == expected
    )


@pytest.mark.parametrize(
    "options", [{}, {"method": "series"}, {"gradient": "backprop"}]
)
@pytest.mark.parametrize(
    ("place", "message"),
    [
        (0, "x_train must be finite"),
        (1, "t_train must hold"),
        (2, "x_test must be finite"),
        (3, "t_test must hold"),
    ],
)
def test_nothing_is_trained_where_the_data_are_wrong(
    net, data, options, place, message
):
    data[place][-1] = 99 if place % 2 else np.nan
    before, history = copy.deepcopy(net.params), secant.History()
    with pytest.raises(ValueRangeError, match=message):
        quiet(net, data, history=history, sampling="ordered", **options)
    assert history == secant.History(settings=history.settings)
    assert all(np.array_equal(net.params[key], before[key]) for key in before)


def test_an_accelerated_network_says_where_its_data_are_wrong(net, data):
    data[0][3, 0] = np.nan
    with pytest.raises(
        ValueRangeError, match=r"^x_train must be finite, got nan at \(3, 0\)$"
    ):
        quiet(secant.accelerate(ByHand(net.params)), data)


@pytest.mark.parametrize(
    "writeable", [True, False], ids=["data writeable", "data read-only"]
)
def test_parameters_are_updated_in_place_and_data_are_not(net, data, writeable):
    before, values = dict(net.params), copy.deepcopy(net.params)
    copies = [array.copy() for array in data]
    for array in data:
        array.flags.writeable = writeable
    quiet(net, data)
    for array, copied in zip(data, copies, strict=True):
        assert np.array_equal(array, copied)
    for key, param in net.params.items():
        assert param is before[key]
        assert not np.array_equal(param, values[key])


def test_settings_and_plain_numbers_are_recorded(net, data):
    history = quiet(
        net, data, n_iterations=np.int64(2), learning_rate=np.float64(0.2), n_threads=1
    )
    assert history.settings == {
        "n_iterations": 2,
        "batch_size": 10,
        "learning_rate": 0.2,
        "gradient": "numerical",
        "sampling": "replacement",
        "loss": "after",
        "train_size": SIZE,
        "test_size": 20,
        "method": "auto",
        "h": 1e-4,
        "n_threads": 1,
        "hidden_activation": "sigmoid",
        "output_activation": "sigmoid",
        "soft_targets": "weights",
        "log_offset": 1e-7,
    }
    assert {type(value) for value in history.settings.values()} == {int, float, str}
    for numbers in (
        history.train_loss_list,
        history.train_acc_list,
        history.test_acc_list,
    ):
        assert {type(number) for number in numbers} == {float}


@pytest.mark.parametrize(
    ("batch_size", "sampling", "taken"),
    [
        (10, "replacement", [0, 5, 10]),
        (12, "replacement", [0, 5, 10]),  # ceil(50 / 12) = 5
        (12, "epoch", [0, 5, 10]),
        (26, "epoch", [0, 2, 4, 6, 8, 10]),
        (50, "epoch", list(range(11))),
        (80, "replacement", list(range(11))),
    ],
)
def test_an_epoch_is_a_whole_number_of_iterations(data, batch_size, sampling, taken):
    history = quiet(
        Stub(), data, n_iterations=11, batch_size=batch_size, sampling=sampling
    )
    assert history.epoch_iterations == taken


@pytest.mark.parametrize(
    "make",
    [lambda: TwoLayerNet(I, H, O, weight_init_std=0.5, rng=1), Stub],
    ids=["ours", "own"],
)
def test_a_test_set_is_optional(data, make, tmp_path, capsys):
    expected = quiet(make(), data)
    history = quiet(make(), data[:2], progress=True)
    assert (history.train_loss_list, history.train_acc_list) == (
        expected.train_loss_list,
        expected.train_acc_list,
    )
    assert (history.test_acc_list, history.settings["test_size"]) == ([], 0)
    assert capsys.readouterr().out == f"train acc | {history.train_acc_list[0]:.4f}\n"
    history.save(tmp_path / "h.json")
    assert History.load(tmp_path / "h.json") == history


@pytest.mark.parametrize("missing", ["x_test", "t_test"])
def test_half_a_test_set_is_refused(data, missing):
    sets = dict(zip(("x_test", "t_test"), data[2:], strict=True)) | {missing: None}
    with pytest.raises(
        DTypeError, match=f"^{missing} must be given together with ._test, got None$"
    ):
        quiet(Stub(), data[:2], **sets)


@pytest.mark.parametrize(
    "make", [lambda: TwoLayerNet(I, H, O, rng=1), Stub], ids=["ours", "own"]
)
def test_a_callback_ends_a_run_with_all_on_record(data, make):
    seen, net, history = [], make(), History()

    def callback(given, record):
        seen.append(
            (
                given is net,
                record is history,
                len(record.train_loss_list),
                len(record.test_acc_list),
            )
        )
        return np.bool_(len(seen) == 3)

    assert (
        quiet(net, data, n_iterations=100, history=history, callback=callback)
        is history
    )
    assert seen == [(True, True, 1, 1), (True, True, 6, 2), (True, True, 11, 3)]
    assert (len(history.train_loss_list), history.epoch_iterations) == (11, [0, 5, 10])
    other = make()
    assert (
        quiet(other, data, n_iterations=11, callback=lambda *_: None).train_loss_list
        == history.train_loss_list
    )
    for key, param in other.params.items():
        assert np.array_equal(param, net.params[key])


@pytest.mark.parametrize(
    "make", [lambda: TwoLayerNet(I, H, O, rng=1), Stub], ids=["ours", "own"]
)
@pytest.mark.parametrize("batch_size", [10, 12, SIZE])
def test_accuracies_may_be_taken_at_the_end_of_an_epoch(data, make, batch_size):
    net, whole, seen = make(), make(), []
    options = {"batch_size": batch_size, "sampling": "epoch"}
    per_epoch = math.ceil(SIZE / batch_size)

    def callback(given, record):
        seen.append((len(record.train_loss_list), given.accuracy(*data[2:])))

    history = quiet(
        net,
        data,
        n_iterations=3 * per_epoch,
        accuracy_after="last",
        callback=callback,
        **options,
    )
    assert history.epoch_iterations == [
        per_epoch - 1,
        2 * per_epoch - 1,
        3 * per_epoch - 1,
    ]
    assert [
        *zip(
            [1 + i for i in history.epoch_iterations],
            history.test_acc_list,
            strict=True,
        )
    ] == seen
    assert (
        quiet(whole, data, n_iterations=3 * per_epoch, **options).train_loss_list
        == history.train_loss_list
    )
    for key, param in whole.params.items():
        assert np.array_equal(param, net.params[key])


def test_an_error_of_a_callback_leaves_the_record_and_restores_the_handler(
    data, default_handler
):
    history = History()
    with pytest.raises(StopIteration):
        quiet(Stub(), data, history=history, callback=lambda *_: next(iter(())))
    assert (len(history.train_loss_list), history.epoch_iterations) == (1, [0])
    assert signal.getsignal(signal.SIGINT) is default_handler


@pytest.mark.parametrize("gradient", ["numerical", "backprop"])
def test_a_simple_net_is_trained(data, gradient):
    net = SimpleNet(I, O, rng=0)
    before = net.W
    history = quiet(net, data, n_iterations=50, learning_rate=0.5, gradient=gradient)
    assert net.W is before
    assert np.mean(history.train_loss_list[-10:]) < np.mean(
        history.train_loss_list[:10]
    )
    assert len(history.train_acc_list) == 10


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"n_iterations": 0},
            ValueRangeError,
            "n_iterations must be at least 1, got 0",
        ),
        ({"batch_size": -1}, ValueRangeError, "batch_size must be at least 1, got -1"),
        (
            {"batch_size": 51, "sampling": "epoch"},
            ValueRangeError,
            "batch_size must be at most .*50, got 51",
        ),
        (
            {"learning_rate": 0},
            ValueRangeError,
            "learning_rate must be finite and greater than 0, got 0",
        ),
        (
            {"learning_rate": "0.1"},
            DTypeError,
            "learning_rate must be a real number, got '0.1'",
        ),
        (
            {"gradient": "exact"},
            ValueRangeError,
            "gradient must be one of 'numerical', 'backprop', got 'exact'",
        ),
        (
            {"gradient": "backprop", "h": 1.0},
            UnsupportedError,
            "gradient='backprop' does not take h, got h=1.0",
        ),
        (
            {"sampling": "all"},
            ValueRangeError,
            "sampling must be one of 'replacement', 'epoch', 'ordered', got 'all'",
        ),
        (
            {"method": "fast"},
            ValueRangeError,
            "method must be one of 'auto', 'series', 'direct'.* got 'fast'",
        ),
        (
            {"h": -1e-4},
            ValueRangeError,
            "h must be finite and greater than 0, got -0.0001",
        ),
        ({"n_threads": 0}, ValueRangeError, "n_threads must be at least 1, got 0"),
        ({"rng": "seed"}, DTypeError, "rng must be None, .* got 'seed'"),
        ({"callback": 1}, DTypeError, "callback must be callable, got 1"),
        (
            {"accuracy_after": "both"},
            ValueRangeError,
            "accuracy_after must be one of 'first', 'last', got 'both'",
        ),
        ({"history": []}, DTypeError, "history must be a secant.History, got list"),
        (
            {"history": History([1.0])},
            ValueRangeError,
            "history must be empty, got one of 1 iterations",
        ),
    ],
)
def test_bad_settings_are_refused_before_anything_is_trained(
    net, data, options, error, message
):
    before = {key: param.copy() for key, param in net.params.items()}
    with pytest.raises(error, match=f"^{message}"):
        quiet(net, data, **options)
    for key, param in net.params.items():
        assert np.array_equal(param, before[key])


@pytest.mark.parametrize(
    ("position", "change", "error", "message"),
    [
        (
            0,
            lambda x: x[:0],
            ShapeError,
            r"x_train must hold at least one sample, got shape \(0, 6\)",
        ),
        (
            1,
            lambda t: t[:-1],
            ShapeError,
            "t_train must have 50 rows like x_train, got 49",
        ),
        (
            2,
            lambda x: x[:, :5],
            ShapeError,
            r"x_test must have samples of shape \(6,\) like x_train, got \(5,\)",
        ),
        (
            3,
            lambda t: t[0],
            ShapeError,
            r"t_test must hold at least one sample, got shape \(\)",
        ),
        (
            3,
            lambda t: np.r_[t, 0],
            ShapeError,
            "t_test must have 20 rows like x_test, got 21",
        ),
        (0, lambda x: x.astype(str), DTypeError, "x_train must hold real numbers"),
        (2, lambda x: [[1], [1, 2]], ShapeError, "x_test must be a regular array"),
    ],
)
def test_bad_data_are_refused_before_anything_is_trained(
    data, position, change, error, message
):
    data = list(data)
    data[position] = change(data[position])
    with pytest.raises(error, match=f"^{message}"):
        quiet(Stub(lambda net: pytest.fail("was trained")), data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"h": 1e-3}, r"net\.numerical_gradient does not take h, got h=0\.001"),
        ({"method": "direct"}, "does not take method, got method='direct'"),
        ({"n_threads": 2}, "does not take n_threads, got n_threads=2"),
        (
            {"gradient": "backprop"},
            "net must have gradient to be trained with gradient='backprop', got ",
        ),
    ],
)
def test_a_network_that_lacks_what_is_asked_for(data, options, message):
    with pytest.raises(UnsupportedError, match=message):
        quiet(Stub(), data, **options)


@pytest.mark.parametrize("gradients", [None, {}, [1.0]])
def test_what_is_no_gradient_or_no_parameters_trains_nothing(net, data, gradients):
    own = ByHand(net.params)
    own.numerical_gradient = lambda x, t: gradients
    with pytest.raises(
        UnsupportedError,
        match=r"gradients must be a dict with the keys of net\.params, got",
    ):
        quiet(own, data)
    net.params = None
    with pytest.raises(
        ParamsError,
        match=r"^params must be a dict with the keys W1, b1, W2 and b2, got None$",
    ):
        quiet(net, data)


class Diverging(TwoLayerNet):
    def gradient(self, x, t, *, n_threads=None):
        return super().gradient(x, t, n_threads=n_threads) | {"b1": np.full(H, np.inf)}


class Vanishing(Stub):
    """Its loss is not finite after the third iteration."""

    def loss(self, x, t):
        return super().loss(x, t) if self.calls < 2 else -math.inf


@pytest.mark.parametrize(
    ("make", "kind", "done", "what"),
    [
        (
            lambda: Diverging(I, H, O, rng=1),
            "backprop",
            0,
            r"params\['b1'\] is not finite",
        ),
        (Vanishing, "numerical", 2, "the loss is -inf"),
    ],
)
def test_divergence_is_undone_and_names_the_rate_and_the_iteration(
    data, make, kind, done, what
):
    net, history = make(), History()
    before = dict(net.params)
    start = {key: param.copy() for key, param in before.items()}
    message = f"^learning_rate must be small enough .*, got 0.5: in iteration {done + 1}, {what}$"
    with pytest.raises(ValueRangeError, match=message):
        quiet(net, data, gradient=kind, learning_rate=0.5, history=history)
    assert history.train_loss_list == [1.0] * done
    for key, param in net.params.items():
        assert param is before[key]
        assert np.array_equal(param, start[key] - 0.5 * done)


def interrupt_at(call):
    def callback(net):
        if net.calls == call:
            signal.raise_signal(signal.SIGINT)

    return callback


def test_ctrl_c_completes_the_iteration(data, default_handler):
    stub, history = Stub(interrupt_at(3)), History()
    with pytest.raises(KeyboardInterrupt):
        quiet(stub, data, n_iterations=100, learning_rate=1.0, history=history)
    assert stub.params["w"] == -3
    assert history.train_loss_list == [1.0] * 3
    assert history.epoch_iterations == [0]
    assert history.settings["n_iterations"] == 100
    assert signal.getsignal(signal.SIGINT) is default_handler


def test_a_second_ctrl_c_gives_up_an_iteration_that_has_only_a_gradient(
    data, default_handler
):
    def gradient(x, t):
        for _ in range(2 if stub.calls == 3 else 0):
            signal.raise_signal(signal.SIGINT)
        assert stub.calls < 3, "was not interrupted"
        return {"w": np.ones(1)}

    stub, history = Stub(), History()
    stub.numerical_gradient = gradient
    with pytest.raises(KeyboardInterrupt):
        quiet(stub, data, n_iterations=10, learning_rate=1.0, history=history)
    assert (len(history.train_loss_list), stub.params["w"]) == (3, -3)
    assert signal.getsignal(signal.SIGINT) is default_handler


def test_an_ignored_ctrl_c_stays_ignored(data, default_handler):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert len(quiet(Stub(interrupt_at(2)), data).train_loss_list) == 5
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_thread_trains_and_leaves_the_handler_alone(data, default_handler):
    seen = []
    stub = Stub(lambda net: seen.append(signal.getsignal(signal.SIGINT)))
    thread = threading.Thread(target=quiet, args=(stub, data))
    thread.start()
    thread.join()
    assert seen == [default_handler] * 5


def test_a_closed_output_does_not_end_the_training(monkeypatch):
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr("sys.stdout", stream)
    x, t = np.random.RandomState(0).rand(40, 3), np.arange(40) % 2
    net = TwoLayerNet(3, 2, 2, rng=0)
    history = train(net, x, t, n_iterations=8, batch_size=10, rng=0)
    assert len(history.train_loss_list) == 8
