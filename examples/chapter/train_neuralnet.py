"""The training loop of the chapter, with numerical gradients.

secant run train_neuralnet.py    # half a minute
python train_neuralnet.py        # days
"""

import numpy as np
from two_layer_net import TwoLayerNet

from secant.book import load_mnist

np.random.seed(0)
(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, one_hot_label=True)
network = TwoLayerNet(784, 50, 10)
for i in range(10000):
    batch = np.random.choice(len(x_train), 100)
    grads = network.numerical_gradient(x_train[batch], t_train[batch])
    for key in network.params:
        network.params[key] -= 0.1 * grads[key]
    if i % 600 == 0:
        train, test = (
            network.accuracy(x_train, t_train),
            network.accuracy(x_test, t_test),
        )
        print(f"train acc {train:.4f}, test acc {test:.4f}")
