"""A script as readers of the chapter write it: their own network, trained by their own numerical gradient."""

import numpy as np
from common.functions import cross_entropy_error, sigmoid, softmax
from common.gradient import numerical_gradient
from dataset.mnist import load_mnist


class TwoLayerNet:
    def __init__(self, input_size, hidden_size, output_size, weight_init_std=0.01):
        self.params = {
            "W1": weight_init_std * np.random.randn(input_size, hidden_size),
            "b1": np.zeros(hidden_size),
            "W2": weight_init_std * np.random.randn(hidden_size, output_size),
            "b2": np.zeros(output_size),
        }

    def predict(self, x):
        z1 = sigmoid(np.dot(x, self.params["W1"]) + self.params["b1"])
        return softmax(np.dot(z1, self.params["W2"]) + self.params["b2"])

    def loss(self, x, t):
        return cross_entropy_error(self.predict(x), t)

    def accuracy(self, x, t):
        return np.mean(np.argmax(self.predict(x), axis=1) == np.argmax(t, axis=1))

    def numerical_gradient(self, x, t):
        return {key: numerical_gradient(lambda _: self.loss(x, t), self.params[key]) for key in self.params}


if __name__ == "__main__":
    np.random.seed(0)
    (x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, one_hot_label=True)
    network = TwoLayerNet(784, 50, 10)
    for i in range(10000):
        batch = np.random.choice(len(x_train), 100)
        grads = network.numerical_gradient(x_train[batch], t_train[batch])
        for key in network.params:
            network.params[key] -= 0.1 * grads[key]
        if i % 600 == 0:
            train, test = network.accuracy(x_train, t_train), network.accuracy(x_test, t_test)
            print(f"train acc {train:.4f}, test acc {test:.4f}")
