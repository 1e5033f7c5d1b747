"""Compile a kernel: one place that says how numba is used.

Every kernel releases the interpreter lock, is cached beside its source, and keeps strict floating-point
order, so that the same input gives the same bits in any batch, in any process, on any run.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile a function over arrays at its first call; later processes load the compiled code."""
    return cast(Kernel, numba.njit(cache=True, nogil=True)(function))
