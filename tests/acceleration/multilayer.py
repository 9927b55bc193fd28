"""Networks of any number of layers, in the manner of chapters 5 and 6: layers as
objects, y - t backwards.
"""

from collections import OrderedDict
from itertools import pairwise

import numpy as np
from readers import cross_entropy_of_weights, softmax


class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.W.T


class Relu:
    def forward(self, x):
        self.mask = x <= 0
        return np.where(self.mask, 0, x)

    def backward(self, dout):
        return np.where(self.mask, 0, dout)


class BatchNormalization:
    """With the statistics of the mini-batch in training, and running ones otherwise."""

    def __init__(self, gamma, beta):
        self.gamma, self.beta, self.mean, self.var = gamma, beta, 0.0, 1.0

    def forward(self, x, train):
        if train:
            self.mean, self.var = x.mean(axis=0), x.var(axis=0)
        self.std = np.sqrt(self.var + 1e-7)
        self.normalized = (x - self.mean) / self.std
        return self.gamma * self.normalized + self.beta

    def backward(self, dout):
        self.dgamma, self.dbeta = (dout * self.normalized).sum(axis=0), dout.sum(axis=0)
        d = self.gamma * dout / self.std
        return d - d.mean(axis=0) - self.normalized * (d * self.normalized).mean(axis=0)


class SoftmaxWithLoss:
    def __init__(self, offset):
        self.offset = offset

    def forward(self, x, t):
        self.y = softmax(x)
        self.t = np.eye(self.y.shape[1])[t] if t.ndim == 1 else t
        return cross_entropy_of_weights(self.y, self.t, self.offset)

    def backward(self):
        return (self.y - self.t) / len(self.t)


class MultiLayer:
    """Chapter 6: scores from ``predict``, and a weight decay."""

    def __init__(self, inputs, hidden, outputs, decay=0.0, offset=1e-7, rng=0):
        rng = np.random.default_rng(rng)
        self.decay, self.sizes = decay, (inputs, *hidden, outputs)
        self.params, self.layers = {}, OrderedDict()
        for i, (before, after) in enumerate(pairwise(self.sizes), 1):
            self.params[f"W{i}"] = rng.standard_normal((before, after)) * np.sqrt(
                2 / before
            )
            self.params[f"b{i}"] = np.zeros(after)
            self.layers[f"Affine{i}"] = Affine(
                self.params[f"W{i}"], self.params[f"b{i}"]
            )
            if i < len(self.sizes) - 1:
                self.add_between(i, after)
        self.last = SoftmaxWithLoss(offset)

    def add_between(self, i, size):
        self.layers[f"Relu{i}"] = Relu()

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def penalty(self):
        return (
            0.5
            * self.decay
            * sum(
                np.sum(param**2) for key, param in self.params.items() if key[0] == "W"
            )
        )

    def loss(self, x, t):
        return self.last.forward(self.predict(x), t) + self.penalty()

    def gradient(self, x, t):
        self.loss(x, t)
        return self.backward()

    def backward(self):
        dout = self.last.backward()
        for layer in reversed(self.layers.values()):
            dout = layer.backward(dout)
        grads = {}
        for i in range(1, len(self.sizes)):
            affine = self.layers[f"Affine{i}"]
            grads[f"W{i}"], grads[f"b{i}"] = (
                affine.dW + self.decay * affine.W,
                affine.db,
            )
        return grads


class Extended(MultiLayer):
    """With batch normalization, if asked for.

    ``gradient`` runs in training mode, ``loss(x, t)`` does not.
    """

    def __init__(self, *sizes, is_normalized=False, **options):
        self.is_normalized = is_normalized
        super().__init__(*sizes, **options)

    def add_between(self, i, size):
        if self.is_normalized:
            self.add_normalization(i, size)
        super().add_between(i, size)

    def add_normalization(self, i, size):
        gamma, beta = self.params[f"gamma{i}"], self.params[f"beta{i}"] = (
            np.ones(size),
            np.full(size, 0.1),
        )
        self.layers[f"BatchNormalization{i}"] = BatchNormalization(gamma, beta)

    def predict(self, x, train_flg=False):
        for layer in self.layers.values():
            x = (
                layer.forward(x, train_flg)
                if isinstance(layer, BatchNormalization)
                else layer.forward(x)
            )
        return x

    def loss(self, x, t, train_flg=False):
        return self.last.forward(self.predict(x, train_flg), t) + self.penalty()

    def gradient(self, x, t):
        self.last.forward(self.predict(x, train_flg=True), t)
        grads = self.backward()
        for i in range(1, len(self.sizes) - 1) if self.is_normalized else ():
            layer = self.layers[f"BatchNormalization{i}"]
            grads[f"gamma{i}"], grads[f"beta{i}"] = layer.dgamma, layer.dbeta
        return grads
