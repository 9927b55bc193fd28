"""The checks over the operators of PyTorch's and JAX's own test suites, beside these
libraries' checks.

    python bench/suites.py [--suites torch jax] [--sides ours theirs] [--every N] [--start K] [--results FILE] [--write]

Every operator is checked at its first samples. At the first one errors are planted too:
all entries 1 % too large, or only the largest one; and there the library's own check is
run. PyTorch's samples are those of its `op_db`; for float32 its own check gets the
steps and tolerances that float32 is said to need. JAX's operators are all functions of
jax.numpy, jax.lax, jax.nn and jax.scipy.special that take a few arrays and have a
derivative there, in both modes, and in order 2 in reverse mode; its own check has its
defaults.

What a check says of an operator is a line of a file of results, and is not measured
again. `--every N` takes each N-th operator, and `--write` puts the tables into
docs/records/operator_suites.md. PyTorch's suite needs expecttest.
"""

import argparse
import inspect
import itertools
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from secant.checking.options import Options
from secant.checking.point import Point
from secant.checking.procedure import run_check
from secant.checking.report import ArrayReport, GradientReport
from secant.errors import GradientMismatchError, SecantError
from tables import markdown, put, significant

PAGE = Path(__file__).parent.parent / "docs" / "records" / "operator_suites.md"
RESULTS = Path(__file__).parent.parent / "build" / "suites.jsonl"
SAMPLES = 3
LARGEST = 100_000  # entries of a sample: other checks would take days for more
FACTOR = 1.01
ROUNDED = 1e-8  # of the first derivatives: second ones below that are 0
SIDES = "ours", "theirs"
KINDS = [
    ("float64", 1),
    ("float32", 1),
    ("complex128", 1),
    ("float64", 2),
    ("float32", 2),
    ("complex128", 2),
]
"""Types and orders of derivatives."""

LEFT_OUT = "PyTorch's own suite leaves its gradient out"
TWICE = "PyTorch's own suite leaves its second derivative out"
"""By the skips in `op_db` of PyTorch 2.13: later releases keep them outside the
package.
"""
JUMPING = (
    "angle", "ceil", "div (floor_rounding)", "div (trunc_rounding)", "floor", "fmod", "frac", "frexp", "remainder",
    "round", "round (decimals_0)", "sgn", "sign", "trunc",
)  # fmt: skip
REASONS = {
    **dict.fromkeys(JUMPING, "it jumps near x"),
    **dict.fromkeys(
        ["jax.numpy.linalg.eigh", "jax.numpy.linalg.svd"],
        "LAPACK chooses the phases of complex vectors, and JAX's derivative leaves them as they are",
    ),
    **{
        f"mvlgamma (mvlgamma_p_{p})": "torch.polygamma(1, x) is off by 5e-10"
        for p in (1, 3, 5)
    },
    **{
        f"nn.functional.max_unpool{n}d": f"of repeated indices; {LEFT_OUT}"
        for n in (1, 2, 3)
    },
    **{
        f"special.bessel_{name}": "its values are 3e-7 off those of SciPy"
        for name in ("j0", "j1", "y0", "y1")
    },
    "__rpow__": f"NaN at x; {LEFT_OUT}",
    "as_strided_scatter": f"off by as much as it is large; {LEFT_OUT}",
    "bfloat16": f"its values have 8 bits; {LEFT_OUT}",
    "chalf": f"its values have 11 bits; {LEFT_OUT}",
    "corrcoef": "of two observations it is 1 or -1, and its gradient rounding",
    "half": f"its values have 11 bits; {LEFT_OUT}",
    "linalg.householder_product": "3e-7 off, of 4e4: confirmed with 60 digits",
    "linalg.norm": f"the norm of order 0 is constant; {TWICE}",
    "linalg.norm (subgradients_at_zero)": f"x is 0, where no norm has a gradient; some norms are constant; {LEFT_OUT}",
    "logcumsumexp": "off by 9e-12 in float64, confirmed with 50 digits, and 0.3 % in float32",
    "masked.logaddexp": f"NaN where one of two is masked; {TWICE}",
    "native_layer_norm": f"without a weight it raises an error; {TWICE}",
    "nn.functional.binary_cross_entropy": "7e-11 off, relatively: the second derivative has 1e-12 in its denominator",
    "nn.functional.cosine_embedding_loss": "it jumps at targets of 1 and -1",
    "nn.functional.ctc_loss": f"has no second derivative; {TWICE}",
    "nn.functional.hardsigmoid": "3e-8 off: its constant is a float32",
    "nn.functional.hinge_embedding_loss": "it jumps at targets of 1 and -1",
    "nn.functional.layer_norm": "of one element it is 0, and 2e-5 is given",
    "nn.functional.linear_cross_entropy (chunked)": f"0 for one that is not; {TWICE}",
    "nn.functional.linear_cross_entropy (chunked_none)": f"raises an error; {TWICE}",
    "nn.functional.normalize": "of one element it is 1 or -1, and its gradient rounding",
    "norm": "the norm of order 0 is constant",
    "normal": f"0 by definition; {LEFT_OUT}",
    "normal (number_mean)": f"0 by definition; {LEFT_OUT}",
    "pca_lowrank": "off by 3e-8 where A has rank q, confirmed with 60 digits",
    "nn.functional.scaled_dot_product_attention": f"on some CPUs it has no second derivative; {TWICE}",
    "round (decimals_3)": f"it jumps near x; {LEFT_OUT}",
    "sparse.mm (reduce)": f"a sparse input; {LEFT_OUT}",
    "sparse.sampled_addmm": f"a sparse output; {LEFT_OUT}",
    "special.ndtr": "its value is 0 where its gradient, 1e-16, is not",
    "svd_lowrank": "off by 2e-8 where A has rank q, confirmed with 60 digits",
    "tan": "x is near a pole",
    "torch.ops.aten._safe_softmax.default": "x is infinite",
}
"""Why operators are not right."""


