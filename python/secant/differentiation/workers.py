"""Derivatives on many workers: threads, processes, or the machines of a cluster.

A task is a range of coordinates. At most a few tasks per worker are in flight, so memory grows with the number of
workers and not with that of coordinates. Each task has its own copy of x. The bits are those of one process.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import ExitStack, closing
from queue import SimpleQueue
from typing import Any

import numpy as np

from secant._common.interrupts import held_interrupts
from secant.differentiation.evaluators.evaluation import Evaluator, require_same_shape
from secant.differentiation.problem import Problem
from secant.errors import MissingExtraError

TASKS_PER_WORKER = 4
SECONDS_PER_TASK = 0.5  # at most, unless a coordinate takes longer: an error or Ctrl-C ends them soon
ENOUGH_FOR_JOBS, ENOUGH_FOR_EXECUTOR = 1.0, 0.02  # seconds of work: starting processes takes as long
_UNKNOWN_WORKERS = 64
ATTEMPTS = 4  # to compute a range whose worker was lost

Span = tuple[int, int]
ComputeRange = Callable[[Evaluator, int, int, Callable[[int], object]], Any]
"""Makes the derivatives of a range of coordinates: `derivatives.Derivatives`. It is told how many are done."""
Results = Generator[tuple[Span, Any], None, None]


class Job:
    """What workers do; it is sent to them."""

    def __init__(self, problem: Problem, compute: ComputeRange) -> None:
        self._problem, self._compute = problem.for_worker(), compute

    def __call__(self, begin: int, end: int) -> Any:
        """Return the derivatives of a range of coordinates."""
        return self._compute(self._problem.evaluator(), begin, end, lambda _: None)


def pays(problem: Problem, seconds: float) -> bool:
    """Whether several workers do that much work faster."""
    return seconds > (ENOUGH_FOR_EXECUTOR if problem.executor is not None else ENOUGH_FOR_JOBS)


def computed(job: Job, problem: Problem, size: int, group: int, seconds: float, tell: Callable[[int], object]) -> Any:
    """Return the derivatives of all coordinates.

    ``seconds`` is how long a coordinate may take. A task is a multiple of ``group`` coordinates.
    """
    workers = _number_of_workers(problem)
    count = max(1, min(-(-size // (TASKS_PER_WORKER * workers)), int(SECONDS_PER_TASK / max(seconds, 1e-9))))
    count = -(-count // group) * group
    spans = [(i, min(i + count, size)) for i in range(0, size, count)]
    run = (
        _by_joblib(problem.n_jobs, job, spans, workers)
        if problem.executor is None
        else _by_executor(problem.executor, job, spans, workers)
    )
    result: Any = None
    done = 0
    with closing(run) as results:
        for (begin, end), part in results:
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
            done += end - begin
            tell(done)
    return result


def _number_of_workers(problem: Problem) -> int:
    if problem.executor is None:
        return max(1, int(_joblib().effective_n_jobs(problem.n_jobs)))
    client: Any = getattr(problem.executor, "_client", None)
    if hasattr(client, "nthreads"):  # Dask's
        return max(1, int(sum(client.nthreads().values())))
    known = (getattr(problem.executor, name, None) for name in ("_max_workers", "num_workers"))
    return next((number for number in known if isinstance(number, int) and number > 0), _UNKNOWN_WORKERS)


def _by_executor(executor: Executor, job: Job, spans: list[Span], workers: int) -> Results:
    """Results as they come.

    A future has a lock, and what the handler of a signal raises may leave it locked: then its executor hangs. So
    signals are held wherever a future is touched, and `concurrent.futures.wait` is not for this.
    """
    waiting = spans[::-1]
    pending: dict[Future[Any], Span] = {}
    with ExitStack() as stack:
        stack.callback(_cancel, pending)
        for attempt in range(ATTEMPTS):
            ended: SimpleQueue[Future[Any]] = SimpleQueue()
            try:
                while waiting or pending:
                    with held_interrupts():
                        while waiting and len(pending) < workers + 1:
                            future = executor.submit(job, *waiting[-1])
                            pending[future] = waiting.pop()
                            future.add_done_callback(ended.put)
                    future = ended.get()
                    with held_interrupts():
                        result = future.result()
                    yield pending.pop(future), result
                return
            except BrokenExecutor:
                if attempt == ATTEMPTS - 1 or not isinstance(executor, ProcessPoolExecutor):
                    raise
                waiting += sorted(pending.values(), reverse=True)
                pending.clear()
                executor = stack.enter_context(_like(executor))


def _cancel(pending: dict[Future[Any], Span]) -> None:
    with held_interrupts():
        for future in pending:
            future.cancel()


def _like(broken: Any) -> ProcessPoolExecutor:
    """Another pool of processes: one that has lost a worker takes no more tasks."""
    return ProcessPoolExecutor(
        broken._max_workers, broken._mp_context, initializer=broken._initializer, initargs=broken._initargs
    )


def _by_joblib(n_jobs: int | None, job: Job, spans: list[Span], workers: int) -> Results:
    joblib, done = _joblib(), 0
    for attempt in range(ATTEMPTS):
        parallel = joblib.Parallel(n_jobs, return_as="generator", batch_size=1, pre_dispatch=workers + 1)
        try:
            with held_interrupts():  # this starts workers and tasks: a pool may hang if one comes while it does
                results = parallel(joblib.delayed(job)(*span) for span in spans[done:])
            try:
                for result in results:
                    yield spans[done], result
                    done += 1
            finally:
                with held_interrupts():
                    results.close()
            return
        except BrokenExecutor:
            if attempt == ATTEMPTS - 1:
                raise


def _joblib() -> Any:
    try:
        import joblib
    except ModuleNotFoundError:
        raise MissingExtraError("n_jobs needs joblib: pip install 'secant[parallel]'") from None
    return joblib
