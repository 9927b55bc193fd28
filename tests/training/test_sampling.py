from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secant.errors import DTypeError, ValueRangeError
from secant.training.sampling import (
    epoch_batches,
    mini_batches,
    sample_with_replacement,
)

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 200).flatmap(
    lambda size: st.tuples(st.just(size), st.integers(1, size))
)


@pytest.mark.parametrize("train_size", [7, 60_000, 2**31, 2**40])
def test_mini_batches_drawn_together_are_those_drawn_one_by_one(train_size):
    np.random.seed(7)
    expected = [np.random.choice(train_size, 100) for _ in range(6)]
    after = np.random.rand()
    np.random.seed(7)
    assert np.array_equal(
        [sample_with_replacement(train_size, 100) for _ in range(6)], expected
    )
    np.random.seed(7)
    draw = mini_batches("replacement", train_size, 100)
    assert np.array_equal(np.concatenate([draw(1), draw(3), draw(2)]), expected)
    assert np.random.rand() == after


@pytest.mark.parametrize("source", [np.random.RandomState, np.random.default_rng])
def test_another_source_leaves_the_legacy_state_alone(source):
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    drawn = sample_with_replacement(50, 10, source(1))
    next(epoch_batches(50, 10, source(1)))
    assert np.array_equal(drawn, source(1).choice(50, 10))
    assert np.array_equal(np.random.get_state()[1], before)


def test_a_seed_is_a_stream_of_its_own():
    expected = np.random.RandomState(5).choice(50, 10)
    assert np.array_equal(sample_with_replacement(50, 10, 5), expected)
    assert np.array_equal(mini_batches("replacement", 50, 10, 5)(1)[0], expected)


@given(SIZES, SEEDS, st.sampled_from([np.random.RandomState, np.random.default_rng]))
def test_every_sample_comes_exactly_once_an_epoch(sizes, seed, source):
    size, batch_size = sizes
    per_epoch = -(-size // batch_size)
    batches = epoch_batches(size, batch_size, source(seed))
    for _ in range(3):
        epoch = list(islice(batches, per_epoch))
        assert [len(batch) for batch in epoch[:-1]] == [batch_size] * (per_epoch - 1)
        assert sorted(np.concatenate(epoch)) == list(range(size))


@given(SIZES, SEEDS, st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_mini_batches_of_an_epoch_are_epoch_batches(sizes, seed, wanted):
    draw, theirs = mini_batches("epoch", *sizes, seed), epoch_batches(*sizes, seed)
    for most in wanted:
        block = draw(most)
        assert 1 <= len(block) <= most
        for batch in block:
            assert np.array_equal(batch, next(theirs))


def test_epochs_are_shuffled_anew():
    batches = epoch_batches(100, 100, 0)
    first, second = next(batches), next(batches)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, np.arange(100))


def test_samples_may_come_in_their_order():
    np.random.seed(4)
    expected = np.random.rand()
    np.random.seed(4)
    draw = mini_batches("ordered", 10, 4)
    assert [draw(9).tolist() for _ in range(4)] == 2 * [
        [[0, 1, 2, 3], [4, 5, 6, 7]],
        [[8, 9]],
    ]
    assert np.random.rand() == expected


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 1), ValueRangeError, "train_size must be at least 1, got 0"),
        ((10, 2.5), DTypeError, "batch_size must be a whole number, got 2.5"),
        (
            (10, 2, "seed"),
            DTypeError,
            "rng must be None, a NumPy Generator or RandomState, or a seed .*'seed'",
        ),
        ((10, 2, -1), ValueRangeError, r"a seed from 0 to 2\*\*32 - 1, got -1"),
    ],
)
def test_bad_arguments(arguments, error, message):
    for function in (sample_with_replacement, epoch_batches):
        with pytest.raises(error, match=message):
            function(*arguments)
    for name in ("replacement", "epoch"):
        with pytest.raises(error, match=message):
            mini_batches(name, *arguments)