class Case(NamedTuple):
    """A function whose derivatives are checked, and errors to plant in these.

    Attributes
    ----------
    ours, theirs : callable
        Take a name of `planted`, or "" for the right gradient; raise an error where
        something is wrong.
    planted : sequence of str
    """

    ours: Callable[[str], object]
    theirs: Callable[[str], object]
    planted: Sequence[str]


REPORTS: list[GradientReport] = []


def recorded(report: GradientReport) -> None:
    """In place of `GradientReport.raise_if_failed`, which all doors call."""
    REPORTS.append(report)
    if not report.passed:
        raise GradientMismatchError(str(report))


def outcome(check: Callable[[str], object], planted: str) -> dict[str, Any]:
    """What a check says: right, WRONG, not verified, or the error that it raises.

    It is "too small" where it is right in spite of a planted error that, as reports
    say, would not be noticed.
    """
    REPORTS.clear()
    start = time.process_time()
    said, message = "right", ""
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        try:
            check(planted)
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            wrong = (
                isinstance(error, AssertionError)
                or type(error).__name__ == "GradcheckError"
            )
            said = (
                "not verified"
                if ": not verified\n" in message
                else "WRONG"
                if wrong
                else "error"
            )
    seconds = time.process_time() - start
    notes = [
        str(warning.message)
        for warning in raised
        if issubclass(warning.category, RuntimeWarning)
    ]
    if said == "right" and any("nothing is checked" in note for note in notes):
        said = "nothing to check"
    arrays = [array for report in REPORTS for array in report.arrays]
    if (
        said == "right"
        and planted
        and arrays
        and not any(would_be_noticed(array, planted) for array in arrays)
    ):
        said = "too small"
    evaluations = [report.evaluations for report in REPORTS]
    return {
        "said": said,
        "seconds": seconds,
        "message": message[:1000],
        "evaluations": evaluations,
    }


def would_be_noticed(array: ArrayReport, planted: str) -> bool:
    """Whether a report says so of the error that is planted in an array."""
    if array.name.startswith(("grad_outputs", "cotangent")):
        return False  # nothing is
    error = (FACTOR - 1) / FACTOR  # of the gradient that was checked
    if planted == "entry":
        return error * array.largest > array.sensitivity
    return error > array.norm_sensitivity


