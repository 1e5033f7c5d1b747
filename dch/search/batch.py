"""Search for many queries at once, on several cores; each result is what a single search would give."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from dch.codes import Words
from dch.jit import kernel
from dch.search.order import Float32s, Int32s, Integers, _order_by_score
from dch.search.scan import _scan


@kernel
def _scan_many(
    words: Words,
    queries: Words,
    k: int,
    n_candidates: int,
    allowed: NDArray[np.uint8],
    skip_starts: NDArray[np.int64],
    skip_columns: Int32s,
    popularity: Integers,
    relaxed: NDArray[np.float32],
    ranked: NDArray[np.int32],
) -> None:
    """Fill one row of ``ranked`` per query; rerank when ``n_candidates`` is above 0."""
    size = max(k, n_candidates)
    rows, distances = np.empty(size, np.int32), np.empty(size, np.int32)
    scores = np.empty(size, np.float32)
    for i in range(len(queries)):
        skip = np.sort(skip_columns[skip_starts[i] : skip_starts[i + 1]])
        found = _scan(words, queries[i], size, allowed, skip, popularity, relaxed[i], rows, distances, scores)
        if n_candidates > 0:
            _order_by_score(found, rows, distances, scores, popularity)
        found = min(found, k)
        ranked[i, :found] = rows[:found]
        ranked[i, found:] = -1


def nearest_many(
    words: Words,
    queries: Words,
    k: int,
    *,
    skip_starts: NDArray[np.int64],
    skip_columns: Int32s,
    eligible: NDArray[np.bool_],
    popularity: Integers,
    relaxed: Float32s | None = None,
    n_candidates: int = 0,
    n_threads: int | None = None,
) -> NDArray[np.int32]:
    """Find the k nearest codes of each query.

    Args:
        words: (n, n_words) uint64.
        queries: (n_queries, n_words) uint64.
        k: list length.
        skip_starts: (n_queries + 1,) int64; query i skips skip_columns[skip_starts[i]:skip_starts[i + 1]].
        skip_columns: int32 rows.
        eligible: (n,) bool.
        popularity: (n,) int32.
        relaxed: (n_queries, bits) float32; None orders by distance alone, then popularity, then row.
        n_candidates: how many of the nearest to rerank by asymmetric score; 0 is none.
        n_threads: threads to search on, None: one per core; the result does not depend on it.

    Returns:
        (n_queries, k) int32 rows, best first, -1 where fewer than k are eligible.
    """
    ranked = np.empty((len(queries), k), np.int32)
    scored = np.empty((len(queries), 0), np.float32) if relaxed is None else relaxed
    words, allowed = np.ascontiguousarray(words), np.ascontiguousarray(eligible).view(np.uint8)
    n_parts = n_threads or os.cpu_count() or 1
    edges = np.linspace(0, len(queries), n_parts + 1).astype(int)

    def search(part: int) -> None:
        one, end = edges[part], edges[part + 1]
        _scan_many(
            words,
            queries[one:end],
            k,
            n_candidates,
            allowed,
            skip_starts[one : end + 1],
            skip_columns,
            popularity,
            scored[one:end],
            ranked[one:end],
        )

    with ThreadPoolExecutor(n_parts) as pool:
        list(pool.map(search, range(n_parts)))
    return ranked
