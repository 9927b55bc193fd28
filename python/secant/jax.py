"""Checks for JAX: `check` returns a report, `check_grads` takes the place of `jax.test_util.check_grads`."""

from __future__ import annotations

import contextlib
import copy
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, Unpack

import numpy as np

from secant._common.validation import Array, positive_int
from secant._common.warn import warn
from secant.checking.candidate import Candidate, CandidateGradient
from secant.checking.options import CheckOptions, Options, argument_paths, named, scales, warn_of_ignored, with_options
from secant.checking.point import Direction, Point
from secant.checking.precision import Sample, float64_first, in_both
from secant.checking.procedure import run_check
from secant.checking.report import GradientReport
from secant.checking.vector import random_weights, weighted
from secant.differentiation.rounding import Value, norm
from secant.errors import (
    DTypeError,
    GradientMismatchError,
    MissingExtraError,
    UnsupportedError,
    ValueRangeError,
)

try:
    import jax
    import jax.numpy as jnp
    from jax import experimental
except ModuleNotFoundError as error:
    raise MissingExtraError("secant.jax needs JAX: pip install jax") from error


@with_options
def check(
    f: Callable[..., Any],
    args: Sequence[Any],
    *,
    mode: Literal["rev", "fwd"] = "rev",
    **options: Unpack[CheckOptions],
) -> GradientReport:
    """Check the derivatives that JAX computes of a function, and return the report.

    Parameters
    ----------
    f, args
        As for `check_grads`.
    mode : {"rev", "fwd"}
        Reverse or forward mode.
    max_findings, progress, names, scale, rng
        As for `secant.check_gradient`.

    Returns
    -------
    GradientReport
        Its ``cotangent`` is what the outputs were multiplied by: a list, with real and imaginary parts.

    Raises
    ------
    UnsupportedError, DTypeError, ShapeError, ValueRangeError
        As `check_grads` does; ValueRangeError too if ``args`` or outputs have no elements.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> secant.jax.check(lambda x: jnp.sin(x) * x, (jnp.arange(3.0),)).passed
    True
    """
    chosen = Options(**options)
    _require_mode("mode", mode)
    function = _of_arrays(f, args, chosen.names)
    if not function.outputs:
        raise ValueRangeError("args and outputs must have elements to be checked, got none")
    return _reports(function, 1, (mode,), chosen)[-1]


@with_options
def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 1,
    modes: str | Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    **options: Unpack[CheckOptions],
) -> None:
    """Check the derivatives that JAX computes of a function against its values.

    Parameters
    ----------
    f : callable
        Takes ``args``, and returns an array, or a tree of them. It must be deterministic. Its values are taken from
        ``jax.jit(f)`` where that can be compiled, else from f itself.
    args : sequence
        Arrays, numbers or trees of them. Those of floating-point or complex numbers, of any precision, are checked; all
        others are constants.
    order : int
        The highest order of derivatives that are checked: those of order 2 are derivatives of derivatives.
    modes : {"fwd", "rev"}, or a sequence of them
        Forward mode, reverse mode or both. A function with a ``custom_vjp`` has no forward mode: pass ``modes="rev"``.
    atol, rtol, eps
        Options of `jax.test_util.check_grads` that are ignored, with a warning: tolerances are measured.
    max_findings, progress, names, scale, rng
        As for `secant.check_gradient`.

    Raises
    ------
    GradientMismatchError
        An AssertionError with the report of the first derivative that is wrong, or not verified.
    UnsupportedError
        If a mode is another one, or f has none.
    DTypeError, ShapeError, ValueRangeError
        As `secant.check_gradient` does.

    Notes
    -----
    A complex array is checked as its real and imaginary parts: the last index of an entry is 0 or 1 for these.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> secant.jax.check_grads(lambda x: jnp.sin(x) * x, (jnp.arange(3.0),))
    >>> secant.jax.check_grads(jnp.exp, (jnp.array([1 + 2j, 3j]),), order=2, modes="rev")
    """
    __tracebackhide__ = True
    chosen = Options(**options)
    warn_of_ignored("check_grads", {"atol": atol, "rtol": rtol, "eps": eps})
    order, modes = positive_int("order", order), (modes,) if isinstance(modes, str) else tuple(modes)
    if not modes:
        raise UnsupportedError("modes must be of 'fwd' and 'rev', got none")
    for mode in modes:
        _require_mode("modes", mode)
    function = _of_arrays(f, args, chosen.names)
    if not function.outputs:
        warn("args or outputs have no elements: nothing is checked")
        return
    _reports(function, order, modes, chosen)[-1].raise_if_failed()


