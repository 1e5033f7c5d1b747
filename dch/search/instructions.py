"""Instructions of the processor that no loop is compiled to. For kernels only."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import WORD_BITS

CHUNK = WORD_BITS
"""How many numbers ``within`` compares."""

ONE = cast(int, np.uint64(1))
"""For arithmetic with words: with any other 1, it would be that of floating point."""

_INT8, _INT32 = ir.IntType(8), ir.IntType(32)


def _popcount(_typing_context: Any, _word: Any) -> tuple[Any, Any]:  # noqa: ANN401 - numba's types are not public
    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), codegen


def _within(_typing_context: Any, numbers: Any, limit: Any) -> tuple[Any, Any]:  # noqa: ANN401
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        array = context.make_array(signature.args[0])(context, builder, value=arguments[0])
        lanes = ir.VectorType(context.get_data_type(signature.args[1]), CHUNK)
        nothing = ir.Constant(lanes, ir.Undefined)
        one = builder.insert_element(nothing, arguments[1], ir.Constant(_INT32, 0))
        limits = builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(_INT32, CHUNK), None))
        found = builder.load(builder.bitcast(array.data, lanes.as_pointer()), align=1)
        return builder.bitcast(builder.icmp_unsigned("<=", found, limits), ir.IntType(CHUNK))

    return types.uint64(numbers, numbers.dtype), codegen


def _prefetch(_typing_context: Any, array: Any, at: Any) -> tuple[Any, Any]:  # noqa: ANN401
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        found = context.make_array(signature.args[0])(context, builder, value=arguments[0])
        of_row = builder.extract_value(found.strides, 0)
        start = builder.bitcast(found.data, _INT8.as_pointer())
        address = builder.gep(start, [builder.mul(of_row, arguments[1])])
        ints = [_INT32] * 3
        name, of_type = "llvm.prefetch.p0", ir.FunctionType(ir.VoidType(), [_INT8.as_pointer(), *ints])
        function = builder.module.declare_intrinsic(name, fnty=of_type)
        builder.call(function, [address, *(ir.Constant(_INT32, one) for one in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


popcount = cast(Callable[[int], int], intrinsic(_popcount))
"""Count the set bits of a uint64 in one machine instruction."""

within = cast(Callable[[NDArray[np.unsignedinteger], int], int], intrinsic(_within))
"""Return a word whose bit i is set where numbers[i] is at most a limit, for the first CHUNK numbers.

Args: (CHUNK or more,) unsigned integers, contiguous; the limit, which fits in their type.
"""

prefetch = cast(Callable[[NDArray[np.generic], int], None], intrinsic(_prefetch))
"""Begin to read the start of a row of an array into the caches; any row number is allowed."""


@kernel
def lowest_bit(word: int) -> int:
    """Return the position of the lowest set bit of a uint64 that is not 0."""
    return int(popcount((word & (~word + ONE)) - ONE))
