"""Derivatives on many workers: processes, or whatever a map-like callable has, such as
a cluster.

A task is a range of coordinates. The bits are those of one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from secant.differentiation.evaluators.evaluation import Evaluator, require_same_shape
from secant.differentiation.problem import Problem
from secant.differentiation.result import Bars

_TASKS = 64  # so that all workers have something to do until the end

Span = tuple[int, int]
ComputeRange = Callable[[Evaluator, int, int, Callable[[int], object]], Any]
"""Makes the derivatives of a range of coordinates: `derivatives.Derivatives`. It is
told how many are done.
"""


class Task:
    """What workers do; it is sent to them."""

    def __init__(self, problem: Problem, compute: ComputeRange) -> None:
        self._problem, self._compute = problem.for_worker(), compute

    def __call__(self, span: Span) -> Any:
        """Return the derivatives of a range of coordinates."""
        return self._compute(self._problem.evaluator(), *span, lambda _: None)


def computed(
    task: Task, problem: Problem, size: int, tell: Callable[[int], object]
) -> Any:
    """Return the derivatives of all coordinates."""
    count = -(-size // _TASKS)
    spans = [(i, min(i + count, size)) for i in range(0, size, count)]
    parts: list[Any] = []
    for (_, end), part in zip(
        spans, _mapped(problem.workers, task, spans), strict=True
    ):
        # a future, as a client of Dask returns
        if hasattr(part, "result") and part.exception() is not None:
            part.result()
        parts.append(part)
        tell(end)
    # Fetching a result slows workers that compute: two processes of Dask are then 1.68
    # times as fast as one, not 1.80.
    parts = [part.result() if hasattr(part, "result") else part for part in parts]
    for part in parts:
        require_same_shape(parts[0].values.shape[1:], part.values.shape[1:])
    values, bars, evaluations = zip(*parts, strict=True)
    joined = None
    if bars[0] is not None:
        joined = Bars(*map(np.concatenate, zip(*bars, strict=True)))
    return parts[0]._replace(
        values=np.concatenate(values), bars=joined, evaluations=sum(evaluations)
    )


def _mapped(workers: Any, task: Task, spans: list[Span]) -> Iterable[Any]:
    """What the task returns for each range, in order."""
    if callable(workers):
        return workers(task, spans)  # type: ignore[no-any-return]
    import joblib

    parallel = joblib.Parallel(workers, return_as="generator", batch_size=1)
    return parallel(joblib.delayed(task)(span) for span in spans)  # type: ignore[no-any-return]
