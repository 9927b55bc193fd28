"""Checks for JAX: `check_grads` takes the place of `jax.test_util.check_grads`, in any precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from secant.checking.report import GradientReport
from secant.checking.vector import check_jvp, check_vjp
from secant.errors import MissingExtraError, UnsupportedError

try:
    import jax
except ModuleNotFoundError as error:
    raise MissingExtraError("secant.jax needs JAX: pip install jax") from error


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 1,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    **options: Any,
) -> None:
    """Check the derivatives that JAX computes of a function against its values.

    Parameters
    ----------
    f : callable
        Takes ``args``, and returns an array, or a tree of them. It must be deterministic.
    args : sequence
        Arrays or trees of them, of float64, float32 or float16.
    order : int
        Only 1: to check second derivatives, check the gradient of ``jax.grad(f)``.
    modes : sequence of {"fwd", "rev"}
        Forward mode, reverse mode or both.
    atol, rtol, eps
        Options of `jax.test_util.check_grads` that are not needed, and not used: tolerances are measured.
    **options
        ``max_evaluations``, ``confidence``, ``max_findings``, ``names``, ``scale`` and ``rng`` of
        `secant.check_gradient`.

    Raises
    ------
    GradientMismatchError
        An AssertionError with the report of the first mode that is wrong.
    UnsupportedError
        If ``order`` or a mode is another one.
    DTypeError, ShapeError, ValueRangeError
        As `secant.check_gradient` does.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> secant.jax.check_grads(lambda x: jnp.sin(x) * x, (jnp.arange(3.0),))
    """
    if order != 1:
        raise UnsupportedError(f"order must be 1, got {order!r}: check the gradient of jax.grad(f) instead")
    for mode in modes:
        if mode not in _MODES:
            raise UnsupportedError(f"modes must be of 'fwd' and 'rev', got {mode!r}")
    for mode in modes:
        _MODES[mode](f, args, {"names": _names(args)} | options).raise_if_failed()


def _reverse(f: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> GradientReport:
    flat, compute, value = _flattened(f, args)

    def vjp(cotangent: Any) -> list[Any]:
        _, pull = jax.vjp(value, *flat)
        return [np.asarray(part) for part in pull([jax.numpy.asarray(part) for part in cotangent])]

    return check_vjp(compute, flat, vjp, **options)


def _forward(f: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> GradientReport:
    flat, compute, value = _flattened(f, args)

    def jvp(tangent: Any) -> list[Any]:
        _, pushed = jax.jvp(value, tuple(map(jax.numpy.asarray, flat)), tuple(map(jax.numpy.asarray, tangent)))
        return [np.asarray(part) for part in pushed]

    return check_jvp(compute, flat, jvp, **options)


_MODES = {"fwd": _forward, "rev": _reverse}


def _names(args: Sequence[Any]) -> list[str]:
    """Where the arrays are in args, such as ``args[0]['w']``."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tuple(args))
    return [f"args{jax.tree_util.keystr(path)}" for path, leaf in paths if np.size(leaf)]


def _flattened(
    f: Callable[..., Any], args: Sequence[Any]
) -> tuple[list[Any], Callable[[Any], Any], Callable[..., Any]]:
    """The arrays in args; f of a list of NumPy arrays, that returns such; and f of the arrays, as JAX sees it."""
    leaves, tree = jax.tree_util.tree_flatten(tuple(args))
    flat = [np.array(leaf) for leaf in leaves]

    def value(*arrays: Any) -> list[Any]:
        return list(jax.tree_util.tree_leaves(f(*jax.tree_util.tree_unflatten(tree, arrays))))

    compiled = jax.jit(value)

    def compute(arrays: Any) -> list[Any]:
        return [np.asarray(part) for part in compiled(*(np.array(array) for array in arrays))]

    return flat, compute, value
