"""The exact scan: one pass over all codes that keeps the nearest k.

Distances are computed block by block into one kilobyte of scratch memory. Only rows no farther than the
current k-th nearest are then looked at one by one. Once k are found these are few, so the pass costs little
more than reading the codes. There is one distance loop for each number of words per code; LLVM vectorizes
them because each reads one flat slice of words, has a stride known at compile time, and uses uint16
throughout.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import MAX_BITS, Words
from dch.models.towers import Floats, Ints
from dch.search.order import Integers, keep_nearest, sort_results

BLOCK = 512  # rows; a block of distances stays in the first-level cache, and most blocks hold no candidate

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


@kernel
def _is_allowed(row: int, allowed: NDArray[np.uint8], skip: Ints) -> bool:
    if len(allowed) > 0 and not allowed[row]:
        return False
    if len(skip) == 0:
        return True
    at = np.searchsorted(skip, row)
    return bool(at == len(skip) or skip[at] != row)


@kernel
def scan(
    words: Words,
    query: Words,
    k: int,
    allowed: NDArray[np.uint8],
    skip: Ints,
    popularity: Integers,
    rows: Ints,
    distances: Ints,
    scores: Floats,
) -> int:
    """Write the nearest k to the last three arrays, each at least (min(k, n),).

    Args:
        words: (n, n_words) uint64, contiguous.
        query: (n_words,) uint64.
        k: list length.
        allowed: (n,) uint8, 0 where a row must not be found; empty if every row may be.
        skip: (m,) int32 rows that must not be found, ascending.
        popularity: (n,) integers that break ties; empty if the row alone breaks them.
        rows: written, nearest first.
        distances: written.
        scores: written, 64 * n_words - 2 * distance.

    Returns:
        The number of rows found: k, or all that are allowed if these are fewer.
    """
    n, n_words = words.shape
    if k <= 0:
        return 0
    flat = words.reshape(-1)
    scratch = np.empty(BLOCK, np.uint16)
    found, threshold = 0, 64 * n_words
    for start in range(0, n, BLOCK):
        block = scratch[: min(BLOCK, n - start)]
        if block_distances(flat[start * n_words : (start + len(block)) * n_words], query, block) > threshold:
            continue
        for i in range(len(block)):
            distance, row = int(block[i]), start + i
            if distance > threshold or not _is_allowed(row, allowed, skip):
                continue
            score = np.float32(64 * n_words - 2 * distance)
            found = keep_nearest(k, found, row, distance, score, rows, distances, scores, popularity)
            if found == k:
                threshold = int(distances[0])
    sort_results(False, found, rows, distances, scores, popularity)
    return found
