"""Networks as readers of "Deep Learning from Scratch" write them: what each is, or why
it cannot be accelerated.
"""

import copy
from collections import OrderedDict
from typing import NamedTuple

import numpy as np


class Reader(NamedTuple):
    """A class with the verdict: what `recognize` must find, or a word of the reason why
    it must not.
    """

    cls: type
    facts: dict
    reason: str
    names: dict = {}  # noqa: RUF012 - of its methods, where they are not the usual ones


READERS: list[Reader] = []


def known(names=None, **facts):
    def note(cls):
        READERS.append(Reader(cls, facts, "", names or {}))
        return cls

    return note


def refused(reason):
    def note(cls):
        READERS.append(Reader(cls, {}, reason))
        return cls

    return note


# common/functions.py and common/gradient.py, as readers have them


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(0, x)


def softmax(x):
    if x.ndim == 2:
        x = x.T
        x = x - np.max(x, axis=0)
        y = np.exp(x) / np.sum(np.exp(x), axis=0)
        return y.T
    x = x - np.max(x)
    return np.exp(x) / np.sum(np.exp(x))


def softmax_of_the_batch(x):
    e = np.exp(x - np.max(x))
    return e / np.sum(e)


def cross_entropy_error(y, t):
    if y.ndim == 1:
        t = t.reshape(1, t.size)
        y = y.reshape(1, y.size)
    if t.size == y.size:
        t = t.argmax(axis=1)
    n = y.shape[0]
    return -np.sum(np.log(y[np.arange(n), t] + 1e-7)) / n


def cross_entropy_of_weights(y, t, delta=1e-7):
    if y.ndim == 1:
        t = t.reshape(1, t.size)
        y = y.reshape(1, y.size)
    return -np.sum(t * np.log(y + delta)) / y.shape[0]


def numerical_gradient(f, x, h=1e-4):
    grad = np.zeros_like(x)
    it = np.nditer(x, flags=["multi_index"])
    while not it.finished:
        i = it.multi_index
        before = x[i]
        x[i] = float(before) + h
        above = f(x)
        x[i] = before - h
        below = f(x)
        grad[i] = (above - below) / (2 * h)
        x[i] = before
        it.iternext()
    return grad


class Book:
    """The book's, without the second sigmoid."""

    def __init__(self, input_size, hidden_size, output_size, weight_init_std=0.01):
        self.params = {}
        self.params["W1"] = weight_init_std * np.random.randn(input_size, hidden_size)
        self.params["b1"] = np.zeros(hidden_size)
        self.params["W2"] = weight_init_std * np.random.randn(hidden_size, output_size)
        self.params["b2"] = np.zeros(output_size)

    def arrays(self):
        return list(self.params.values())

    def predict(self, x):
        W1, b1, W2, b2 = self.arrays()
        z1 = sigmoid(np.dot(x, W1) + b1)
        return softmax(np.dot(z1, W2) + b2)

    def loss(self, x, t):
        return cross_entropy_error(self.predict(x), t)

    def accuracy(self, x, t):
        y = np.argmax(self.predict(x), axis=1)
        if t.ndim != 1:
            t = np.argmax(t, axis=1)
        return np.sum(y == t) / float(x.shape[0])

    def numerical_gradient(self, x, t):
        loss_W = lambda W: self.loss(x, t)  # noqa: E731 - as they write it
        return {
            key: numerical_gradient(loss_W, self.params[key])
            for key in ("W1", "b1", "W2", "b2")
        }


known(
    hidden="sigmoid",
    output="identity",
    soft="argmax",
    targets={"one-hot", "soft", "labels"},
)(Book)