def measured(case: Case, side: str, in_full: bool) -> dict[str, Any]:
    """What one side's check says of a case: of the right gradient; and, in full, of
    those with errors too.
    """
    check = case.ours if side == "ours" else case.theirs
    with mock.patch.object(GradientReport, "raise_if_failed", recorded):
        return {
            planted: outcome(check, planted)
            for planted in ("", *(case.planted if in_full else ()))
        }


Operators = Iterator[tuple[str, Callable[[str, int], Iterator[Case]]]]
"""Names, and what makes cases of a type and an order; it ends at once if there are
none.
"""


def torch_operators() -> Operators:
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    torch.set_num_threads(1)
    for op in op_db:
        yield name_of(op), partial(torch_cases, op)


def name_of(op: Any) -> str:
    return (
        f"{op.name} ({op.variant_test_name})" if op.variant_test_name else str(op.name)
    )


def torch_cases(op: Any, kind: str, order: int) -> Iterator[Case]:
    import torch

    dtype = getattr(torch, kind)
    if not op.supports_autograd or dtype not in op.supported_backward_dtypes("cpu"):
        return
    if order == 2 and not op.supports_gradgrad:
        return
    torch.manual_seed(0)
    samples = op.sample_inputs("cpu", dtype, requires_grad=True)
    for sample in itertools.islice(samples, SAMPLES):
        tensors = torch_tensors(sample)
        if tensors and sum(tensor.numel() for tensor in tensors) <= LARGEST:
            yield torch_case(op, sample, tensors, dtype, order)


def torch_tensors(sample: Any) -> list[Any]:
    """What is checked, each once."""
    import torch
    from torch.utils._pytree import tree_leaves

    leaves = tree_leaves((sample.input, sample.args, sample.kwargs))
    return list(
        dict.fromkeys(
            leaf
            for leaf in leaves
            if isinstance(leaf, torch.Tensor) and leaf.requires_grad
        )
    )


def torch_case(
    op: Any, sample: Any, tensors: list[Any], dtype: Any, order: int
) -> Case:
    import torch
    from torch.utils._pytree import tree_map

    import secant.torch

    arguments = (sample.input, tuple(sample.args), dict(sample.kwargs))

    class Planted(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any, factor: Any) -> Any:
            ctx.save_for_backward(factor)
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return gradient * ctx.saved_tensors[0], None

    def called(planted: dict[Any, Any], given: Sequence[Any]) -> Any:
        found = {
            id(tensor): each
            for tensor, each in zip(tensors, given, strict=True)
            if each is not tensor
        }
        for tensor, factor in planted.items():
            found[id(tensor)] = Planted.apply(found.get(id(tensor), tensor), factor)
        first, args, kwargs = (
            tree_map(lambda leaf: found.get(id(leaf), leaf), arguments)
            if found
            else arguments
        )
        output = op.gradcheck_wrapper(op.op, first, *args, **kwargs)
        return (
            sample.output_process_fn_grad(output)
            if sample.output_process_fn_grad
            else output
        )

    place = torch_largest(lambda *given: called({}, given), tensors, order)
    errors: dict[str, dict[Any, Any]] = {"": {}}
    if place is not None:
        tensor, entry = tensors[place[0]], place[1]
        one = torch.ones(tensor.shape, dtype=dtype)
        one.view(-1)[entry] = FACTOR
        errors |= {
            "everywhere": {each: torch.tensor(FACTOR, dtype=dtype) for each in tensors},
            "entry": {tensor: one},
        }
    functions = {
        name: lambda *given, planted=planted: called(planted, given)
        for name, planted in errors.items()
    }

    def ours(name: str) -> object:
        check = secant.torch.gradcheck if order == 1 else secant.torch.gradgradcheck
        return check(functions[name], tensors)

    theirs = torch.autograd.gradcheck if order == 1 else torch.autograd.gradgradcheck
    single = {"eps": 1e-3, "atol": 1e-2, "rtol": 1e-2} if dtype == torch.float32 else {}
    more = {"nondet_tol": op.gradcheck_nondet_tol, **single}
    return Case(
        ours,
        lambda name: theirs(functions[name], tensors, **more),
        [name for name in errors if name],
    )


