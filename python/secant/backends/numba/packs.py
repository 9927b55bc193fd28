"""A pack of eight doubles, as a type of Numba: sums of packs stay in registers, where arrays go through memory.

LLVM makes of it what the processor has: one, two or four registers. A product and a sum of it may be rounded once.
"""

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import models, overload, register_model
from numba.np.arrayobj import make_array

from secant._common.validation import Floats
from secant.backends.numba.compilation import inlined, intrinsic

LANES = 8


class PackType(types.Type):  # type: ignore[misc]
    """The type of a pack in compiled code."""

    def __init__(self) -> None:
        super().__init__(name="Pack")


_PACK = PackType()
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)


@register_model(PackType)
class _PackModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def aligned(rows: int, columns: int) -> Floats:
    """A matrix, not initialised, that begins at a cache line."""
    memory = np.empty(rows * columns + LANES)
    first = -memory.__array_interface__["data"][0] // 8 % LANES
    return memory[first : first + rows * columns].reshape(rows, columns)


def pad(size: int) -> int:
    """The next multiple of a pack's lanes."""
    return -(-size // LANES) * LANES


@inlined
def pairs(size: int) -> int:
    """How much of a row of whole packs is pairs of packs: they are worked on together, one behind them alone."""
    return size // (2 * LANES) * (2 * LANES)


def _pointer(context: Any, builder: Any, kind: Any, vector: Any, array: Any, i: Any, j: Any) -> Any:
    """Where array[i, j] is, and the elements after it."""
    view = make_array(kind)(context, builder, array)
    columns = builder.extract_value(view.shape, 1)
    element = builder.gep(view.data, [builder.add(builder.mul(i, columns), j)])
    return builder.bitcast(element, vector.as_pointer())


@intrinsic
def load(typing_context: Any, array: Any, i: Any, j: Any) -> Any:
    """The elements array[i, j], array[i, j + 1], ... of a C-contiguous matrix."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(context, builder, signature.args[0], _VECTOR, *arguments), align=8)

    return _PACK(array, types.intp, types.intp), generate


@intrinsic
def store(typing_context: Any, array: Any, i: Any, j: Any, pack: Any) -> Any:
    """Write a pack to array[i, j], array[i, j + 1], ..."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *place, value = arguments
        builder.store(value, _pointer(context, builder, signature.args[0], _VECTOR, *place), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, _PACK), generate


@intrinsic
def nonzeros(typing_context: Any, array: Any, i: Any, j: Any) -> Any:
    """Which of array[i, j], array[i, j + 1], ... are not zero: bits of an integer, the lowest for the first."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        element = context.get_data_type(signature.args[0].dtype)
        vector = ir.VectorType(element, LANES)
        values = builder.load(_pointer(context, builder, signature.args[0], vector, *arguments), align=1)
        zero = ir.Constant(vector, [0] * LANES)
        compare = builder.icmp_unsigned if isinstance(element, ir.IntType) else builder.fcmp_unordered
        bits = builder.bitcast(compare("!=", values, zero), ir.IntType(LANES))
        return builder.zext(bits, ir.IntType(64))

    return types.int64(array, types.intp, types.intp), generate


@intrinsic
def broadcast(typing_context: Any, x: Any) -> Any:
    """The same number in each lane."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        single = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), arguments[0], ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(single, single, lanes)

    return _PACK(types.float64), generate


def _define(operation: Any, instruction: str) -> None:
    """Let an operator of Python work on packs, and on a pack and a number."""

    @intrinsic
    def lanewise(typing_context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, instruction)(*arguments, flags=("contract",))

        return _PACK(_PACK, _PACK), generate

    @overload(operation)
    def operate(a, b):  # type: ignore[no-untyped-def] # Numba compares signatures, annotations included
        if a == _PACK and b == _PACK:
            return lambda a, b: lanewise(a, b)
        if a == _PACK and isinstance(b, types.Number):
            return lambda a, b: lanewise(a, broadcast(b))
        if b == _PACK and isinstance(a, types.Number):
            return lambda a, b: lanewise(broadcast(a), b)
        return None


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.iadd, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define(_operation, _instruction)
