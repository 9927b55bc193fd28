"""Derivatives of functions of one number, at one point or at each element of an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.derivatives import derivatives, not_finite, warn_of_values
from secant.differentiation.evaluators.evaluation import PythonEvaluator, numbers, quotients
from secant.differentiation.options import bound, own_point, put_back, writeable
from secant.differentiation.problem import Problem
from secant.differentiation.result import with_error
from secant.differentiation.schemes import ONE_SIDED, Bounds, RelativeStep, Scheme, scheme_of, stencils, step_of
from secant.errors import ShapeError, UnsupportedError


def derivative(
    f: Any, x: Any, h: Any, scheme: Any, rel_step: Any, bounds: Any, args: Any, kwargs: Any, full_output: Any
) -> Any:
    """As `numerical_diff`, which documents it."""
    validation.require_callable("f", f)
    f, point = bound(f, args, kwargs), own_point(x)
    step, chosen = step_of(h, rel_step, point.shape), scheme_of(scheme, "auto")
    if chosen is None or validation.flag("full_output", full_output):
        if bounds is not None:
            raise UnsupportedError("bounds do not go with 'auto' and error bars here: take numerical_gradient")
        Problem.of(f, point, h, scheme=scheme, rel_step=rel_step)  # for the errors of options that do not go together
    elements = _Elements(f, x, point)
    try:
        value = None if chosen is None else elements.quotient(chosen, step, Bounds.of(bounds, point))
        if chosen is None or full_output:
            slope, error = elements.slopes(warns=chosen is None)
            value, error = (slope, error) if value is None else (value, np.abs(value - slope) + error)
    finally:
        put_back(x, point)
    assert value is not None
    result = value if value.ndim else float(value)
    return with_error(result, error if np.ndim(error) else float(error), elements.nfev) if full_output else result


class _Elements:
    """f at all elements of x at once, each shifted by its own step. f gets a float where x is a number."""

    def __init__(self, f: Any, x: Any, point: Floats) -> None:
        self._point, self._is_array = point, isinstance(x, np.ndarray) or point.ndim > 0
        kind = np.float64 if isinstance(x, np.generic) else float
        call = f if self._is_array else lambda shifted: f(kind(shifted))
        self._evaluator = PythonEvaluator(call, point, numbers, writeable(x))

    @property
    def nfev(self) -> int:
        """The number of evaluations of f."""
        return self._evaluator.evaluations

    def quotient(self, scheme: Scheme, step: Any, bounds: Bounds | None) -> Floats:
        """The difference quotients, in the shape of what f returns."""
        x, evaluator = self._point, self._evaluator
        base = evaluator.at(x) if isinstance(step, RelativeStep) else None
        kinds = stencils(scheme, step, x, bounds, evaluator.returned)
        if kinds.uses_value and base is None:
            base = evaluator.at(x)
        h = np.broadcast_to(kinds.h, x.size).reshape(x.shape)
        if kinds.is_one_sided is None:
            result = self._quotient(scheme, h, base)
        else:
            is_one_sided = kinds.is_one_sided.reshape(x.shape)
            one_sided = self._quotient(ONE_SIDED[scheme.name], h * is_one_sided, base)
            result = np.where(is_one_sided, one_sided, self._quotient(scheme, h * ~is_one_sided, base))
        warn_of_values(evaluator, kinds, x, result)
        return result

    def _quotient(self, scheme: Scheme, h: Floats, base: Any) -> Floats:
        x = self._point
        points = [x + shift * h for shift in scheme.shifts]
        values = self._evaluator.at_points(np.array(points))
        shape = values.shape[1:]
        self._require_elementwise(shape)
        flat_x, flat_h = (np.broadcast_to(each.reshape(-1), values[0].size) for each in (x, h))
        rows = values.reshape(len(values), -1).T
        row = None if base is None else np.reshape(base, -1)
        result = quotients(scheme, rows, row, flat_x, np.multiply.outer(flat_h, scheme.shifts)).reshape(shape)
        wrong = ~np.isfinite(values)
        if not np.isfinite(result).all() and (wrong & np.isfinite(self._evaluator.at(x))).any():
            there = np.broadcast_to(np.array(points), values.shape) if shape == x.shape else np.array(points)
            where = there[wrong][0] if shape == x.shape else there[0]
            raise not_finite(values[wrong][0], f"x = {float(np.ravel(where)[0])!r}")
        return result

    def _require_elementwise(self, shape: tuple[int, ...]) -> None:
        """Raise an error if f does not return an array of the shape of x. Of a number, f may return anything."""
        if self._point.size > 1 and shape != self._point.shape:
            raise ShapeError(
                f"f must return an array of the shape of x, {self._point.shape}, whose elements are shifted at once, "
                f"got {shape}; for other functions take numerical_gradient or numerical_jacobian"
            )

    def slopes(self, warns: bool) -> tuple[Floats, Floats]:
        """By "auto": the elements are outputs of a function of one number, which shifts each in units of its size."""
        x, evaluator = self._point, self._evaluator
        scale = np.where(x != 0, np.abs(x), 1.0)

        def of_shift(shift: Floats) -> Any:
            return evaluator.at(x + float(shift[0]) * scale)

        def moved(_: int, shift: float) -> Floats:
            """The shift that rounding leaves, of each element."""
            with np.errstate(all="ignore"):
                left: Floats = ((x + shift * scale) - x) / scale
            return left.reshape(-1)

        problem = Problem(of_shift, np.zeros(1), convert=numbers, with_error=True, moved=moved)
        values, errors, _ = derivatives(problem, None, warns=warns)
        assert errors is not None
        self._require_elementwise(values.shape[1:])
        return values[0] / scale, errors[0] / scale
