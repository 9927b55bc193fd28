"""Gradient checks compared: what they cost, which seeded faults they notice, and false
alarms.

    python bench/checks.py [--quick] [--write]    # --write puts the table into docs/records/check_comparison.md

A float64 loss is that of a network 784-50-10 with tanh, its mean over 20 samples; in
float32 it is the same. Faults are those of `FAULTS`, in turn. Each check has the
defaults of its library, and is told so where float32 needs others.
"""

import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import secant
from tables import alone, markdown
from timing import Counted, Effort

SHAPES = (784, 50), (50,), (50, 10), (10,)
SIZES = [int(np.prod(shape)) for shape in SHAPES]
Array = NDArray[Any]


class Problem(NamedTuple):
    """A loss of all weights in one row, and a gradient that is said to be its own."""

    loss: Callable[[Array], Any]
    w: Array
    gradient: Array
    data: Array
    targets: Array


def parts(w: Any) -> list[Any]:
    ends = np.cumsum([0, *SIZES]).tolist()
    return [
        w[a:b].reshape(shape)
        for a, b, shape in zip(ends, ends[1:], SHAPES, strict=False)
    ]


def problem(rng: np.random.Generator, dtype: str) -> Problem:
    data, targets = rng.uniform(size=(20, 784)).astype(dtype), rng.integers(0, 10, 20)
    w = np.concatenate([rng.standard_normal(size) * 0.05 for size in SIZES]).astype(
        dtype
    )
    rows = np.arange(20)

    def forward(w: Array) -> tuple[Array, Array]:
        w1, b1, w2, b2 = parts(w)
        z = np.tanh(data @ w1 + b1)
        a = z @ w2 + b2
        return z, a - np.logaddexp.reduce(a, axis=1, keepdims=True)

    z, y = forward(w)
    d2 = np.exp(y)
    d2[rows, targets] -= 1
    d2 /= 20
    d1 = d2 @ parts(w)[2].T * (1 - z * z)
    gradient = np.concatenate(
        [(data.T @ d1).ravel(), d1.sum(0), (z.T @ d2).ravel(), d2.sum(0)]
    )
    return Problem(
        lambda w: -forward(w)[1][rows, targets].mean(), w, gradient, data, targets
    )


def one_weight(g: Array, rng: np.random.Generator) -> None:
    g[rng.choice(np.flatnonzero(np.abs(g) > 1e-3))] *= 1.5


def half(g: Array, rng: np.random.Generator) -> None:
    g /= 2


def transposed(g: Array, rng: np.random.Generator) -> None:
    parts(g)[0][...] = parts(g)[0].T.reshape(784, 50).copy()


def a_bias_of_the_wrong_sign(g: Array, rng: np.random.Generator) -> None:
    parts(g)[1][...] *= -1


def weight_decay(g: Array, rng: np.random.Generator) -> None:
    g += 1e-3 * rng.standard_normal(g.size).astype(g.dtype)


FAULTS = (one_weight, half, transposed, a_bias_of_the_wrong_sign, weight_decay)
Check = Callable[[Problem], tuple[bool, int]]
"""Says whether the gradient is right, and how often the loss was evaluated."""


def ours(case: Problem) -> tuple[bool, int]:
    f = Counted(case.loss)
    return secant.check_gradient(f, case.w, case.gradient).passed, f.calls


def scipy_check(case: Problem) -> tuple[bool, int]:
    """It returns a norm: right is what is below 1e-5 of that of the gradient, by the
    usual rule of thumb.
    """
    from scipy.optimize import check_grad

    f = Counted(case.loss)
    error = check_grad(f, lambda _: case.gradient, case.w)
    return bool(error <= 1e-5 * np.linalg.norm(case.gradient)), f.calls


def numdifftools_check(case: Problem) -> tuple[bool, int]:
    """The whole gradient, found once a loss: right is what agrees in all entries,
    within 1e-5 and 1e-8.
    """
    import numdifftools

    if case.loss not in _found:
        f = Counted(case.loss)
        _found[case.loss] = numdifftools.Gradient(f)(case.w), f.calls
    found, calls = _found[case.loss]
    return bool(np.allclose(found, case.gradient, 1e-5, 1e-8)), calls


_found: dict[Callable[[Array], Any], tuple[Array, int]] = {}


