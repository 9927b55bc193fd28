"""Derivatives of functions of one number, at one point or at each element of an array."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from secant._common import validation
from secant._common.validation import Floats
from secant.differentiation.derivatives import derivatives, undefined, warn_of_loss, warn_of_rounding
from secant.differentiation.evaluators.evaluation import (
    OF_DOMAIN,
    as_array,
    numbers,
    require_same_shape,
    returned_dtype,
)
from secant.differentiation.options import LOST, bound, loses_h, require_use
from secant.differentiation.problem import Counted, Problem
from secant.differentiation.reach import can_reach
from secant.differentiation.result import with_error
from secant.differentiation.schemes import (
    ONE_SIDED,
    Bounds,
    RelativeStep,
    Scheme,
    Stencils,
    Step,
    scheme_of,
    stencils,
    step_of,
)
from secant.errors import DTypeError, SecantError, ShapeError, UnsupportedError, ValueRangeError

_FLOAT64 = np.dtype(np.float64)
_ROUNDED = 2.0**-45  # of a value: by so much it may change for no reason but its rounding
_SHIFT = 2.0**-20  # of x, to see if elements depend on others
_NO_STEP, _NO_ARRAY = (str, list, tuple, np.ndarray), (list, tuple, str, type(None))


def derivative(
    f: Any, x: Any, h: Any, scheme: Any, rel_step: Any, bounds: Any, args: Any, kwargs: Any, full_output: Any
) -> Any:
    """As `numerical_diff`, which documents it."""
    is_plain_step = rel_step is None and not isinstance(h, _NO_STEP)
    step: Any = validation.finite_number("h", h, above=0) if is_plain_step else None
    validation.require_callable("f", f)
    f = bound(f, args, kwargs)
    if full_output is not False:
        validation.flag("full_output", full_output)
    if isinstance(x, _NO_ARRAY):
        x = validation.float_array("x", cast(Any, x))
    chosen = scheme_of(scheme, "auto")
    if step is None:
        step = step_of(h, rel_step, np.shape(x))
    if loses_h(returned_dtype(x, _FLOAT64)):
        raise DTypeError(f"x must be float64, got {returned_dtype(x, _FLOAT64)}: {LOST}")
    if chosen is None or full_output:
        if bounds is not None:
            raise UnsupportedError("bounds do not go with 'auto' and error bars, which look at both sides of x")
        counted = Counted(f)
        fixed = None if chosen is None else derivative(counted, x, h, scheme, rel_step, None, (), None, False)
        return _with_error(counted, x, fixed, full_output)
    values = _Values(f)
    if bounds is None and isinstance(step, float):
        result = _quotient(values, chosen, x, step, values(x) if chosen.uses_value else None)
        steps = None
    else:
        result, steps = _by_element(values, chosen, x, step, bounds)
    if not result.ndim and np.size(x) > 1:
        raise ShapeError(
            f"f must return an array of the shape of x, {np.shape(x)}, whose elements are shifted at once, got (); for "
            "the gradient of a single number take numerical_gradient"
        )
    if not _any(result) and can_reach(f, x):
        require_use(f, x)
    is_large = type(x) is float and type(step) is float and abs(x) >= step  # to ask NumPy takes longer
    if isinstance(step, float) and steps is None and not is_large and _any(result):
        _warn_of_size(values, chosen, x, step, result)
    is_lost, returned = _any(result == 0), values.returned
    if is_lost or (returned is not _FLOAT64 and returned != _FLOAT64):
        steps = steps or Stencils(chosen, step)
        size = np.asarray(as_array(x), np.float64)
        if is_lost and np.shape(result) == size.shape:
            warn_of_loss(steps, size, np.reshape(result, (size.size, 1)), stacklevel=4)
        if returned != _FLOAT64:
            warn_of_rounding(returned, steps, size, jumps=bool(np.any(result)), stacklevel=4)
    return result if result.ndim else float(result)


def _by_element(values: _Values, scheme: Scheme, x: Any, step: Step, bounds: Any) -> tuple[Any, Stencils]:
    """Difference quotients where each element of x has its own step, and its own side of a bound."""
    point = validation.float_array("x", x)
    x = point if point.ndim or isinstance(x, np.ndarray) else float(point)
    base = values(x) if isinstance(step, RelativeStep) else None
    found = stencils(scheme, step, point, Bounds.of(bounds, point), values.returned)
    if found.uses_value and base is None:
        base = values(x)
    h = np.broadcast_to(found.h, point.size).reshape(point.shape)[()]
    _require_elementwise(values, point, h)
    if found.is_one_sided is None:
        return _quotient(values, scheme, x, h, base), found
    is_one_sided = found.is_one_sided.reshape(point.shape)[()]
    one_sided = _quotient(values, ONE_SIDED[scheme.name], x, h, base, is_one_sided)
    if is_one_sided.all():
        return one_sided, found
    return np.where(is_one_sided, one_sided, _quotient(values, scheme, x, h, base, ~is_one_sided)), found


def _require_elementwise(f: Callable[[Any], Any], x: Floats, h: Any) -> None:
    """Raise an error if an element of f(x) depends on another one of x.

    Each element is shifted by its own h, so the result would be nonsense. Those with a bit of their number set are
    shifted, and then the others, for each bit: values of those that are not must stay. So each pair is looked at. Of an
    f with noise nothing can be told.
    """
    if x.size <= 1:
        return
    values, again = (numbers(f(x.copy())) for _ in range(2))
    if values.shape != x.shape:
        raise ShapeError(
            f"f must return an array of the shape of x, {x.shape}, where each element has a step of its own, got "
            f"{values.shape}; for the gradient of a single number take numerical_gradient"
        )
    if not np.array_equal(values, again, equal_nan=True):
        return
    number = np.arange(x.size).reshape(x.shape)
    bits = (x.size - 1).bit_length()
    for shifted in (number >> bit & 1 == value for bit in range(bits) for value in (0, 1)):
        try:
            others = numbers(f(np.where(shifted, x + h, x)))
        except OF_DOMAIN:  # which is told with its place where it matters
            continue
        with np.errstate(all="ignore"):
            wrong = ~shifted & (np.abs(others - values) > _ROUNDED * np.abs(values))
        if wrong.any():
            i = tuple(int(k) for k in np.argwhere(wrong)[0])
            raise ValueRangeError(
                f"f must be elementwise where each element has a step of its own, but f(x)[{', '.join(map(str, i))}] "
                "depends on other elements of x; for all derivatives take numerical_jacobian"
            )


class _Values:
    """f, and the type of what it returned; it must always have the same shape."""

    def __init__(self, f: Callable[[Any], Any]) -> None:
        self._f, self._shape = f, None
        self.returned = _FLOAT64

    def __call__(self, x: Any) -> Floats:
        """Return f at x: at a copy, since f may write to its argument, which x itself may be."""
        there = self._f(x.copy() if isinstance(x, np.ndarray) else x)
        values = numbers(there)
        self.returned = returned_dtype(there, self.returned)
        shape: Any = values.shape
        if self._shape is not None:
            require_same_shape(self._shape, shape)
        self._shape = shape
        return values


def _quotient(values: _Values, scheme: Scheme, x: Any, h: Any, base: Any, where: Any = True) -> Any:
    """The difference quotient of the elements that are meant; an error where f is only defined at x."""
    found: list[Any] = []
    try:
        points = [x + shift * h * where for shift in scheme.shifts]
    except TypeError:
        raise DTypeError(f"x must be a number or an array, got {type(x).__name__}") from None
    for point in points:
        try:
            found.append(values(point))
        except OF_DOMAIN as error:
            if isinstance(error, SecantError) and not isinstance(error, DTypeError):
                raise
            try:
                values(x)
            except OF_DOMAIN:
                raise error from None
            raise undefined(f"f was evaluated at {_text(point)}", error) from error
    if scheme.uses_value:
        found.append(base)
    with np.errstate(all="ignore"):  # where values are not finite, quotients are not
        result = scheme.quotient(found, h)
    if _any(result != result):  # NaN
        at_x = base if base is not None else values(x)
        for point, there in zip(points, found, strict=False):
            wrong = np.isnan(there) & np.isfinite(at_x)
            if wrong.any():
                where = as_array(point)
                where = where[wrong][0] if np.shape(where) == np.shape(wrong) else where
                raise undefined(f"f is NaN at {_text(where)}, and finite at x")
    return result


def _warn_of_size(values: _Values, scheme: Scheme, x: Any, h: float, result: Any) -> None:
    """Warn where h is larger than an element, f changes by more than itself, and by another slope in half a step."""
    size = np.abs(as_array(x))
    small = (size > 0) & (size < h)
    if not _any(small) or np.shape(small) != np.shape(result):
        return
    with np.errstate(all="ignore"):
        base = values(x)
        steep = small & (np.abs(result) * h > np.abs(base))
        if not steep.any():
            return
        half = _quotient(values, scheme, x, h / 2, base)
        wrong = steep & (np.abs(result - half) > 0.5 * np.maximum(np.abs(result), np.abs(half)))
    if wrong.any():
        warnings.warn(
            f"h = {h:g} is larger than the scale of x allows at x = {float(as_array(x)[wrong][0])!r}: with half the "
            "step the derivative is another; take a smaller h, rel_step=, or scheme='auto'",
            RuntimeWarning,
            stacklevel=4,
        )


def _any(flags: Any) -> bool:
    return bool(np.count_nonzero(flags) if flags.ndim else flags)  # of a single one, NumPy takes long to count


def _text(point: Any) -> str:
    return f"x = {np.array2string(np.asarray(as_array(point)), threshold=6, precision=17)}"


def _with_error(f: Counted, x: Any, fixed: Any, full_output: bool) -> Any:
    """By "auto": the points are outputs of a function of one number, which shifts each in units of its size."""
    point = validation.float_array("x", x)
    scale = np.where(point != 0, np.abs(point), 1.0)
    given = float(point) if not point.ndim and not isinstance(x, np.ndarray) else point
    _require_elementwise(f, point, _SHIFT * scale)

    def of_shift(shift: Floats) -> Any:
        return f(given + float(shift[0]) * (scale if point.ndim else float(scale)))

    def moved(shift: float) -> Floats:
        """The shift that rounding leaves, of each point."""
        with np.errstate(all="ignore"):
            left: Floats = ((point + shift * scale) - point) / scale
        return left.reshape(-1)

    problem = Problem(of_shift, np.zeros(1), convert=numbers, with_error=True, moved=moved)
    values, errors, _ = derivatives(problem, None)
    assert errors is not None
    value, error = values[0] / scale, errors[0] / scale
    if fixed is not None:
        value, error = fixed, np.abs(fixed - value) + error
    value, error = (each if np.ndim(each) else float(each) for each in (value, error))
    return with_error(value, error, f.calls) if full_output else value