class Keyed:
    """Has parameters under other names; `numerical_gradient` for all of them."""

    KEYS = ("w1", "b1", "w2", "b2")

    def __init__(self, input_size, hidden_size, output_size, weight_init_std=0.01):
        self.make(
            weight_init_std * np.random.randn(input_size, hidden_size),
            np.zeros(hidden_size),
            weight_init_std * np.random.randn(hidden_size, output_size),
            np.zeros(output_size),
        )

    def make(self, *arrays):
        self.params = dict(zip(self.KEYS, arrays, strict=True))

    def arrays(self):
        return list(self.params.values())

    def hidden(self, a):
        return sigmoid(a)

    def predict(self, x):
        w1, b1, w2, b2 = self.arrays()
        return softmax(self.hidden(x @ w1 + b1) @ w2 + b2)

    def loss(self, x, t):
        return cross_entropy_of_weights(self.predict(x), t)

    def accuracy(self, x, t):
        return np.mean(
            self.predict(x).argmax(axis=1) == (t if t.ndim == 1 else t.argmax(axis=1))
        )

    def numerical_gradient(self, x, t):
        return {
            key: numerical_gradient(lambda _: self.loss(x, t), array)
            for key, array in zip(self.KEYS, self.arrays(), strict=True)
        }


WEIGHTS = {"one-hot", "soft"}

known(hidden="sigmoid", output="identity", soft="weights", targets=WEIGHTS)(Keyed)


# layers as objects, which refer to the parameters


class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return np.dot(x, self.W) + self.b


class Function:
    """A layer without parameters."""

    def __init__(self, f):
        self.f = f

    def forward(self, x):
        return self.f(x)


class SoftmaxWithLoss:
    def forward(self, x, t):
        self.t, self.y = t, softmax(x)
        self.loss = cross_entropy_error(self.y, self.t)
        return self.loss


def dropped(x):
    return x * (np.random.rand(*x.shape) > 0.5)


def batch_normalized(x):
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-7)


@known(hidden="relu", output="identity", soft="argmax")
class Layers(Book):
    """Chapter 5."""

    between = (relu,)

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.layers = OrderedDict()
        self.layers["Affine1"] = Affine(self.params["W1"], self.params["b1"])
        self.layers.update({f.__name__: Function(f) for f in self.between})
        self.layers["Affine2"] = Affine(self.params["W2"], self.params["b2"])
        self.lastLayer = SoftmaxWithLoss()

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.lastLayer.forward(self.predict(x), t)


# Their arrays are elsewhere


@known(hidden="tanh", output="identity", holder="param")
class HeldAsParam(Keyed):
    def make(self, *arrays):
        self.param = dict(zip(self.KEYS, arrays, strict=True))

    def arrays(self):
        return [self.param[key] for key in self.KEYS]

    def hidden(self, a):
        return np.tanh(a)


@known(hidden="sigmoid", output="identity", holder="", keys=("W1", "b1", "W2", "b2"))
class Attributes(Keyed):
    KEYS = ("W1", "b1", "W2", "b2")

    def make(self, *arrays):
        self.W1, self.b1, self.W2, self.b2 = arrays

    def arrays(self):
        return [self.W1, self.b1, self.W2, self.b2]


@known(hidden="relu", output="identity", holder="")
class AttributesAndMore(Attributes):
    """Keeps what its last forward pass computed, as backpropagation needs it."""

    def loss(self, x, t):
        self.x, self.a1 = x, x @ self.W1 + self.b1
        self.z1 = relu(self.a1)
        self.y = softmax(self.z1 @ self.W2 + self.b2)
        return cross_entropy_of_weights(self.y, t)


@known(hidden="sigmoid", output="identity", sentence="gets a numerical_gradient")
class NoGradient:
    def __init__(self, *sizes):
        self.net = Keyed(*sizes)
        self.params, self.arrays = self.net.params, self.net.arrays

    def loss(self, x, t):
        return self.net.loss(x, t)

    def accuracy(self, x, t):
        return self.net.accuracy(x, t)


