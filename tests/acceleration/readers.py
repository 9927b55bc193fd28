"""Networks as readers of "Deep Learning from Scratch" write them: what each is, or why it cannot be accelerated."""

from collections import OrderedDict
from typing import NamedTuple

import numpy as np


class Reader(NamedTuple):
    """A class with the verdict: what `recognize` must find, or a word of the reason why it must not."""

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

    def predict(self, x):
        W1, W2 = self.params["W1"], self.params["W2"]
        b1, b2 = self.params["b1"], self.params["b2"]
        a1 = np.dot(x, W1) + b1
        z1 = sigmoid(a1)
        a2 = np.dot(z1, W2) + b2
        return softmax(a2)

    def loss(self, x, t):
        y = self.predict(x)
        return cross_entropy_error(y, t)

    def accuracy(self, x, t):
        y = np.argmax(self.predict(x), axis=1)
        if t.ndim != 1:
            t = np.argmax(t, axis=1)
        return np.sum(y == t) / float(x.shape[0])

    def numerical_gradient(self, x, t):
        loss_W = lambda W: self.loss(x, t)  # noqa: E731 - as they write it
        grads = {}
        grads["W1"] = numerical_gradient(loss_W, self.params["W1"])
        grads["b1"] = numerical_gradient(loss_W, self.params["b1"])
        grads["W2"] = numerical_gradient(loss_W, self.params["W2"])
        grads["b2"] = numerical_gradient(loss_W, self.params["b2"])
        return grads


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
        return np.mean(self.predict(x).argmax(axis=1) == (t if t.ndim == 1 else t.argmax(axis=1)))

    def numerical_gradient(self, x, t):
        return {
            key: numerical_gradient(lambda _: self.loss(x, t), array)
            for key, array in zip(self.KEYS, self.arrays(), strict=True)
        }


WEIGHTS = {"one-hot", "soft"}

known(hidden="sigmoid", output="identity", soft="weights", targets=WEIGHTS)(Keyed)


@known(hidden="sigmoid", output="sigmoid", offset=1e-7, soft="argmax")
class TheNotes(Book):
    def predict(self, x):
        a1 = np.dot(x, self.params["W1"]) + self.params["b1"]
        a2 = np.dot(sigmoid(a1), self.params["W2"]) + self.params["b2"]
        return softmax(sigmoid(a2))


@known(hidden="relu", output="identity", keys=("weight1", "bias1", "weight2", "bias2"))
class LongNames(Keyed):
    KEYS = ("weight1", "bias1", "weight2", "bias2")

    def hidden(self, a):
        return relu(a)


@known(hidden="relu", output="identity", holder="network")
class HeldAsNetwork(Book):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.network = self.params
        del self.params

    def predict(self, x):
        n = self.network
        return softmax(np.maximum(np.dot(x, n["W1"]) + n["b1"], 0) @ n["W2"] + n["b2"])

    def numerical_gradient(self, x, t):
        return {k: numerical_gradient(lambda _: self.loss(x, t), self.network[k]) for k in self.network}


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


@known(hidden="relu", output="identity", biases=2)
class BiasesAsRows(Keyed):
    def make(self, w1, b1, w2, b2):
        super().make(w1, b1.reshape(1, -1), w2, b2.reshape(1, -1))

    def hidden(self, a):
        return a * (a > 0)


# layers as objects, which refer to the parameters


class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return np.dot(x, self.W) + self.b


class Relu:
    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out


class Sigmoid:
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out


class SoftmaxWithLoss:
    def forward(self, x, t):
        self.t, self.y = t, softmax(x)
        self.loss = cross_entropy_error(self.y, self.t)
        return self.loss


class Dropout:
    def forward(self, x):
        return x * (np.random.rand(*x.shape) > 0.5)


class BatchNormalization:
    def forward(self, x):
        return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-7)


