"""A network of a reader's own, trained by its numerical gradient: plain Python's loop against ``secant run``.

    python bench/own_network.py [--quick]

The same script for both: 784-50-10, MNIST, mini-batches of 100, losses after each iteration and accuracies after each
epoch. Times are CPU time of the whole process on one thread. Python's is that of two iterations, extrapolated; ``secant
run`` does all 10,000. Both start from the same weights. Before a time is shown, their first gradients must agree within
the rounding error of the loop, and the losses of the iterations that both did within 1e-9.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tables import markdown

SCRIPT = '''
import sys
import time

import numpy as np

from secant import load_mnist
from secant.errors import DownloadError, MissingExtraError


def gradient_of(f, w):
    """The central difference in each element, two losses for each."""
    result = np.zeros_like(w)
    for index in np.ndindex(w.shape):
        before = w[index]
        w[index] = before + 1e-4
        above = f()
        w[index] = before - 1e-4
        below = f()
        w[index] = before
        result[index] = (above - below) / 2e-4
    return result


class Digits:
    def __init__(self, inputs, hidden, outputs):
        self.weights = {"first": 0.01 * np.random.randn(inputs, hidden), "first_bias": np.zeros((1, hidden))}
        self.weights |= {"last": 0.01 * np.random.randn(hidden, outputs), "last_bias": np.zeros((1, outputs))}

    def scores(self, x):
        w = self.weights
        return 1 / (1 + np.exp(-(x @ w["first"] + w["first_bias"]))) @ w["last"] + w["last_bias"]

    def loss(self, x, t):
        a = self.scores(x)
        e = np.exp(a - a.max(axis=1, keepdims=True))
        y = e / e.sum(axis=1, keepdims=True)
        return -np.sum(t * np.log(y + 1e-7)) / len(x)

    def accuracy(self, x, t):
        return np.mean(self.scores(x).argmax(axis=1) == t.argmax(axis=1))

    def numerical_gradient(self, x, t):
        return {key: gradient_of(lambda: self.loss(x, t), w) for key, w in self.weights.items()}


hidden, iterations, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
try:
    (x_train, t_train), (x_test, t_test) = load_mnist(one_hot_label=True)
except (DownloadError, MissingExtraError):
    (x_train, t_train), (x_test, t_test) = load_mnist(one_hot_label=True, subset=True)
np.random.seed(0)
net = Digits(784, hidden, 10)
losses, first, start = [], {}, time.process_time()
for i in range(iterations):
    chosen = np.random.choice(len(x_train), 100)
    grads = net.numerical_gradient(x_train[chosen], t_train[chosen])
    first = first or {key: grad.copy() for key, grad in grads.items()}
    for key in net.weights:
        net.weights[key] -= 0.1 * grads[key]
    losses.append(net.loss(x_train[chosen], t_train[chosen]))
    if i % (len(x_train) // 100) == 0:
        print(i, net.accuracy(x_train, t_train), net.accuracy(x_test, t_test), flush=True)
seconds = time.process_time()
np.savez(path, seconds=(start, seconds), losses=losses, accuracy=net.accuracy(x_test, t_test), **first)
'''
KEYS = "first", "first_bias", "last", "last_bias"
ROUNDING = 8 * np.finfo(np.float64).eps / 1e-4  # of the plain loop, times the loss


class Run(NamedTuple):
    """Seconds before the training and at its end, and what was trained."""

    start: float
    end: float
    losses: np.ndarray
    accuracy: float
    gradient: dict[str, np.ndarray]


def run(command: list[str], hidden: int, iterations: int) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        script, result = Path(folder, "train.py"), Path(folder, "result.npz")
        script.write_text(SCRIPT)
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        arguments = [str(script), str(hidden), str(iterations), str(result)]
        program = [sys.executable, *command, *arguments]
        subprocess.run(program, check=True, stdout=subprocess.DEVNULL, env=os.environ | threads)
        with np.load(result) as kept:
            gradient = {key: kept[key] for key in KEYS}
            start, end = kept["seconds"].tolist()
            return Run(start, end, kept["losses"], float(kept["accuracy"]), gradient)


def require_agreement(plain: Run, ours: Run) -> float:
    """Raise an error if they did not compute the same. Returns the largest difference of the gradients."""
    difference = max(float(np.abs(plain.gradient[key] - ours.gradient[key]).max()) for key in KEYS)
    if difference > ROUNDING * max(1, float(plain.losses[0])):
        raise ValueError(f"the gradients differ by {difference:.2g}: no time is worth anything")
    if (apart := float(np.abs(plain.losses - ours.losses[: len(plain.losses)]).max())) > 1e-9:
        raise ValueError(f"the losses differ by {apart:.2g}: no time is worth anything")
    return difference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the hidden units and of the iterations")
    quick = parser.parse_args().quick
    hidden, iterations, measured = (5, 1_000, 2) if quick else (50, 10_000, 2)
    plain = run([], hidden, measured)
    ours = run(["-m", "secant", "run"], hidden, iterations)
    difference = require_agreement(plain, ours)
    extrapolated = plain.start + (plain.end - plain.start) * iterations / measured
    rows = [
        ["Python", f"{extrapolated:,.0f} (from {measured} iterations)", "1", ""],
        ["secant run", f"{ours.end:.1f}", f"{extrapolated / ours.end:,.0f}", f"{ours.accuracy:.4f}"],
    ]
    print(f"784-{hidden}-10, {iterations:,} iterations; first gradients differ by at most {difference:.1e}\n")
    print("\n".join(markdown(["", "seconds", "times faster", "test accuracy"], rows)))


if __name__ == "__main__":
    main()
