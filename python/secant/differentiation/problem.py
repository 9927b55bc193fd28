"""A derivative to be computed: its arguments, checked once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple, TypeVar

import numpy as np

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.evaluators import c_pointer, numba_jit
from secant.differentiation.evaluators.evaluation import (
    Convert,
    Evaluator,
    InPlace,
    PythonEvaluator,
    number,
)
from secant.differentiation.evaluators.vectorized import VectorizedEvaluator
from secant.differentiation.options import (
    Workers,
    bound,
    own_point,
    require_perturbable,
    threads,
    writeable,
)
from secant.differentiation.schemes import (
    DEFAULT_STEP,
    Bounds,
    Scheme,
    Stencils,
    is_default,
    scheme_of,
    stencils,
    step_of,
)
from secant.errors import MissingExtraError, UnsupportedError

F = TypeVar("F", bound=Callable[..., Any])


class Problem(NamedTuple):
    """A derivative to be computed. Nothing changes it, nor the array x.

    Attributes
    ----------
    f : callable or pointer
        Of x alone.
    x : ndarray of float64
        A copy of the caller's.
    in_place : InPlace or ColumnGroups, optional
        f where it looks at the caller's x, if it may and this can be shifted in place.
    convert : callable
        Makes a float, or an array of float64, of what f returned.
    scheme : Scheme, optional
        None is "auto".
    step : float, ndarray, RelativeStep or Stencils
    bounds : Bounds, optional
    kind : {"C", "Numba", "Python"}
        What f is.
    vectorized, with_error, inplace, progress : bool
    noise : float
        By how much values of f may be off at least, for "auto".
    workers
        As it was given.
    f0 : optional
        f(x), if that is known.
    columns : ColumnGroups, optional
        What f is, if its coordinates are shifts of groups of columns.
    is_trusted : bool
        f was seen to take stacks of points: that is not tried again.
    """

    f: Any
    x: Floats
    in_place: Callable[[Any], Any] | None = None
    convert: Convert = number
    scheme: Scheme | None = None
    step: Any = DEFAULT_STEP
    bounds: Bounds | None = None
    kind: str = "Python"
    vectorized: bool = False
    workers: Workers = None
    with_error: bool = False
    inplace: bool = False
    progress: bool = False
    noise: float = 0.0
    f0: Any = None
    columns: Any = None
    is_trusted: bool = False

    @classmethod
    def of(
        cls,
        f: Any,
        x: Any,
        h: Any = DEFAULT_STEP,
        *,
        scheme: Any = "central",
        rel_step: Any = None,
        bounds: Any = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        vectorized: bool = False,
        workers: Workers = None,
        noise: float | None = None,
        f0: Any = None,
        inplace: bool = False,
        progress: bool = False,
        full_output: bool = False,
        convert: Convert = number,
        **unknown: Any,
    ) -> Problem:
        """Check arguments."""
        if unknown:
            raise TypeError(
                f"got an unexpected keyword argument {next(iter(unknown))!r}"
            )
        f, kind = bound(f, args, kwargs)
        own = own_point(x)
        step = step_of(h, rel_step, own.shape)
        chosen = scheme_of(scheme, "auto")
        if chosen is None and not (rel_step is None and (h is None or is_default(h))):
            raise UnsupportedError(
                "scheme='auto' chooses the steps itself: h and rel_step do not go"
                " with it"
            )
        if noise is not None and chosen is not None and not full_output:
            raise UnsupportedError(
                "noise is for scheme='auto' and error bars: other schemes take h"
            )
        problem = cls(
            f,
            own,
            None,
            convert,
            chosen,
            step,
            Bounds.of(bounds, own),
            kind,
            bool(vectorized),
            workers,
            bool(full_output),
            bool(inplace),
            bool(progress),
            (
                0.0
                if noise is None
                else validation.finite_number("noise", noise, least=0.0)
            ),
            None if f0 is None else convert(f0),
        )
        if inplace:
            require_perturbable("x", x)
            if vectorized or kind == "C" or problem.asks_for_workers:
                raise UnsupportedError(
                    "inplace=True shifts x itself: stacks of points, C functions and"
                    " workers get copies of x"
                )
            return problem._replace(f=InPlace(f, x, own), kind="Python")
        if callable(workers):
            if kind == "C":
                raise UnsupportedError(
                    "a C function cannot be sent to workers: workers must be a number"
                    " of threads"
                )
        elif threads(workers) and problem.is_shared() and not find_spec("joblib"):
            raise MissingExtraError("workers needs joblib: pip install joblib")
        may_look = kind == "Python" and not vectorized and not problem.asks_for_workers
        return problem._replace(in_place=in_place(f, x, own)) if may_look else problem

    @property
    def asks_for_workers(self) -> bool:
        """Whether more than this thread is asked for."""
        return self.workers is not None and self.workers != 1

    def evaluator(self) -> Evaluator:
        """Return the evaluator of f in this process."""
        count = None if callable(self.workers) else threads(self.workers)
        if self.kind == "C":
            if self.vectorized or self.convert is not number:
                raise UnsupportedError(
                    "a C function returns one number for one point: vectorized and"
                    " Jacobians are not for it"
                )
            function, address = c_pointer.as_function(self.f), c_pointer.pointer(self.f)
            return c_pointer.CEvaluator(function, self.x, count or 1, address)
        if self.vectorized:
            return VectorizedEvaluator(
                self.f, self.x, self.convert, self.bounds, self.is_trusted, self.columns
            )
        if self.kind == "Numba":
            return numba_jit.choose_evaluator(
                self.f, self.x, self.convert, self.bounds, count
            )
        return PythonEvaluator(
            self.f, self.x, self.convert, self.in_place, self.bounds, self.columns
        )

    def stencils(self, returned: np.dtype[Any]) -> Stencils | None:
        """Return the difference quotient of each coordinate; None for "auto"."""
        if self.scheme is None:
            return None
        if isinstance(self.step, Stencils):
            return self.step
        return stencils(self.scheme, self.step, self.x, self.bounds, returned)

    def is_shared(self) -> bool:
        """Whether the work goes to workers.

        Functions in C and Numba's have threads of their own.
        """
        if not self.asks_for_workers:
            return False
        return (
            callable(self.workers)
            or self.kind == "Python"
            or (self.kind == "Numba" and self.vectorized)
        )

    def for_worker(self) -> Problem:
        """Return what a worker gets: one thread's work, and an array that is no
        subclass.
        """
        return self._replace(
            x=np.asarray(self.x, order="C"), workers=1, progress=False, in_place=None
        )


def in_place(f: Any, x: Any, origin: Floats) -> InPlace | None:
    """Return f as it is where it looks at x itself, as the chapter's closures do."""
    given = writeable(x)
    return None if given is None else InPlace(f, given, origin)


def with_options(options: type) -> Callable[[F], F]:
    """Let the signature of a derivative show the options of `Problem.of` that it takes
    as ``**options``.
    """

    def shown(function: F) -> F:
        signature, known = (
            inspect.signature(function),
            inspect.signature(Problem.of).parameters,
        )
        own = [
            parameter
            for parameter in signature.parameters.values()
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        others = [known[name] for name in options.__annotations__]
        vars(function)["__signature__"] = signature.replace(parameters=own + others)
        return function

    return shown