def _require_mode(argument: str, mode: str) -> None:
    if mode not in ("fwd", "rev"):
        raise UnsupportedError(f"{argument} must be 'fwd' or 'rev', got {mode!r}")


def _reports(function: _Function, order: int, modes: Sequence[str], options: Options) -> list[GradientReport]:
    """Check derivatives up to the first that is not right: in float64 where f runs there, and compared with that."""
    low = {array.dtype for array in function.arrays if array.dtype.name in _HIGHER}
    dtype = max(low, key=_eps).name if low else ""

    def in_float64() -> Iterator[GradientReport]:
        with _enable_x64(True):
            exact = function.at(list(map(_higher, function.arrays)))
        if kept := [output.dtype for output in exact.outputs if output.dtype.name in _HIGHER]:
            raise TypeError(f"an output stays {kept[0]}")
        yield from _checked(function, exact, order, modes, options, dtype)

    def in_own() -> Iterator[GradientReport]:
        fresh = _Function(function.value, function.names, function.arrays)  # of which nothing is compiled
        yield from _checked(fresh, None, order, modes, options)

    return float64_first(dtype, in_float64, in_own)


def _checked(
    own: _Function,
    exact: _Function | None,
    order: int,
    modes: Sequence[str],
    options: Options,
    dtype: str = "",
    of: str = "",
) -> Iterator[GradientReport]:
    """Check a function, which is a derivative itself if ``of`` says by what, and then its own derivatives.

    ``exact`` is the same in float64, if that is what is checked: then ``own`` is compared with it.
    """
    for mode in modes:
        check, derivative = (_forward, _pushed) if mode == "fwd" else (_reverse, _pulled)
        name = ("forward" if mode == "fwd" else "reverse") + of
        if exact is None:
            report = check(own, options)
        else:
            with _enable_x64(True):
                report = check(exact, options)
            report = _compared(report, own, exact, mode, options, dtype)
        yield replace(report, mode=f"{name} mode")
        if order > 1:
            inner, inner_exact = derivative(own, options.rng), None
            if exact is not None:
                with _enable_x64(True):
                    inner_exact = inner.at(list(map(_higher, inner.arrays)))
            yield from _checked(inner, inner_exact, order - 1, modes, options, dtype, f"-over-{name}")


def _compared(
    report: GradientReport, own: _Function, exact: _Function, mode: str, options: Options, dtype: str
) -> GradientReport:
    """The report in float64, and how the function's own precision compares with that."""
    rng = np.random.default_rng([options.rng, 3])
    eps = max(_eps(array.dtype) for array in (*own.arrays, *own.outputs))
    weights = random_like(own.outputs if mode == "rev" else own.arrays, options.rng)

    def sample(ulps: float) -> tuple[Sample, Sample]:
        arrays, factors = ([_near(each, ulps * eps, rng) for each in group] for group in (own.arrays, weights))
        at_own = own.sample(mode, arrays, factors)
        with _enable_x64(True):
            return at_own, exact.sample(mode, [*map(_higher, arrays)], [*map(_higher, factors)])

    return in_both(report, eps, sample, dtype)


def _near(array: Any, beside: float, rng: np.random.Generator) -> Any:
    """An array of the same type, with entries some units in the last place beside its own."""
    numbers = _numbers(array)
    factors = 1 + beside * rng.uniform(-1, 1, numbers.shape)
    return jnp.asarray(_of_numbers(numbers.astype(np.float64) * factors, array))


