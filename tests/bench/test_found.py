"""The checks over released packages: what is said of a gradient, and that each package is pinned."""

import functools
import math
import subprocess
import sys

import numpy as np
import pytest

import found
import secant
from found_checks import Check


@pytest.mark.parametrize(
    ("factor", "said", "size"), [(1, "right", math.nan), (1.01, "WRONG", 0.0099), (np.nan, "WRONG", math.inf)]
)
def test_what_is_said_of_a_gradient(factor, said, size):
    x = np.array([1.0, 2.0])
    check = functools.partial(secant.check_gradient, lambda x: np.sum(x**3), x, factor * 3 * x**2)
    outcome = found.outcome(Check("cubes", check))
    assert outcome.said == said
    assert outcome.size == pytest.approx(size, rel=0.01, nan_ok=True)


def test_a_check_that_raises_an_error_is_not_right():
    def check():
        raise ZeroDivisionError("of theirs")

    assert found.outcome(Check("nothing", check))[::4] == ("ZeroDivisionError", "of theirs")


def test_at_least_20_packages_are_pinned():
    run = subprocess.run(
        [sys.executable, found.__file__, "--requirements"], capture_output=True, text=True, check=True, timeout=60
    )
    pins = run.stdout.split()
    assert len(set(pins)) >= 20
    assert all(pin.count("==") == 1 for pin in pins)
