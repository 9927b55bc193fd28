"""Results do not depend on the number of threads."""

import numpy as np
from outcome import Outcome
from test_central_difference import random_case

import secant
from secant.backends import BACKENDS

PROMISE = "Gradients and training give the same bits for 1, 2, 3, 5 and 7 threads."
THREADS = (1, 2, 3, 5, 7)


def drawn(rng: np.random.RandomState) -> dict:
    """A network of any shape, of several blocks and panels or of one, whose samples may want the series or not."""
    return {
        "seed": rng.randint(2**31),
        "sizes": (rng.randint(1, 150), rng.randint(1, 150), rng.randint(1, 12)),
        "samples": rng.randint(1, 300),
        "weights": 10 ** rng.uniform(-2, 0),
        "inputs": 10 ** rng.uniform(-1, 2),
        "output": rng.choice(["sigmoid", "identity"]),
        "kind": rng.choice(["one-hot", "soft", "labels"]),
    }


def results(case: dict, backend: str, n_threads: int) -> dict[str, bytes]:
    """The bits of all that takes a number of threads. NumPy's direct is the loop, which has none and takes long."""
    net, x, t = random_case(**case)
    net.backend, h = backend, 1e-5
    method = "series" if backend == "numpy" else "auto"
    if backend == "numpy":
        x, h = x / max(1, x.max()), 1e-9
    found = {
        "numerical_gradient": net.numerical_gradient(x, t, h=h, method=method, n_threads=n_threads),
        "gradient": net.gradient(x, t, n_threads=n_threads),
    }
    if backend != "numpy":
        found["direct"] = net.numerical_gradient(x, t, h=1e-3, method="direct", n_threads=n_threads)
        secant.train(net, x, t, x, t, n_iterations=3, batch_size=100, rng=0, progress=False, n_threads=n_threads)
        found["train"] = net.params
    return {name: b"".join(array.tobytes() for array in arrays.values()) for name, arrays in found.items()}


def run(trials: int, seed: int) -> Outcome:
    outcome, rng = Outcome(PROMISE, "networks"), np.random.RandomState(seed)
    for _ in range(trials):
        case = drawn(rng)
        for backend in BACKENDS:
            first, *others = (results(case, backend, n) for n in THREADS)
            for name, bits in first.items():
                differ = [n for n, other in zip(THREADS[1:], others, strict=True) if other[name] != bits]
                outcome.add(f"{backend}, {name}", bool(differ), example=f"{differ} threads: {case}")
        outcome.tried += 1
    return outcome
