"""Hamming distances of a block of codes to a query, with one loop for each number of words per code.

LLVM vectorizes these loops because each reads one flat slice of words, has a stride that is known at compile
time, and uses uint16 throughout.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import MAX_BITS, Words

Distances = NDArray[np.uint16]


def _popcount(_typing_context: Any, _word: Any) -> tuple[Any, Any]:  # noqa: ANN401 - numba's types are not public
    def codegen(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), codegen


popcount = cast(Callable[[int], int], intrinsic(_popcount))
"""Count the set bits of a uint64 in one machine instruction. For kernels only."""


@kernel
def block_distances(block: Words, query: Words, distances: Distances) -> int:
    """Write the distances of a block of codes and return the smallest one.

    Args:
        block: (n * n_words,) uint64, one code after the other.
        query: (n_words,) uint64.
        distances: (n,) uint16, written.
    """
    if len(query) == 1:
        return int(_one_word(block, query, distances))
    if len(query) == 2:
        return int(_two_words(block, query, distances))
    if len(query) == 4:
        return int(_four_words(block, query, distances))
    return int(_any_words(block, query, distances))


@kernel
def _one_word(block: Words, query: Words, distances: Distances) -> np.uint16:
    least, only = np.uint16(MAX_BITS), query[0]
    for i in range(len(distances)):
        distance = np.uint16(popcount(block[i] ^ only))
        distances[i] = distance
        least = min(least, distance)
    return least


@kernel
def _two_words(block: Words, query: Words, distances: Distances) -> np.uint16:
    least, low, high = np.uint16(MAX_BITS), query[0], query[1]
    for i in range(len(distances)):
        distance = np.uint16(popcount(block[2 * i] ^ low) + popcount(block[2 * i + 1] ^ high))
        distances[i] = distance
        least = min(least, distance)
    return least


@kernel
def _four_words(block: Words, query: Words, distances: Distances) -> np.uint16:
    least, q0, q1, q2, q3 = np.uint16(MAX_BITS), query[0], query[1], query[2], query[3]
    for i in range(len(distances)):
        first_half = popcount(block[4 * i] ^ q0) + popcount(block[4 * i + 1] ^ q1)
        second_half = popcount(block[4 * i + 2] ^ q2) + popcount(block[4 * i + 3] ^ q3)
        distance = np.uint16(first_half + second_half)
        distances[i] = distance
        least = min(least, distance)
    return least


@kernel
def _any_words(block: Words, query: Words, distances: Distances) -> np.uint16:
    least, n_words = np.uint16(MAX_BITS), len(query)
    for i in range(len(distances)):
        total = np.uint64(0)
        for j in range(n_words):
            total += popcount(block[i * n_words + j] ^ query[j])
        distance = np.uint16(total)
        distances[i] = distance
        least = min(least, distance)
    return least
