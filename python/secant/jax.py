"""Checks for JAX: `check` returns a report, `check_grads` takes the place of
`jax.test_util.check_grads`.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import re
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from secant._common.validation import Array, positive_int
from secant.checking import autodiff
from secant.checking.autodiff import Arrays, Mode
from secant.checking.options import Options, argument_names, warn_of_ignored
from secant.checking.report import GradientReport
from secant.checking.reproducer import Call
from secant.checking.structure import Structure
from secant.errors import DTypeError, MissingExtraError, UnsupportedError

try:
    import jax
    import jax.numpy as jnp
    from jax import experimental
    from jax.extend.core import Literal
except ModuleNotFoundError as error:
    raise MissingExtraError("secant.jax needs JAX: pip install jax") from error


def check(
    f: Callable[..., Any],
    args: Sequence[Any],
    *,
    mode: Mode = "rev",
    progress: bool = False,
    rng: int = 0,
) -> GradientReport:
    """Check the derivatives that JAX computes of a function, and return the report.

    Parameters
    ----------
    f, args
        As for `check_grads`.
    mode : {"rev", "fwd"}
        Reverse or forward mode.
    progress, rng
        As for `secant.check_gradient`.

    Returns
    -------
    GradientReport
        Its ``cotangent`` is what the outputs were multiplied by: a list of arrays.

    Raises
    ------
    UnsupportedError, DTypeError, ShapeError, ValueRangeError
        As `check_grads` does; ValueRangeError too if ``args`` or outputs have no
        elements.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> secant.jax.check(lambda x: jnp.sin(x) * x, (jnp.arange(3.0),)).passed
    True
    """
    return autodiff.first_failed(Options(progress, rng), _of_arrays(f, args), [mode])


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 1,
    modes: str | Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    progress: bool = False,
    rng: int = 0,
) -> None:
    """Check the derivatives that JAX computes of a function against its values.

    Parameters
    ----------
    f : callable
        Takes ``args``, and returns an array, or a tree of them: leave out what is
        behind ``stop_gradient``, which changes without a derivative. It must be
        deterministic. Its values are taken from ``jax.jit(f)`` where that can be
        compiled, else from f itself.
    args : sequence
        Arrays, numbers or trees of them. Those of floating-point or complex numbers, of
        any precision, are checked; all others are constants. Of a model with other
        numbers, such as a dropout rate, pass the arrays alone, as ``equinox.partition``
        and ``flax.nnx.split`` give them.
    order : int
        The highest order of derivatives that are checked: those of order 2 are
        derivatives of derivatives.
    modes : {"fwd", "rev"}, or a sequence of them
        Forward mode, reverse mode or both. A function with a ``custom_vjp`` has no
        forward mode: pass ``modes="rev"``.
    atol, rtol, eps
        Options of `jax.test_util.check_grads` that are ignored, with a warning:
        tolerances are measured.
    progress, rng
        As for `secant.check_gradient`.

    Raises
    ------
    GradientMismatchError
        An AssertionError with the report of the first derivative that is wrong, or not
        verified.
    UnsupportedError
        If a mode is another one, or f has none.
    DTypeError, ShapeError, ValueRangeError
        As `secant.check_gradient` does.

    Notes
    -----
    A complex array is checked as two, its real and its imaginary part.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> secant.jax.check_grads(lambda x: jnp.sin(x) * x, (jnp.arange(3.0),))
    >>> secant.jax.check_grads(
    ...     jnp.exp, (jnp.array([1 + 2j, 3j]),), order=2, modes="rev"
    ... )
    """
    __tracebackhide__ = True
    options = Options(progress, rng)
    warn_of_ignored("check_grads", {"atol": atol, "rtol": rtol, "eps": eps})
    order = positive_int("order", order)
    found = [modes] if isinstance(modes, str) else list(modes)
    autodiff.are_right(options, _orders(_of_arrays(f, args), found, order, rng), found)


def _orders(
    function: _Function, modes: Sequence[str], order: int, rng: int
) -> Iterator[_Function]:
    """A function, and its derivatives of lower orders than that."""
    yield function
    for mode in modes if order > 1 else ():
        yield from _orders(function.derivative(mode, rng), modes, order - 1, rng)


class _Function(autodiff.Function):
    """A function of arrays that returns a list of such, of real or complex numbers.

    Attributes
    ----------
    value : callable
        As JAX sees it.
    given : list of jax.Array
        The arguments at which it is checked.
    """

    is_used = False

    def __init__(
        self,
        value: Callable[..., list[Any]],
        names: Sequence[str],
        given: Sequence[Any],
        of: str = "",
        original: (
            tuple[Callable[..., Any], Callable[..., tuple[Any, ...]], list[str]] | None
        ) = None,
    ) -> None:
        self._names = list(names)
        self.of = of
        self._precision: Callable[[], Any] = contextlib.nullcontext
        self._original = original or (value, tuple, [])
        self._compute(value)
        self._begin(given)

    def _compute(self, value: Callable[..., list[Any]]) -> None:
        self.value = value
        self._call = _Compiled(value)
        self._pull = _Compiled(self._vjp)
        self._push = _Compiled(self._jvp)

    def _begin(self, given: Sequence[Any]) -> None:
        self.given = list(given)
        self._traced = None
        with self._running():
            # not traced, as f may keep what it computes
            outputs = self.value(*map(jnp.array, self.given))
        self.inputs = _structure("args", self.given, self._names)
        self.outputs = _structure(
            "outputs", outputs, [f"output[{i}]" for i in range(len(outputs))]
        )
        with contextlib.suppress(Exception):  # it branches on values, say
            self._traced = jax.make_jaxpr(self.value)(*self.given)
            traced = self._traced.jaxpr
            used = {
                id(variable) for equation in traced.eqns for variable in equation.invars
            }
            self.is_used = any(id(variable) in used for variable in traced.invars)
            self.has_half = "f16[" in str(traced)  # also of bf16

    def in_float64(self) -> _Function:
        """The same function in float64, with the same random numbers."""
        other = copy.copy(self)
        own = self._traced
        other._precision = lambda: _enable_x64(True)
        with _enable_x64(True):
            given = [*map(_higher, self.given)]
            try:
                other._begin(given)
            except TypeError as error:
                # an operator takes operands of one type alone, and f has one of its own
                other.value = _raised(self.value)
                try:
                    other._begin(given)
                except Exception:
                    raise error from None
        exact = other._traced
        if (
            exact is not None
            and own is not None
            and any(map(_is_random, own.jaxpr.eqns))
        ):
            other._compute(
                lambda *arrays: _evaluated(exact, own, arrays, [True] * len(arrays))
            )
        else:
            other._compute(other.value)
        return other

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        """Run in the precision of the function; Ctrl-C in a callback of JAX ends the
        check, as elsewhere.
        """
        try:
            with self._precision():
                yield
        except Exception as error:
            # JAX raises errors of several types, which have the traceback of the
            # callback in their text alone.
            if re.search("^KeyboardInterrupt", str(error), re.MULTILINE):
                raise KeyboardInterrupt from error
            raise

    def call(self, x: Arrays) -> Call:
        """How a program calls it."""
        parts = (("real", "imag") if np.iscomplexobj(each) else ("",) for each in x)
        checked = [
            (each, part) for each, own in zip(x, parts, strict=True) for part in own
        ]
        f, arguments, outputs = self._original
        # of a derivative
        numbered = [f"output[{i}]" for i in range(len(self.outputs.dtypes))]
        return Call(
            f,
            arguments(x),
            self.inputs.names,
            checked,
            "jax",
            outputs=outputs or numbered,
        )

    def values(self, x: Arrays) -> Arrays:
        """Its outputs."""
        with self._running():
            return [*map(_numpy, self._call(*map(jnp.array, x, self.inputs.dtypes)))]

    def pulled_back(
        self, x: Arrays, cotangents: Sequence[Array]
    ) -> tuple[Arrays, Arrays]:
        """Its outputs, and the gradients of the sum of the real part of conj(c) times
        them.
        """
        # JAX's gradient in a complex z is the derivative in its real part minus i times
        # that in its imaginary part.
        with self._running():
            incoming = [*map(jnp.conj, map(jnp.array, cotangents, self.outputs.dtypes))]
            values, found = self._pull(
                [*map(jnp.array, x, self.inputs.dtypes)], incoming
            )
            return [*map(_numpy, values)], [_numpy(np.conj(part)) for part in found]

    def pushed_forward(self, x: Arrays, tangents: Arrays) -> tuple[Arrays, Arrays]:
        """Its outputs, and their derivatives along tangents."""
        with self._running():
            try:
                values, found = self._push(
                    *(
                        [*map(jnp.array, each, self.inputs.dtypes)]
                        for each in (x, tangents)
                    )
                )
            except TypeError as error:
                if "custom_vjp" not in str(error):
                    raise
                raise UnsupportedError(
                    'f has a custom_vjp, which has no forward mode: pass modes="rev"'
                ) from error
            return [*map(_numpy, values)], [*map(_numpy, found)]

    def _vjp(
        self, arrays: Sequence[Any], cotangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        values, pull = jax.vjp(self.value, *arrays)
        return values, list(pull(list(cotangents)))

    def _jvp(
        self, arrays: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        values, pushed = jax.jvp(self.value, tuple(arrays), tuple(tangents))
        return values, list(pushed)

    def derivative(self, mode: str, rng: int) -> _Function:
        """Its derivative of one mode, as a function of arguments and of tangents or
        cotangents.
        """
        product, of = (
            (self._jvp, self.inputs) if mode == "fwd" else (self._vjp, self.outputs)
        )
        names = [f"tangent of {name}" for name in self._names]
        if mode == "rev":
            names = [f"cotangent of output[{i}]" for i in range(len(of.dtypes))]
        along = of.at(autodiff.random_numbers(of, np.random.default_rng([rng, 1])))
        count = len(self.given)

        def value(*both: Any) -> list[Any]:
            return product(both[:count], both[count:])[1]

        given = [*self.given, *map(jnp.array, along, of.dtypes)]
        return _Function(
            value,
            [*self._names, *names],
            given,
            f"-over-{autodiff.MODES[mode]}{self.of}",
        )


class _Compiled:
    """A function that is compiled when it is called first; but called if JAX cannot
    trace it, or not twice the same.

    So is one that branches on values, or draws random numbers, which would be frozen.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._call: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        if self._call is None:
            self._call = (
                jax.jit(self._function)
                if self._is_traced(arguments)
                else self._function
            )
        return self._call(*arguments)

    def _is_traced(self, arguments: tuple[Any, ...]) -> bool:
        try:
            first, second = (
                jax.make_jaxpr(lambda *own: self._function(*own))(*arguments)
                for _ in range(2)
            )
        except Exception:
            return False
        texts = [
            re.sub("0x[0-9a-f]+", "", str(traced.jaxpr)) for traced in (first, second)
        ]
        constants = [
            pair
            for pair in zip(first.consts, second.consts, strict=False)
            if _is_inexact(pair[0])
        ]
        return texts[0] == texts[1] and all(
            np.array_equal(*pair, equal_nan=True) for pair in constants
        )


