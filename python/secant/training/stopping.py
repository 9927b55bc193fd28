"""When to stop: after some epochs in a row without progress.

Progress is a lower loss, or a higher accuracy on held-out samples.
"""

from __future__ import annotations

import math

import numpy as np

from secant._common.interrupts import held_interrupts
from secant._common.validation import Floats
from secant.networks.two_layer import TwoLayerNet
from secant.training.history import History


class Stopping:
    """A callback of `secant.train` with ``accuracy_after="last"``, that ends training
    when there is no more progress.

    Parameters
    ----------
    sizes : list of int
        The sizes of the mini-batches of an epoch.
    tol : float
        The least progress that counts.
    patience : float
        The number of epochs in a row that may pass without it.

    Attributes
    ----------
    scores : list of float
        The accuracies on the test set so far.
    best : float
        The best accuracy on the test set, or without one the loss, negated.
    best_params : dict
        Copies of the parameters that had the best accuracy; empty without a test set.
    ended : bool
        Whether it has ended training.
    """

    def __init__(self, sizes: list[int], tol: float, patience: float) -> None:
        self._sizes, self._tol, self._patience = sizes, tol, patience
        self._idle = 0
        self.scores: list[float] = []
        self.best, self.ended = -math.inf, False
        self.best_params: dict[str, Floats] = {}

    def __call__(self, net: TwoLayerNet, history: History) -> bool:
        """Record an epoch, and return whether it is the last."""
        validated = bool(history.test_acc_list)
        if validated:
            value, params = (
                history.test_acc_list[-1],
                {key: param.copy() for key, param in net.params.items()},
            )
        else:
            value, params = (
                -mean_loss(history.train_loss_list[-len(self._sizes) :], self._sizes),
                {},
            )
        self._idle = self._idle + 1 if value < self.best + self._tol else 0
        with held_interrupts():
            self.scores += [value] if validated else []
            if value > self.best:
                self.best, self.best_params = value, params
        self.ended = self._idle > self._patience
        return self.ended


def mean_loss(losses: list[float], sizes: list[int]) -> float:
    """Return the mean loss of the samples in mini-batches of these sizes.

    The last mini-batch may be missing.
    """
    return float(np.average(losses, weights=sizes[: len(losses)]))