def torch_check(fast: bool, **options: float) -> Check:
    def check(case: Problem) -> tuple[bool, int]:
        import torch

        x, t, gradient = map(torch.from_numpy, (case.data, case.targets, case.gradient))

        def loss(w: Any) -> Any:
            w1, b1, w2, b2 = parts(w)
            return torch.nn.functional.cross_entropy(
                torch.tanh(x @ w1 + b1) @ w2 + b2, t
            )

        class Loss(torch.autograd.Function):  # type: ignore[misc]
            @staticmethod
            def forward(ctx: Any, w: Any) -> Any:
                return loss(w)

            @staticmethod
            def backward(ctx: Any, cotangent: Any) -> Any:
                return cotangent * gradient

        f = Counted(Loss.apply)
        w = torch.from_numpy(case.w.copy()).requires_grad_()
        right = torch.autograd.gradcheck(
            f, w, fast_mode=fast, raise_exception=False, **options
        )
        return bool(right), f.calls

    return check


def jax_check(case: Problem) -> tuple[bool, int]:
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def loss(w: Any) -> Any:
        w1, b1, w2, b2 = parts(w)
        y = jax.nn.log_softmax(jax.numpy.tanh(case.data @ w1 + b1) @ w2 + b2)
        return -y[np.arange(20), case.targets].mean()

    loss.defvjp(
        lambda w: (loss(w), None), lambda _, cotangent: (cotangent * case.gradient,)
    )
    f = Counted(loss)
    try:
        check_grads(f, (jax.numpy.asarray(case.w),), order=1, modes=["rev"])
    except AssertionError:
        return False, f.calls
    return True, f.calls


# and whether it may look at every entry, and is tried once: torch's fast_mode does so
# where it fails
CHECKS: dict[str, tuple[Check, bool]] = {
    "Secant": (ours, False),
    "PyTorch gradcheck": (torch_check(False), True),
    "PyTorch gradcheck, fast_mode": (torch_check(True), True),
    "the same, eps 1e-3, atol and rtol 1e-2": (
        torch_check(True, eps=1e-3, atol=1e-2, rtol=1e-2),
        True,
    ),
    "JAX check_grads": (jax_check, False),
    "SciPy check_grad": (scipy_check, True),
    "numdifftools Gradient": (numdifftools_check, True),
}


def row(name: str, dtype: str, trials: int) -> list[str] | None:
    check, every = CHECKS[name]
    rng, noticed, alarms, evaluations, seconds = np.random.default_rng(0), 0, 0, [], []
    count = 1 if every else trials
    with warnings.catch_warnings(), contextlib.suppress(ImportError):
        warnings.simplefilter("ignore")  # torch warns of float32
        for faulty, case in cases(rng, dtype, count):
            start = time.perf_counter()
            right, calls = check(case)
            if not faulty:
                seconds.append(time.perf_counter() - start)
                evaluations.append(calls)
                alarms += not right
            else:
                noticed += not right
        faults = count * len(FAULTS)
        typical = f"{np.median(evaluations):,.0f}", f"{np.median(seconds):.2g}"
        return [name, *typical, f"{noticed} of {faults}", f"{alarms} of {count}"]
    return None


def cases(
    rng: np.random.Generator, dtype: str, count: int
) -> Iterator[tuple[bool, Problem]]:
    """Right gradients, and each with all faults."""
    for _ in range(count):
        case = problem(rng, dtype)
        yield False, case
        for fault in FAULTS:
            gradient = case.gradient.copy()
            fault(gradient, rng)
            yield True, case._replace(gradient=gradient)


def measure(effort: Effort) -> dict[str, list[list[str]]]:
    """The rows of each type, of 20 right gradients, each of which gets all faults."""
    rows: dict[str, list[list[str]]] = {"float64": [], "float32": []}
    # those take minutes
    names = [
        name for name, (_, every) in CHECKS.items() if not (effort.quick and every)
    ]
    for dtype in rows:
        for name in names:
            if found := row(name, dtype, 2 if effort.quick else 20):
                print(dtype, *found, sep=", ", file=sys.stderr, flush=True)
                rows[dtype].append(found)
    return rows


def table(rows: dict[str, list[list[str]]]) -> list[str]:
    columns = "calls of f", "seconds", "noticed", "false alarms"
    return [
        line
        for dtype, each in rows.items()
        for line in ("", *markdown([f"in {dtype}", *columns], each))
    ][1:]


if __name__ == "__main__":
    alone(__doc__, measure, table, page="records/check_comparison.md")
