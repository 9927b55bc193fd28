"""Too many threads asked for, and too few threads or too little memory granted: a result or a Python exception."""

import os
import random
import resource

import numpy as np
from calls import CALLS, KINDS, turns
from launching import launch
from outcome import Outcome

import secant

PROMISE = (
    "Where the system grants fewer threads or less memory than were asked for, a call gives its result or raises a "
    "Python exception: the process is not ended. Not so for little memory with numba, whose compiler ends the process."
)
LIMITS = ("100,000 threads asked for", "no new thread", "few new threads", "little memory")
MANY = {LIMITS[0]: {"OMP_NUM_THREADS": "100000", "NUMBA_NUM_THREADS": "100000"}}
NOBODY = 65534
REFUSED = "refused"


def arguments(backend: str, n_threads: int | None) -> dict:
    """What the calls take; and their code compiled, and whatever else they load."""
    rng = np.random.RandomState(0)
    net = secant.TwoLayerNet(300, 100, 10, rng=0, backend=backend)
    x, t = rng.uniform(size=(500, 300)), rng.randint(10, size=500)
    run_all(net, x[:5], t[:5], 1)
    return {"net": net, "x": x, "t": t, "n_threads": n_threads}


def run_all(net: secant.TwoLayerNet, x: np.ndarray, t: np.ndarray, n_threads: int | None) -> None:
    for call in CALLS:
        compute(call, net, x, t, n_threads)


def compute(call: str, net: secant.TwoLayerNet, x: np.ndarray, t: np.ndarray, n_threads: int | None) -> list[bytes]:
    if call == "predict":
        return [net.predict(x).tobytes()]
    if call == "train":
        net = secant.TwoLayerNet(300, 100, 10, rng=0, backend=net.backend)
        secant.train(net, x, t, x, t, n_iterations=3, rng=0, progress=False, n_threads=n_threads, h=1e-6)
        return [param.tobytes() for param in net.params.values()]
    options = {"h": 1e-6} if call == "numerical_gradient" else {}
    return [grad.tobytes() for grad in getattr(net, call)(x, t, n_threads=n_threads, **options).values()]


def memory() -> int:
    """Bytes of address space that this process has."""
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[0]) * resource.getpagesize()


def restrict(limit: str, rng: random.Random) -> None:
    if limit == "little memory":
        most = memory() + rng.randrange(0, 2**26)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    elif "new" in limit:
        os.setuid(NOBODY)  # the superuser has no such limit
        most = 0 if limit == "no new thread" else rng.randrange(1, 6)
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


def child(backend: str, call: str, limit: str, seed: str) -> None:
    """Compute under the limit, after the same without it on one thread."""
    n_threads = None if limit in MANY else 8
    try:
        given = arguments(backend, n_threads)
        expected = compute(call, **given | {"n_threads": 1})
        restrict(limit, random.Random(seed))
        print("right" if compute(call, **given) == expected else "wrong")
    except Exception as error:
        print(REFUSED, type(error).__name__)


def run(trials: int, seed: int) -> Outcome:
    """Processes: the calls of all backends under all limits in turn."""
    outcome, rng = Outcome(PROMISE, "processes"), random.Random(seed)
    kinds = [(kind, limit) for kind in KINDS for limit in LIMITS if (kind[0], limit) != ("numba", "little memory")]
    for (backend, call), limit in turns(kinds, trials, rng):
        if "new" in limit and os.geteuid() != 0:
            outcome.skipped = "Limits of threads need a superuser, who gives up being one."
            continue
        done = launch(child, backend, call, limit, rng.randrange(2**31), **MANY.get(limit, {}))
        good = done.returncode == 0 and done.stdout.split()[:1] in (["right"], [REFUSED])
        example = f"exit code {done.returncode}: {done.stdout} {done.stderr[-300:]}"
        outcome.add(f"{backend}, {call}: {limit}", not good, example=example)
        outcome.tried += 1
    return outcome
