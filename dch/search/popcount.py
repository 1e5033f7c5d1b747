"""The population count as one machine instruction, for use inside kernels; LLVM widens it to vectors."""

from collections.abc import Callable
from typing import Any, cast

from numba import types
from numba.extending import intrinsic


def _popcount(_typing_context: Any, _word: Any) -> tuple[Any, Any]:  # noqa: ANN401 - numba's types are not public
    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), codegen


popcount = cast(Callable[[int], int], intrinsic(_popcount))
"""Count the bits that are set in a uint64. Only kernels can call it."""
