"""`check_network` of readers' networks: right, right for another loss, or wrong."""

import json

import numpy as np
import pytest
from readers import cross_entropy_error, sigmoid, softmax

import secant
from secant.errors import DTypeError, UnsupportedError

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
        penalty = 0.5 * self.decay * sum(np.sum(self.params[key] ** 2) for key in ("W1", "W2"))
        return cross_entropy_error(self.predict(x), t) + penalty

    def gradient(self, x, t):
        grads = self.backward(x, (self.predict(x) - t) / len(x))
        return {key: grad + (self.decay * self.params[key] if key[0] == "W" else 0) for key, grad in grads.items()}

    def backward(self, x, dy):
        p = self.params
        z = self.activation(x @ p["W1"] + p["b1"])
        dz = dy @ p["W2"].T * (z * (1 - z) if self.activation is sigmoid else 1 - z * z)
        return {"W1": x.T @ dz, "b1": dz.sum(axis=0), "W2": z.T @ dy, "b2": dy.sum(axis=0)}


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
    before = net.params = {key: param.astype(np.float32) for key, param in net.params.items()}
    x, t = (each.astype(np.float32) for each in (np.random.default_rng(1).random((3, 6)), np.eye(4)[:3]))
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
    assert secant.check_network(net, X.astype(np.float32), ONE_HOT, gradients).verdict == "wrong"


def test_a_copy_that_reads_the_arrays_of_the_network_proves_nothing():
    net = Chapter5()
    net.params = {key: param.astype(np.float32) for key, param in net.params.items()}
    net.loss = lambda x, t, loss=net.loss: loss(x, t)  # of this network, also in a copy
    x, t = (each.astype(np.float32) for each in (np.random.default_rng(1).random((3, 6)), np.eye(4)[:3]))
    before = as_bytes(net)
    assert secant.check_network(net, x, t).verdict != "wrong"
    zeros = {key: 0 * param for key, param in net.params.items()}
    assert secant.check_network(net, x, t, zeros).verdict == "wrong"
    assert as_bytes(net) == before


@pytest.mark.parametrize("one_hot", [True, False])
def test_a_textbooks_gradient_is_right_for_the_loss_without_the_offset(one_hot):
    net = Chapter5(*SIZES, rng=0)
    before = as_bytes(net)
    report = secant.check_network(net, X, ONE_HOT if one_hot else LABELS, net.gradient(X, ONE_HOT))
    count = sum(param.size for param in net.params.values())
    lines = str(report).splitlines()
    assert lines[0] == f"gradient in {count} entries: right for {BOOK}"
    assert lines[1] == "  loss(x, t) adds 1e-7 to each probability; y - t, the textbook's gradient, leaves it out."
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
    with pytest.raises(DTypeError, match=r"net.params\['b1'\] must be floating point, got int64"):
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

    assert secant.check_network(Inlined(*SIZES, rng=0), X, ONE_HOT).compared_with == BOOK


@pytest.mark.parametrize("cls", [secant.TwoLayerNet, Chapter5])
def test_what_else_is_wrong_with_a_textbooks_gradient_is_named(cls):
    net = cls(*SIZES, rng=0)
    textbooks = secant.TwoLayerNet(*SIZES, rng=0, log_offset=0) if cls is secant.TwoLayerNet else net
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
            return {"W1": x.T @ dz, "b1": dz.sum(axis=0), "W2": z.T @ dy, "b2": dy.sum(axis=0)}

    report = secant.check_network(WithoutOffset(*SIZES, rng=0), X, ONE_HOT)
    assert (report.passed, report.compared_with) == (False, "")


def test_a_gradient_that_differs_from_call_to_call_is_said_to():
    random = np.random.default_rng(0)

    class Dropout(Chapter5):
        def gradient(self, x, t):
            keep = random.uniform(size=5) > 0.5
            kept, self.params = self.params, self.params | {"W2": self.params["W2"] * keep[:, None]}
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
            self.moments = {key: np.zeros_like(array) for key, array in params.items()}  # which are none
            vars(self).update({"parameters": params} if is_dict else params)

        def same(self):
            net = Chapter5(*SIZES)
            net.params = self.parameters if is_dict else {key: vars(self)[key] for key in net.params}
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

    with pytest.raises(UnsupportedError, match=r"^loss\(x, t\) returns None, not a number$"):
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
        UnsupportedError, match=r"Renamed has no method loss\(x, t\): loss must name one .* lose, grad, "
    ):
        secant.check_network(net, X, ONE_HOT)
    with pytest.raises(UnsupportedError, match=r"Renamed has no method gradient\(x, t\): gradient must name one"):
        secant.check_network(net, X, ONE_HOT, loss="lose")
    net.lose = net.lose  # on the instance, as others do it
    report = secant.check_network(net, X, ONE_HOT, loss="lose", gradient="grad")
    assert report.compared_with == BOOK
    assert report.note.startswith("lose(x, t) adds 1e-7")


def test_a_network_that_cannot_be_copied_is_compared_with_its_loss_alone():
    class Single(Decayed):
        def __deepcopy__(self, memo):
            raise TypeError("only one")

    report = secant.check_network(Single(*SIZES, rng=0), X, ONE_HOT)
    assert (report.passed, report.compared_with) == (False, "")


class Tanh(Chapter5):
    size, activation = 1.0, staticmethod(np.tanh)


class ForgottenDecay(Tanh):
    def loss(self, x, t, train=True):
        return super().loss(x, t) + (0.01 * np.sum(self.params["W1"] ** 2) if train else 0)


class UnknownConstraint(Tanh):
    def loss(self, x, t, constraint=False):  # it has "train" in its name, and is no mode
        return super().loss(x, t) + (0 if constraint else 0.01 * np.sum(self.params["W1"] ** 2))


@pytest.mark.parametrize("cls", [ForgottenDecay, UnknownConstraint])
def test_an_option_of_the_loss_does_not_excuse_what_the_gradient_forgot(cls):
    report = secant.check_network(cls(), X, ONE_HOT)
    assert str(report).startswith("gradient in 59 entries: WRONG by ")
    named = "loss(x, t) runs the network with train=True; gradient(x, t) may run it otherwise."
    assert (named in report.note) == ("runs the network with" in report.note) == (cls is ForgottenDecay)
    with pytest.raises(secant.errors.GradientMismatchError):
        report.raise_if_failed()


def test_the_second_call_of_a_gradient_leaves_random_numbers_and_the_output_alone(capsys):
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
            self.grads = {key: np.zeros_like(param) for key, param in self.params.items()}

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


@pytest.mark.parametrize("cls", [Decayed, Summed, ClassWeights])
def test_a_textbooks_gradient_of_a_network_that_is_not_recognized_is_wrong_with_a_hint(cls):
    report = secant.check_network(cls(), X, ONE_HOT)
    assert ": WRONG" in str(report).splitlines()[0]
    assert "If loss(x, t) adds 1e-7 or so to each probability in its logarithm, y - t, the textbook's" in report.note


@pytest.mark.parametrize(("certainty", "is_near"), [(12.0, True), (20.0, False)])
def test_the_hint_is_given_where_the_offset_may_be_all_that_is_wrong(certainty, is_near):
    net = ClassWeights()
    net.params["b2"] = np.array([certainty, 0.0, 0.0, 0.0])  # that of the targets is exp(-certainty)
    report = secant.check_network(net, X, np.eye(4)[np.ones(len(X), int)])
    off = max(array.relative_error for array in report.arrays)
    assert ("If loss(x, t) adds 1e-7" in report.note) == (off < 0.1) == is_near