@known(
    hidden="relu",
    output="identity",
    offset=0.0,
    holder="param",
    targets={"labels"},
    h=1e-5,
)
class OfAnotherCourse:
    """Of CS231n's assignments: returns scores without y, and takes a weight decay that
    is 0 by default.
    """

    def __init__(self, input_size, hidden_size, output_size, std=1e-4):
        self.param = Book(input_size, hidden_size, output_size, std).params

    def arrays(self):
        return list(self.param.values())

    def loss(self, X, y=None, reg=0.0):
        W1, b1, W2, b2 = self.arrays()
        N = X.shape[0]
        h1_out = np.maximum(0, X.dot(W1) + b1)
        score = h1_out.dot(W2) + b2
        if y is None:
            return score
        score -= np.max(score, axis=1, keepdims=True)
        exp_score = np.exp(score)
        softmax_score = exp_score / np.sum(exp_score, axis=1, keepdims=True)
        loss = np.sum(-np.log(softmax_score[range(N), y])) / N
        return loss + 0.5 * reg * (np.sum(W1**2) + np.sum(W2**2))

    def numerical_gradient(self, X, y):
        return {
            key: numerical_gradient(lambda _: self.loss(X, y), self.param[key], 1e-5)
            for key in self.param
        }


# Classes that differ in a line or two: a table


def variant(name, base=Keyed, reason="", names=None, facts=None, **body):
    """A class like ``base`` but for ``body``; what `recognize` finds, or the ``reason``
    why it is refused.
    """
    cls = type(name, (base,), {"__module__": __name__, "__qualname__": name, **body})
    READERS.append(
        Reader(
            cls,
            {}
            if reason
            else {"hidden": "sigmoid", "output": "identity"} | (facts or {}),
            reason,
            names or {},
        )
    )
    return cls


def loss_of(f):
    """A loss ``f(y, t)`` of the network's predictions."""
    return lambda self, x, t: f(self.predict(x), t)


def more(f):
    """The loss of `Keyed`, and ``f`` of W1 and W2."""
    return lambda self, x, t: (
        cross_entropy_of_weights(self.predict(x), t)
        + f(self.arrays()[0], self.arrays()[2])
    )


def gradient_of(f):
    """What ``f`` makes of the numerical gradient of `Keyed`."""
    return lambda self, x, t: f(Keyed.numerical_gradient(self, x, t))


def with_output(f):
    """Predictions ``f`` of what comes out of the second layer."""

    def predict(self, x):
        w1, b1, w2, b2 = self.arrays()
        return f(self.hidden(x @ w1 + b1) @ w2 + b2)

    return predict


def stable_log_softmax(self, x, t):
    """Everything in one function."""
    w1, b1, w2, b2 = self.arrays()
    h = x.dot(w1) + b1
    h[h < 0] = 0
    s = h.dot(w2) + b2
    m = s.max(axis=1, keepdims=True)
    return np.mean(
        np.sum(t * (np.log(np.exp(s - m).sum(axis=1, keepdims=True)) + m - s), axis=1)
    )


def one_hot_only(self, x, t):
    if t.ndim != 2:
        raise ValueError("one-hot labels, please")
    return -np.sum(np.log(self.predict(x)[t == 1] + 1e-7)) / len(x)


def talkative(self, x, t):
    loss = Keyed.loss(self, x, t)
    print("loss:", loss)
    return loss


def sum_of_labels(self, x, t):
    labels = t if t.ndim == 1 else t.argmax(axis=1)
    return -np.log(softmax(self.predict(x))[np.arange(len(x)), labels] + 1e-7).sum()


def summed(y, t):
    return -np.sum(t * np.log(y + 1e-7))


def rows(self, w1, b1, w2, b2):
    Keyed.make(self, w1, b1.reshape(1, -1), w2, b2.reshape(1, -1))


def of_type(dtype):
    return lambda self, *arrays: Keyed.make(
        self, *(array.astype(dtype) for array in arrays)
    )


RELU, ARGMAX = {"hidden": "relu"}, {"soft": "argmax"}
no_offset = loss_of(lambda y, t: -np.sum(t * np.log(y)) / len(y))
labels_only = loss_of(lambda y, t: -np.log(y[range(len(y)), t] + 1e-7).mean())
rows_only = loss_of(
    lambda y, t: -np.log(y[np.arange(len(t)), np.argmax(t, axis=1)] + 1e-7).mean()
)
sigmoids = with_output(lambda a: softmax(sigmoid(a)))
positive = {"hidden": lambda self, a: relu(a)}
KEYS = ("weight1", "bias1", "weight2", "bias2")

