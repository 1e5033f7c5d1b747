"""Search for many queries at once, on several cores. Each result equals that of a single search."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import Vectors, Words, pack, to_words
from dch.models.towers import Floats, Ints
from dch.search.order import Integers, sort_results
from dch.search.reserved_positions import reserve
from dch.search.scan import scan
from dch.search.scores import QueryScorer, make_scorer, score_rows

_NO_MASK = np.empty(0, np.uint8)


@kernel
def _best(
    words: Words,
    query: Words,
    k: int,
    n_candidates: int,
    allowed: NDArray[np.uint8],
    skip: Ints,
    popularity: Integers,
    scorer: QueryScorer,
    rows: Ints,
    distances: Ints,
    scores: Floats,
) -> int:
    """Write the nearest rows, reranked if ``n_candidates`` is above 0; return how many of k were found."""
    size = max(k, n_candidates)
    found = scan(words, query, size, allowed, skip, popularity, rows, distances, scores)
    if n_candidates > 0:
        score_rows(rows[:found], scorer, scores)
        sort_results(True, found, rows, distances, scores, popularity)
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
    skip_columns: Ints,
    popularity: Integers,
    item_vectors: Vectors,
    relaxed: Floats,
    vectors: Floats,
    ranked: Ints,
) -> None:
    """Write one row of ``ranked`` per query; rerank if ``n_candidates`` is above 0."""
    size = max(k, n_candidates)
    rows, distances = np.empty((2, size), np.int32), np.empty((2, size), np.int32)
    scores = np.empty((2, size), np.float32)
    chosen = np.flatnonzero(allowed & marked if n_reserved > 0 else allowed[:0]).astype(np.int32)
    position_in_chosen = np.full(len(words), -1, np.int32)
    position_in_chosen[chosen] = np.arange(len(chosen))
    # Copied: a scan of all codes with a mask that allows few of them takes ten times as long.
    marked_words, marked_popularity, marked_vectors = words[chosen], popularity[chosen], item_vectors[chosen]
    for i in range(len(queries)):
        skip = np.sort(skip_columns[skip_starts[i] : skip_starts[i + 1]])
        scorer = make_scorer(words, item_vectors, relaxed[i], vectors[i])
        criteria = (allowed, skip, popularity, scorer)
        found = _best(words, queries[i], k, n_candidates, *criteria, rows[0], distances[0], scores[0])
        if n_reserved > 0:
            skip = position_in_chosen[skip]
            scorer = make_scorer(marked_words, marked_vectors, relaxed[i], vectors[i])
            marked_criteria = (_NO_MASK, skip[skip >= 0], marked_popularity, scorer)
            outputs = (rows[1], distances[1], scores[1])
            n_best = _best(marked_words, queries[i], n_reserved, n_candidates, *marked_criteria, *outputs)
            best = (chosen[rows[1, :n_best]], distances[1, :n_best], scores[1, :n_best])
            listed = (found, rows[0], distances[0], scores[0])
            reserve(n_candidates > 0, *listed, *best, marked, popularity)
        ranked[i, :found] = rows[0, :found]
        ranked[i, found:] = -1


def nearest_many(
    words: Words,
    k: int,
    *,
    skip_starts: NDArray[np.int64],
    skip_columns: Ints,
    eligible: NDArray[np.bool_],
    popularity: Integers,
    relaxed: Floats,
    item_vectors: Vectors,
    vectors: Floats,
    n_candidates: int = 0,
    marked: NDArray[np.uint8] | None = None,
    n_reserved: int = 0,
    n_threads: int | None = None,
) -> Ints:
    """Find the k nearest codes of each query, and rerank the ``n_candidates`` nearest if that is above 0.

    Args:
        words: (n, n_words) uint64.
        k: list length.
        skip_starts: (n_queries + 1,) int64; query i skips skip_columns[skip_starts[i]:skip_starts[i + 1]].
        skip_columns: int32 rows.
        eligible: (n,) bool.
        popularity: (n,) int32 or int64.
        relaxed: (n_queries, bits) float32, the relaxed codes of the queries.
        item_vectors: (n, vector_size) int8.
        vectors: (n_queries, vector_size) float32; vector_size is 0 to score by the relaxed codes.
        n_candidates: how many of the nearest codes to rerank; 0 means none.
        marked: (n,) uint8, 1 where a row may take a reserved position.
        n_reserved: how many positions are reserved, 0 to k; see ``reserve``.
        n_threads: threads to search on; None means one per core. The result does not depend on it.

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
        start, stop = edges[part], edges[part + 1]
        _scan_many(
            words,
            queries[start:stop],
            k,
            n_candidates,
            allowed,
            _NO_MASK if marked is None else marked,
            n_reserved,
            skip_starts[start : stop + 1],
            skip_columns,
            popularity,
            item_vectors,
            relaxed[start:stop],
            vectors[start:stop],
            ranked[start:stop],
        )

    with ThreadPoolExecutor(n_parts) as pool:
        list(pool.map(search, range(n_parts)))
    return ranked
