"""The samples of a mini-batch: with replacement, or each one once per epoch.

The chapter draws with replacement.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from secant._common.randomness import RandomSource, stream
from secant._common.validation import length, one_of, positive_int
from secant.errors import ValueRangeError

Indices = NDArray[np.int_]
Sampling = Literal["replacement", "epoch", "ordered"]


def sample_with_replacement(
    train_size: int, batch_size: int, rng: RandomSource = None
) -> Indices:
    """Draw one mini-batch, every sample of it from the whole training set.

    Parameters
    ----------
    train_size : int
        The number of training samples.
    batch_size : int
        The number of samples in a mini-batch. It may be larger than ``train_size``.
    rng : numpy.random.Generator, numpy.random.RandomState or int, optional
        Where the numbers come from; NumPy's legacy global state by default, so that
        ``np.random.seed`` gives the chapter's mini-batches. An int seeds a stream of
        its own.

    Returns
    -------
    ndarray of int, shape (batch_size,)
        Indices from 0 to ``train_size - 1``, in which some samples may be repeated.

    Raises
    ------
    DTypeError, ValueRangeError
        A size is not a whole number of at least 1, or ``rng`` is not a source of random
        numbers.

    Examples
    --------
    >>> secant.training.sample_with_replacement(60_000, 4, rng=0)
    array([ 2732, 43567, 42613, 52416])
    """
    draw = mini_batches("replacement", train_size, batch_size, rng)
    batch: Indices = draw(1)[0]
    return batch


def epoch_batches(
    train_size: int, batch_size: int, rng: RandomSource = None
) -> Iterator[Indices]:
    """Shuffle the training set and walk through it, batch by batch, forever.

    It is shuffled again after each walk.

    Parameters
    ----------
    train_size : int
        The number of training samples.
    batch_size : int
        The number of samples in a mini-batch, at most ``train_size``.
    rng : numpy.random.Generator, numpy.random.RandomState or int, optional
        Where the numbers come from, as in `sample_with_replacement`.

    Returns
    -------
    iterator of ndarray of int, shape (batch_size,)
        Indices from 0 to ``train_size - 1``. An epoch is ``ceil(train_size /
        batch_size)`` batches, and holds every sample exactly once. Its last batch is
        shorter if ``batch_size`` does not divide ``train_size``.

    Raises
    ------
    DTypeError, ValueRangeError
        A size is not a whole number of at least 1, ``batch_size`` is above
        ``train_size``, or ``rng`` is no source of random numbers.

    Examples
    --------
    >>> batches = secant.training.epoch_batches(train_size=6, batch_size=4, rng=0)
    >>> next(batches), next(batches)
    (array([5, 2, 1, 3]), array([0, 4]))
    """
    draw = mini_batches("epoch", train_size, batch_size, rng)
    return (draw(1)[0] for _ in itertools.repeat(None))


def mini_batches(
    sampling: Sampling, train_size: int, batch_size: int, rng: RandomSource = None
) -> Callable[[int], Indices]:
    """Return a function that draws the next mini-batches of a training run.

    Parameters
    ----------
    sampling : {"replacement", "epoch", "ordered"}
        One `sample_with_replacement` after another, `epoch_batches`, or the latter
        without shuffling.
    train_size, batch_size, rng
        As for these two.

    Returns
    -------
    callable
        Takes the number of mini-batches wanted. Returns at least one and at most so
        many, as an ndarray of int of shape (K, batch_size). The indices do not depend
        on how many are drawn at a time.

    Raises
    ------
    DTypeError, ValueRangeError
        As for these two; also if there is no such ``sampling``.
    """
    one_of("sampling", sampling, get_args(Sampling))
    train_size = positive_int("train_size", train_size)
    batch_size = length("batch_size", batch_size)
    numbers = stream(rng)
    if sampling == "replacement":
        return partial(_drawn, numbers, train_size, batch_size)
    if batch_size > train_size:
        raise ValueRangeError(
            f"batch_size must be at most the number of training samples, {train_size},"
            f" got {batch_size}"
        )
    return _Epochs(
        train_size,
        batch_size,
        numbers.permutation if sampling == "epoch" else np.arange,
    )


def _drawn(numbers: Any, train_size: int, batch_size: int, wanted: int) -> Indices:
    drawn: Indices = numbers.choice(train_size, (wanted, batch_size))
    return drawn


class _Epochs:
    """Walks through a training set in an order of its samples.

    At the end it takes a new order.
    """

    def __init__(
        self, train_size: int, batch_size: int, order: Callable[[int], Indices]
    ) -> None:
        self._train_size, self._batch_size, self._order = train_size, batch_size, order
        self._left: Indices = np.empty(0, dtype=np.int_)

    def __call__(self, wanted: int) -> Indices:
        if len(self._left) == 0:
            self._left = self._order(self._train_size)
        batches = max(1, min(wanted, len(self._left) // self._batch_size))
        taken, self._left = np.split(self._left, [batches * self._batch_size])
        return taken.reshape(batches, -1)
