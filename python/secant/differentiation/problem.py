"""A derivative to be computed: its arguments, checked once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.evaluators import c_pointer, numba_jit
from secant.differentiation.evaluators.evaluation import Convert, Evaluator, PythonEvaluator, number, numbers
from secant.differentiation.evaluators.vectorized import VectorizedEvaluator
from secant.differentiation.options import bound, is_float64, own_point, require_perturbable, threads
from secant.differentiation.reach import can_reach
from secant.differentiation.schemes import SCHEMES, Bounds, Scheme, Stencils, Step, scheme_of, stencils, step_of
from secant.errors import DTypeError, UnsupportedError

_FUNCTION = type(lambda: None)
_CENTRAL = SCHEMES["central"]
_PROBE = 2.0**-10  # relative to x: how far it is shifted to see what f looks at


def kind_of(f: Any) -> str:
    """What f is: "C", "Numba" or "Python"."""
    if type(f) is not _FUNCTION:
        if c_pointer.is_c_pointer(f):
            return "C"
        if numba_jit.is_numba_function(f):
            return "Numba"
    return "Python"


def _place(f: Any, x: Any, bounds: Bounds | None = None) -> tuple[Floats | None, int]:
    """Return x itself, if a function of Python looks at it elsewhere, or may; and the evaluations that tell."""
    if not is_float64(x) or not can_reach(f, x):
        return None, 0
    require_perturbable("x", x)
    counted = Counted(f)
    return x if _looks_at(counted, x, bounds) else None, counted.calls


class Counted:
    """A function, and how often it was called."""

    def __init__(self, f: Any) -> None:
        self._f, self.calls = f, 0

    def __call__(self, x: Any) -> Any:
        """Call it."""
        self.calls += 1
        return self._f(x)


def _looks_at(f: Any, x: Floats, bounds: Bounds | None) -> bool:
    """Whether f depends on x beside its argument, or may; a warning says if it depends on both.

    It is called with another point, while x is as it was, and while x is that point too.
    """
    before = x.copy(order="K")
    away = _PROBE * (1 + np.abs(before)) * np.linspace(0.5, 1, x.size).reshape(x.shape)
    other = before + away
    if bounds is not None:
        up, down = (np.clip(point, *bounds) for point in (other, before - away))
        other = np.where(up != before, up, down)
    try:
        with np.errstate(all="ignore"):
            by_argument = numbers(f(other.copy()))
            x[...] = other
            by_both = numbers(f(other.copy()))
            x[...] = before
            if np.array_equal(by_argument, by_both):
                return False
            at_x, again = numbers(f(before.copy())), numbers(f(before.copy()))
            uses_both = not np.array_equal(at_x, by_argument) and np.array_equal(at_x, again)
    except Exception:
        return True
    finally:
        x[...] = before
    if uses_both and np.isfinite(by_both).all() and np.isfinite(by_argument).all():
        warnings.warn(
            "f uses its argument and looks at x elsewhere too, and both are shifted: inplace=True says that this is "
            "meant; for the derivative by the argument alone, differentiate at x.copy()",
            RuntimeWarning,
            stacklevel=5,
        )
    return True


def _asks_for_workers(n_jobs: Any, executor: Any) -> bool:
    return executor is not None or n_jobs not in (None, 1) or n_jobs is True


class Problem(NamedTuple):
    """A derivative to be computed. Nothing changes it, nor the array x.

    Attributes
    ----------
    f : callable or pointer
        Of x alone.
    x : ndarray of float64
        A copy of the caller's; or itself, where workers make copies of it.
    place : ndarray of float64, optional
        The caller's x, if that is what f is shown, shifted.
    convert : callable
        Makes a float, or an array of float64, of what f returned.
    scheme : Scheme, optional
        None is "auto".
    step : float, ndarray, RelativeStep or Stencils
    bounds : Bounds, optional
    kind : {"C", "Numba", "Python"}
        What f is.
    vectorized, with_error, progress : bool
    n_jobs, executor
        As they were given.
    moved : callable, optional
        As of `CachedSamples`, for "auto".
    probes : int
        The evaluations of f that told what it looks at.
    """

    f: Any
    x: Floats
    place: Floats | None = None
    convert: Convert = number
    scheme: Scheme | None = None
    step: Step | Stencils = 1e-4
    bounds: Bounds | None = None
    kind: str = "Python"
    vectorized: bool = False
    n_jobs: int | None = None
    executor: Any = None
    with_error: bool = False
    progress: bool = False
    moved: Callable[[Any], Any] | None = None
    probes: int = 0

    @classmethod
    def of(
        cls,
        f: Any,
        x: Any,
        h: Any = 1e-4,
        *,
        scheme: Any = "central",
        rel_step: Any = None,
        bounds: Any = None,
        args: Any = (),
        kwargs: Any = None,
        vectorized: Any = False,
        n_jobs: Any = None,
        executor: Any = None,
        with_error: Any = False,
        inplace: Any = False,
        progress: Any = False,
        convert: Convert = number,
    ) -> Problem:
        """Check arguments. x itself is perturbed where f may look at it elsewhere, or ``inplace`` says so."""
        f = bound(f, args, kwargs)
        own = own_point(x, copy=not _asks_for_workers(n_jobs, executor))
        step = step_of(h, rel_step, own.shape)
        chosen = scheme_of(scheme, "auto")
        for name, flag in (("vectorized", vectorized), ("inplace", inplace), ("progress", progress)):
            if flag is not False:
                validation.flag(name, flag)
        if inplace:
            require_perturbable("x", x)
        problem = cls(
            f,
            own,
            None,
            convert,
            chosen,
            step,
            Bounds.of(bounds, own),
            kind_of(f),
            bool(vectorized),
            n_jobs,
            executor,
            bool(with_error),
            bool(progress),
        )
        if inplace:
            problem._require_place()
            return problem._replace(place=x)
        place, probes = _place(f, x, problem.bounds) if problem.may_need_place else (None, 0)
        return problem._replace(place=place, probes=probes)

    @classmethod
    def of_defaults(cls, f: Any, x: Any, h: Any, kind: str, convert: Convert = number) -> Problem:
        """The same for the default options: to check them would take longer than a small f."""
        if kind == "Python":
            validation.require_callable("f", f)
        own = own_point(x)
        place = _place(f, x)[0] if kind == "Python" else None
        return cls(f, own, place, convert, _CENTRAL, step_of(h, None, own.shape), None, kind)

    @property
    def may_need_place(self) -> bool:
        """Whether f, if it does not use its argument, sees x when that is shifted in place."""
        return not self.vectorized and not self.asks_for_workers and self.kind == "Python"

    @property
    def asks_for_workers(self) -> bool:
        """Whether n_jobs or executor ask for more than this thread."""
        return _asks_for_workers(self.n_jobs, self.executor)

    def _require_place(self) -> None:
        if self.vectorized:
            raise UnsupportedError("with vectorized=True f takes a stack of points: x cannot be perturbed in place")
        if self.kind == "C":
            raise UnsupportedError("a C function gets copies of x: inplace=True does not go with it")
        if self.asks_for_workers:
            raise UnsupportedError("workers have copies of x: inplace=True does not go with n_jobs or executor")

    def evaluator(self) -> Evaluator:
        """Return the evaluator of f in this process."""
        kind = self.kind if self.place is None else "Python"
        if kind == "C":
            if self.vectorized or self.convert is not number:
                raise UnsupportedError(
                    "a C function returns one number for one point: vectorized and Jacobians are not for it"
                )
            function, address = c_pointer.as_function(self.f), c_pointer.pointer(self.f)
            return c_pointer.CEvaluator(function, self.x, threads(self.n_jobs) or 1, address)
        if self.vectorized:
            return VectorizedEvaluator(self.f, self.x, self.convert, self.bounds)
        if kind == "Numba":
            return numba_jit.choose_evaluator(self.f, self.x, self.convert, threads(self.n_jobs))
        place = self.x.copy(order="K") if self.place is None else self.place
        return PythonEvaluator(self.f, place, self.convert, self.x)

    def stencils(self, returned: np.dtype[Any]) -> Stencils | None:
        """Return the difference quotient of each coordinate; None for "auto"."""
        if self.scheme is None:
            return None
        if type(self.step) is float and self.bounds is None:
            return Stencils(self.scheme, self.step)
        if isinstance(self.step, Stencils):
            return self.step
        return stencils(self.scheme, self.step, self.x, self.bounds, returned)

    def is_shared(self) -> bool:
        """Whether the work goes to workers. Functions in C and Numba's use threads instead of ``n_jobs``."""
        n_jobs = threads(self.n_jobs)
        if not self.asks_for_workers:
            return False
        if n_jobs and self.executor is not None:
            raise UnsupportedError("n_jobs and executor do not go together: the executor knows its workers")
        kind = self.kind
        if self.executor is not None:
            from concurrent.futures import Executor

            if not isinstance(self.executor, Executor):
                hint = ": use its get_executor()" if hasattr(self.executor, "get_executor") else ""
                got = f"{type(self.executor).__name__}{hint}"
                raise DTypeError(f"executor must be a concurrent.futures.Executor, got {got}")
            if kind == "C":
                raise UnsupportedError("a C function cannot be sent to an executor: use n_jobs for threads")
        return self.executor is not None or kind == "Python" or (kind == "Numba" and self.vectorized)

    def for_worker(self) -> Problem:
        """Return what a worker gets: one thread's work, and arrays that are no subclass."""
        return self._replace(x=np.asarray(self.x, order="C"), n_jobs=1, executor=None, progress=False)