TheNotes = variant(
    "TheNotes", facts={"output": "sigmoid", "offset": 1e-7, "soft": "argmax"},
    predict=sigmoids, loss=loss_of(cross_entropy_error),
)  # fmt: skip
LongNames = variant("LongNames", facts=RELU | {"keys": KEYS}, KEYS=KEYS, **positive)
BiasesAsRows = variant(
    "BiasesAsRows",
    facts=RELU | {"biases": 2},
    make=rows,
    hidden=lambda self, a: a * (a > 0),
)
NothingBetween = variant(
    "NothingBetween", Layers, facts={"hidden": "identity"}, between=()
)
variant(
    "SigmoidBeforeTheLoss", Layers, facts={"output": "sigmoid"},
    between=(sigmoid,), predict=lambda self, x: sigmoid(Layers.predict(self, x)),
)  # fmt: skip
variant(
    "NoGradientOfAttributes", Attributes, numerical_gradient=None,
    facts={"keys": Attributes.KEYS, "gradient_keys": Attributes.KEYS, "sentence": "it gets a numerical_gradient"},
)  # fmt: skip
variant("Inlined", facts=RELU | {"offset": 0.0}, loss=stable_log_softmax)
NoOffset = variant("NoOffset", facts={"offset": 0.0}, loss=no_offset)
variant(
    "AnotherOffset",
    facts={"offset": 1e-10},
    loss=loss_of(lambda y, t: cross_entropy_of_weights(y, t, 1e-10)),
)
variant(
    "TinyOffsetOfSigmoids", facts={"output": "sigmoid", "offset": 1e-12},
    predict=sigmoids, loss=loss_of(lambda y, t: cross_entropy_of_weights(y, t, 1e-12)),
)  # fmt: skip
variant(
    "LabelsOnly",
    facts={"targets": {"labels"}, "sentence": "labels only"},
    loss=labels_only,
)
variant("RowsOnly", facts=ARGMAX | {"targets": {"one-hot", "soft"}}, loss=rows_only)
SelectsByOnes = variant(
    "SelectsByOnes",
    facts={"targets": {"one-hot"}, "sentence": "one-hot only"},
    loss=one_hot_only,
)
variant(
    "OtherGradientKeys", facts={"gradient_keys": ("dw1", "db1", "dw2", "db2")},
    numerical_gradient=gradient_of(lambda grads: {f"d{key}": grad for key, grad in grads.items()}),
)  # fmt: skip
SinglePrecision = variant(
    "SinglePrecision", facts={"dtype": np.float32}, make=of_type(np.float32)
)
Talkative = variant("Talkative", LongNames, facts=RELU, loss=talkative)
variant(
    "Flattens", Book, facts=ARGMAX,
    predict=lambda self, x: Book.predict(self, x.reshape(x.shape[0], -1) if x.ndim > 1 else x),
)  # fmt: skip
variant("ReturnsAnArray", loss=lambda self, x, t: np.asarray(Keyed.loss(self, x, t)))
SumOverSamples = variant(
    "SumOverSamples",
    facts={"summed": True, "sentence": "summed over the samples"},
    loss=loss_of(summed),
)
variant(
    "SumOfLabels", Layers,
    facts=RELU | ARGMAX | {"summed": True, "targets": {"labels", "one-hot", "soft"}}, loss=sum_of_labels,
)  # fmt: skip


@known(
    hidden="sigmoid",
    output="identity",
    sentence="its numerical_gradient is a central difference",
)
class KnowsItsSizes(Keyed):
    def __init__(self, *sizes):
        self.sizes = sizes
        super().__init__(*sizes)

    def numerical_gradient(self, x, t):
        if tuple(np.shape(x))[1:] != self.sizes[:1]:
            raise ValueError("other images than mine")
        return super().numerical_gradient(x, t)


# Losses that cannot be accelerated: those of predictions y and targets t