def torch_largest(
    function: Callable[..., Any], tensors: list[Any], order: int
) -> tuple[int, int] | None:
    """Which tensor has the largest derivative, and where, if `largest` finds one."""
    import secant.torch

    checks = (secant.torch.gradcheck, secant.torch.gradgradcheck)[:order]
    calls = [
        partial(check, function, tensors, check_undefined_grad=False)
        for check in checks
    ]
    try:
        gradients = [list(itertools.chain(*candidates(call, 1))) for call in calls]
    except (SecantError, RuntimeError):
        return None
    return largest(tensors, gradients, order)


def largest(
    arrays: list[Any], gradients: list[list[Any]], order: int
) -> tuple[int, int] | None:
    """Which array has the largest derivative, and where; None if all are 0 (but for
    rounding), or not finite.

    The gradients are those of each order, in arrays that are not empty.
    """
    given = [i for i, array in enumerate(arrays) if 0 not in array.shape]
    first, found = gradients[0], gradients[-1][: len(given)]
    sizes = [float(np.abs(gradient).max()) for gradient in found]
    least = (
        0.0
        if order == 1
        else ROUNDED * max((float(np.abs(g).max()) for g in first), default=0.0)
    )
    if not sizes or not least < max(sizes) < np.inf:
        return None
    i = int(np.argmax(sizes))
    return given[i], int(np.abs(found[i]).argmax())


class GradientKnownError(BaseException):
    """Ends a check whose gradients are known."""


def candidates(check: Callable[[], object], order: int) -> list[list[Any]]:
    """The gradients that a check of ours would check, up to an order."""
    found: list[list[Any]] = []

    def kept(point: Point, candidate: Callable[[], Any], options: Options) -> Any:
        found.append(point.structure.at(candidate().gradient))
        if len(found) == order:
            raise GradientKnownError
        return run_check(point, candidate, options)

    goes_on = mock.patch.object(GradientReport, "raise_if_failed")
    with (
        mock.patch("secant.checking.autodiff.run_check", kept),
        goes_on,
        suppress(GradientKnownError),
    ):
        check()
    return found


def jax_operators() -> Operators:
    import jax

    jax.config.update("jax_enable_x64", True)
    seen = set()
    for module in (
        jax.numpy,
        jax.numpy.linalg,
        jax.numpy.fft,
        jax.lax,
        jax.nn,
        jax.scipy.special,
    ):
        for name in sorted(vars(module)):
            function = getattr(module, name)
            skipped = (
                name.startswith("_")
                or inspect.isclass(function)
                or not callable(function)
            )
            if not skipped and not any(
                word in name for word in ("print", "save", "load", "file", "dlpack")
            ):
                full = f"{module.__name__}.{name}"
                if function not in seen:  # under another name
                    seen.add(function)
                    yield full, partial(jax_cases, full, function)


