"""Distances of a block of codes to a query: one loop per number of words, of a form that LLVM vectorises.

That takes: one flat slice of words, a stride known when compiling, and uint16 throughout.
"""

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import MAX_BITS, Words
from dch.search.popcount import popcount

Distances = NDArray[np.uint16]


@kernel
def block_distances(block: Words, query: Words, distances: Distances) -> int:
    """Fill the distances of a block of codes and return the least of them.

    Args:
        block: (n * n_words,) uint64, code after code.
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