@known(hidden="relu", output="identity", soft="argmax")
class Layers(Book):
    """Chapter 5."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.layers = OrderedDict()
        self.layers["Affine1"] = Affine(self.params["W1"], self.params["b1"])
        self.layers.update(self.between())
        self.layers["Affine2"] = Affine(self.params["W2"], self.params["b2"])
        self.lastLayer = SoftmaxWithLoss()

    def between(self):
        return {"Relu1": Relu()}

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.lastLayer.forward(self.predict(x), t)


@known(hidden="identity", output="identity")
class NothingBetween(Layers):
    def between(self):
        return {}


@known(hidden="sigmoid", output="sigmoid")
class SigmoidBeforeTheLoss(Layers):
    def between(self):
        return {"Sigmoid1": Sigmoid()}

    def predict(self, x):
        return sigmoid(super().predict(x))


@known(hidden="relu", output="identity", offset=0.0)
class Inlined(Keyed):
    """Everything in one function, by a stable log-softmax."""

    def loss(self, x, t):
        w1, b1, w2, b2 = self.arrays()
        h = x.dot(w1) + b1
        h[h < 0] = 0
        s = h.dot(w2) + b2
        s = s - s.max(axis=1, keepdims=True)
        return -np.mean(np.sum(t * (s - np.log(np.exp(s).sum(axis=1, keepdims=True))), axis=1))


@known(hidden="sigmoid", output="identity", offset=0.0)
class NoOffset(Keyed):
    def loss(self, x, t):
        return -np.sum(t * np.log(self.predict(x))) / len(x)


@known(hidden="sigmoid", output="identity", offset=1e-10)
class AnotherOffset(Keyed):
    def loss(self, x, t):
        return cross_entropy_of_weights(self.predict(x), t, 1e-10)


@known(hidden="sigmoid", output="sigmoid", offset=1e-12)
class TinyOffsetOfSigmoids(Keyed):
    def predict(self, x):
        w1, b1, w2, b2 = self.arrays()
        return softmax(sigmoid(sigmoid(x @ w1 + b1) @ w2 + b2))

    def loss(self, x, t):
        return cross_entropy_of_weights(self.predict(x), t, 1e-12)


@known(hidden="tanh", output="identity", offset=1e-7)
class TanhOfExponentials(Keyed):
    def hidden(self, a):
        return (1 - np.exp(-2 * a)) / (1 + np.exp(-2 * a)) if np.all(a > -300) else np.tanh(a)


@known(hidden="sigmoid", output="identity", targets={"labels"}, sentence="labels only")
class LabelsOnly(Keyed):
    def loss(self, x, t):
        y = self.predict(x)
        return -np.log(y[range(len(x)), t] + 1e-7).mean()


@known(hidden="sigmoid", output="identity", targets={"one-hot", "soft"}, soft="argmax")
class RowsOnly(Keyed):
    def loss(self, x, t):
        y = self.predict(x)
        return -np.log(y[np.arange(len(t)), np.argmax(t, axis=1)] + 1e-7).mean()


@known(hidden="sigmoid", output="identity", targets={"one-hot"}, sentence="one-hot only")
class SelectsByOnes(Keyed):
    def loss(self, x, t):
        if t.ndim != 2:
            raise ValueError("one-hot labels, please")
        return -np.sum(np.log(self.predict(x)[t == 1] + 1e-7)) / len(x)


@known(hidden="sigmoid", output="identity", h=1e-3)
class AnotherStep(Keyed):
    def numerical_gradient(self, x, t):
        arrays = zip(self.KEYS, self.arrays(), strict=True)
        return {key: numerical_gradient(lambda _: self.loss(x, t), array, 1e-3) for key, array in arrays}


@known(hidden="sigmoid", output="identity", h=1e-4, sentence="forward difference")
class ForwardDifference(Keyed):
    def numerical_gradient(self, x, t):
        grads = {}
        for key in self.params:
            flat = self.params[key].ravel()
            grad = np.zeros(flat.size)
            for i in range(flat.size):
                before, now = self.loss(x, t), flat[i]
                flat[i] = now + 1e-4
                grad[i] = (self.loss(x, t) - before) / 1e-4
                flat[i] = now
            grads[key] = grad.reshape(self.params[key].shape)
        return grads


@refused("is 2 times the central difference")
class ForgotTheTwo(Keyed):
    def numerical_gradient(self, x, t):
        return {key: 2 * grad for key, grad in super().numerical_gradient(x, t).items()}


@refused("is h**2 times the central difference of its loss: `/ 2 * h` multiplies by h, write `/ (2 * h)`")
class ForgotTheBrackets(Keyed):
    def numerical_gradient(self, x, t):
        return {key: 1e-4**2 * grad for key, grad in super().numerical_gradient(x, t).items()}


@refused("the loss of a sample is multiplied by its label, as in t * np.log(y[np.arange(n), t]): leave out the t")
class TimesTheLabel(Keyed):
    def loss(self, x, t):
        return -np.sum(t * np.log(self.predict(x)[np.arange(len(x)), t] + 1e-7)) / len(x)


@refused("the hidden activation is ReLU / 2, as with dropout outside of training")
class DropoutOutsideOfTraining(Keyed):
    def hidden(self, a):
        return 0.5 * relu(a)


@refused("differs from the central difference")
class FirstRowOnly(Keyed):
    def numerical_gradient(self, x, t):
        grads = super().numerical_gradient(x, t)
        grads["w1"][1:] = 0
        return grads


@known(hidden="sigmoid", output="identity", gradient_keys=("dw1", "db1", "dw2", "db2"))
class OtherGradientKeys(Keyed):
    def numerical_gradient(self, x, t):
        return {f"d{key}": grad for key, grad in super().numerical_gradient(x, t).items()}


@known(hidden="sigmoid", output="identity", sentence="gets a numerical_gradient")
class NoGradient:
    def __init__(self, *sizes):
        self.net = Keyed(*sizes)
        self.params = self.net.params

    def loss(self, x, t):
        return self.net.loss(x, t)

    def accuracy(self, x, t):
        return self.net.accuracy(x, t)


@known(hidden="sigmoid", output="identity", sentence="its numerical_gradient is a central difference")
class KnowsItsSizes(Keyed):
    def __init__(self, *sizes):
        self.sizes = sizes
        super().__init__(*sizes)

    def numerical_gradient(self, x, t):
        if tuple(np.shape(x))[1:] != self.sizes[:1]:
            raise ValueError("other images than mine")
        return super().numerical_gradient(x, t)


@known(hidden="sigmoid", output="identity", dtype=np.float32)
class SinglePrecision(Keyed):
    def make(self, *arrays):
        super().make(*(array.astype(np.float32) for array in arrays))


@known(hidden="relu", output="identity")
class Talkative(LongNames):
    def loss(self, x, t):
        loss = super().loss(x, t)
        print("loss:", loss)
        return loss


@known(hidden="sigmoid", output="identity", soft="argmax")
class Subclassed(Book):
    """Adds to the book's what does not matter."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.history = []
        self.lr = 0.1