def jax_arguments(name: str, kind: str) -> Iterator[tuple[Any, ...]]:
    """Arguments to try, until a function takes some: its own ones first.

    Arrays of NumPy's are constants.
    """
    import jax.numpy as jnp
    from jax import lax

    rng = np.random.default_rng(0)

    def array(*shape: int) -> Any:
        values = rng.uniform(0.1, 0.9, shape)
        return jnp.asarray(
            values + (1j * rng.uniform(0.1, 0.9, shape) if "complex" in kind else 0),
            kind,
        )

    x, y, square, image, kernel = (
        array(4),
        array(4),
        array(3, 3),
        array(1, 2, 5, 5),
        array(3, 2, 3, 3),
    )
    zero, two, places = np.zeros((), kind), np.full(4, 2, kind), np.array([[1], [2]])
    scattered = (x, places, array(2), lax.ScatterDimensionNumbers((), (0,), (0,)))
    own: dict[str, tuple[Any, ...]] = {
        "jax.lax.acosh": (1 + x,),
        "jax.lax.associative_scan": (jnp.multiply, x),
        "jax.lax.betainc": (two, two, x),
        "jax.lax.broadcast_in_dim": (x, (2, 4), (1,)),
        "jax.lax.concatenate": ([x, y], 0),
        "jax.lax.cond": (True, jnp.sin, jnp.cos, x),
        "jax.lax.conv": (image, kernel, (1, 1), "SAME"),
        "jax.lax.conv_general_dilated": (image, kernel, (1, 1), "SAME"),
        "jax.lax.conv_general_dilated_local": (
            image,
            array(3, 8, 4, 4),
            (1, 1),
            "VALID",
            (2, 2),
        ),
        "jax.lax.conv_general_dilated_patches": (image, (2, 2), (1, 1), "VALID"),
        "jax.lax.conv_transpose": (
            array(1, 5, 5, 2),
            array(3, 3, 2, 3),
            (1, 1),
            "SAME",
        ),
        "jax.lax.conv_with_general_padding": (
            image,
            kernel,
            (1, 1),
            [(1, 1), (1, 1)],
            None,
            None,
        ),
        "jax.lax.convert_element_type": (x, kind),
        "jax.lax.dot_general": (array(2, 3), array(3, 4), (((1,), (0,)), ((), ()))),
        "jax.lax.dynamic_slice": (x, (1,), (2,)),
        "jax.lax.dynamic_slice_in_dim": (x, 1, 2),
        "jax.lax.dynamic_update_index_in_dim": (x, array(1), 1, 0),
        "jax.lax.dynamic_update_slice": (x, array(2), (1,)),
        "jax.lax.dynamic_update_slice_in_dim": (x, array(2), 1, 0),
        "jax.lax.fft": (x, "fft" if "complex" in kind else "rfft", (4,)),
        "jax.lax.fori_loop": (0, 3, lambda _, state: state * jnp.sin(state), x),
        "jax.lax.gather": (x, places, lax.GatherDimensionNumbers((), (0,), (0,)), (1,)),
        "jax.lax.index_take": (x, (np.array([1, 2]),), (0,)),
        "jax.lax.map": (jnp.sin, x),
        "jax.lax.pad": (x, array(), ((1, 1, 0),)),
        "jax.lax.polygamma": (two, x),
        "jax.lax.ragged_dot": (array(4, 3), array(2, 3, 5), np.array([2, 2])),
        "jax.lax.reduce": (x, zero, lax.add, (0,)),
        "jax.lax.reduce_window": (x, zero, lax.add, (2,), (1,), "VALID"),
        "jax.lax.scan": (lambda state, each: (state * each, state + each), array(), x),
        "jax.lax.scatter": scattered,
        "jax.lax.scatter_add": scattered,
        "jax.lax.scatter_max": scattered,
        "jax.lax.scatter_min": scattered,
        "jax.lax.scatter_sub": scattered,
        "jax.lax.select": (two.real > 1, x, y),
        "jax.lax.slice": (x, (1,), (3,)),
        "jax.lax.slice_in_dim": (x, 1, 3),
        "jax.lax.split": (x, (1, 3)),
        "jax.lax.squeeze": (array(1, 4), (0,)),
        "jax.lax.switch": (1, [jnp.sin, jnp.cos], x),
        "jax.lax.tile": (x, (2,)),
        "jax.lax.zeta": (two, x),
        "jax.numpy.acosh": (1 + x,),
        "jax.numpy.apply_along_axis": (jnp.sin, 0, square),
        "jax.numpy.apply_over_axes": (jnp.sum, square, (0,)),
        "jax.numpy.arccosh": (1 + x,),
        "jax.numpy.astype": (x, kind),
        "jax.numpy.broadcast_to": (x, (3, 4)),
        "jax.numpy.dsplit": (array(2, 2, 4), 2),
        "jax.numpy.full": ((2, 4), x),
        "jax.numpy.insert": (x, 1, array(1)),
        "jax.numpy.linalg.cholesky": (
            square @ square.T.conj() + jnp.eye(3, dtype=kind),
        ),
        "jax.numpy.linalg.tensorsolve": (array(2, 3, 6), array(2, 3)),
        "jax.numpy.moveaxis": (square, 0, 1),
        "jax.numpy.polyfit": (array(5), array(5), 2),
        "jax.numpy.swapaxes": (square, 0, 1),
        "jax.numpy.take_along_axis": (square, np.array([[0], [2], [1]]), 1),
        "jax.scipy.special.betainc": (two, two, x),
        "jax.scipy.special.hyp2f1": (two / 4, two, two + 1, x),
        "jax.scipy.special.zeta": (two, x),
    }
    if name in own:
        yield own[name]
    yield (square,)
    yield (x,)
    yield (square, array(3, 3))
    yield (x, y)
    yield (2, x)
    yield (square, 1)
    yield ([square, array(3, 3)],)
    yield (array(3), array(3), array(3))
    yield (array(2, 2, 4), array(2, 3, 2))
    yield (square, (9,))
    yield (square, (1, 0))
    yield (array(2, 5, 3), array(2, 5, 3), array(2, 5, 3))