def _higher(array: Any) -> Any:
    """An array in float64, or complex128."""
    return jnp.asarray(array, complex if jnp.iscomplexobj(array) else float)


def _raised(value: Any, known: dict[int, Any] | None = None) -> Any:
    """A function that has the arrays that it refers to in float64; or a tree of
    functions and of arrays.

    These are in its closure, its defaults, its global variables and the arguments of
    `functools.partial`. Functions that are ``known`` are not looked into again.
    """
    known = {} if known is None else known
    if isinstance(value, functools.partial):
        arguments = _raised(value.args, known)
        keywords = _raised(value.keywords, known)
        return functools.partial(_raised(value.func, known), *arguments, **keywords)
    if isinstance(value, type(jax.jit(_raised))):
        return _raised(value.__wrapped__, known)
    if isinstance(value, types.MethodType):
        return types.MethodType(
            _raised(value.__func__, known), _raised(value.__self__, known)
        )
    if isinstance(value, types.FunctionType):
        return (
            known[id(value)] if id(value) in known else _raised_function(value, known)
        )
    if isinstance(value, (jax.Array, np.ndarray, np.generic)):
        return _higher(value) if jnp.issubdtype(value.dtype, jnp.inexact) else value
    if jax.tree_util.all_leaves([value]):
        return value
    return jax.tree_util.tree_map(lambda leaf: _raised(leaf, known), value)


