"""Arrays that other threads write to while Secant reads them: any number may come of
it, or an error, but no crash.
"""

import importlib.util
import itertools
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

import secant
from outcome import Outcome

LONGEST = 10  # seconds of a round
CALLERS = WRITERS = 4
# more samples, and more columns, than a block has
SAMPLES, INPUTS, CLASSES = 150, 240, 10


def run(outcome: Outcome, seconds: int, seed: int) -> None:
    """So many seconds, in rounds of all kinds of inputs and of targets, each with eight
    threads.
    """
    rng, rounds = np.random.default_rng(seed), max(len(KINDS), seconds // LONGEST)
    for number in range(rounds):
        one_round(outcome, rng, seconds / rounds, *KINDS[number % len(KINDS)])


def is_sanitized() -> bool:
    """Whether the core was built with the address sanitizer."""
    core = importlib.util.find_spec("secant._core")
    return core is not None and b"__asan_report_" in Path(str(core.origin)).read_bytes()


INPUT_TYPES = (np.float64, np.uint8, np.float32)
TARGETS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "labels": lambda labels: labels,
    "weights": lambda labels: np.eye(CLASSES)[labels],
    "uint8 labels": lambda labels: labels.astype(np.uint8),
    "bool weights": lambda labels: np.eye(CLASSES, dtype=np.bool_)[labels],
}
KINDS = [*itertools.product(INPUT_TYPES, TARGETS)]


def one_round(
    outcome: Outcome,
    rng: np.random.Generator,
    seconds: float,
    input_type: type,
    targets: str,
) -> None:
    """Callers and writers that share x, t and the parameters, until the time is up."""
    dense = rng.uniform(1, 2, (SAMPLES, INPUTS)).astype(input_type)
    sparse = dense * (rng.uniform(size=dense.shape) < 0.3).astype(input_type)
    # a block that begins as a dense one does is counted first, and then found
    begin = np.arange(INPUTS) % 112 < 4
    sparse[:, begin] = dense[:, begin]
    x, t = dense.copy(), TARGETS[targets](rng.integers(0, CLASSES, SAMPLES))
    nets = [network(activation, x) for activation in ("sigmoid", "relu")]
    stop = threading.Event()
    lock = threading.Lock()

    def call(rank: int) -> None:
        for name, function in itertools.cycle(calls(nets[rank % 2], x, t)):
            if stop.is_set():
                return
            error = ""
            try:
                function()
            except secant.SecantError:
                pass
            except Exception as other:
                error = repr(other)
            with lock:
                outcome.tried += 1
                outcome.add(
                    f"{np.dtype(input_type)}, {targets}: {name}",
                    bool(error),
                    example=error,
                )

    def write(rank: int) -> None:
        for array, values in itertools.cycle(
            writes(rank, x, t, [dense, sparse], [*nets[rank % 2].params.values()])
        ):
            if stop.is_set():
                return
            array[...] = values

    threads = [threading.Thread(target=call, args=(rank,)) for rank in range(CALLERS)]
    threads += [threading.Thread(target=write, args=(rank,)) for rank in range(WRITERS)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of numbers that are none
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        stop.set()
        for thread in threads:
            thread.join()


def network(activation: str, x: np.ndarray) -> secant.TwoLayerNet:
    dtype = np.float32 if x.dtype == np.float32 else np.float64
    return secant.TwoLayerNet(
        INPUTS, 20, CLASSES, rng=0, hidden_activation=activation, dtype=dtype
    )


def calls(
    net: secant.TwoLayerNet, x: np.ndarray, t: np.ndarray
) -> list[tuple[str, Callable[[], object]]]:
    def train(**options: object) -> None:
        own = network(net.hidden_activation, x)
        secant.train(
            own,
            x,
            t,
            n_iterations=30,
            batch_size=140,
            progress=False,
            rng=0,
            learning_rate=1e-6,
            **options,
        )

    return [
        ("gradient", lambda: net.gradient(x, t)),
        ("auto", lambda: net.numerical_gradient(x, t, n_threads=2)),
        ("direct", lambda: net.numerical_gradient(x[:20], t[:20], method="direct")),
        ("mixed", lambda: net.numerical_gradient(x[:20], t[:20], h=0.3)),
        ("predict", lambda: net.predict(x)),
        ("loss", lambda: net.loss(x, t)),
        ("accuracy", lambda: net.accuracy(x, t)),
        ("one-hot", lambda: secant.to_one_hot(t, CLASSES)),
        ("train", train),
        ("train by backpropagation", lambda: train(gradient="backprop")),
    ]


def writes(
    rank: int,
    x: np.ndarray,
    t: np.ndarray,
    others: list[np.ndarray],
    params: list[np.ndarray],
) -> list[tuple]:
    """What a writer writes, again and again: arrays with values for targets, for
    parameters, or for inputs.
    """
    if rank == 0:
        return [(t, 10**12 if t.dtype == np.int64 else 255), *[(t, t.copy())] * 3]
    if rank == 1:
        return [(param, np.nan) for param in params] + [
            (param, param.copy()) for param in params
        ] * 50
    strange = others[0].copy()
    if x.dtype != np.uint8:
        strange[::7, ::5] = np.nan
    return [*[(x, other) for other in others] * 20, (x, strange)]