@known(hidden="relu", output="identity", offset=0.0, holder="param", targets={"labels"}, h=1e-5)
class OfAnotherCourse:
    """Of CS231n's assignments: returns scores without y, and takes a weight decay that is 0 by default."""

    def __init__(self, input_size, hidden_size, output_size, std=1e-4):
        self.param = {}
        self.param["W1"] = std * np.random.randn(input_size, hidden_size)
        self.param["b1"] = np.zeros(hidden_size)
        self.param["W2"] = std * np.random.randn(hidden_size, output_size)
        self.param["b2"] = np.zeros(output_size)

    def loss(self, X, y=None, reg=0.0):
        W1, b1, W2, b2 = (self.param[key] for key in ("W1", "b1", "W2", "b2"))
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
        return {key: numerical_gradient(lambda _: self.loss(X, y), self.param[key], 1e-5) for key in self.param}


@known(hidden="tanh", output="identity")
class NaiveSoftmax(Keyed):
    """Overflows where inputs are large, and is what it is elsewhere."""

    def predict(self, x):
        w1, b1, w2, b2 = self.arrays()
        e = np.exp(np.tanh(x @ w1 + b1) @ w2 + b2)
        return e / e.sum(axis=1).reshape(-1, 1) if x.ndim == 2 else e / e.sum()