def _raised_function(function: Any, known: dict[int, Any]) -> Any:
    names = function.__globals__
    read = {
        name: names[name]
        for name in function.__code__.co_names
        if isinstance(names.get(name), _ARRAYS)
    }
    own = function.__closure__ or ()
    cells = tuple(types.CellType() for _ in own)
    other = types.FunctionType(
        function.__code__, names | _raised(read, known), function.__name__, None, cells
    )
    known[id(function)] = other
    other.__defaults__ = _raised(function.__defaults__, known)
    other.__kwdefaults__ = _raised(function.__kwdefaults__, known)
    for cell, before in zip(cells, own, strict=True):
        with contextlib.suppress(ValueError):  # it is empty: a name that is not set yet
            cell.cell_contents = _raised(before.cell_contents, known)
    return other


# primitives
_RANDOM = "random_bits", "random_gamma", "rng_uniform", "rng_bit_generator"
_MANTISSAS = {8: 7, 16: 10, 32: 23}
"""Of random bits of a width, how many `jax.random.uniform` uses: for bfloat16, float16
and float32.
"""
_OTHER_NUMBERS = "f draws other random numbers in float64"


def _evaluated(
    exact: Any, own: Any, values: Sequence[Any], moves: Sequence[bool], name: str = ""
) -> list[Any]:
    """Evaluate what was traced in float64, with the random numbers of what was traced
    in the user's types.

    Parameters
    ----------
    exact, own : ClosedJaxpr
        The same function: their equations that draw random numbers are paired by their
        order.
    values : sequence
        Of the arguments.
    moves : sequence of bool
        Whether they may depend on what is checked.
    name : str
        That of the function.
    """
    twins = [equation for equation in own.jaxpr.eqns if _is_random(equation)]
    drawn = [equation for equation in exact.jaxpr.eqns if _is_random(equation)]
    if [*map(_name_of, twins)] != [*map(_name_of, drawn)]:
        raise TypeError(_OTHER_NUMBERS)
    twin_of = {id(equation): twin for equation, twin in zip(drawn, twins, strict=True)}
    known = dict(zip(exact.jaxpr.constvars, exact.consts, strict=True))
    known |= dict(zip(exact.jaxpr.invars, values, strict=True))
    moving = {
        variable
        for variable, moved in zip(exact.jaxpr.invars, moves, strict=True)
        if moved
    }

    def value_of(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else known[atom]

    for equation in exact.jaxpr.eqns:
        taken = [*map(value_of, equation.invars)]
        moved = [
            not isinstance(atom, Literal) and atom in moving for atom in equation.invars
        ]
        if id(equation) in twin_of:
            found = _drawn(equation, twin_of[id(equation)], taken, moved, name)
        else:
            found = _bound(equation, taken)
        known.update(zip(equation.outvars, found, strict=True))
        if any(moved):
            moving.update(equation.outvars)
    return [*map(value_of, exact.jaxpr.outvars)]


def _drawn(
    exact: Any, own: Any, values: Sequence[Any], moves: Sequence[bool], name: str
) -> list[Any]:
    """Evaluate an equation that draws random numbers, with those of the other one."""
    kind = exact.primitive.name
    # its digits are the first ones that float64 has
    if kind == "random_bits" and name == "_uniform":
        (bits,) = _bound(own, values)
        width = own.params["bit_width"]
        of_exact = exact.params["bit_width"]
        kept = _MANTISSAS.get(width, width)
        digits = (bits >> (width - kept)).astype(exact.outvars[0].aval.dtype)
        return [digits << (of_exact - kept) if width != of_exact else bits]
    depends = any(
        moved and _is_float(atom)
        for moved, atom in zip(moves, exact.invars, strict=True)
    )
    # they are constants for a derivative
    if not (depends and any(map(_is_float, exact.outvars))):
        found = _bound(own, [*map(_converted, values, own.invars)])
        return [*map(_converted, found, exact.outvars)]
    if kind in ("jit", "pjit", "closed_call"):
        return _evaluated(
            exact.params["jaxpr"],
            own.params["jaxpr"],
            values,
            moves,
            exact.params.get("name", ""),
        )
    if kind not in ("scan", "while", "cond"):
        raise TypeError(_OTHER_NUMBERS)

    def alike(exact: Any, own: Any) -> Any:
        """The traced function of a loop or a branch."""
        if isinstance(exact, tuple):
            return tuple(map(alike, exact, own))
        if not hasattr(exact, "consts"):
            return exact
        arguments = exact.in_avals
        return jax.make_jaxpr(
            lambda *values: _evaluated(exact, own, values, [True] * len(values))
        )(*arguments)

    params = {key: alike(value, own.params[key]) for key, value in exact.params.items()}
    return _bound(exact, values, params)


def _bound(equation: Any, values: Sequence[Any], params: Any = None) -> list[Any]:
    """Evaluate an equation."""
    primitive = equation.primitive
    found = primitive.get_bind_params(equation.params if params is None else params)
    # as it was before JAX 0.10
    functions, params = found if isinstance(found, tuple) else ((), found)
    with equation.ctx.manager:
        results = primitive.bind(*functions, *values, **params)
    return list(results) if primitive.multiple_results else [results]


def _is_random(equation: Any) -> bool:
    """Whether it draws random numbers, or functions that it calls do."""
    parts = [
        each
        for value in equation.params.values()
        for each in (value if isinstance(value, tuple) else (value,))
    ]
    traced = [getattr(part, "jaxpr", part) for part in parts]
    inner = [each for part in traced for each in getattr(part, "eqns", ())]
    return equation.primitive.name in _RANDOM or any(map(_is_random, inner))


def _name_of(equation: Any) -> tuple[str, Any]:
    return equation.primitive.name, equation.params.get("name")


def _is_float(atom: Any) -> bool:
    return bool(jnp.issubdtype(atom.aval.dtype, jnp.inexact))


def _converted(value: Any, atom: Any) -> Any:
    """A value in the type of a variable; keys are of one type."""
    return (
        value
        if value.dtype == atom.aval.dtype
        else jnp.asarray(value).astype(atom.aval.dtype)
    )


def _of_arrays(f: Callable[..., Any], args: Sequence[Any]) -> _Function:
    """The function of those of its arguments that are checked."""
    if not isinstance(args, (tuple, list)):
        raise DTypeError(
            "args must be a tuple or a list of the arguments of f, got"
            f" {type(args).__name__}"
        )
    found, tree = jax.tree_util.tree_flatten_with_path(tuple(args))
    # Copies: what is compiled may give up the memory of its arguments.
    leaves = {
        i: jnp.array(leaf) if isinstance(leaf, _ARRAYS) else leaf
        for i, (_, leaf) in enumerate(found)
    }
    numeric = [i for i, leaf in leaves.items() if _is_inexact(leaf)]
    if not numeric:
        raise DTypeError(
            "args must have an array of floating-point or complex numbers, got none"
        )
    checked = [i for i in numeric if leaves[i].size]
    names = argument_names(f, "args", len(args))
    paths = [
        names[path[0].idx] + jax.tree_util.keystr(path[1:])
        for path, _ in (found[i] for i in checked)
    ]

    places = list[str]()  # of the outputs

    def arguments(arrays: Sequence[Any]) -> Any:
        full = leaves | dict(zip(checked, arrays, strict=True))
        return jax.tree_util.tree_unflatten(tree, full.values())

    def value(*arrays: Any) -> list[Any]:
        outputs, _ = jax.tree_util.tree_flatten_with_path(f(*arguments(arrays)))
        inexact = [
            (path, jnp.asarray(output))
            for path, output in outputs
            if _is_inexact(output)
        ]
        if not inexact:
            raise DTypeError(
                "f must return an array of floating-point or complex numbers, got none"
            )
        places[:] = [
            f"output{jax.tree_util.keystr(path)}"
            for path, output in inexact
            if output.size
        ]
        return [output for _, output in inexact if output.size]

    return _Function(
        value, paths, [leaves[i] for i in checked], original=(f, arguments, places)
    )


_enable_x64: Any = (
    jax.enable_x64
    if hasattr(jax, "enable_x64")
    else getattr(experimental, "enable_x64", None)
)
_ARRAYS = jax.Array, np.ndarray, np.generic, float, complex


def _structure(title: str, arrays: Sequence[Any], names: Sequence[str]) -> Structure:
    return Structure(
        title, [*map(_numpy, arrays)], names, [array.dtype.name for array in arrays]
    )


def _is_inexact(value: Any) -> bool:
    """Whether it is an array, or a number, of floating point or complex."""
    return isinstance(value, _ARRAYS) and bool(
        jnp.issubdtype(jnp.result_type(value), jnp.inexact)
    )


def _numpy(array: Any) -> Array:
    """An array of NumPy, which has no bfloat16."""
    return np.array(array, np.float32 if array.dtype == jnp.bfloat16 else None)
