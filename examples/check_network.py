"""The gradient check of chapter 5 of the book: backpropagation against numerical
gradients, of all 39,760 weights.

python examples/check_network.py
"""

import numpy as np

import secant

(x_train, t_train), _ = secant.load_mnist(subset=True)
x, t = x_train[:100], t_train[:100]
net = secant.TwoLayerNet(784, 50, 10, rng=0)

print(secant.check_network(net, x, t))

wrong = net.gradient(x, t)
wrong["W1"][318, 0] += 1e-6  # one weight
report = secant.check_network(net, x, t, wrong)
print(report)
assert [finding.name for finding in report.findings] == ["W1[318, 0]"]

# A class of your own needs params, loss and gradient.


class Line:
    """y = a x + b."""

    def __init__(self):
        self.params = {"a": np.array([2.0]), "b": np.array([1.0])}

    def loss(self, x, t):
        return np.mean((self.params["a"] * x + self.params["b"] - t) ** 2)

    def gradient(self, x, t):
        error = 2 * (self.params["a"] * x + self.params["b"] - t) / len(x)
        return {"a": np.array([error @ x]), "b": np.array([error.sum()])}


secant.check_network(Line(), np.arange(5.0), np.ones(5)).raise_if_failed()
