"""How long a network's own numerical gradient will take."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from secant._common.validation import Array
from secant.acceleration.recognition.isolation import isolated_globals
from secant.acceleration.recognition.layouts import duplicate
from secant.acceleration.recognition.methods import Methods
from secant.acceleration.recognition.probes import least_seconds

_SLOW = 1.0  # seconds
_FASTER = 1.3  # times
_SAMPLES = 100  # of the mini-batch that readers of the book train with


def runtime_estimate(net: Any, methods: Methods, batches: Iterable[tuple[Any, Any]] = ()) -> str:
    """Say that its own numerical gradient runs, and how long it will take, if its loss can be timed.

    A copy's loss is timed on the first of ``batches`` that it takes, or else on random ones.
    """
    sentence = f"Its own {methods.numerical_gradient} runs"
    held = getattr(net, "__dict__", {})
    holders = [value for value in held.values() if type(value) is dict]
    arrays = [array for holder in holders or [held] for array in holder.values() if isinstance(array, np.ndarray)]
    count = sum(array.size for array in arrays)
    for x, t in batches or _usual(arrays):
        seconds = _seconds(net, methods, x, t)
        if seconds is not None:
            call = 2 * count * seconds
            took = f"{call:,.0f}" if call >= 10 else f"{call:.2g}"
            of = "" if batches else f" for {_SAMPLES} samples"
            times = f"two losses for each of {count:,} parameters, about {took} s a call{of}"
            return f"{sentence}: {times}{_faster_with_one_thread(net, methods, x, t, seconds) if call >= _SLOW else ''}"
    return sentence


def _faster_with_one_thread(net: Any, methods: Methods, x: Any, t: Any, seconds: float) -> str:
    """Say so if a loss is faster with one thread in OpenBLAS: of small products, threads wait for each other."""
    try:
        from threadpoolctl import threadpool_info, threadpool_limits
    except ImportError:  # then it cannot be measured
        return ""
    if not any(pool["internal_api"] == "openblas" and pool["num_threads"] > 1 for pool in threadpool_info()):
        return ""
    with threadpool_limits(1, user_api="blas"):
        alone = _seconds(net, methods, x, t)
    if alone is None or seconds < _FASTER * alone:
        return ""
    return f". With OPENBLAS_NUM_THREADS=1 in the environment its loss was {seconds / alone:.2g} times as fast"


def _usual(arrays: list[Array]) -> Iterator[tuple[Array, Array]]:
    """Mini-batches that a network of these parameters may take."""
    matrices = [array for array in arrays if array.ndim == 2 and 1 not in array.shape]
    if matrices:
        classes = matrices[-1].shape[1]
        x, labels = np.random.default_rng(0).random((_SAMPLES, matrices[0].shape[0])), np.arange(_SAMPLES) % classes
        yield x, np.eye(classes)[labels]
        yield x, labels


def _seconds(net: Any, methods: Methods, x: Any, t: Any) -> float | None:
    """How long a loss takes, if it can be computed."""
    try:
        with isolated_globals():
            loss = methods.of(duplicate(net, (), ()), "loss")
            return least_seconds(lambda: loss(x, t))
    except Exception:  # whatever the reader's code raises
        return None