@known(hidden="sigmoid", output="identity", soft="argmax")
class Flattens(Book):
    def predict(self, x):
        return super().predict(x.reshape(x.shape[0], -1) if x.ndim > 1 else x)


@known(hidden="sigmoid", output="identity")
class ReturnsAnArray(Keyed):
    def loss(self, x, t):
        return np.asarray(super().loss(x, t))


@known(hidden="sigmoid", output="identity", summed=True, sentence="summed over the samples")
class SumOverSamples(Keyed):
    def loss(self, x, t):
        return -np.sum(t * np.log(self.predict(x) + 1e-7))


@known(hidden="relu", output="identity", summed=True, soft="argmax", targets={"labels", "one-hot", "soft"})
class SumOfLabels(Layers):
    def loss(self, x, t):
        labels = t if t.ndim == 1 else t.argmax(axis=1)
        return -np.log(softmax(self.predict(x))[np.arange(len(x)), labels] + 1e-7).sum()


@refused("1e-07 is added to its loss: leave it out, it changes no gradient")
class OffsetOutside(Keyed):
    def loss(self, x, t):
        return -np.sum(t * np.log(self.predict(x))) / len(x) + 1e-7


# those that cannot be accelerated


@refused("its loss has a weight decay")
class DecayOfASum(SumOverSamples):
    """Not constant: it changes with the parameters."""

    def loss(self, x, t):
        return super().loss(x, t) + 1e-3 * sum(np.sum(array**2) for array in self.arrays())


@refused("a weight decay, 0.001 times the sum of squares of W1: leave it out, and in your loop add 0.002 times each")
class DecayOfTheFirstWeights(SumOverSamples):
    def loss(self, x, t):
        return super().loss(x, t) + 1e-3 * np.sum(self.arrays()[0] ** 2)


@refused("its loss is none of those that were tried")
class SumAndAPenaltyOfItsOwn(SumOverSamples):
    def loss(self, x, t):
        return super().loss(x, t) + 1e-3 * np.sum(np.tanh(self.arrays()[0]) ** 2)


@refused("is added to its loss")
class AConstantThatHidesTheLoss(Keyed):
    def loss(self, x, t):
        return super().loss(x, t) + 1e6


@refused("whole batch, so that the loss starts at ln(N O). Take it over the classes, in two lines: ")
class SoftmaxOfTheBatch(Book):
    def predict(self, x):
        z1 = sigmoid(np.dot(x, self.params["W1"]) + self.params["b1"])
        return softmax_of_the_batch(np.dot(z1, self.params["W2"]) + self.params["b2"])


@refused("a mean over the outputs too")
class MeanOverOutputs(Keyed):
    def loss(self, x, t):
        return np.mean(-t * np.log(self.predict(x) + 1e-7))


@refused("loss(x, t) returns None, not a number")
class ForgotToReturn(Keyed):
    def loss(self, x, t):
        self.last = super().loss(x, t)


@refused("loss(x, t) returns a tuple, not a number. Return the loss alone")
class LossAndAccuracy(Keyed):
    def loss(self, x, t):
        return super().loss(x, t), np.mean(self.predict(x).argmax(axis=-1) == t.argmax(axis=-1))


@refused("loss(x, t) returns an array (")
class LossOfEachSample(Keyed):
    def loss(self, x, t):
        return -np.sum(t * np.log(self.predict(x) + 1e-7), axis=-1)


@refused("sum of squares")
class SumOfSquares(Keyed):
    def loss(self, x, t):
        return 0.5 * np.sum((self.predict(x) - t) ** 2)


