"""The four calls that compute in a backend, with inputs large enough to take a while."""

from collections.abc import Callable

import numpy as np

import secant
from secant.backends import BACKENDS

CALLS = ("predict", "numerical_gradient", "gradient", "train")
KINDS = [(backend, call) for backend in BACKENDS for call in CALLS]
FOREVER = 100_000_000


def kinds(trials: int, turn: int = 0) -> list[tuple[str, str]]:
    """All of them, so many times. For 0 one call of each backend, in four turns all."""
    if trials:
        return KINDS * trials
    return [(backend, CALLS[(turn + i) % len(CALLS)]) for i, backend in enumerate(BACKENDS)]


def endless(net: secant.TwoLayerNet, x: np.ndarray, t: np.ndarray, history: secant.History | None = None) -> None:
    secant.train(
        net, x, t, x[:50], t[:50], iters_num=FOREVER, rng=3, progress=False, n_threads=2, history=history
    )  # fmt: skip


def prepared(backend: str, call: str, samples: int = 4000, hidden: int = 200) -> Callable[[], object]:
    """A call of 784-hidden-10, its code compiled and its threads started by the same call on less."""
    rng = np.random.RandomState(0)
    net = secant.TwoLayerNet(784, hidden, 10, rng=0, backend=backend)
    x, t = rng.randint(256, size=(samples, 784)).astype(np.uint8), np.arange(samples) % 10
    net.numerical_gradient(x[:100], t[:100], n_threads=2)
    net.gradient(x[:100], t[:100], n_threads=2)
    net.predict(x[:100])
    return {
        "predict": lambda: net.predict(x),
        "numerical_gradient": lambda: net.numerical_gradient(x, t, h=1e-6, n_threads=2),
        "gradient": lambda: net.gradient(x, t, n_threads=2),
        "train": lambda: endless(net, x, t),
    }[call]