LOSSES = {
    "TimesTheLabel": (
        "the loss of a sample is multiplied by its label, as in t * np.log(y[np.arange(n), t]): leave out the t",
        lambda y, t: -np.sum(t * np.log(y[np.arange(len(y)), t] + 1e-7)) / len(y),
    ),
    "OffsetOutside": (
        "1e-07 is added to its loss: leave it out, it changes no gradient",
        lambda y, t: -np.sum(t * np.log(y)) / len(y) + 1e-7,
    ),
    "MeanOverOutputs": (
        "a mean over the outputs too",
        lambda y, t: np.mean(-t * np.log(y + 1e-7)),
    ),
    "ForgotToReturn": ("loss(x, t) returns None, not a number", lambda y, t: None),
    "LossAndAccuracy": (
        "loss(x, t) returns a tuple, not a number. Return the loss alone",
        lambda y, t: (summed(y, t), np.mean(y.argmax(axis=-1) == t.argmax(axis=-1))),
    ),
    "LossOfEachSample": (
        "loss(x, t) returns an array (",
        lambda y, t: -np.sum(t * np.log(y + 1e-7), axis=-1),
    ),
    "SumOfSquares": ("sum of squares", lambda y, t: 0.5 * np.sum((y - t) ** 2)),
    "Clips": (
        "probabilities are clipped at 1e-7: nothing is added to them. ",
        lambda y, t: -np.sum(t * np.log(np.clip(y, 1e-7, 1 - 1e-7))) / len(y),
    ),
    "NotANumber": (
        "its loss of random parameters and inputs is nan",
        lambda y, t: np.nan,
    ),
    "LogarithmToBase2": (
        "its loss is 1.4427 times the mean over the samples",
        lambda y, t: -np.sum(t * np.log2(y + 1e-7)) / len(y),
    ),
    "Broken": ("raises NameError", lambda y, t: cross_entropie(y, t)),  # noqa: F821 - their bug
}
for name, (reason, f) in LOSSES.items():
    variant(name, reason=reason, loss=loss_of(f))

# Terms that are added, given W1 and W2

TERMS = {
    "WeightDecay": (
        "weight decay",
        lambda w1, w2: 0.5 * 0.01 * (np.sum(w1**2) + np.sum(w2**2)),
    ),
    "DecayOfTheFirstWeights": (
        "a weight decay, 0.001 times the sum of squares of W1: leave it out, and in your loop add 0.002 times each",
        lambda w1, w2: 1e-3 * np.sum(w1**2),
    ),
    "APenaltyOfItsOwn": (
        "its loss is none of those that were tried",
        lambda w1, w2: 1e-3 * np.sum(np.tanh(w1) ** 2),
    ),
    "AConstantThatHidesTheLoss": ("is added to its loss", lambda w1, w2: 1e6),
}
for name, (reason, f) in TERMS.items():
    variant(name, reason=reason, loss=more(f))
WeightDecay = next(
    reader.cls for reader in READERS if reader.cls.__name__ == "WeightDecay"
)

# What follows the second layer, or is between the two

variant(
    "SoftmaxOfTheColumns", reason="softmax is taken over the samples",
    predict=with_output(lambda a: np.exp(a) / np.exp(a).sum(axis=0)),
)  # fmt: skip
SoftmaxOfTheBatch = variant(
    "SoftmaxOfTheBatch", predict=with_output(softmax_of_the_batch), loss=loss_of(cross_entropy_error),
    reason="whole batch, so that the loss starts at ln(N O). Take it over the classes, in two lines: ",
)  # fmt: skip

HIDDEN = {
    "leaky ReLU": lambda self, a: np.where(a > 0, a, 0.01 * a),
    "softplus": lambda self, a: np.logaddexp(a, 0),
    "ELU": lambda self, a: np.where(a > 0, a, np.exp(np.minimum(a, 0)) - 1),
    "swish": lambda self, a: a * sigmoid(a),
    "step": lambda self, a: 1.0 * (a > 0),
}
for name, f in HIDDEN.items():
    variant(
        f"HiddenBy_{name.replace(' ', '_')}",
        reason=f"the hidden activation is {name}. ",
        hidden=f,
    )
