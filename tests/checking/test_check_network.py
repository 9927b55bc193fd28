"""`check_network` of readers' networks: right, right for another loss, or wrong."""

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from multilayer import Extended, MultiLayer
from readers import READERS, batch, cross_entropy_error, filled, sigmoid, softmax

import secant
from secant.errors import DTypeError, ShapeError, UnsupportedError

SIZES = 6, 5, 4
X = np.random.default_rng(0).uniform(size=(7, 6))
LABELS = np.random.default_rng(1).integers(4, size=7)
ONE_HOT = np.eye(4)[LABELS]
BOOK = "the loss without the 1e-7 (as in the book)"


class Chapter5:
    """Probabilities from ``predict``, and backpropagation by y - t."""

    decay, size, activation = 0.0, 0.3, staticmethod(sigmoid)

    def __init__(self, inputs=6, hidden=5, outputs=4, rng=0):
        rng = np.random.default_rng(rng)
        self.params = {
            "W1": self.size * rng.standard_normal((inputs, hidden)),
            "b1": 0.1 * rng.standard_normal(hidden),
            "W2": self.size * rng.standard_normal((hidden, outputs)),
            "b2": 0.1 * rng.standard_normal(outputs),
        }

    def predict(self, x):
        p = self.params
        return softmax(self.activation(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"])

    def loss(self, x, t):
        penalty = (
            0.5
            * self.decay
            * sum(np.sum(self.params[key] ** 2) for key in ("W1", "W2"))
        )
        return cross_entropy_error(self.predict(x), t) + penalty

    def gradient(self, x, t):
        grads = self.backward(x, (self.predict(x) - t) / len(x))
        return {
            key: grad + (self.decay * self.params[key] if key[0] == "W" else 0)
            for key, grad in grads.items()
        }

    def backward(self, x, dy):
        p = self.params
        z = self.activation(x @ p["W1"] + p["b1"])
        dz = dy @ p["W2"].T * (z * (1 - z) if self.activation is sigmoid else 1 - z * z)
        return {
            "W1": x.T @ dz,
            "b1": dz.sum(axis=0),
            "W2": z.T @ dy,
            "b2": dy.sum(axis=0),
        }


class Decayed(Chapter5):
    decay = 0.02


class Summed(Decayed):
    def loss(self, x, t):
        return super().loss(x, t) * len(x)

    def gradient(self, x, t):
        return {key: len(x) * grad for key, grad in super().gradient(x, t).items()}


def as_bytes(net):
    return {key: param.tobytes() for key, param in net.params.items()}


@pytest.mark.parametrize("factor", [1, 1.01])
def test_a_network_in_float32_is_checked_in_float64(factor):
    net = Chapter5()
    before = net.params = {
        key: param.astype(np.float32) for key, param in net.params.items()
    }
    x, t = (
        each.astype(np.float32)
        for each in (np.random.default_rng(1).random((3, 6)), np.eye(4)[:3])
    )
    gradients = net.gradient(x, t)
    assert {grad.dtype for grad in gradients.values()} == {np.dtype(np.float32)}
    gradients["W1"] *= np.float32(factor)
    report = secant.check_network(net, x, t, gradients)
    assert report.verdict == ("right" if factor == 1 else "wrong")
    assert net.params is before


def test_a_gradient_of_a_network_in_float32_has_no_more_digits_in_float64():
    net = Chapter5()
    net.params = {key: param.astype(np.float32) for key, param in net.params.items()}
    gradients = net.gradient(X.astype(np.float32), ONE_HOT)  # targets of float64
    assert {grad.dtype for grad in gradients.values()} == {np.dtype(np.float64)}
    assert secant.check_network(net, X.astype(np.float32), ONE_HOT).verdict == "right"
    gradients["b1"][2] *= 1.01
    assert (
        secant.check_network(net, X.astype(np.float32), ONE_HOT, gradients).verdict
        == "wrong"
    )


def test_a_copy_that_reads_the_arrays_of_the_network_proves_nothing():
    net = Chapter5()
    net.params = {key: param.astype(np.float32) for key, param in net.params.items()}
    net.loss = lambda x, t, loss=net.loss: loss(x, t)  # of this network, also in a copy
    x, t = (
        each.astype(np.float32)
        for each in (np.random.default_rng(1).random((3, 6)), np.eye(4)[:3])
    )
    before = as_bytes(net)
    assert secant.check_network(net, x, t).verdict != "wrong"
    zeros = {key: 0 * param for key, param in net.params.items()}
    assert secant.check_network(net, x, t, zeros).verdict == "wrong"
    assert as_bytes(net) == before


@pytest.mark.parametrize("one_hot", [True, False])
def test_a_textbooks_gradient_is_right_for_the_loss_without_the_offset(one_hot):
    net = Chapter5(*SIZES, rng=0)
    before = as_bytes(net)
    report = secant.check_network(
        net, X, ONE_HOT if one_hot else LABELS, net.gradient(X, ONE_HOT)
    )
    count = sum(param.size for param in net.params.values())
    lines = str(report).splitlines()
    assert lines[0] == f"gradient in {count} entries: right for {BOOK}"
    assert (
        lines[1]
        == "  loss(x, t) adds 1e-7 to each probability; y - t, the textbook's gradient, leaves it out."
    )
    assert len(lines) == 3 + len(net.params)
    assert report.passed
    assert report
    assert not report.findings
    report.raise_if_failed()
    kept = json.loads(report.to_json())
    assert (kept["passed"], kept["compared_with"]) == (True, BOOK)
    assert as_bytes(net) == before


def test_parameters_in_the_order_of_fortran_have_the_same_verdict():
    net = Chapter5(*SIZES, rng=0)
    net.params = {key: np.asfortranarray(param) for key, param in net.params.items()}
    assert secant.check_network(net, X, ONE_HOT).compared_with == BOOK


def test_a_loss_that_does_not_move_with_the_parameters_is_not_saved_by_its_offset():
    class Remembers(Chapter5):
        def loss(self, x, t):
            losses = self.__dict__.setdefault("losses", {})
            return losses.setdefault(x.tobytes(), super().loss(x, t))

    report = secant.check_network(Remembers(*SIZES, rng=0), X, ONE_HOT)
    assert (report.verdict, report.compared_with) == ("wrong", "")
    assert report.diagnosis.startswith("f had one value wherever it was evaluated")


def test_a_loss_that_is_infinite_without_its_offset_is_compared_as_it_is():
    net = Chapter5(*SIZES, rng=0)
    net.params["W2"][:] = [1e4, 0, 0, 0]  # the probabilities of others underflow
    report = secant.check_network(net, X, LABELS, net.gradient(X, ONE_HOT))
    assert (report.verdict, report.compared_with) == ("wrong", "")


def test_parameters_of_whole_numbers_are_refused():
    net = Chapter5(*SIZES, rng=0)
    net.params["b1"] = np.zeros(SIZES[1], int)
    with pytest.raises(
        DTypeError, match=r"net.params\['b1'\] must be floating point, got int64"
    ):
        secant.check_network(net, X, LABELS)


def test_the_exact_gradient_is_right_without_more():
    net = secant.TwoLayerNet(*SIZES, rng=0)
    report = secant.check_network(net, X, LABELS)
    assert (report.passed, report.compared_with, report.note) == (True, "", "")
    assert str(report).startswith("gradient in 59 entries: right\n  W1")


def test_a_sum_over_the_samples_whose_loss_does_not_call_predict():
    class Inlined(Chapter5):
        def loss(self, x, t):
            p = self.params
            y = softmax(sigmoid(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"])
            return -np.sum(t * np.log(y + 1e-7))

        def gradient(self, x, t):
            return {key: len(x) * grad for key, grad in super().gradient(x, t).items()}

    assert (
        secant.check_network(Inlined(*SIZES, rng=0), X, ONE_HOT).compared_with == BOOK
    )


@pytest.mark.parametrize("cls", [secant.TwoLayerNet, Chapter5])
def test_what_else_is_wrong_with_a_textbooks_gradient_is_named(cls):
    net = cls(*SIZES, rng=0)
    textbooks = (
        secant.TwoLayerNet(*SIZES, rng=0, log_offset=0)
        if cls is secant.TwoLayerNet
        else net
    )
    grads = textbooks.gradient(X, ONE_HOT)
    report = secant.check_network(net, X, ONE_HOT, grads | {"b2": grads["b2"] / 7})
    assert str(report).startswith("gradient in 59 entries: WRONG by ")
    assert str(report).splitlines()[1] == f"  compared here with {BOOK}"
    assert {finding.array for finding in report.findings} == {"b2"}
    assert report.diagnosis == "b2 is 7 times too small"
    with pytest.raises(secant.errors.GradientMismatchError, match="WRONG"):
        report.raise_if_failed()


def test_an_offset_that_a_loss_does_not_have_explains_nothing():
    class WithoutOffset(Chapter5):
        def loss(self, x, t):
            return -np.sum(t * np.log(self.predict(x))) / len(x)

        def gradient(self, x, t):  # of the loss with 1e-7, which is not its own
            p = self.params
            z, y = sigmoid(x @ p["W1"] + p["b1"]), self.predict(x)
            u = t * y / (y + 1e-7)
            dy = (y * u.sum(axis=1, keepdims=True) - u) / len(x)
            dz = dy @ p["W2"].T * z * (1 - z)
            return {
                "W1": x.T @ dz,
                "b1": dz.sum(axis=0),
                "W2": z.T @ dy,
                "b2": dy.sum(axis=0),
            }

    report = secant.check_network(WithoutOffset(*SIZES, rng=0), X, ONE_HOT)
    assert (report.passed, report.compared_with) == (False, "")


def test_a_gradient_that_differs_from_call_to_call_is_said_to():
    random = np.random.default_rng(0)

    class Dropout(Chapter5):
        def gradient(self, x, t):
            keep = random.uniform(size=5) > 0.5
            kept, self.params = (
                self.params,
                self.params | {"W2": self.params["W2"] * keep[:, None]},
            )
            grads = super().gradient(x, t)
            self.params = kept
            return grads

    report = secant.check_network(Dropout(*SIZES, rng=0), X, ONE_HOT)
    assert str(report).startswith("gradient in 59 entries: WRONG by ")
    assert report.diagnosis.startswith("the gradient is not deterministic")


def test_a_layer_with_a_view_of_a_parameter_is_no_excuse():
    """In a copy it keeps other numbers than the parameters have."""

    class Viewed(Chapter5):
        def __init__(self, *sizes, rng):
            super().__init__(*sizes, rng=rng)
            self.row = self.params["b1"].reshape(1, -1)

        def predict(self, x):
            p = self.params
            return softmax(sigmoid(x @ p["W1"] + self.row) @ p["W2"] + p["b2"])

        def gradient(self, x, t):
            return super().gradient(x, t) | {"b1": np.zeros(5)}

    assert secant.check_network(Viewed(*SIZES, rng=0), X, ONE_HOT).verdict == "wrong"


@pytest.mark.parametrize("is_dict", [True, False])
def test_parameters_are_taken_from_wherever_recognition_finds_them(is_dict):
    class Elsewhere:
        def __init__(self):
            params = Chapter5(*SIZES, rng=0).params
            # which are none
            self.moments = {key: np.zeros_like(array) for key, array in params.items()}
            vars(self).update({"parameters": params} if is_dict else params)

        def same(self):
            net = Chapter5(*SIZES)
            net.params = (
                self.parameters
                if is_dict
                else {key: vars(self)[key] for key in net.params}
            )
            return net

        def loss(self, x, t):
            return self.same().loss(x, t)

        def gradient(self, x, t):
            return self.same().gradient(x, t)

    assert secant.check_network(Elsewhere(), X, ONE_HOT).compared_with == BOOK


def test_a_loss_that_returns_nothing():
    class Forgot(Chapter5):
        def loss(self, x, t):
            super().loss(x, t)

    with pytest.raises(
        UnsupportedError, match=r"^loss\(x, t\) returns None, not a number$"
    ):
        secant.check_network(Forgot(*SIZES, rng=0), X, ONE_HOT)


def test_a_numerical_gradient_is_not_named_as_what_may_be_checked():
    class OnlyNumerical(Chapter5):
        gradient = None

        def numerical_gradient(self, x, t):
            return {}

    with pytest.raises(UnsupportedError) as error:
        secant.check_network(OnlyNumerical(*SIZES, rng=0), X, ONE_HOT)
    assert "numerical_gradient" not in str(error.value)


def test_methods_under_other_names():
    class Renamed(Chapter5):
        lose, grad = Chapter5.loss, Chapter5.gradient
        loss = gradient = None

    net = Renamed(*SIZES, rng=0)
    with pytest.raises(
        UnsupportedError,
        match=r"Renamed has no method loss\(x, t\): loss must name one .* lose, grad, ",
    ):
        secant.check_network(net, X, ONE_HOT)
    with pytest.raises(
        UnsupportedError,
        match=r"Renamed has no method gradient\(x, t\): gradient must name one",
    ):
        secant.check_network(net, X, ONE_HOT, loss="lose")
    net.lose = net.lose  # on the instance, as others do it
    report = secant.check_network(net, X, ONE_HOT, loss="lose", gradient="grad")
    assert report.compared_with == BOOK
    assert report.note.startswith("lose(x, t) adds 1e-7")


def test_the_seed_chooses_the_directions():
    """Other directions notice errors of another least size."""
    net = Chapter5(*SIZES, rng=0)
    default, again, other = (
        secant.check_network(net, X, ONE_HOT, **seed)
        for seed in ({}, {"rng": 0}, {"rng": 1})
    )
    assert repr(default.arrays) == repr(again.arrays)  # NaN is not equal to NaN
    assert default.verdict == other.verdict
    assert all(
        a.sensitivity != b.sensitivity
        for a, b in zip(default.arrays, other.arrays, strict=True)
    )


def test_a_network_that_cannot_be_copied_is_checked_in_place():
    class Single(Decayed):
        def __deepcopy__(self, memo):
            raise TypeError("only one")

    net = Single(*SIZES, rng=0)
    before = as_bytes(net)
    assert secant.check_network(net, X, ONE_HOT).compared_with == BOOK
    gradients = net.gradient(X, ONE_HOT)
    gradients["b1"][2] *= 1.01
    assert secant.check_network(net, X, ONE_HOT, gradients).verdict == "wrong"
    assert as_bytes(net) == before


class Tanh(Chapter5):
    size, activation = 1.0, staticmethod(np.tanh)


class ForgottenDecay(Tanh):
    def loss(self, x, t, train=True):
        return super().loss(x, t) + (
            0.01 * np.sum(self.params["W1"] ** 2) if train else 0
        )


class UnknownConstraint(Tanh):
    # it has "train" in its name, and is no mode
    def loss(self, x, t, constraint=False):
        return super().loss(x, t) + (
            0 if constraint else 0.01 * np.sum(self.params["W1"] ** 2)
        )


@pytest.mark.parametrize("cls", [ForgottenDecay, UnknownConstraint])
def test_an_option_of_the_loss_does_not_excuse_what_the_gradient_forgot(cls):
    report = secant.check_network(cls(), X, ONE_HOT)
    assert str(report).startswith("gradient in 59 entries: WRONG by ")
    named = "loss(x, t) runs the network with train=True; gradient(x, t) may run it otherwise."
    assert (
        (named in report.note)
        == ("runs the network with" in report.note)
        == (cls is ForgottenDecay)
    )
    with pytest.raises(secant.errors.GradientMismatchError):
        report.raise_if_failed()


def test_the_second_call_of_a_gradient_leaves_random_numbers_and_the_output_alone(
    capsys,
):
    class Talkative(Tanh):
        def gradient(self, x, t):
            print(np.random.uniform())
            return super().gradient(x, t)

    np.random.seed(5)
    first, second = np.random.RandomState(5).uniform(size=2)
    secant.check_network(Talkative(), X, ONE_HOT)
    assert capsys.readouterr() == (f"{first}\n", "")
    assert np.random.uniform() == second


def test_gradients_in_buffers_that_the_loss_clears():
    class Buffers(Tanh):
        def __init__(self):
            super().__init__()
            self.grads = {
                key: np.zeros_like(param) for key, param in self.params.items()
            }

        def loss(self, x, t):
            for grad in self.grads.values():
                grad[:] = 0
            return super().loss(x, t)

        def gradient(self, x, t):
            for key, grad in super().gradient(x, t).items():
                self.grads[key][:] = grad
            return self.grads

    assert secant.check_network(Buffers(), X, ONE_HOT).compared_with == BOOK


class ClassWeights(Tanh):
    weights = np.array([0.2, 1.0, 3.0, 1.5])

    def loss(self, x, t):
        return -np.sum(t * self.weights * np.log(self.predict(x) + 1e-7)) / len(t)

    def gradient(self, x, t):
        t = t * self.weights / len(t)
        return self.backward(x, self.predict(x) * t.sum(axis=1, keepdims=True) - t)


@pytest.mark.parametrize("cls", [Decayed, Summed])
def test_a_weight_decay_does_not_hide_the_offset(cls):
    assert secant.check_network(cls(), X, ONE_HOT).compared_with == BOOK


def test_a_textbooks_gradient_is_wrong_with_a_hint_where_no_offset_was_found():
    report = secant.check_network(ClassWeights(), X, ONE_HOT)
    assert ": WRONG" in str(report).splitlines()[0]
    assert (
        "If loss(x, t) adds 1e-7 or so to each probability in its logarithm, y - t, the textbook's"
        in report.note
    )


@pytest.mark.parametrize(("certainty", "is_near"), [(12.0, True), (20.0, False)])
def test_the_hint_is_given_where_the_offset_may_be_all_that_is_wrong(
    certainty, is_near
):
    net = ClassWeights()
    # that of the targets is exp(-certainty)
    net.params["b2"] = np.array([certainty, 0.0, 0.0, 0.0])
    report = secant.check_network(net, X, np.eye(4)[np.ones(len(X), int)])
    off = max(array.relative_error for array in report.arrays)
    assert ("If loss(x, t) adds 1e-7" in report.note) == (off < 0.1) == is_near


# Networks of any number of layers


@pytest.mark.parametrize("cls", [MultiLayer, Extended])
@pytest.mark.parametrize("hidden", [(), (8,), (8, 7), (9, 8, 7)])
@pytest.mark.parametrize(
    ("decay", "t"), [(0.0, LABELS), (0.1, ONE_HOT)], ids=["labels", "decay"]
)
def test_a_multilayer_network_is_right_for_the_loss_without_the_offset(
    cls, hidden, decay, t
):
    net = cls(6, hidden, 4, decay=decay)
    before = as_bytes(net)
    report = secant.check_network(net, X, t)
    assert str(report).splitlines()[0].endswith(f": right for {BOOK}")
    assert as_bytes(net) == before


def test_a_gradient_in_training_mode_is_wrong_with_the_reason():
    report = secant.check_network(
        Extended(6, (8, 7), 4, is_normalized=True), X, ONE_HOT
    )
    assert report.verdict == "wrong"
    assert (
        "loss(x, t) runs the network with train_flg=False; gradient(x, t) may run it otherwise."
        in report.note
    )


FAULTS = {
    "one entry": lambda grads, net: grads["W1"].__setitem__(
        (2, 3), 1.0001 * grads["W1"][2, 3] + 1e-4
    ),
    "factor": lambda grads, net: grads["b1"].__imul__(1.001),
    "transposed": lambda grads, net: grads.__setitem__("W2", grads["W2"].T.copy()),
    "not divided by N": lambda grads, net: [
        grad.__imul__(len(X)) for grad in grads.values()
    ],
    "no bias": lambda grads, net: grads["b3"].__imul__(0),
    "no decay": lambda grads, net: grads["W1"].__isub__(0.1 * net.params["W1"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_offset_does_not_excuse_a_fault_of_a_multilayer_network(fault):
    net = MultiLayer(6, (8, 8), 4, decay=0.1)
    grads = net.gradient(X, ONE_HOT)
    FAULTS[fault](grads, net)
    report = secant.check_network(net, X, ONE_HOT, grads)
    assert (report.verdict, report.compared_with) == ("wrong", BOOK)


@pytest.mark.parametrize("offset", [1e-10, 1e-8, 1e-5, 3e-7])
def test_the_offset_is_found_whatever_it_is(offset):
    net = MultiLayer(6, (8, 7), 4, offset=offset)
    assert secant.check_network(net, X, ONE_HOT).note.startswith(
        f"loss(x, t) adds {offset:.0e} to".replace("e-0", "e-")
    )


@pytest.mark.parametrize(
    "t", [0.7 * ONE_HOT + 0.075, np.random.default_rng(2).dirichlet(np.ones(4), 7)]
)
def test_soft_targets_are_read_as_the_loss_reads_them(t):
    class Weights(Chapter5):
        def loss(self, x, t):
            return -np.sum(t * np.log(self.predict(x) + 1e-7)) / len(x)

    class Argmax(Chapter5):
        def gradient(self, x, t):
            return super().gradient(x, np.eye(4)[t.argmax(axis=1)])

    for cls in (Weights, Argmax):
        assert secant.check_network(cls(*SIZES), X, t).compared_with == BOOK
        assert (
            secant.check_network(
                cls(*SIZES), X, t, Chapter5.gradient(cls(), X, ONE_HOT[::-1])
            ).verdict
            == "wrong"
        )


def test_a_predict_of_other_probabilities_explains_nothing():
    class Other(MultiLayer):
        def predict(self, x):
            return super().predict(x) / 2  # other scores

        def loss(self, x, t):
            return self.last.forward(2 * self.predict(x), t)

    report = secant.check_network(Other(6, (8, 7), 4), X, ONE_HOT)
    assert (report.verdict, report.compared_with) == ("wrong", "")


def test_a_loss_that_noise_hides_is_no_excuse():
    """That without the offset is not verified here."""
    (cls,) = (
        reader.cls for reader in READERS if reader.cls.__name__ == "CastsToFloat32"
    )
    net, (x, t) = filled(cls(*SIZES)), batch()
    w1, b1, w2, b2 = net.arrays()
    z = np.maximum(x @ w1 + b1, 0)
    d = (softmax(z @ w2 + b2) - t) / len(x)
    dz = d @ w2.T * (z > 0)
    gradients = {
        "w1": x.T @ dz,
        "b1": dz.sum(axis=0),
        "w2": z.T @ d,
        "b2": 1.001 * d.sum(axis=0),
    }
    assert secant.check_network(net, x, t, gradients, rng=2).verdict == "wrong"


class Counted(MultiLayer):
    count = 0

    def loss(self, x, t):
        Counted.count += 1
        return super().loss(x, t)


@pytest.mark.parametrize(("inputs", "hidden"), [(20, (10, 10)), (784, (100,) * 8)])
def test_a_textbooks_gradient_takes_hardly_more_evaluations_than_an_exact_one(
    inputs, hidden
):
    net = Counted(inputs, hidden, 4)
    x = np.random.default_rng(0).uniform(size=(100, inputs))
    Counted.count = 0
    assert secant.check_network(net, x, np.arange(100) % 4).compared_with == BOOK
    assert Counted.count < 250  # a search for wrong entries takes 500 and more


# What is left of a network


def test_checks_at_once_leave_nothing_changed():
    class Single(MultiLayer):
        def __deepcopy__(self, memo):
            raise TypeError("only one")

    for cls in (MultiLayer, Single):
        net = cls(6, (8, 7), 4)
        before = as_bytes(net)
        with ThreadPoolExecutor(4) as pool:
            reports = list(
                pool.map(
                    lambda _, net=net: secant.check_network(net, X, ONE_HOT), range(8)
                )
            )
        assert as_bytes(net) == before
        assert [report.compared_with for report in reports] == [BOOK] * 8


@pytest.mark.parametrize("is_copied", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("last", [2, 3, 5, 12, 16, 40])
def test_what_ends_a_check_leaves_nothing_changed(is_copied, error, last):
    calls = []

    class Ends(MultiLayer):
        def __deepcopy__(self, memo):
            if not is_copied:
                raise TypeError("only one")
            made = object.__new__(Ends)
            memo[id(self)] = made
            vars(made).update(
                params=dict(
                    zip(
                        self.params,
                        map(memo.get, map(id, self.params.values())),
                        strict=True,
                    )
                )
            )
            vars(made).update(
                {key: value for key, value in vars(self).items() if key != "params"}
            )
            return made

        def loss(self, x, t):
            calls.append(1)
            if len(calls) == last:
                raise error
            return super().loss(x, t)

    net = Ends(6, (8, 7), 4)
    before = as_bytes(net)
    with contextlib.suppress(error):
        secant.check_network(net, X, ONE_HOT)
    assert len(calls) >= last
    assert as_bytes(net) == before


def test_the_parameters_of_a_network_that_has_a_copy_are_not_shifted():
    evaluations = []

    class Watched(MultiLayer):
        def loss(self, x, t):
            evaluations.append(as_bytes(net) == before)
            return super().loss(x, t)

    net = Watched(6, (8, 7), 4)
    before = as_bytes(net)
    secant.check_network(net, X, ONE_HOT)
    assert evaluations.count(False) <= 1  # where the copy is compared with the network


@pytest.mark.parametrize("is_replaced", [True, False])
@pytest.mark.parametrize("is_whole_dict", [True, False])
def test_a_gradient_that_updates_the_weights_is_told_so(is_replaced, is_whole_dict):
    class Updates(Chapter5):
        def gradient(self, x, t):
            grads = super().gradient(x, t)
            if is_whole_dict:
                self.params = {**self.params}
            for key in ("W1", "b2"):
                if is_replaced:
                    self.params[key] = self.params[key] - 0.1 * grads[key]
                else:
                    self.params[key] -= 0.1 * grads[key]
            return grads

    net = Updates(*SIZES)
    arrays, before = list(net.params.values()), as_bytes(net)
    with pytest.raises(
        UnsupportedError,
        match=r"^gradient\(x, t\) changes W1, b2: does it update the weights\?",
    ):
        secant.check_network(net, X, ONE_HOT)
    assert as_bytes(net) == before
    assert all(
        own is array for own, array in zip(net.params.values(), arrays, strict=True)
    )


def test_a_gradient_by_differences_that_leaves_rounding_is_no_update():
    class Differences(Chapter5):
        def gradient(self, x, t):
            grads = {key: np.zeros_like(param) for key, param in self.params.items()}
            for key, param in self.params.items():
                for i in np.ndindex(param.shape):
                    param[i] += 1e-4
                    above = self.loss(x, t)
                    param[i] -= 2e-4
                    grads[key][i] = (above - self.loss(x, t)) / 2e-4
                    param[i] += 1e-4
            return grads

    net = Differences(*SIZES)
    before = as_bytes(net)
    assert "differs by" in str(secant.check_network(net, X, ONE_HOT)).splitlines()[0]
    assert as_bytes(net) == before


# Arguments


def test_a_class_a_loss_and_exchanged_arguments_are_named():
    net = Chapter5(*SIZES)
    with pytest.raises(
        UnsupportedError,
        match=r"^net must be a network, got the class Chapter5: make one, such as",
    ):
        secant.check_network(Chapter5, X, ONE_HOT)
    with pytest.raises(
        DTypeError,
        match=r"^x must be inputs, got the function cross_entropy_error: call check_network",
    ):
        secant.check_network(net, cross_entropy_error, X)
    for t in (LABELS, ONE_HOT):
        with pytest.raises(
            ShapeError,
            match=r"^x and t are exchanged: loss\(x, t\) raises \w+, and takes them in the",
        ):
            secant.check_network(net, t, X)


def test_an_error_of_a_loss_in_either_order_is_its_own():
    with pytest.raises(ValueError, match="matmul") as error:
        secant.check_network(Chapter5(*SIZES), np.ones((7, 3)), ONE_HOT)
    assert not isinstance(error.value, secant.errors.SecantError)
