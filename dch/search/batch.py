"""Search for many queries at once, on several cores; each result is what a single search would give."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import Vectors, Words, pack, to_words
from dch.search.order import Float32s, Int32s, Integers, _order_by_score
from dch.search.reserve import reserve
from dch.search.scan import _scan
from dch.search.scores import Scorer, make_scorer, score_rows

_NO_MASK = np.empty(0, np.uint8)


@kernel
def _best(
    words: Words,
    query: Words,
    k: int,
    n_candidates: int,
    allowed: NDArray[np.uint8],
    skip: Int32s,
    popularity: Integers,
    scorer: Scorer,
    rows: Int32s,
    distances: Int32s,
    scores: Float32s,
) -> int:
    """Find the nearest, rerank them when ``n_candidates`` is above 0, and return how many of k there are."""
    size = max(k, n_candidates)
    found = _scan(words, query, size, allowed, skip, popularity, rows, distances, scores)
    if n_candidates > 0:
        score_rows(rows[:found], scorer, scores)
        _order_by_score(found, rows, distances, scores, popularity)
    return min(found, k)


@kernel
def _scan_many(
    words: Words,
    queries: Words,
    k: int,
    n_candidates: int,
    allowed: NDArray[np.uint8],
    marked: NDArray[np.uint8],
    n_reserved: int,
    skip_starts: NDArray[np.int64],
    skip_columns: Int32s,
    popularity: Integers,
    item_vectors: Vectors,
    relaxed: Float32s,
    vectors: Float32s,
    ranked: NDArray[np.int32],
) -> None:
    """Fill one row of ``ranked`` per query; rerank when ``n_candidates`` is above 0."""
    size = max(k, n_candidates)
    rows, distances = np.empty((2, size), np.int32), np.empty((2, size), np.int32)
    scores = np.empty((2, size), np.float32)
    chosen = np.flatnonzero(allowed & marked if n_reserved > 0 else allowed[:0]).astype(np.int32)
    place = np.full(len(words), -1, np.int32)
    place[chosen] = np.arange(len(chosen))
    # Copied: see ``answers``.
    marked_words, marked_popularity, marked_vectors = words[chosen], popularity[chosen], item_vectors[chosen]
    for i in range(len(queries)):
        skip = np.sort(skip_columns[skip_starts[i] : skip_starts[i + 1]])
        about = (skip, popularity, make_scorer(words, item_vectors, relaxed[i], vectors[i]))
        found = _best(words, queries[i], k, n_candidates, allowed, *about, rows[0], distances[0], scores[0])
        if n_reserved > 0:
            skip = place[skip]
            scorer = make_scorer(marked_words, marked_vectors, relaxed[i], vectors[i])
            others = (skip[skip >= 0], marked_popularity, scorer)
            room = (rows[1], distances[1], scores[1])
            of = _best(marked_words, queries[i], n_reserved, n_candidates, _NO_MASK, *others, *room)
            best = (chosen[rows[1, :of]], distances[1, :of], scores[1, :of])
            listed = (found, rows[0], distances[0], scores[0])
            reserve(n_candidates > 0, *listed, *best, marked, popularity)
        ranked[i, :found] = rows[0, :found]
        ranked[i, found:] = -1


def nearest_many(
    words: Words,
    k: int,
    *,
    skip_starts: NDArray[np.int64],
    skip_columns: Int32s,
    eligible: NDArray[np.bool_],
    popularity: Integers,
    relaxed: Float32s,
    item_vectors: Vectors,
    vectors: Float32s,
    n_candidates: int = 0,
    marked: NDArray[np.uint8] | None = None,
    n_reserved: int = 0,
    n_threads: int | None = None,
) -> NDArray[np.int32]:
    """Find the k nearest codes of each query; rerank the ``n_candidates`` nearest when it is above 0.

    Args:
        words: (n, n_words) uint64.
        k: list length.
        skip_starts: (n_queries + 1,) int64; query i skips skip_columns[skip_starts[i]:skip_starts[i + 1]].
        skip_columns: int32 rows.
        eligible: (n,) bool.
        popularity: (n,) int32.
        relaxed: (n_queries, bits) float32, the queries before their signs were taken.
        item_vectors: (n, vector_size) int8.
        vectors: (n_queries, vector_size) float32; vector_size is 0 where the relaxed codes are to score.
        n_candidates: how many of the nearest to rerank; 0 is none.
        marked: (n,) uint8, 1 where a row is one of those that places are reserved for.
        n_reserved: how many places are reserved, 0 to k; see ``reserve``.
        n_threads: threads to search on, None: one per core; the result does not depend on it.

    Returns:
        (n_queries, k) int32 rows, best first, -1 where fewer than k are eligible.
    """
    queries = to_words(pack(relaxed))
    ranked = np.empty((len(queries), k), np.int32)
    relaxed, vectors = np.ascontiguousarray(relaxed), np.ascontiguousarray(vectors)
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
            _NO_MASK if marked is None else marked,
            n_reserved,
            skip_starts[one : end + 1],
            skip_columns,
            popularity,
            item_vectors,
            relaxed[one:end],
            vectors[one:end],
            ranked[one:end],
        )

    with ThreadPoolExecutor(n_parts) as pool:
        list(pool.map(search, range(n_parts)))
    return ranked
