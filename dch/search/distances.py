"""Hamming distances of a block of codes, with the rows that may not be found masked out.

There is one loop for each number of words per code; LLVM vectorizes them because each reads one flat slice of
words and has a stride known at compile time. Distances are bytes where they fit (up to 192 bits), so that a
block of them is one sixteenth of the size of its codes at most and stays in the first-level cache.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import Words

Distances = NDArray[np.uint8] | NDArray[np.uint16]
"""uint8 for codes of up to 3 words, uint16 for longer ones: see ``fits_bytes``."""


def _popcount(_typing_context: Any, _word: Any) -> tuple[Any, Any]:  # noqa: ANN401 - numba's types are not public
    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), codegen


popcount = cast(Callable[[int], int], intrinsic(_popcount))
"""Count the set bits of a uint64 in one machine instruction. For kernels only."""


@kernel
def fits_bytes(n_words: int) -> bool:
    """Return whether the distances of these codes, and a value above all of them, fit in a byte."""
    return n_words < 4


@kernel
def block_distances(block: Words, query: Words, allowed: NDArray[np.uint8], distances: Distances) -> None:
    """Write the distances of a block of codes; the largest value of the type where a row is not allowed.

    Args:
        block: (n * n_words,) uint64, one code after the other.
        query: (n_words,) uint64.
        allowed: (n,) uint8, 1 or 0; empty if every row is.
        distances: (n,) written.
    """
    if len(query) == 1:
        _one_word(block, query, distances)
    elif len(query) == 2:
        _two_words(block, query, distances)
    elif len(query) == 4:
        _four_words(block, query, distances)
    else:
        _any_words(block, query, distances)
    for i in range(len(allowed)):
        distances[i] |= allowed[i] - 1  # wraps around to all ones where the row is not allowed


@kernel
def _one_word(block: Words, query: Words, distances: Distances) -> None:
    only = query[0]
    for i in range(len(distances)):
        distances[i] = popcount(block[i] ^ only)


@kernel
def _two_words(block: Words, query: Words, distances: Distances) -> None:
    low, high = query[0], query[1]
    for i in range(len(distances)):
        distances[i] = popcount(block[2 * i] ^ low) + popcount(block[2 * i + 1] ^ high)


@kernel
def _four_words(block: Words, query: Words, distances: Distances) -> None:
    q0, q1, q2, q3 = query[0], query[1], query[2], query[3]
    for i in range(len(distances)):
        first_half = popcount(block[4 * i] ^ q0) + popcount(block[4 * i + 1] ^ q1)
        second_half = popcount(block[4 * i + 2] ^ q2) + popcount(block[4 * i + 3] ^ q3)
        distances[i] = first_half + second_half


@kernel
def _any_words(block: Words, query: Words, distances: Distances) -> None:
    n_words = len(query)
    for i in range(len(distances)):
        total = np.uint64(0)
        for j in range(n_words):
            total += popcount(block[i * n_words + j] ^ query[j])
        distances[i] = total


@kernel
def least(distances: Distances) -> int:
    """Return the smallest of some distances."""
    smallest = distances[0]
    for i in range(1, len(distances)):
        smallest = min(smallest, distances[i])
    return int(smallest)


@kernel
def count_below(distances: Distances, limit: int) -> int:
    """Count the distances below a limit; at most 65,535 distances."""
    count, bound = np.uint16(0), distances.dtype.type(limit)
    for i in range(len(distances)):
        count += np.uint16(distances[i] < bound)
    return int(count)
