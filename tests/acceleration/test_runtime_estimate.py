"""What is said of a loop that stays slow."""

import sys

import numpy as np
import pytest
from readers import ThreeLayers

from secant.acceleration import runtime_estimate
from secant.acceleration.recognition.methods import USUAL

threadpoolctl = pytest.importorskip("threadpoolctl")
BATCH = [(np.ones((2, 6)), np.eye(4)[:2])]


@pytest.fixture
def said(monkeypatch):
    """What is said if a loss takes this long, and this long with one thread, of so many in this library."""

    def said(seconds, alone, library="openblas", threads=2):
        taken = iter([seconds, alone])
        monkeypatch.setattr(runtime_estimate, "_seconds", lambda *_: next(taken))
        pools = [{"internal_api": library, "num_threads": threads}]
        monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: pools)
        return runtime_estimate.runtime_estimate(ThreeLayers(6, 5, 4), USUAL, BATCH)

    return said


def test_one_thread_is_named_where_it_was_seen_to_be_faster(said):
    sentence = said(0.5, 0.05)
    assert "about 99 s a call. With OPENBLAS_NUM_THREADS=1 in the environment its loss was 10 times as fast" in sentence


@pytest.mark.parametrize(
    "case", [(0.5, 0.45), (0.5, None), (1e-5, 1e-6), (0.5, 0.05, "mkl"), (0.5, 0.05, "openblas", 1)]
)
def test_one_thread_is_not_named_elsewhere(said, case):
    assert "THREADS" not in said(*case)


def test_without_threadpoolctl_nothing_is_measured(said, monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert said(0.5, 0.05).endswith(" s a call")
