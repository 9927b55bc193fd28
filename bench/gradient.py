"""Time the two methods against the NumPy loop: one gradient of 784-50-10, all 39,760 parameters, a batch of 100.

    python bench/gradient.py [--rounds 3]

All run in this process, in turn; the loop with one BLAS thread, with which it is faster. Answers are compared first.
"""

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

import cases
from secant.backends.base import Method
from timing import interleaved

H = 1e-4
METHODS: tuple[Method, ...] = ("direct", "series")
THREADS = (1, 2)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="times that everything is timed (default: 3)")
    print("\n".join(table(parser.parse_args().rounds)))


def table(rounds: int) -> list[str]:
    """The rows of the table, as Markdown."""
    lines = [
        "| input | non-zero | method | threads | Secant, ms | NumPy loop, s | times faster |",
        "| --- | --: | --- | --: | --: | --: | --: |",
    ]
    for name, make in (("MNIST", cases.mnist), ("dense", cases.dense)):
        with threadpool_limits(1, user_api="blas"):
            times = _times(make, rounds)
        loop, density = times.pop("loop"), make().density
        for key, seconds in times.items():
            lines.append(
                f"| {name} | {density:.0%} | {key} | {seconds * 1e3:.2f} | {loop:.1f} | {loop / seconds:,.0f} |"
            )
    return lines


def _times(make: Callable[..., cases.Case], rounds: int) -> dict[str, float]:
    fast, x, t = make(backend="cpp")
    slow = make(backend="numpy").net
    contestants: dict[str, Callable[[], object]] = {
        "loop": partial(slow.numerical_gradient, x, t, h=H, method="direct")
    }
    expected, loss = slow.numerical_gradient(x, t, h=H, method="direct"), slow.loss(x, t)
    for method in METHODS:
        _require_agreement(fast.numerical_gradient(x, t, h=H, method=method), expected, loss)
        for threads in THREADS:
            call = partial(fast.numerical_gradient, x, t, h=H, method=method, n_threads=threads)
            contestants[f"{method} | {threads}"] = call
    return interleaved(contestants, rounds)


def _require_agreement(fast: dict[str, np.ndarray], slow: dict[str, np.ndarray], loss: float) -> None:
    bound = 8 * np.finfo(float).eps * max(1.0, loss) / H  # the loop's own rounding
    for name, grad in slow.items():
        error = np.abs(fast[name] - grad).max()
        if error > bound:
            raise SystemExit(f"{name} differs by {error:.1e}, more than {bound:.1e}: no timing is worth anything")


if __name__ == "__main__":
    main()
