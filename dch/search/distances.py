"""Hamming distances of a block of codes, with the rows that may not be found masked out.

In a weighted distance, a bit that differs counts 1, or 2 if it is heavy: popcount(x) + popcount(x & heavy).
A query is a code, (n_words,), or a code followed by its heavy bits, (2 * n_words,), which ask for weighted
distances; see ``dch.search.query_words``. At most half of the bits are heavy.

There is one loop for each number of words per code; LLVM vectorizes them because each reads one flat slice of
words and has a stride known at compile time. Distances are bytes where they fit (up to 192 bits), so that a
block of them is one sixteenth of the size of its codes at most and stays in the first-level cache.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import WORD_BITS, Words
from dch.search.instructions import CHUNK, popcount

Distances = NDArray[np.uint8] | NDArray[np.uint16]
"""uint8 for codes of up to 3 words (2 if weighted), uint16 for longer ones: see ``fits_bytes``."""

_FAR = cast(int, np.uint64(1 << 32))
"""Above all distances."""


@kernel
def farthest(n_words: int, query_length: int) -> int:
    """Return the largest distance that two codes of n_words words can have.

    Args:
        n_words: words per code.
        query_length: n_words, or 2 * n_words for weighted distances.
    """
    return WORD_BITS * n_words + (WORD_BITS // 2) * (query_length - n_words)


@kernel
def fits_bytes(n_words: int, query_length: int) -> bool:
    """Return whether these distances, and a value above all of them, fit in a byte."""
    return farthest(n_words, query_length) < 255


@kernel
def distance_of(code: Words, query: Words) -> int:
    """Return the distance of one code, (n_words,)."""
    total, n_words = np.uint64(0), len(code)
    for j in range(n_words):
        differing = code[j] ^ query[j]
        total += popcount(differing)
        if len(query) > n_words:
            total += popcount(differing & query[n_words + j])
    return int(total)


@kernel
def block_distances(
    block: Words, n_words: int, query: Words, allowed: NDArray[np.uint8], distances: Distances
) -> None:
    """Write the distances of a block of codes; the largest value of the type where a row is not allowed.

    Args:
        block: (n * n_words,) uint64, one code after the other.
        n_words: words per code.
        query: (n_words,) or (2 * n_words,) uint64.
        allowed: (n,) uint8, 1 or 0; empty if every row is.
        distances: (n,) written.
    """
    if n_words not in (1, 2, 4):
        _any_words(block, n_words, query, distances)
    elif len(query) > n_words:
        _weighted(block, n_words, query, distances)
    else:
        _plain(block, n_words, query, distances)
    for i in range(len(allowed)):
        distances[i] |= allowed[i] - 1  # wraps around to all ones where the row is not allowed


@kernel
def _plain(block: Words, n_words: int, query: Words, distances: Distances) -> None:
    if n_words == 1:
        _one_word(block, query, distances)
    elif n_words == 2:
        _two_words(block, query, distances)
    else:
        _four_words(block, query, distances)


@kernel
def _weighted(block: Words, n_words: int, query: Words, distances: Distances) -> None:
    if n_words == 1:
        _one_heavy_word(block, query, distances)
    elif n_words == 2:
        _two_heavy_words(block, query, distances)
    else:
        _four_heavy_words(block, query, distances)


@kernel
def _one_word(block: Words, query: Words, distances: Distances) -> None:
    only = query[0]
    for i in range(len(distances)):
        distances[i] = popcount(block[i] ^ only)


@kernel
def _one_heavy_word(block: Words, query: Words, distances: Distances) -> None:
    only, heavy = query[0], query[1]
    for i in range(len(distances)):
        distances[i] = _weight(block[i] ^ only, heavy)


@kernel
def _two_words(block: Words, query: Words, distances: Distances) -> None:
    low, high = query[0], query[1]
    for i in range(len(distances)):
        distances[i] = popcount(block[2 * i] ^ low) + popcount(block[2 * i + 1] ^ high)


@kernel
def _two_heavy_words(block: Words, query: Words, distances: Distances) -> None:
    low, high, low_heavy, high_heavy = query[0], query[1], query[2], query[3]
    for i in range(len(distances)):
        distances[i] = _weight(block[2 * i] ^ low, low_heavy) + _weight(block[2 * i + 1] ^ high, high_heavy)


@kernel
def _four_words(block: Words, query: Words, distances: Distances) -> None:
    q0, q1, q2, q3 = query[0], query[1], query[2], query[3]
    for i in range(len(distances)):
        first_half = popcount(block[4 * i] ^ q0) + popcount(block[4 * i + 1] ^ q1)
        second_half = popcount(block[4 * i + 2] ^ q2) + popcount(block[4 * i + 3] ^ q3)
        distances[i] = first_half + second_half


@kernel
def _four_heavy_words(block: Words, query: Words, distances: Distances) -> None:
    q0, q1, q2, q3 = query[0], query[1], query[2], query[3]
    h0, h1, h2, h3 = query[4], query[5], query[6], query[7]
    for i in range(len(distances)):
        first_half = _weight(block[4 * i] ^ q0, h0) + _weight(block[4 * i + 1] ^ q1, h1)
        second_half = _weight(block[4 * i + 2] ^ q2, h2) + _weight(block[4 * i + 3] ^ q3, h3)
        distances[i] = first_half + second_half


@kernel
def _any_words(block: Words, n_words: int, query: Words, distances: Distances) -> None:
    for i in range(len(distances)):
        distances[i] = distance_of(block[i * n_words : (i + 1) * n_words], query)


@kernel
def _weight(differing: int, heavy: int) -> int:
    """Return the weight of the bits of a word that differ."""
    return popcount(differing) + popcount(differing & heavy)


@kernel
def next_within(block: Words, n_words: int, query: Words, limit: int, first: int) -> int:
    """Return where the next chunk begins that has a code within a limit; the end of the block if none does.

    That is half the work of storing distances. For codes of more than two words, where most of the work is to
    count bits, every chunk is taken for near.

    Args:
        block: (n * n_words,) uint64, one code after the other.
        n_words: words per code.
        query: (n_words,) or (2 * n_words,) uint64.
        limit: a distance.
        first: where the chunk begins that is looked at first.
    """
    if n_words == 1:
        return _next_of_one(block, query, limit, first)
    if n_words == 2:
        return _next_of_two(block, query, limit, first)
    return first


@kernel
def _next_of_one(block: Words, query: Words, limit: int, first: int) -> int:
    n, only, is_weighted, bound = len(block), query[0], len(query) > 1, np.uint64(limit)
    heavy = query[1] if is_weighted else only
    for start in range(first, n, CHUNK):
        chunk, least = block[start : start + CHUNK], _FAR
        if is_weighted:
            for i in range(len(chunk)):
                least = min(least, _weight(chunk[i] ^ only, heavy))
        else:
            for i in range(len(chunk)):
                least = min(least, popcount(chunk[i] ^ only))
        if least <= bound:
            return start
    return n


@kernel
def _next_of_two(block: Words, query: Words, limit: int, first: int) -> int:
    n, low, high, is_weighted, bound = len(block) // 2, query[0], query[1], len(query) > 2, np.uint64(limit)
    low_heavy, high_heavy = (query[2], query[3]) if is_weighted else (low, high)
    for start in range(first, n, CHUNK):
        chunk, least = block[2 * start : 2 * (start + CHUNK)], _FAR
        if is_weighted:
            for i in range(len(chunk) // 2):
                first_half = _weight(chunk[2 * i] ^ low, low_heavy)
                least = min(least, first_half + _weight(chunk[2 * i + 1] ^ high, high_heavy))
        else:
            for i in range(len(chunk) // 2):
                least = min(least, popcount(chunk[2 * i] ^ low) + popcount(chunk[2 * i + 1] ^ high))
        if least <= bound:
            return start
    return n


@kernel
def chunk_distances(block: Words, n_words: int, query: Words, first: int, distances: Distances) -> None:
    """Write the distances of one chunk of a block, and the largest value of the type past the end."""
    n = min(CHUNK, len(block) // n_words - first)
    chunk = block[first * n_words : (first + n) * n_words]
    block_distances(chunk, n_words, query, chunk[:0].view(np.uint8), distances[:n])
    for past in range(n, CHUNK):
        distances[past] = -1


@kernel
def count_below(distances: Distances, limit: int) -> int:
    """Count the distances below a limit; at most 65,535 distances."""
    count, bound = np.uint16(0), distances.dtype.type(limit)
    for i in range(len(distances)):
        count += np.uint16(distances[i] < bound)
    return int(count)