variant(
    "DropoutOutsideOfTraining", reason="the hidden activation is ReLU / 2, as with dropout outside of training",
    hidden=lambda self, a: 0.5 * relu(a),
)  # fmt: skip
WithDropout = variant("WithDropout", Layers, "call to call", between=(relu, dropped))
variant(
    "CastsToFloat32",
    reason="it may be in float32, or clip",
    hidden=lambda self, a: relu(a).astype(np.float32),
)
variant("BatchNorm", Layers, "depend on each other", between=(batch_normalized, relu))
variant(
    "SoftmaxTwice", Layers, "softmax is taken twice",
    loss=lambda self, x, t: self.lastLayer.forward(softmax(self.predict(x)), t),
)  # fmt: skip
variant(
    "BinaryCrossEntropy", reason="binary cross entropy", predict=with_output(sigmoid),
    loss=loss_of(lambda y, t: -np.sum(t * np.log(y + 1e-7) + (1 - t) * np.log(1 - y + 1e-7)) / len(y)),
)  # fmt: skip

# Numerical gradients

GRADIENTS = {
    "ForgotTheBrackets": (
        "is h**2 times the central difference of its loss: `/ 2 * h` multiplies by h, write `/ (2 * h)`",
        lambda grads: {key: 1e-4**2 * grad for key, grad in grads.items()},
    ),
    "ReturnsATuple": ("returns a tuple", lambda grads: tuple(grads.values())),
    "ReturnsLists": ("returns a list", lambda grads: list(grads.values())),
}
for name, (reason, f) in GRADIENTS.items():
    variant(name, reason=reason, numerical_gradient=gradient_of(f))

# Arrays

MAKERS = {
    "ScalarBias": (
        "biases are missing",
        lambda self, w1, b1, w2, b2: Keyed.make(
            self, w1, np.zeros_like(b1.size), w2, np.zeros_like(b2.size)
        ),
    ),
    "HalfPrecision": ("not float64 or float32", of_type(np.float16)),
}
for name, (reason, f) in MAKERS.items():
    variant(name, reason=reason, make=f)
variant("NoLoss", reason="no method loss(x, t)", loss=None)


# Those that take more than a line


@refused("does not read all of the parameters")
class LayersWithCopies(Layers):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.params = {key: array.copy() for key, array in self.params.items()}


@refused("batch normalization")
class BatchNormWithParams(Layers):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.params["gamma1"], self.params["beta1"] = (
            np.ones(sizes[1]),
            np.zeros(sizes[1]),
        )


@refused("these are 3 layers, 2 of them hidden")
class ThreeLayers(Book):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__(input_size, hidden_size, hidden_size + 1)
        self.params["W3"] = np.random.randn(hidden_size + 1, output_size)
        self.params["b3"] = np.zeros(output_size)


@refused("this seems to be a convolutional network")
class Convolutional(Book):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__(input_size, hidden_size, output_size)
        self.params["W1"] = np.zeros((3, 1, 5, 5))
        self.params["W3"], self.params["b3"] = (
            np.zeros((output_size, output_size)),
            np.zeros(output_size),
        )


@refused("transposed")
class Transposed(Keyed):
    def make(self, w1, b1, w2, b2):
        super().make(w1.T.copy(), b1.reshape(-1, 1), w2.T.copy(), b2.reshape(-1, 1))

    def predict(self, x):
        w1, b1, w2, b2 = self.arrays()
        return softmax(sigmoid(x @ w1.T + b1.T) @ w2.T + b2.T)


@refused("no W1 (I, H)")
class ListsOfLayers(Keyed):
    def make(self, w1, b1, w2, b2):
        self.W, self.B = [w1, w2], [b1, b2]

    def arrays(self):
        return [self.W[0], self.B[0], self.W[1], self.B[1]]


@refused("changes the parameters")
class UpdatesInLoss(Keyed):
    def loss(self, x, t):
        self.params["w1"] *= 0.99
        return super().loss(x, t)


@refused("nearest is sigmoid hidden, identity output")
class ABranchForLargeInputs(Keyed):
    def loss(self, x, t):
        return super().loss(x, t) * (2 if np.abs(x).max() > 100 else 1)


