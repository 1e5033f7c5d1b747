"""Scores of a few candidates: by ranking vectors, or by the relaxed code if the model makes no vectors.

By vectors: the product of the query's vector and the item's, which is int8. The query's vector is rounded to
int16, so the product is exact in 32 bits: every processor gives the same result, however it vectorizes.
By relaxed code: the product of the query's relaxed code and the item's signs, which takes into account how
clearly each bit of the query was decided.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.config import MAX_VECTOR_SIZE
from dch.jit import kernel
from dch.models.codes import Vectors, Words
from dch.models.towers import Floats, Ints

LARGEST_QUERY = (2**31 - 1) // (128 * MAX_VECTOR_SIZE)
"""Largest element of a rounded query: the longest sum of products with int8 elements fits in 32 bits."""


class QueryScorer(NamedTuple):
    """What one query needs to score rows; see ``make_scorer``."""

    words: Words  # (n, n_words) codes
    vectors: Vectors
    table: Floats  # (bits // 4, 16) sum of the relaxed query for each value of each half byte of a code
    rounded: NDArray[np.int16]  # (vector_size,) the query's vector in steps; empty: score by the table
    step: np.float32


@kernel
def make_scorer(words: Words, vectors: Vectors, relaxed: Floats, vector: Floats) -> QueryScorer:
    """Prepare the scores of one query.

    Args:
        words: (n, n_words) uint64.
        vectors: (n, vector_size) int8.
        relaxed: (bits,) relaxed code of the query.
        vector: (vector_size,) ranking vector of the query; empty: score by the relaxed code.
    """
    rounded = np.empty(len(vector), np.int16)
    step = round_query(vector, rounded)
    table = half_byte_sums(relaxed[: len(relaxed) * (len(vector) == 0)])
    return QueryScorer(words, vectors, table, rounded, step)


@kernel
def round_query(vector: Floats, rounded: NDArray[np.int16]) -> np.float32:
    """Write a query's vector as integer multiples of a step, and return the step."""
    largest = np.float32(1e-30)
    for j in range(len(vector)):
        largest = max(largest, abs(vector[j]))
    step = np.float32(largest / LARGEST_QUERY)
    for j in range(len(vector)):
        rounded[j] = np.int16(np.rint(vector[j] / step))
    return step


@kernel
def half_byte_sums(relaxed: Floats) -> Floats:
    """Return the sum of signs * relaxed for each value of each half byte of a code, (bits // 4, 16)."""
    table = np.empty((len(relaxed) // 4, 16), np.float32)
    for half in range(len(table)):
        for value in range(16):
            total = np.float32(0)
            for bit in range(4):
                sign = 1 if value >> (3 - bit) & 1 else -1
                total += np.float32(sign) * relaxed[4 * half + bit]
            table[half, value] = total
    return table


@kernel
def score_of(row: int, scorer: QueryScorer) -> np.float32:
    """Return the score of one row."""
    words, vectors, table, rounded, step = scorer
    if len(rounded) > 0:
        product = np.int32(0)
        for j in range(len(rounded)):
            product += np.int32(vectors[row, j]) * np.int32(rounded[j])
        return np.float32(product) * step
    total = np.float32(0)
    for byte in range(len(table) // 2):
        code = words[row, byte >> 3] >> np.uint64(8 * (byte & 7))
        total += table[2 * byte, (code >> np.uint64(4)) & np.uint64(15)]
        total += table[2 * byte + 1, code & np.uint64(15)]
    return total


@kernel
def score_rows(rows: Ints, scorer: QueryScorer, scores: Floats) -> None:
    """Write the score of each of these rows."""
    for i in range(len(rows)):
        scores[i] = score_of(rows[i], scorer)