FITTING: dict[tuple[str, bool], int | None] = {}
"""Which arguments a function took, real or complex."""


def jax_cases(
    name: str, function: Callable[..., Any], kind: str, order: int
) -> Iterator[Case]:
    import jax
    import jax.numpy as jnp

    def flat(arguments: tuple[Any, ...]) -> Any:
        leaves, tree = jax.tree_util.tree_flatten(arguments)
        inexact = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array)]

        def call(*arrays: Any) -> Any:
            full = list(leaves)
            for i, each in zip(inexact, arrays, strict=True):
                full[i] = each
            outputs = jax.tree_util.tree_leaves(
                function(*jax.tree_util.tree_unflatten(tree, full))
            )
            return [
                output
                for output in outputs
                if jnp.issubdtype(jnp.asarray(output).dtype, jnp.inexact)
            ]

        return call, [leaves[i] for i in inexact]

    def derivative(call: Any, arrays: list[Any], times: int) -> list[Any]:
        outputs, pull = jax.vjp(call, *arrays)
        grads: list[Any] = list(pull([jnp.ones_like(output) for output in outputs]))
        if times == 2:
            return derivative(lambda *xs: derivative(call, list(xs), 1), arrays, 1)
        return grads

    key = name, "complex" in kind
    known = FITTING.get(key, -1)
    if known is None:
        return
    FITTING[key] = None
    for i, arguments in enumerate(jax_arguments(name, kind)):
        if known not in (i, -1):
            continue
        call, arrays = flat(arguments)
        try:
            outputs = call(*arrays)
            if not outputs or not all(
                bool(jnp.isfinite(output).all()) for output in outputs
            ):
                continue
            first = derivative(call, arrays, 1)
        except Exception:  # of many kinds, where arguments do not fit
            continue
        if not all(bool(jnp.isfinite(grad).all()) for grad in first) or not any(
            bool(grad.any()) for grad in first
        ):
            continue
        FITTING[key] = i
        try:
            derivative(call, arrays, order)
        except Exception:
            return
        case = jax_case(call, arrays, order)
        for check in (case.ours, case.theirs):  # what JAX compiles is compiled then
            with suppress(Exception):
                check("")
        yield case
        return


