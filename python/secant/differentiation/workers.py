"""Derivatives on many workers: processes, or whatever a map-like callable has, such as a cluster.

A task is a range of coordinates. The bits are those of one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from secant.differentiation.evaluators.evaluation import Evaluator, require_same_shape
from secant.differentiation.options import threads
from secant.differentiation.problem import Problem

_TASKS_PER_PROCESS = 4  # so that all have work until the end
_TASKS = 64  # for workers whose number is not known
_ENOUGH_FOR_PROCESSES = 1.0  # seconds of work: starting them takes as long

Span = tuple[int, int]
ComputeRange = Callable[[Evaluator, int, int, Callable[[int], object]], Any]
"""Makes the derivatives of a range of coordinates: `derivatives.Derivatives`. It is told how many are done."""


class Task:
    """What workers do; it is sent to them."""

    def __init__(self, problem: Problem, compute: ComputeRange) -> None:
        self._problem, self._compute = problem.for_worker(), compute

    def __call__(self, span: Span) -> Any:
        """Return the derivatives of a range of coordinates."""
        return self._compute(self._problem.evaluator(), *span, lambda _: None)


def pays(problem: Problem, seconds: float) -> bool:
    """Whether so much work is given to workers: always where they are the user's."""
    return callable(problem.workers) or seconds > _ENOUGH_FOR_PROCESSES


def computed(task: Task, problem: Problem, size: int, tell: Callable[[int], object]) -> Any:
    """Return the derivatives of all coordinates."""
    tasks = _TASKS if callable(problem.workers) else _TASKS_PER_PROCESS * (threads(problem.workers) or 1)
    count = -(-size // tasks)
    spans = [(i, min(i + count, size)) for i in range(0, size, count)]
    result: Any = None
    for (begin, end), part in zip(spans, _mapped(problem.workers, task, spans), strict=True):
        if hasattr(part, "result"):  # a future, as a client of Dask returns
            part = part.result()
        if result is None:
            values = np.empty((size, *part.values.shape[1:]))
            result = part._replace(
                values=values, errors=None if part.errors is None else np.empty_like(values), evaluations=0
            )
        require_same_shape(result.values.shape[1:], part.values.shape[1:])
        result.values[begin:end] = part.values
        if part.errors is not None:
            result.errors[begin:end] = part.errors
        result = result._replace(evaluations=result.evaluations + part.evaluations)
        tell(end)
    return result


def _mapped(workers: Any, task: Task, spans: list[Span]) -> Iterable[Any]:
    """What the task returns for each range, in order."""
    if callable(workers):
        return workers(task, spans)  # type: ignore[no-any-return]
    import joblib

    return joblib.Parallel(workers, return_as="generator", batch_size=1)(joblib.delayed(task)(span) for span in spans)  # type: ignore[no-any-return]