@refused("weight decay")
class WeightDecay(Keyed):
    def loss(self, x, t):
        w1, _, w2, _ = self.arrays()
        return super().loss(x, t) + 0.5 * 0.01 * (np.sum(w1**2) + np.sum(w2**2))


@refused("call to call")
class WithDropout(Layers):
    def between(self):
        return {"Relu1": Relu(), "Dropout1": Dropout()}


@refused("depend on each other")
class BatchNorm(Layers):
    def between(self):
        return {"BatchNorm1": BatchNormalization(), "Relu1": Relu()}


@refused("did not change with params")
class LayersWithCopies(Layers):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.params = {key: array.copy() for key, array in self.params.items()}


@refused("batch normalization")
class BatchNormWithParams(Layers):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.params["gamma1"], self.params["beta1"] = np.ones(sizes[1]), np.zeros(sizes[1])


@refused("these are 3 layers, 2 of them hidden")
class ThreeLayers(Book):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__(input_size, hidden_size, hidden_size + 1)
        self.params["W3"] = np.random.randn(hidden_size + 1, output_size)
        self.params["b3"] = np.zeros(output_size)


@refused("leaky ReLU")
class LeakyRelu(Keyed):
    def hidden(self, a):
        return np.where(a > 0, a, 0.01 * a)


@refused("clipped at 1e-7")
class Clips(Keyed):
    def loss(self, x, t):
        return -np.sum(t * np.log(np.clip(self.predict(x), 1e-7, 1 - 1e-7))) / len(x)


@refused("its loss of random parameters and inputs is nan")
class NotANumber(Keyed):
    def loss(self, x, t):
        return np.nan


@refused("softmax is taken over the samples")
class SoftmaxOfTheColumns(Keyed):
    def predict(self, x):
        w1, b1, w2, b2 = self.arrays()
        e = np.exp(sigmoid(x @ w1 + b1) @ w2 + b2)
        return e / e.sum(axis=0)


@refused("binary cross entropy")
class BinaryCrossEntropy(Keyed):
    def predict(self, x):
        w1, b1, w2, b2 = self.arrays()
        return sigmoid(sigmoid(x @ w1 + b1) @ w2 + b2)

    def loss(self, x, t):
        y = self.predict(x)
        return -np.sum(t * np.log(y + 1e-7) + (1 - t) * np.log(1 - y + 1e-7)) / len(x)


@refused("its loss is 1.4427 times the mean over the samples")
class LogarithmToBase2(Keyed):
    def loss(self, x, t):
        return -np.sum(t * np.log2(self.predict(x) + 1e-7)) / len(x)


@refused("softmax is taken twice")
class SoftmaxTwice(Layers):
    def loss(self, x, t):
        return self.lastLayer.forward(softmax(self.predict(x)), t)


@refused("did not change with params['b2']")
class ForgotTheSecondBias(Keyed):
    def predict(self, x):
        w1, b1, w2, _ = self.arrays()
        return softmax(sigmoid(x @ w1 + b1) @ w2)


@refused("transposed")
class Transposed(Keyed):
    def make(self, w1, b1, w2, b2):
        super().make(w1.T.copy(), b1.reshape(-1, 1), w2.T.copy(), b2.reshape(-1, 1))

    def predict(self, x):
        w1, b1, w2, b2 = self.arrays()
        return softmax(sigmoid(x @ w1.T + b1.T) @ w2.T + b2.T)


@refused("biases are missing")
class ScalarBias(Keyed):
    def make(self, w1, b1, w2, b2):
        super().make(w1, np.zeros_like(b1.size), w2, np.zeros_like(b2.size))


@refused("no W1 (I, H)")
class ListsOfLayers(Keyed):
    def make(self, w1, b1, w2, b2):
        self.W, self.B = [w1, w2], [b1, b2]

    def arrays(self):
        return [self.W[0], self.B[0], self.W[1], self.B[1]]


@refused("not float64 or float32")
class HalfPrecision(Keyed):
    def make(self, *arrays):
        super().make(*(array.astype(np.float16) for array in arrays))


