"""Other x near the one where a gradient is wrong: they tell a formula from a branch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from secant.checking.directional_probe import DirectionalProbe
from secant.checking.search import probe_together
from secant.checking.verdict import noticed

_POINTS = 2


def probes_elsewhere(probe: DirectionalProbe, seed: int) -> Iterator[DirectionalProbe]:
    """Probes at other x, where f and a gradient that is a function can be computed."""
    gradient_at = probe.candidate.elsewhere
    rng = np.random.default_rng([seed, 5])
    if gradient_at is None:
        return
    for _ in range(_POINTS):
        point = probe.point.moved(rng)
        try:
            point.require_sane()
            other = DirectionalProbe(point, gradient_at(point))
        except Exception:  # f, or the gradient, may not be defined there
            continue
        yield other


def count_elsewhere(probe: DirectionalProbe, seed: int) -> tuple[int, int] | None:
    """At how many other x the gradient is wrong, and at how many it was checked.

    None if it is no function, or could not be checked at any.
    """
    if probe.candidate.remark:  # is no error of the gradient at x
        return None
    wrong = 0
    checked = 0
    for other in probes_elsewhere(probe, seed):
        try:
            errors = probe_together(other, np.random.default_rng(seed))
        except Exception:  # f has no slope there
            continue
        finally:
            probe.point.evaluations += other.point.evaluations
        is_wrong = noticed(errors) or len(other.candidate.not_finite) > 0
        if errors[-1].is_kink and not is_wrong:
            continue
        checked += 1
        wrong += is_wrong
    return (wrong, checked) if checked else None
