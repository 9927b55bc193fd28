"""Slopes along directions: error bars, kinks, the ends of domains."""

import numpy as np
import pytest
from families import FAMILIES, in_float32

from secant.checking.candidate import CandidateGradient
from secant.checking.directional_probe import DirectionalProbe
from secant.checking.point import Point


def probe_of(f, x, gradient):
    point = Point(f, x)
    point.require_sane()
    return DirectionalProbe(point, CandidateGradient(point, gradient))


@pytest.mark.parametrize(
    "rounded", [lambda case: case, in_float32], ids=["float64", "float32"]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_error_bars_cover_the_truth(family, rounded):
    rng, found, sizes = np.random.default_rng(len(family)), [], []
    for n in (2, 3, 10, 100) * 4:
        probe = probe_of(*rounded(FAMILIES[family](rng, n)))
        for _ in range(3):
            direction = probe.point.direction(rng)
            found.append(probe.measure(direction, probe.point.all))
            sizes.append(probe.candidate.contribution(direction, probe.point.all))
    assert all(abs(each.error) <= each.allowed for each in found)
    limit = 1e-4 if family == "solver" else 1e-1 if rounded is in_float32 else 1e-9
    assert (
        np.median(
            [
                each.error_bar / (size + 1e-300)
                for each, size in zip(found, sizes, strict=True)
            ]
        )
        <= limit
    )


@pytest.mark.parametrize("jump", [1.0, 1e-3])
def test_a_kink_is_seen_as_one(jump):
    def f(x):
        return float(1.0 + np.sin(x[0]) + jump * max(x[0] - 1, 0.0))

    slope = np.cos(1) + jump / 2
    probe = probe_of(f, np.ones(1), np.array([slope]))
    found = probe.measure(
        probe.point.direction(np.random.default_rng(0)), probe.point.all
    )
    assert found.is_kink
    assert abs(found.error) < 1e-6


def test_a_smooth_function_has_no_kink():
    for curvature in (0.0, 1.0, 1e6):
        probe = probe_of(
            lambda x, c=curvature: float(1 + c * (x[0] - 1) ** 2),
            np.ones(1),
            np.zeros(1),
        )
        assert not probe.measure(
            probe.point.direction(np.random.default_rng(0)), probe.point.all
        ).is_kink


def test_rounding_of_what_is_computed_from_x_need_not_show_as_noise():
    x, rng = np.array([1 - 2.34789911e-06]), np.random.default_rng(14)
    probe = probe_of(lambda x: float(np.sqrt(1 - x**2)[0]), x, -x / np.sqrt(1 - x**2))
    for _ in range(10):
        assert not probe.measure(
            probe.point.direction(rng), probe.point.all, climbs=True
        ).wrong
