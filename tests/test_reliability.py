"""A few trials of each promise of docs/records/reliability.md.

`python reliability` makes all of them.
"""

import importlib.util
import json
import sys

import pytest

import oracles
from launching import measured
from networks import KNOWN
from outcome import Outcome
from page import PAGE, RECORD, SUMMARY, page, with_summary
from rows import ROWS
from secant.backends import BACKENDS
from sweep import check
from sweeps import grid

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux", reason="signals, forks and limits as Linux has them"
    ),
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("secant._core", "numba"))),
        reason="a backend is not installed",
    ),
]


SLOW = ("single", "files", "writers")  # of the others, other tests notice most
NAMES = [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW else pytest.mark.nightly)
    for name, row in ROWS.items()
    if row.slice
]


def test_the_page_has_the_rows_that_are_measured_and_no_others():
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    assert list(recorded) == list(ROWS)
    assert page(recorded) == PAGE.read_text(encoding="utf-8")
    contract = SUMMARY.read_text(encoding="utf-8")
    assert with_summary(contract, recorded) == contract


@pytest.mark.parametrize("name", NAMES)
def test_a_slice(name):
    outcome = measured(name, ROWS[name].slice, 12345)
    assert outcome.tried > 0
    assert outcome.kept, outcome.examples


@pytest.mark.parametrize(
    ("name", "backend"), grid(lambda name, backend: backend == "cpp", KNOWN, BACKENDS)
)
def test_what_was_once_computed_wrong(name, backend):
    outcome = Outcome("", "")
    with oracles.digits(60):
        check(KNOWN[name], outcome, [backend])
    assert outcome.failed == 0, outcome.examples
