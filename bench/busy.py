"""Two threads on a busy machine, and on an idle one: what they take, in units of the
time of one.

    python bench/busy.py [--idle] [--spins 300,2000,8000]

For each number of spins, and in each of five rounds, a fresh process computes gradients
of 784-50-10 and 100 digits, then trains it, on one thread and on two in turn, by the
wall clock. Without `--idle` there are four busy processes a core beside it. These
medians chose the number of spins in `secant/_common/core.py`.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from cases import mnist
from tables import markdown

ROUNDS, TURNS, CALLS, BUSY_A_CORE = 5, 5, 40, 4
QUESTIONS = "gradient", "training"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--idle", action="store_true")
    parser.add_argument("--spins", default="300,1000,2000,8000")
    asked = parser.parse_args()
    spins = asked.spins.split(",")
    ratios: dict[str, list[list[float]]] = {number: [] for number in spins}
    busy = 0 if asked.idle else BUSY_A_CORE * (os.cpu_count() or 1)
    with busy_processes(busy):
        for _ in range(ROUNDS):
            for number in spins:
                ratios[number].append(measured_apart(number))
    print("\n".join(table(ratios)))


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """So many processes that do nothing else than take a core."""
    processes = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measured_apart(spins: str) -> list[float]:
    """`measure` in a process whose threads spin so often."""
    done = subprocess.run(
        [sys.executable, "-c", "import busy; print(*busy.measure())"],
        env={
            **os.environ,
            "GOMP_SPINCOUNT": spins,
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        cwd=os.path.dirname(os.path.abspath(__file__)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [float(ratio) for ratio in done.stdout.split()]


def measure() -> list[float]:
    """The times on two threads in units of those on one: of gradients, and of
    training.
    """
    import secant

    net, x, one_hot = mnist(100)
    labels = one_hot.argmax(axis=1)

    def gradients(threads: int) -> None:
        for _ in range(CALLS):
            net.numerical_gradient(x, labels, n_threads=threads)

    def training(threads: int) -> None:
        secant.train(
            net,
            x,
            labels,
            n_iterations=CALLS,
            n_threads=threads,
            batch_size=100,
            progress=False,
        )

    return [ratio(run) for run in (gradients, training)]


def ratio(run: Callable[[int], None]) -> float:
    """The median time on two threads, divided by that on one."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(TURNS):
        for threads, of_threads in seconds.items():
            start = time.perf_counter()
            run(threads)
            of_threads.append(time.perf_counter() - start)
    return median(seconds[2]) / median(seconds[1])


def table(ratios: dict[str, list[list[float]]]) -> list[str]:
    """A row for each number of spins: the median of the rounds, and all of them."""
    rows = []
    for number, rounds in ratios.items():
        cells = []
        for of_question in zip(*rounds, strict=True):
            every = ", ".join(f"{ratio:.2f}" for ratio in sorted(of_question))
            cells.append(f"{median(of_question):.2f} ({every})")
        rows.append([number, *cells])
    return markdown(["spins", *QUESTIONS], rows)


if __name__ == "__main__":
    main()