# Methods under other names


@known(
    {"numerical_gradient": "gradient"},
    hidden="sigmoid",
    output="identity",
    sentence="its gradient is a central",
)
@refused(
    'it must take (x, t); if gradient(x, t) is meant, write numerical_gradient="gradient"'
)
class TakesAFunction(Keyed):
    def numerical_gradient(self, f, x):
        return numerical_gradient(f, x)

    def gradient(self, x, t):
        return {
            key: self.numerical_gradient(lambda _: self.loss(x, t), array)
            for key, array in self.params.items()
        }


@known({"loss": "cost"}, hidden="tanh", output="identity", summed=True)
@refused(
    'no method loss(x, t); if cost(x, t) is meant, write loss="cost" (secant run: --loss cost)'
)
class CallsItCost(Keyed):
    loss = None

    def hidden(self, a):
        return np.tanh(a)

    def cost(self, x, t):
        return -np.sum(t * np.log(self.predict(x) + 1e-7))

    def numerical_gradient(self, x, t):
        return {
            key: numerical_gradient(lambda _: self.cost(x, t), array)
            for key, array in self.params.items()
        }


@known(
    {"loss": "J", "numerical_gradient": "num_grads"},
    hidden="relu",
    output="identity",
    holder="",
)
class CallsBothSomethingElse(AttributesAndMore):
    J, loss, numerical_gradient = AttributesAndMore.loss, None, None

    def num_grads(self, images, labels):
        arrays = zip(self.KEYS, self.arrays(), strict=True)
        return {
            key: numerical_gradient(lambda _: self.J(images, labels), array)
            for key, array in arrays
        }


@known(
    {"numerical_gradient": "numerical_gradients"},
    hidden="sigmoid",
    output="identity",
    sentence="is a central",
)
@refused(
    "no method numerical_gradient(x, t); if numerical_gradients(x, t) is meant, write "
    'numerical_gradient="numerical_gradients"'
)
class Plural(Keyed):
    numerical_gradients, numerical_gradient = Keyed.numerical_gradient, None

    def gradient(self, x, t):
        """By backpropagation, which is no central difference."""
        w1, b1, w2, _ = self.arrays()
        z = sigmoid(x @ w1 + b1)
        d2 = (self.predict(x) - t) / len(x)
        d1 = d2 @ w2.T * z * (1 - z)
        return dict(
            zip(
                self.KEYS,
                (x.T @ d1, d1.sum(axis=0), z.T @ d2, d2.sum(axis=0)),
                strict=True,
            )
        )


# What the tests do with them

KNOWN = [reader for reader in READERS if not reader.reason]
REFUSED = [reader for reader in READERS if reader.reason]
SIZES = 6, 5, 4


def batch(samples=8, targets="one-hot"):
    labels = np.arange(samples) % SIZES[2]
    x = np.random.default_rng(0).normal(size=(samples, SIZES[0]))
    return x, labels if targets == "labels" else np.eye(SIZES[2])[labels]


def filled(net):
    """Give a network weights of order 1, where they lie."""
    rng = np.random.default_rng(1)
    for array in net.arrays():
        array[...] = rng.normal(size=array.shape)
    return net


def bits(net):
    return [array.tobytes() for array in net.arrays()]


def central_difference(net, x, t, h=1e-4, loss="loss"):
    """The plain loop, for each array of a copy of a network."""
    loss_of = getattr(net := copy.deepcopy(net), loss)
    return [
        numerical_gradient(lambda _: float(loss_of(x, t)), array, h)
        for array in net.arrays()
    ]


def require_own(
    net, x, t, h=1e-4, names=("loss", "numerical_gradient"), rounding=4e-15
):
    """The gradients of a network are the central differences of its own loss."""
    own, grads = (
        central_difference(net, x, t, h, names[0]),
        getattr(net, names[1])(x, t),
    )
    for grad, right in zip(grads.values(), own, strict=True):
        np.testing.assert_allclose(grad, right, rtol=0, atol=rounding / h)