def jax_case(call: Any, arrays: list[Any], order: int) -> Case:
    import jax
    import jax.numpy as jnp
    from jax.test_util import check_grads

    import secant.jax

    @jax.custom_jvp  # type: ignore[untyped-decorator]
    def planted(x: Any, factor: Any) -> Any:
        return x

    # Its value is planted too: else the second derivative would be right.
    planted.defjvp(
        lambda primals, tangents: (planted(*primals), tangents[0] * primals[1])
    )
    errors: dict[str, list[Any]] = {"": []}
    place = jax_largest(call, arrays, order)
    if place is not None:
        i, entry = place
        one = (
            jnp.ones(arrays[i].size, arrays[i].dtype)
            .at[entry]
            .set(FACTOR)
            .reshape(arrays[i].shape)
        )
        errors["everywhere"] = [jnp.asarray(FACTOR, array.dtype) for array in arrays]
        errors["entry"] = [
            one if j == i else jnp.ones_like(array) for j, array in enumerate(arrays)
        ]

    def function(name: str) -> Callable[..., Any]:
        factors = errors[name]
        return lambda *xs: call(*map(planted, xs, factors)) if factors else call(*xs)

    functions = {name: function(name) for name in errors}
    modes = ("fwd", "rev") if order == 1 else ("rev",)
    return Case(
        lambda name: secant.jax.check_grads(functions[name], arrays, order, modes),
        lambda name: check_grads(functions[name], tuple(arrays), order, modes),
        [name for name in errors if name],
    )


def jax_largest(
    call: Callable[..., Any], arrays: list[Any], order: int
) -> tuple[int, int] | None:
    """Which array has the largest derivative, and where, if `largest` finds one."""
    import secant.jax

    try:
        gradients = candidates(
            partial(secant.jax.check_grads, call, arrays, order, "rev"), order
        )
    except (SecantError, RuntimeError, TypeError, ValueError):
        return None
    return largest(arrays, gradients, order)


SUITES: dict[str, Callable[[], Operators]] = {
    "torch": torch_operators,
    "jax": jax_operators,
}


def run(
    suites: Sequence[str], sides: Sequence[str], start: int, every: int, results: Path
) -> None:
    """Measure what is not in the results yet."""
    results.parent.mkdir(parents=True, exist_ok=True)
    done = {
        (*line["key"], side) for line in lines_of(results) for side in sides_of(line)
    }
    with results.open("a", encoding="utf-8") as file:
        for side, suite in itertools.product(sides, suites):
            for name, cases in itertools.islice(SUITES[suite](), start, None, every):
                for kind, order in KINDS:
                    if (suite, kind, order, name, side) in done:
                        continue
                    found = []
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        for i, case in enumerate(cases(kind, order)):
                            if side == "ours" or i == 0:  # other checks take long
                                found.append(
                                    {side: measured(case, side, in_full=i == 0)}
                                )
                    key = suite, kind, order, name
                    file.write(json.dumps({"key": key, "cases": found}) + "\n")
                    file.flush()
                    said = [case[side][""]["said"] for case in found]
                    print(*key, side, *said, sep=", ", file=sys.stderr, flush=True)