class _Function:
    """A function of arrays that returns a list of such, of real or complex numbers.

    Attributes
    ----------
    value : callable
        As JAX sees it.
    names : list of str
    arrays : list of jax.Array
        The arguments at which it is checked.
    hidden : int
        How many of these, the last ones, are not the user's.
    outputs : list
        What it returns there: at least its shapes and types.
    """

    def __init__(
        self, value: Callable[..., list[Any]], names: Sequence[str], arrays: Sequence[Any], hidden: int = 0
    ) -> None:
        self.value, self.names, self.arrays, self.hidden = value, list(names), list(arrays), hidden
        self._call, self._pull = _Compiled(value), _Compiled(self._pulled_back)
        self._push = _Compiled(lambda arrays, tangents: jax.jvp(value, tuple(arrays), tuple(tangents)))
        self.outputs = self._outputs()

    def _outputs(self) -> list[Any]:
        try:
            return list(jax.eval_shape(self.value, *self.arrays)) if self.arrays else []
        except Exception:  # it branches on values, say
            return self.value(*self.arrays)

    def at(self, arrays: Sequence[Any]) -> _Function:
        """The same function, with what is compiled of it, checked at other arrays."""
        other = copy.copy(self)
        other.arrays = list(arrays)
        other.outputs = other._outputs()
        return other

    def _pulled_back(self, arrays: Sequence[Any], cotangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        values, pull = jax.vjp(self.value, *arrays)
        return values, list(pull([jnp.asarray(c, v.dtype) for c, v in zip(cotangents, values, strict=True)]))

    def pulled_back(self, arrays: Sequence[Any], cotangents: Sequence[Any]) -> tuple[list[Any], list[Array]]:
        """Values, and the gradients in real and imaginary parts of the sum of the real part of conj(c) times them."""
        # JAX's gradient in a complex z is the derivative in its real part minus i times that in its imaginary part.
        values, found = self._pull(list(arrays), [jnp.conj(cotangent) for cotangent in cotangents])
        return values, [_numbers(np.conj(part)) for part in found]

    def pushed_forward(self, arrays: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Values, and the derivatives of the outputs along tangents."""
        values, found = self._push(list(arrays), list(tangents))
        return values, found

    def sample(self, mode: str, arrays: Sequence[Any], weights: Sequence[Any]) -> Sample:
        """Outputs there, and what is pulled back to the arguments or pushed forward to the outputs."""
        values, found = (self.pulled_back if mode == "rev" else self.pushed_forward)(arrays, weights)
        numbers = [[_numbers(each).astype(np.float64).ravel() for each in side] for side in (values, found)]
        return Sample(*numbers)

    def require_same(self, values: Sequence[Any]) -> None:
        """Raise an error if a rule for derivatives returns other values than the function."""
        for i, (value, own) in enumerate(zip(values, self._call(*self.arrays), strict=True)):
            one, other = (_numbers(array).astype(np.float64) for array in (value, own))
            with np.errstate(all="ignore"):
                off = norm(one - other)
            if off > math.sqrt(_eps(own.dtype)) * norm(other):
                raise GradientMismatchError(
                    f"output[{i}] of f is off by {off:.1e} where its derivative is taken: a custom_vjp or custom_jvp "
                    "returns another value than the function"
                )

    def cast(self, parts: Sequence[Array]) -> tuple[Array, ...]:
        """Arrays like the arguments, of their numbers: copies, as JAX may keep what it gets."""
        return tuple(_of_numbers(part, own) for part, own in zip(parts, self.arrays, strict=True))

    def weighted(self, weights: Sequence[Any], values: Sequence[Any]) -> Value:
        """The sum of products of weights and outputs."""
        return weighted([*map(_numbers, weights)], [*map(_numbers, values)], [_eps(value.dtype) for value in values])

    def check(
        self, weights: Sequence[Any], candidate: Callable[[Point], Candidate], options: Options
    ) -> GradientReport:
        """Check a candidate for the sum of products of the outputs and weights."""
        arrays = [_numbers(array) for array in self.arrays]
        point = Point(
            lambda arrays: self.weighted(weights, self._call(*self.cast(arrays))),
            arrays,
            names=self.names,
            scale=scales(options.scale, arrays, self.hidden),
        )

        def used() -> Candidate:
            point.is_used = self._call.is_used
            return candidate(point)

        report = run_check(point, used, options)
        if point.standstill():
            raise ValueRangeError("f must depend on args to be checked: it has one value")
        cotangent = [_numbers(weight) for weight in weights]
        is_number = len(cotangent) == 1 and cotangent[0].size == 1
        return replace(report, cotangent=None if is_number else cotangent)


class _Compiled:
    """A function that is compiled when it is called first; but called if JAX cannot trace it, or not twice the same.

    So is one that branches on values, or draws random numbers, which would be frozen.

    Attributes
    ----------
    is_used : bool
        Whether it is known that what it computes depends on an argument.
    """

    is_used = False

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._call: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        if self._call is None:
            self._call = jax.jit(self._function) if self._is_traced(arguments) else self._function
        if self._call is self._function:
            arguments = jax.tree_util.tree_map(jnp.asarray, arguments)
        return self._call(*arguments)

    def _is_traced(self, arguments: tuple[Any, ...]) -> bool:
        try:
            first, second = (jax.make_jaxpr(lambda *own: self._function(*own))(*arguments) for _ in range(2))
        except Exception:
            return False
        used = {id(variable) for equation in first.jaxpr.eqns for variable in equation.invars}
        self.is_used = any(id(variable) in used for variable in first.jaxpr.invars)
        texts = [re.sub("0x[0-9a-f]+", "", str(traced.jaxpr)) for traced in (first, second)]
        return texts[0] == texts[1] and all(map(_same, first.consts, second.consts))


def _same(first: Any, second: Any) -> bool:
    with contextlib.suppress(Exception):  # random keys, say, are not compared
        return bool(np.array_equal(np.asarray(first), np.asarray(second), equal_nan=True))
    return True


def random_like(like: Sequence[Any], rng: int) -> list[Any]:
    """Random arrays: tangents or cotangents; 1 for a single number."""
    numbers = np.random.default_rng([rng, 1])
    shapes = [(*each.shape, 2) if _is_complex(each) else each.shape for each in like]
    is_number = len(shapes) == 1 and math.prod(shapes[0]) == 1
    return [
        _of_numbers(np.ones(shape) if is_number else random_weights(shape, numbers), each)
        for shape, each in zip(shapes, like, strict=True)
    ]


def _reverse(function: _Function, options: Options) -> GradientReport:
    cotangents = random_like(function.outputs, options.rng)

    def gradient(factor: float) -> list[Array]:
        values, found = function.pulled_back(function.arrays, [factor * cotangent for cotangent in cotangents])
        function.require_same(values)
        return found

    return function.check(cotangents, lambda point: CandidateGradient.linear(point, gradient), options)


def _forward(function: _Function, options: Options) -> GradientReport:
    weights = random_like(function.outputs, options.rng)

    def along(direction: Direction) -> float:
        return function.weighted(weights, function.pushed_forward(function.arrays, function.cast(direction))[1]).number

    def candidate(point: Point) -> Candidate:
        function.require_same(function.pushed_forward(function.arrays, random_like(function.arrays, 0))[0])
        return Candidate(point, along)

    try:
        return function.check(weights, candidate, options)
    except TypeError as error:
        if "custom_vjp" in str(error):
            raise UnsupportedError('f has a custom_vjp, which has no forward mode: pass modes="rev"') from error
        raise


def _pushed(function: _Function, rng: int) -> _Function:
    """The derivative in forward mode, as a function of arguments and tangents."""
    count, tangents = len(function.arrays), random_like(function.arrays, rng)
    names = [*function.names, *(f"tangent of {name}" for name in function.names)]
    return _Function(
        lambda *both: list(jax.jvp(function.value, both[:count], both[count:])[1]),
        names,
        [*function.arrays, *tangents],
        function.hidden + len(tangents),
    )


def _pulled(function: _Function, rng: int) -> _Function:
    """The derivative in reverse mode, as a function of arguments and cotangents."""
    count, cotangents = len(function.arrays), random_like(function.outputs, rng)
    names = [*function.names, *(f"cotangent of output[{i}]" for i in range(len(cotangents)))]
    return _Function(
        lambda *both: list(jax.vjp(function.value, *both[:count])[1](list(both[count:]))),
        names,
        [*function.arrays, *cotangents],
        function.hidden + len(cotangents),
    )


def _of_arrays(f: Callable[..., Any], args: Sequence[Any], names: Sequence[str] | None) -> _Function:
    """The function of those of its arguments that are checked."""
    if not isinstance(args, (tuple, list)):
        raise DTypeError(f"args must be a tuple or a list of the arguments of f, got {type(args).__name__}")
    found, tree = jax.tree_util.tree_flatten_with_path(tuple(args))
    # Copies: what is compiled may give up the memory of its arguments.
    leaves = [jnp.array(leaf) if isinstance(leaf, _ARRAYS) else leaf for _, leaf in found]
    numeric = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array) and _is_inexact(leaf)]
    if not numeric:
        raise DTypeError("args must have an array of floating-point or complex numbers, got none")
    checked = [i for i in numeric if leaves[i].size]
    paths = [f"args{jax.tree_util.keystr(found[i][0])}" for i in checked]
    own = named(names, argument_paths(f, "args", paths))

    def value(*arrays: Any) -> list[Any]:
        full = list(leaves)
        for i, array in zip(checked, arrays, strict=True):
            full[i] = array
        outputs = jax.tree_util.tree_leaves(f(*jax.tree_util.tree_unflatten(tree, full)))
        numeric_outputs = [jnp.asarray(output) for output in outputs if isinstance(output, _ARRAYS)]
        inexact = [output for output in numeric_outputs if _is_inexact(output)]
        if other := [output.dtype for output in inexact if output.dtype.itemsize < 2]:
            raise DTypeError(f"f must return arrays of float64, float32, float16, bfloat16 or complex, got {other[0]}")
        if not inexact:
            raise DTypeError("f must return an array of floating-point or complex numbers, got none")
        return [output for output in inexact if output.size]

    return _Function(value, own, [leaves[i] for i in checked])


_enable_x64: Any = jax.enable_x64 if hasattr(jax, "enable_x64") else getattr(experimental, "enable_x64", None)
_ARRAYS = jax.Array, np.ndarray, np.generic, float, complex
_HIGHER = {"float32": np.float64, "float16": np.float64, "bfloat16": np.float64, "complex64": np.complex128}


def _higher(array: Any) -> Any:
    return jnp.asarray(np.asarray(array).astype(_HIGHER.get(array.dtype.name, array.dtype)))


def _eps(dtype: Any) -> float:
    return float(jnp.finfo(dtype).eps)


def _is_inexact(array: Any) -> bool:
    return bool(jnp.issubdtype(array.dtype, jnp.inexact))


def _is_complex(array: Any) -> bool:
    return bool(jnp.issubdtype(array.dtype, jnp.complexfloating))


def _numbers(array: Any) -> Array:
    """The real numbers of an array, as NumPy has them: two of a complex one; float32 for bfloat16."""
    numbers: Array = np.asarray(array)
    if np.iscomplexobj(numbers):
        numbers = np.ascontiguousarray(numbers)[..., None].view(numbers.real.dtype)
    return numbers.astype(np.float32) if numbers.dtype == jnp.bfloat16 else numbers


def _of_numbers(numbers: Array, like: Any) -> Array:
    """A new array like another one, of these numbers."""
    if not _is_complex(like):
        return numbers.reshape(like.shape).astype(like.dtype)
    both: Array = numbers.reshape(*like.shape, 2).astype(f"f{like.dtype.itemsize // 2}").view(like.dtype)
    return np.asarray(both[..., 0])
