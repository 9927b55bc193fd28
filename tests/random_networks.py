"""Small networks of all kinds, and how their gradients compare with the contract."""

import numpy as np

import bounds
import oracles
import secant
from secant.backends.activations import ACTIVATIONS
from secant.backends.base import Descent
from secant.networks.batch import checked

DTYPES = (np.float64, np.float32)
OUTPUTS = ("sigmoid", "identity")
HIDDEN = tuple(ACTIVATIONS)
TARGETS = ("one-hot", "soft", "labels")
KINDS = (*TARGETS, "argmax")


def targets(kind, rng, samples, classes):
    labels = rng.randint(classes, size=samples)
    if kind == "labels":
        return labels
    return (
        np.eye(classes)[labels]
        if kind == "one-hot"
        else rng.uniform(0, 1, (samples, classes))
    )


def random_case(
    seed,
    sizes=(5, 4, 3),
    samples=4,
    weights=1.0,
    inputs=1.0,
    output="sigmoid",
    kind="one-hot",
    hidden="sigmoid",
    dtype=np.float64,
):
    """A small network with parameters up to ``weights`` and inputs up to ``inputs``,
    some zero, some equal.

    In float32 they are rounded, and the truth is that of what they then are.
    """
    rng = np.random.RandomState(seed)
    net = secant.TwoLayerNet(
        *sizes, hidden_activation=hidden, output_activation=output, rng=rng
    )
    net.soft_targets = "argmax" if kind == "argmax" else "weights"
    for param in net.params.values():
        param[...] = rng.uniform(-weights, weights, param.shape)
    x = rng.uniform(0, inputs, (samples, sizes[0])) * (
        rng.uniform(size=(samples, sizes[0])) > 0.3
    )
    x[:, 0] = x[0, 0]
    net.params = {key: param.astype(dtype) for key, param in net.params.items()}
    return net, x.astype(dtype), targets(kind, rng, samples, sizes[2])


def loop(net, x, t, h=1e-4):
    """The chapter's loop: two losses of the whole mini-batch for each parameter."""
    grads = {}
    for name, param in net.params.items():
        grads[name] = np.zeros(param.shape)
        for index in np.ndindex(param.shape):
            value = param[index]
            param[index] = value + h
            above = net.loss(x, t)
            param[index] = value - h
            below = net.loss(x, t)
            param[index] = value
            grads[name][index] = (above - below) / (2 * h)
    return grads


def share_of_bound(got, true, x):
    """The largest error of a component, as a share of what the contract allows."""
    return max(
        (np.abs(got[name] - grad) / bounds.central_difference(x, grad)).max()
        for name, grad in true.items()
    )


def error(net, x, t, h):
    """The largest error of any method, as a share of the contract's bound."""
    true, dtype = oracles.gradients(net, x, t, h), net.params["W1"].dtype
    shares = []
    for method in ("direct", "auto"):
        got = net.numerical_gradient(x, t, h=h, method=method)
        assert all(grad.dtype == dtype for grad in got.values())
        shares.append(share_of_bound(got, true, x))
    return max(shares) / (bounds.SINGLE if dtype == np.float32 else 1)


def trained_by_the_core(net, x, t, indices, method="auto", h=1e-4, n_threads=1):
    """The parameters and the losses after these mini-batches in one call of the core,
    at a learning rate of 0.1.
    """
    core, losses = secant.backends.backend_module("cpp"), []
    assert (
        core.train(
            checked(net, x, t, core),
            indices,
            Descent(method, h, 0.1, n_threads),
            losses,
        )
        is None
    )
    assert len(losses) == len(indices)
    return net.params | {"losses": np.array(losses)}
