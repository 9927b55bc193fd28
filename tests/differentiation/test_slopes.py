"""Slopes and their error bars."""

import numpy as np
import pytest
from families import FAMILIES, in_float32

from secant.differentiation.noise import Noise, Sample, coarse_noise, noise
from secant.differentiation.slope import Line

ROUNDING = Noise(2.0**-53, 2.0**-53)


def same(value):
    """A function without a linear part to be left out."""
    return Sample(value, value)


def measured(case, rng, times=3):
    """Residuals of the right gradient along some directions, as a share of the error bars."""
    scale = np.maximum(np.abs(case.x), np.sqrt(np.mean(case.x**2)))
    level = column = None
    for _ in range(times):
        v = scale * rng.choice([-1, 1], case.x.size) * rng.uniform(0.5, 1.5, case.x.size)

        def sample(step, v=v):
            there = case.x + step * v
            value = float(case.f(there))
            return Sample(value, value - float(case.gradient @ (there - case.x)))

        level = level or noise(sample, 2.0**-52)
        slope, column = Line(sample, level, float(case.f(case.x))).slope(column)
        yield abs(slope.value), slope.error_bar, float(np.linalg.norm(case.gradient * v))


@pytest.mark.parametrize("rounded", [lambda case: case, in_float32], ids=["float64", "float32"])
@pytest.mark.parametrize("family", FAMILIES)
def test_error_bars_cover_the_truth(family, rounded):
    rng, found = np.random.default_rng(len(family)), []
    for n in (2, 3, 10, 100) * 8:
        found += measured(rounded(FAMILIES[family](rng, n)), rng)
    values, bars, sizes = np.array(found).T
    assert (values <= 1.5 * bars).all()
    assert np.mean(values > bars) <= 0.03
    limit = 1e-4 if family == "solver" else 1e-2 if rounded is in_float32 else 1e-9
    assert np.median(bars / (sizes + 1e-300)) <= limit  # and are no larger than they have to be


def test_a_function_without_noise_has_the_noise_of_its_rounding():
    def sample(step):
        value = 3.0 + step
        return Sample(value, value - step)

    assert 2.0**-53 <= noise(sample, 2.0**-52).near <= 1e-14


@pytest.mark.parametrize("spacing", [2.0**-20, 1e-6])
def test_values_that_are_rounded_have_half_the_spacing_as_noise_however_they_fit_the_steps(spacing):
    for slope in np.linspace(0.3, 3, 50) * spacing / 2e-6:
        level = noise(lambda step, slope=slope: same(spacing * np.round(slope * step / spacing - 3)), 2.0**-52).near
        assert 0.2 * spacing < level < 2 * spacing


def test_values_that_are_the_same_by_rounding_to_float64_alone_have_no_spacing():
    for slope in np.linspace(0.1, 1, 50) * 2e-4:  # at the smallest steps values differ by less than float64 tells apart
        steps = []

        def sample(step, slope=slope, steps=steps):
            steps.append(step)
            value = 2.3 + slope * step
            return Sample(value, value - slope * step)

        assert noise(sample, 2.0**-52).near < 1e-15
        assert len(steps) <= 16


@pytest.mark.parametrize("spacing", [1e-3, 1e-6, 2.0**-24])
def test_the_noise_of_a_part_that_is_rounded_is_found_beside_a_smooth_one(spacing):
    for slope in np.linspace(0.3, 3, 20):

        def sample(step, slope=slope):
            return same(float(np.exp(step) + spacing * np.round(slope * np.sin(step + 1) / spacing)))

        assert 0.1 * spacing < coarse_noise(sample, ROUNDING, spacing) < 3 * spacing


@pytest.mark.parametrize("width", [1e-2, 1e-4, 1e-6])
def test_features_of_any_width_and_kinks_are_not_taken_for_rounding(width):
    def bell(step):
        return same(float(np.exp(-((step / width + 0.3) ** 2))))

    def kinks(step):
        return same(float(abs(step - width) + abs(step + 0.7 * width) + np.exp(step)))

    for sample in (bell, kinks):
        for step in (width / 4, width, 4 * width):
            assert coarse_noise(sample, ROUNDING, step) == 0


def test_values_without_any_scatter_are_not_looked_at_further_away():
    steps = []

    def sample(step):
        steps.append(step)
        return Sample(3.0 + step, 3.0)

    assert noise(sample, 2.0**-52).near < 1e-15
    assert len(steps) == 8


def test_the_noise_of_a_function_is_found():
    rng = np.random.default_rng(0)
    levels = []
    for _ in range(200):
        values = 1.0 + 1e-6 * rng.standard_normal(8)
        levels.append(noise(lambda step, v=values: same(v[round(step / 2e-12) % 8]), 0.0).near)
    assert 0.7e-6 < np.median(levels) < 2e-6
    assert min(levels) > 0.1e-6


@pytest.mark.parametrize("jump", [1.0, 1e-3])
def test_a_kink_is_seen_as_one(jump):
    def sample(step):
        value = 1.0 + np.sin(step) + jump * max(step, 0.0)
        return Sample(value, value - np.sin(1) * step)

    slope, _ = Line(sample, ROUNDING, 1.0).slope()
    assert slope.jump == pytest.approx(jump, rel=1e-3)
    assert slope.value == pytest.approx(1 - np.sin(1) + jump / 2, rel=1e-6)


def test_a_smooth_function_has_no_kink():
    for curvature in (0.0, 1.0, 1e6):
        slope, _ = Line(lambda step, c=curvature: same(1.0 + c * step**2), ROUNDING, 1.0).slope()
        assert slope.jump == 0


def test_steps_that_leave_the_domain_are_dropped():
    with np.errstate(invalid="ignore", divide="ignore"):
        slope, _ = Line(lambda step: same(float(np.log(0.01 + step))), ROUNDING.times(5), float(np.log(0.01))).slope()
    assert slope.value == pytest.approx(100, abs=slope.error_bar)
    assert slope.error_bar < 1e-8


def test_a_value_at_x_that_is_off_by_much_noise_does_not_hide_the_slope():
    for seed in range(20):
        rng, values = np.random.default_rng(seed), {}

        def sample(step, rng=rng, values=values):
            value = values.setdefault(step, 35 + 8e-14 * rng.standard_normal())
            return same(value)

        slope, _ = Line(sample, Noise(5e-14, 0), 35 + 3e-13).slope()
        assert abs(slope.value) <= slope.error_bar < np.inf


def test_steps_that_the_rounding_of_x_swallows_are_not_tried():
    def sample(step):
        x = float(np.float32(1 + step))
        return same(x if x != 1 else 1 + 4e-7)  # f(1) is off by more than its noise

    slope, _ = Line(sample, Noise(6e-8, 0), 1 + 4e-7, resolution=2.0**-23).slope()
    assert slope.value == pytest.approx(1, abs=1e-4)
    assert slope.error_bar < 1e-3
