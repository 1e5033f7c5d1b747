"""Scores of a few candidates: by ranking vectors, or by relaxed codes where a model makes no vectors.

By vectors: query vector . item vector, an int8 an element. The query is rounded to int16 for the search at
hand, so the product is exact in 32 bits, on every processor and however it is vectorised. By relaxed codes:
the asymmetric score, relaxed query . item bits, which sees by how much each bit of the query was decided.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.config import MAX_VECTOR_SIZE
from dch.jit import kernel
from dch.models.codes import Vectors, Words

Floats = NDArray[np.float32]

WHOLE_LARGEST = (2**31 - 1) // (128 * MAX_VECTOR_SIZE)
"""Of a query's element: the longest sum of products with an int8 stays within 32 bits."""


class Scorer(NamedTuple):
    """What one query needs to score rows; see ``make_scorer``."""

    words: Words  # (n, n_words) codes
    vectors: Vectors
    table: Floats  # (bits // 4, 16) sums of the relaxed query for each value of each half byte of a code
    whole: NDArray[np.int16]  # (vector_size,) the query's vector in whole steps; empty: score by the table
    step: np.float32


@kernel
def make_scorer(words: Words, vectors: Vectors, relaxed: Floats, vector: Floats) -> Scorer:
    """Prepare the scores of one query.

    Args:
        words: (n, n_words) uint64.
        vectors: (n, vector_size) int8.
        relaxed: (bits,) the query before its signs were taken.
        vector: (vector_size,) the query's ranking vector; empty: score by the relaxed code.
    """
    whole = np.empty(len(vector), np.int16)
    step = round_query(vector, whole)
    return Scorer(words, vectors, half_byte_sums(relaxed[: len(relaxed) * (len(vector) == 0)]), whole, step)


@kernel
def round_query(vector: Floats, whole: NDArray[np.int16]) -> np.float32:
    """Write a query's vector in whole steps, and return the step."""
    largest = np.float32(1e-30)
    for j in range(len(vector)):
        largest = max(largest, abs(vector[j]))
    step = np.float32(largest / WHOLE_LARGEST)
    for j in range(len(vector)):
        whole[j] = np.int16(np.rint(vector[j] / step))
    return step


@kernel
def half_byte_sums(relaxed: Floats) -> Floats:
    """Sum relaxed bits for each value of each half byte of a code, (bits // 4, 16)."""
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
def score_of(row: int, scorer: Scorer) -> np.float32:
    """Return the score of one row."""
    words, vectors, table, whole, step = scorer
    if len(whole) > 0:
        product = np.int32(0)
        for j in range(len(whole)):
            product += np.int32(vectors[row, j]) * np.int32(whole[j])
        return np.float32(product) * step
    total = np.float32(0)
    for byte in range(len(table) // 2):
        code = words[row, byte >> 3] >> np.uint64(8 * (byte & 7))
        total += table[2 * byte, (code >> np.uint64(4)) & np.uint64(15)]
        total += table[2 * byte + 1, code & np.uint64(15)]
    return total


@kernel
def score_rows(rows: NDArray[np.int32], scorer: Scorer, scores: Floats) -> None:
    """Write the score of each of these rows."""
    for i in range(len(rows)):
        scores[i] = score_of(rows[i], scorer)
