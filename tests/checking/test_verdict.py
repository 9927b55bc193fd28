"""What decides, in numbers, as docs/check_method.md states it."""

import math

import numpy as np
import pytest

import secant
from secant.checking.candidate import CandidateGradient
from secant.checking.point import Point
from secant.checking.verdict import MeasuredError, noticed

ALL = slice(0, 2)


def measured(error, doubt=0.0, error_bar=2.0):
    """Along a direction with that error bar, of a candidate that rounding changes by 1:
    4 are allowed.
    """
    return MeasuredError(error, error_bar, 1.0, doubt)


@pytest.mark.parametrize(
    ("errors", "is_noticed"),
    [
        ([], False),
        ([4.0, -4.0, 4.0], False),
        ([4.1], False),
        ([8.0, 3.9], False),
        ([4.1, -4.1], True),
        ([3.9, 8.1], True),
        ([math.nan], True),
    ],
)
def test_two_probes_beyond_what_is_allowed_or_one_beyond_twice_that(errors, is_noticed):
    assert noticed([measured(error) for error in errors]) == is_noticed


def test_what_is_allowed_and_what_one_probe_notices_for_sure():
    assert measured(0.0).allowed == 1.5 * 2.0 + 1.0
    assert measured(0.0).threshold == 2 * 4.0 + 2.0
    assert not measured(100.0, error_bar=math.inf).wrong  # nothing was measured
    assert [measured(error, doubt=3.0).wrong for error in (6.9, 7.1)] == [False, True]
    # where it may be doubt
    assert [measured(error, doubt=3.0).threshold for error in (7.9, 8.1)] == [
        10.0,
        13.0,
    ]


@pytest.mark.parametrize(
    ("dtype", "share"), [(np.float64, 2.0**-48), (np.float32, 2.0 ** (-46 / 3))]
)
def test_the_rounding_of_a_gradient_is_16_units_in_the_last_place_and_a_third_of_the_digits_in_float32(
    dtype, share
):
    point = Point(lambda x: float(x.sum()), np.ones(2, dtype))
    candidate = CandidateGradient(point, np.array([3.0, -4.0], dtype))
    direction = np.array([1.0, 1.0])
    assert candidate.rounding(1.0, 0.0) == pytest.approx(share)
    # terms may cancel
    assert candidate.rounding(0.0, 1.0) == (2.0**-19 if dtype == np.float32 else 0)
    assert candidate.contribution(direction, ALL) == pytest.approx(5)
    assert candidate.along(direction, ALL) == pytest.approx(-1)


@pytest.mark.parametrize("n", [1, 30])
def test_what_would_have_been_noticed_is_neither_less_nor_much_more(n):
    x = np.random.default_rng(0).normal(size=n)

    def check(error):
        gradient = np.cos(x)
        gradient[0] += error
        return secant.check_gradient(lambda x: float(np.sin(x).sum()), x, gradient)

    (array,) = check(0.0).arrays
    assert not check(1.01 * array.sensitivity).passed
    assert check(array.sensitivity / 50).passed
    if n == 1:  # 2 T / sigma, and T / (g sigma m) with a magnitude m from 1/2 to 3/2
        assert 1 <= array.sensitivity / array.norm_sensitivity / abs(np.cos(x[0])) <= 3


def test_the_steps_of_a_check():
    """0.19 times the size, times 1/2 to 3/2, at a step of 1; the root mean square is
    the size of small entries.
    """
    x = np.array([3.0, 1.0, 0.0, -5.0])
    point, rng = Point(lambda x: float(x.sum()), x), np.random.default_rng(0)
    sizes = 0.19 * np.maximum(np.abs(x), np.sqrt(np.mean(x**2)))
    shares = np.array([np.abs(point.direction(rng)) / sizes for _ in range(200)])
    assert 0.5 <= shares.min() < 0.52
    assert 1.48 < shares.max() <= 1.5


def test_an_array_is_not_verified_where_most_of_it_or_of_its_largest_entry_would_not_have_been_noticed():
    x = {"a": np.linspace(1e3, 2e3, 8), "b": np.linspace(1, 2, 8)}
    reasons = []
    for offset in 2e13 * 1.12 ** np.arange(-2, 22):  # whose rounding is the noise of f
        report = secant.check_gradient(
            lambda x, offset=offset: offset + x["a"] @ x["a"] + x["b"] @ x["b"],
            x,
            {"a": 2 * x["a"], "b": 2 * x["b"]},
        )
        # 2 T is four times T / G of its norm; its largest entry is 4
        b = report.arrays[1]
        hides_most, hides_an_entry = b.norm_sensitivity > 0.25, b.sensitivity > 2
        expected = "but a single entry could be off by" if hides_an_entry else ""
        reasons.append("noise hides errors below" if hides_most else expected)
        assert reasons[-1] in b.unverified if reasons[-1] else not b.unverified, (
            offset,
            b,
        )
    assert len({*reasons}) == 3


@pytest.mark.parametrize("small", [5e-324, 1e-310])
def test_numbers_that_have_nearly_underflowed_count_as_0(small):
    x = np.array([small, 1.0, 2.0])
    assert (
        secant.check_gradient(lambda x: float(np.sum(x**2 + x)), x, 2 * x + 1).verdict
        == "right"
    )
    assert (
        secant.check_gradient(lambda x: float(np.sum(x**2 + x)), x, 2 * x + [2, 1, 1])
        .findings[0]
        .name
        == "x[0]"
    )