@refused("returns a tuple")
class ReturnsATuple(Keyed):
    def numerical_gradient(self, x, t):
        return tuple(super().numerical_gradient(x, t).values())


@known({"numerical_gradient": "gradient"}, hidden="sigmoid", output="identity", sentence="its gradient is a central")
@refused('it must take (x, t); if gradient(x, t) is meant, write numerical_gradient="gradient"')
class TakesAFunction(Keyed):
    def numerical_gradient(self, f, x):
        return numerical_gradient(f, x)

    def gradient(self, x, t):
        return {key: self.numerical_gradient(lambda _: self.loss(x, t), array) for key, array in self.params.items()}


@refused("returns a list")
class ReturnsLists(Keyed):
    def numerical_gradient(self, x, t):
        return list(super().numerical_gradient(x, t).values())


@refused("no method loss(x, t), which returns the loss of a mini-batch")
class NoLoss(Keyed):
    loss = None


@known({"loss": "cost"}, hidden="tanh", output="identity", summed=True)
@refused('no method loss(x, t); if cost(x, t) is meant, write loss="cost" (secant run: --loss cost)')
class CallsItCost(Keyed):
    loss = None

    def hidden(self, a):
        return np.tanh(a)

    def cost(self, x, t):
        return -np.sum(t * np.log(self.predict(x) + 1e-7))

    def numerical_gradient(self, x, t):
        return {key: numerical_gradient(lambda _: self.cost(x, t), array) for key, array in self.params.items()}


@known({"loss": "J", "numerical_gradient": "num_grads"}, hidden="relu", output="identity", holder="")
class CallsBothSomethingElse(AttributesAndMore):
    J, loss, numerical_gradient = AttributesAndMore.loss, None, None

    def num_grads(self, images, labels):
        arrays = zip(self.KEYS, self.arrays(), strict=True)
        return {key: numerical_gradient(lambda _: self.J(images, labels), array) for key, array in arrays}


@known({"numerical_gradient": "numerical_gradients"}, hidden="sigmoid", output="identity", sentence="is a central")
@refused(
    'no numerical_gradient(x, t); if numerical_gradients(x, t) is meant, write numerical_gradient="numerical_gradients"'
)
class Plural(Keyed):
    numerical_gradients, numerical_gradient = Keyed.numerical_gradient, None

    def gradient(self, x, t):
        """By backpropagation, which is no central difference."""
        w1, b1, w2, _ = self.arrays()
        z = sigmoid(x @ w1 + b1)
        d2 = (self.predict(x) - t) / len(x)
        d1 = d2 @ w2.T * z * (1 - z)
        return dict(zip(self.KEYS, (x.T @ d1, d1.sum(axis=0), z.T @ d2, d2.sum(axis=0)), strict=True))


@refused("is all zero. Its f does not look at what is shifted")
class ShiftsInVain(Keyed):
    def numerical_gradient(self, x, t):
        loss = self.loss(x, t)
        return {key: numerical_gradient(lambda _: loss, array) for key, array in self.params.items()}


@refused("this seems to be a convolutional network")
class Convolutional(Book):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__(input_size, hidden_size, output_size)
        self.params["W1"] = np.zeros((3, 1, 5, 5))
        self.params["W3"], self.params["b3"] = np.zeros((output_size, output_size)), np.zeros(output_size)


@refused("raises NameError")
class Broken(Keyed):
    def loss(self, x, t):
        return cross_entropie(self.predict(x), t)  # noqa: F821 - their bug


@refused("changes the parameters")
class UpdatesInLoss(Keyed):
    def loss(self, x, t):
        self.params["w1"] *= 0.99
        return super().loss(x, t)


@refused("cannot be copied")
class CannotBeCopied(Keyed):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.log = (line for line in ())


@refused("nearest is sigmoid hidden, identity output")
class ABranchForLargeInputs(Keyed):
    def loss(self, x, t):
        return super().loss(x, t) * (2 if np.abs(x).max() > 100 else 1)
