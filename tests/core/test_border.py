"""What `secant._core` refuses, rather than write where it may not: its callers pass
none of it.
"""

from functools import partial

import numpy as np
import pytest

from layouts import unaligned

core = pytest.importorskip("secant._core")

X, T = np.zeros((2, 3)), np.array([0, 1])


def network():
    return (
        *(np.zeros(shape) for shape in ((3, 4), 4, (4, 2), 2)),
        "relu",
        "identity",
        1e-7,
    )


def gradient(net, method="auto", h=1e-4, threads=1):
    return core.gradient(net, X, T, method, h, threads)


def train(net, method="auto", h=1e-4, threads=1):
    return core.train(net, X, T, np.array([[0, 1]]), method, h, 0.1, threads, [], False)


CALLS = gradient, train
NET = W1, *REST = network()
REFUSED = [
    *(
        ("n_threads must not be negative", partial(call, NET, threads=n))
        for call in CALLS
        for n in (-1, -(2**31))
    ),
    ("n_threads must not be negative", partial(core.predict, NET, X, -1)),
    *(
        (
            "threads must be at least 1",
            partial(core.difference, 1, 0, np.zeros(3), 0, 3, "central", 1e-4, threads),
        )
        for threads in (0, -1)
    ),
    *(
        (
            "parameters must be C-contiguous, aligned",
            partial(call, (unaligned(W1), *REST)),
        )
        for call in CALLS
    ),
    ("x must be C-contiguous, aligned", partial(core.index_inputs, unaligned(X))),
    ("x must be C-contiguous, aligned", partial(core.predict, NET, unaligned(X), 1)),
    *(
        (
            f"activation must be one of .*identity.*, got '{bad}'",
            partial(core.predict, (*NET[:4], *names, 1e-7), X, 1),
        )
        for names, bad in (
            (("no such", "sigmoid"), "no such"),
            (("sigmoid", "relu"), "relu"),
        )
    ),
    ("a tuple of 7", partial(core.predict, NET[:6], X, 1)),
    (
        "all float64 or all float32",
        partial(core.predict, (W1.astype("f4"), *REST), X, 1),
    ),
    ("C-contiguous", partial(core.predict, (np.ones((6, 4))[::2], *REST), X, 1)),
    ("not empty", partial(core.predict, NET, X[:0], 1)),
]


@pytest.mark.parametrize(
    ("message", "call"), REFUSED, ids=[message for message, _ in REFUSED]
)
def test_the_core_refuses(message, call):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("h", [0.0, -1e-4, np.nan, np.inf, 1e200])
def test_a_derivative_takes_no_step(h):
    found, expected = (
        gradient(NET, method="derivative", h=step)[0] for step in (h, 1e-4)
    )
    assert all(np.array_equal(found[key], expected[key]) for key in expected)
    train(network(), method="derivative", h=h)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_inputs_that_are_not_finite_are_not_indexed(value):
    assert core.index_inputs(np.array([[0.0, value, 0.0]])) is None
