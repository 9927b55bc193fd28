"""What a gradient check found."""

import dataclasses

import numpy as np
import pytest

import secant
from secant.errors import DTypeError, ValueRangeError

pytest.importorskip("matplotlib", reason="Matplotlib is not installed")


def report(factors):
    x = np.array([3.0, 4.0, 5.0])
    return secant.check_gradient(lambda x: np.sum(x**2), x, 2 * x * factors)


def test_what_the_gradient_says_and_the_slope():
    found = report([1, 2, -1])
    ax = secant.plots.findings(found)
    assert [label.get_text() for label in ax.get_yticklabels()] == [finding.name for finding in found.findings]
    assert {label.get_text() for label in ax.get_yticklabels()} == {"x[1]", "x[2]"}
    given = next(line for line in ax.lines if line.get_marker() == "X")
    numbers = dict(zip([finding.name for finding in found.findings], given.get_xdata(), strict=True))
    assert numbers == pytest.approx({"x[1]": 1, "x[2]": -1})
    assert {text.get_text() for text in ax.texts} == {"1.60e+01 for 8.00e+00", "-1.00e+01 for 1.00e+01"}
    assert ax.get_title(loc="left") == "Gradient check: wrong"


def test_as_many_as_wanted():
    assert len(secant.plots.findings(report([1, 2, -1]), count=1).texts) == 1
    with pytest.raises(ValueRangeError, match="count must be at least 1, got 0"):
        secant.plots.findings(report([1, 2, -1]), count=0)


def test_a_right_gradient():
    ax = secant.plots.findings(report([1, 1, 1]))
    assert ax.get_title(loc="left") == "Gradient check: right"
    assert ax.get_legend() is None


def test_a_diagnosis_and_numbers_that_are_not_finite():
    found = report([1, 2, 1])
    (finding,) = found.findings
    nan = dataclasses.replace(finding, candidate=float("nan"))
    ax = secant.plots.findings(dataclasses.replace(found, findings=(nan,), diagnosis="a factor of 2"))
    assert "looks like: a factor of 2" in ax.get_xlabel()
    assert ax.texts[0].get_text() == "nan for 8.00e+00"


def test_what_is_no_report():
    with pytest.raises(DTypeError, match="report must be a GradientReport, got dict"):
        secant.plots.findings({})
