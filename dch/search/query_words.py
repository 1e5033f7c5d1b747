"""The query of a search: the code of a user and, for weighted distances, its heavy bits.

A bit is heavy, and counts twice in a distance, where the relaxed code is large: that bit is decided clearly.
Exactly half of the bits are heavy. They follow from the relaxed code alone, whose bits depend on history and
weights only, so equal histories have equal heavy bits.
"""

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import Words, n_words
from dch.models.towers import Floats


def make_queries(relaxed: Floats, *, is_weighted: bool) -> Words:
    """Return the queries of relaxed codes.

    Args:
        relaxed: (n, bits) float32.
        is_weighted: whether to search by weighted distance.

    Returns:
        (n, n_words) codes, or (n, 2 * n_words) codes with their heavy bits.
    """
    queries = np.zeros((len(relaxed), n_words(relaxed.shape[1]) * (2 if is_weighted else 1)), np.uint64)
    _write_queries(np.ascontiguousarray(relaxed), queries)
    return queries


def weights_of_bits(relaxed: Floats) -> Floats:
    """Return the weight of each bit, 1 or 2, of relaxed codes, (n, bits) each."""
    order = np.argsort(-np.abs(relaxed), axis=1, kind="stable")  # equal values go by index
    weights = np.ones_like(relaxed)
    np.put_along_axis(weights, order[:, : relaxed.shape[1] // 2], 2.0, axis=1)
    return weights


@kernel
def _write_queries(relaxed: Floats, queries: Words) -> None:
    for i in range(len(relaxed)):
        write_query(relaxed[i], queries[i])


@kernel
def write_query(relaxed: Floats, query: NDArray[np.uint64]) -> None:
    """Write the query of one relaxed code; its length tells whether it has heavy bits.

    Args:
        relaxed: (bits,) float32.
        query: (n_words,) or (2 * n_words,), written.
    """
    n_words = (len(relaxed) + 63) // 64
    query[:] = 0
    for b in range(len(relaxed)):
        if relaxed[b] > 0:
            _set_bit(query[:n_words], b)
    if len(query) > n_words:
        order = np.argsort(-np.abs(relaxed), kind="mergesort")  # stable: equal values go by index
        for b in order[: len(relaxed) // 2]:
            _set_bit(query[n_words:], b)


@kernel
def _set_bit(words: NDArray[np.uint64], b: int) -> None:
    """Set bit b as ``codes.pack`` and ``codes.to_words`` do.

    The first bit is the highest of its byte; bytes are in memory order within a little-endian word.
    """
    words[b // 64] |= np.uint64(1) << np.uint64(8 * (b // 8 % 8) + 7 - b % 8)
