"""Which samples a mini-batch holds: drawn with replacement, as the chapter does, or each one once an epoch."""

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from secant.errors import ValueRangeError
from secant.randomness import RandomSource, stream
from secant.validation import one_of, positive_int

Indices = NDArray[np.int_]
Sampling = Literal["replacement", "epoch"]


def sample_with_replacement(train_size: int, batch_size: int, rng: RandomSource = None) -> Indices:
    """Draw one mini-batch, every sample of it from the whole training set.

    Parameters
    ----------
    train_size : int
        The number of training samples.
    batch_size : int
        The number of samples in a mini-batch. It may be larger than ``train_size``.
    rng : numpy.random.Generator, numpy.random.RandomState or int, optional
        Where the numbers come from; NumPy's legacy global state by default, so that ``np.random.seed`` gives
        the chapter's mini-batches. An int seeds a stream of its own.

    Returns
    -------
    ndarray of int, shape (batch_size,)
        Indices from 0 to ``train_size - 1``, in which some samples may be repeated.

    Raises
    ------
    DTypeError, ValueRangeError
        A size is not a whole number of at least 1, or ``rng`` is no source of random numbers.
    """
    train_size, batch_size = positive_int("train_size", train_size), positive_int("batch_size", batch_size)
    return next(_draws(train_size, batch_size, stream(rng)))


def epoch_batches(train_size: int, batch_size: int, rng: RandomSource = None) -> Iterator[Indices]:
    """Shuffle the training set and walk through it, batch by batch; then shuffle it again, for ever.

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
        Indices from 0 to ``train_size - 1``. An epoch is ``ceil(train_size / batch_size)`` batches, and holds
        every sample exactly once. Its last batch is shorter if ``batch_size`` does not divide ``train_size``.

    Raises
    ------
    DTypeError, ValueRangeError
        A size is not a whole number of at least 1, ``batch_size`` is above ``train_size``, or ``rng`` is no
        source of random numbers.
    """
    train_size, batch_size = positive_int("train_size", train_size), positive_int("batch_size", batch_size)
    if batch_size > train_size:
        raise ValueRangeError(
            f"batch_size must be at most the number of training samples, {train_size}, got {batch_size}"
        )
    return _epochs(train_size, batch_size, stream(rng))


def mini_batches(sampling: Sampling, train_size: int, batch_size: int, rng: RandomSource = None) -> Iterator[Indices]:
    """Return the mini-batches of a training run, without end.

    Parameters
    ----------
    sampling : {"replacement", "epoch"}
        One `sample_with_replacement` after another, or `epoch_batches`.
    train_size, batch_size, rng
        As for these two.

    Returns
    -------
    iterator of ndarray of int, shape (batch_size,)

    Raises
    ------
    DTypeError, ValueRangeError
        As these two; also if there is no such ``sampling``.
    """
    if one_of("sampling", sampling, get_args(Sampling)) == "epoch":
        return epoch_batches(train_size, batch_size, rng)
    train_size, batch_size = positive_int("train_size", train_size), positive_int("batch_size", batch_size)
    return _draws(train_size, batch_size, stream(rng))


def _draws(train_size: int, batch_size: int, numbers: Any) -> Iterator[Indices]:
    while True:
        yield numbers.choice(train_size, batch_size)


def _epochs(train_size: int, batch_size: int, numbers: Any) -> Iterator[Indices]:
    while True:
        order = numbers.permutation(train_size)
        for start in range(0, train_size, batch_size):
            yield order[start : start + batch_size]