def lines_of(results: Path) -> list[dict[str, Any]]:
    return (
        [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
        if results.exists()
        else []
    )


def sides_of(line: dict[str, Any]) -> Sequence[str]:
    """What was measured: both, if there is nothing to be measured."""
    return list(line["cases"][0]) if line["cases"] else SIDES


def operators_of(
    lines: Sequence[dict[str, Any]], *of: object
) -> dict[str, list[dict[str, Any]]]:
    """The cases of each operator of a suite, type and order: what both sides say of
    them.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if line["key"][:3] == list(of):
            cases = found.setdefault(line["key"][3], [])
            cases += ({side: {} for side in SIDES} for _ in line["cases"][len(cases) :])
            for case, more in zip(cases, line["cases"], strict=False):
                case.update(more)
    return found


def table(results: Path) -> list[str]:
    """Tables of right and of planted gradients, with a row for each suite, type and
    order; and what was not right.
    """
    right_columns = [
        "right gradients",
        "operators",
        "cases",
        "right",
        "WRONG",
        "not verified",
        "errors",
        "evaluations",
    ]
    right_columns += ["their WRONG", "seconds", "theirs"]
    planted_columns = [
        "noticed",
        "1 % everywhere",
        "theirs",
        "one entry",
        "theirs",
        "missed",
    ]
    right_rows, planted_rows, named = [], [], []
    lines = lines_of(results)
    for suite, (kind, order) in itertools.product(SUITES, KINDS):
        operators = operators_of(lines, suite, kind, order)
        cases = [case for found in operators.values() for case in found if case["ours"]]
        cases = [
            case for case in cases if case["ours"][""]["said"] != "nothing to check"
        ]
        if not cases:
            continue
        both = [case for case in cases if case["theirs"]]
        left_out = [name for name in operators if is_left_out(name, order)]
        untested = [
            case for name in left_out for case in operators[name] if case["ours"]
        ]
        label = f"{suite}, {kind}, order {order}"
        evaluations = [
            count for case in cases for count in case["ours"][""]["evaluations"]
        ]
        right_rows.append(
            [label, str(sum(map(bool, operators.values()))), str(len(cases))]
            + [str(count(cases, "ours", "", "right"))]
            + [
                with_untested(cases, untested, what)
                for what in ("WRONG", "not verified", "error")
            ]
            + [f"{np.median(evaluations):.0f}" if evaluations else "–"]
            + [f"{count(both, 'theirs', '', 'WRONG')} of {len(both)}"]
            + [
                significant(sum(case[side][""]["seconds"] for case in both))
                for side in SIDES
            ]
        )
        right = [case for case in cases if case["ours"][""]["said"] == "right"]
        noticed = [
            of_right(cases, side, planted)
            for planted in ("everywhere", "entry")
            for side in SIDES
        ]
        missed = sum(
            count(right, "ours", planted, "right")
            for planted in ("everywhere", "entry")
        )
        planted_rows.append([label, *noticed, str(missed)])
        for what in ("WRONG", "error", "not verified"):
            names = [
                with_reason(
                    name,
                    next(
                        case["ours"][""]["message"]
                        for case in found
                        if count([case], "ours", "", what)
                    ),
                )
                for name, found in operators.items()
                if count(found, "ours", "", what)
            ]
            if names:
                named.append(f"- {label}, {what}: {', '.join(names)}.")
    return [
        *markdown(right_columns, right_rows),
        "",
        *markdown(planted_columns, planted_rows),
        "",
        *named,
    ]


def is_left_out(name: str, order: int) -> bool:
    """Whether PyTorch's own suite leaves out an operator that is not right.

    Where it leaves out the gradient, it leaves out the second derivative, too.
    """
    reason = REASONS.get(name, "")
    return LEFT_OUT in reason or (order == 2 and TWICE in reason)


def with_reason(name: str, message: str) -> str:
    """The name, and why it is not right: else what the report says of the first array
    that is not verified.
    """
    reason = REASONS.get(
        name, message.partition(" not verified: ")[2].partition("\n")[0]
    )
    return f"{name} ({reason})" if reason else name


def count(cases: Sequence[Any], side: str, planted: str, said: str) -> int:
    """How many checks of one side said that."""
    return sum(case[side].get(planted, {}).get("said") == said for case in cases)


def with_untested(cases: Sequence[Any], untested: Sequence[Any], said: str) -> str:
    """How many checks of ours said that, and how many of these are of operators that
    PyTorch's own suite leaves out.
    """
    of_untested = count(untested, "ours", "", said)
    return str(count(cases, "ours", "", said)) + (
        f" ({of_untested})" if of_untested else ""
    )


def of_right(cases: Sequence[Any], side: str, planted: str) -> str:
    """How many planted errors were noticed, of those whose right gradient was right."""
    could = [
        case
        for case in cases
        if planted in case[side] and case[side][""]["said"] == "right"
    ]
    return f"{count(could, side, planted, 'WRONG')} of {len(could)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suites", nargs="*", choices=SUITES, default=list(SUITES))
    parser.add_argument("--sides", nargs="*", choices=SIDES, default=list(SIDES))
    parser.add_argument("--every", type=int, default=1, help="take each N-th operator")
    parser.add_argument("--start", type=int, default=0, help="after so many others")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="a file that is added to"
    )
    parser.add_argument(
        "--page", type=Path, default=PAGE, help="where --write puts the tables"
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="put the tables into docs/records/operator_suites.md",
    )
    options = parser.parse_args()
    run(options.suites, options.sides, options.start, options.every, options.results)
    lines = table(options.results)
    print("\n".join(lines))
    if options.write:
        put(options.page, "suites.py", lines)


if __name__ == "__main__":
    main()
