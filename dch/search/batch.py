"""Search for many queries at once, on several cores. Each result equals that of a single search."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import Vectors, Words
from dch.models.towers import Floats, Ints
from dch.search.order import Integers, sort_results
from dch.search.query_words import make_queries
from dch.search.reserved_positions import reserve
from dch.search.scan import Criteria, Kept, no_work, room_for, scan
from dch.search.scores import make_scorer, score_rows

_NO_MASK = np.empty(0, np.uint8)


SHARED = 32
"""Queries that read a block of codes together; their kept rows still fit in the second-level cache."""


class Targets(NamedTuple):
    """What some queries search in: all items, or the marked ones alone."""

    words: Words  # (n, n_words)
    allowed: NDArray[np.uint8]  # (n,), or empty if every row may be found
    popularity: Integers  # (n,)
    vectors: Vectors  # (n, vector_size)


class Skips(NamedTuple):
    """The rows that each query skips, in compressed form."""

    starts: NDArray[np.int64]  # (n_queries + 1,)
    rows: Ints  # ascending within each query


@kernel
def _best(
    targets: Targets,
    queries: Words,
    relaxed: Floats,
    vectors: Floats,
    k: int,
    n_candidates: int,
    skips: Skips,
    kept: Kept,
) -> None:
    """Keep the nearest k rows of each query, reranked if ``n_candidates`` is above 0."""
    sizes = np.full(len(queries), min(max(k, n_candidates), len(targets.words)), np.int64)
    criteria = Criteria(sizes, targets.allowed, skips.starts, skips.rows, targets.popularity)
    scan(targets.words, queries, criteria, kept, no_work())
    rows, distances, scores, found = kept
    for i in range(len(queries)):
        if n_candidates > 0:
            scorer = make_scorer(targets.words, targets.vectors, relaxed[i], vectors[i])
            score_rows(rows[i, : found[i]], scorer, scores[i])
        sort_results(n_candidates > 0, found[i], rows[i], distances[i], scores[i], targets.popularity)
        found[i] = min(found[i], k)


@kernel
def _skips_of(starts: NDArray[np.int64], columns: Ints, row_of: Ints) -> Skips:
    """Return the skips of some queries, as rows of the targets; columns without a row (-1) are left out."""
    new_starts, rows = np.zeros(len(starts), np.int64), np.empty(starts[-1] - starts[0], np.int32)
    n = 0
    for i in range(len(starts) - 1):
        for column in columns[starts[i] : starts[i + 1]]:
            row = row_of[column] if len(row_of) > 0 else column
            if row >= 0:
                rows[n] = row
                n += 1
        rows[new_starts[i] : n].sort()
        new_starts[i + 1] = n
    return Skips(new_starts, rows[:n])


@kernel
def _scan_many(
    targets: Targets,
    queries: Words,
    k: int,
    n_candidates: int,
    marked: NDArray[np.uint8],
    n_reserved: int,
    skip_starts: NDArray[np.int64],
    skip_columns: Ints,
    relaxed: Floats,
    vectors: Floats,
    ranked: Ints,
) -> None:
    """Write one row of ``ranked`` per query; rerank if ``n_candidates`` is above 0."""
    allowed, popularity = targets.allowed, targets.popularity
    chosen = np.flatnonzero(allowed & marked if n_reserved > 0 else allowed[:0]).astype(np.int32)
    row_of = np.full(len(targets.words) if n_reserved > 0 else 0, -1, np.int32)
    if n_reserved > 0:
        row_of[chosen] = np.arange(len(chosen))
    # Copied: a scan of all codes with a mask that allows few of them takes much longer.
    among_marked = Targets(targets.words[chosen], allowed[:0], popularity[chosen], targets.vectors[chosen])
    for start in range(0, len(queries), SHARED):
        part = slice(start, min(start + SHARED, len(queries)))
        inputs = (queries[part], relaxed[part], vectors[part])
        starts = skip_starts[start : part.stop + 1]
        kept = room_for(len(inputs[0]), max(k, n_candidates), len(targets.words))
        _best(targets, *inputs, k, n_candidates, _skips_of(starts, skip_columns, row_of[:0]), kept)
        if n_reserved > 0:
            best = room_for(len(inputs[0]), max(n_reserved, n_candidates), len(chosen))
            skips = _skips_of(starts, skip_columns, row_of)
            _best(among_marked, *inputs, n_reserved, n_candidates, skips, best)
            _reserve_each(n_candidates > 0, kept, best, chosen, marked, popularity)
        for i in range(len(inputs[0])):
            ranked[start + i, : kept.found[i]] = kept.rows[i, : kept.found[i]]
            ranked[start + i, kept.found[i] :] = -1


@kernel
def _reserve_each(
    by_score: bool, kept: Kept, best: Kept, chosen: Ints, marked: NDArray[np.uint8], popularity: Integers
) -> None:
    """Move the best marked rows into each list; ``chosen`` has the rows that those of ``best`` stand for."""
    for i in range(len(kept.found)):
        n = best.found[i]
        columns = (chosen[best.rows[i, :n]], best.distances[i, :n], best.scores[i, :n])
        listed = (kept.found[i], kept.rows[i], kept.distances[i], kept.scores[i])
        reserve(by_score, *listed, *columns, marked, popularity)


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
    is_weighted: bool = False,
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
        is_weighted: whether to search by weighted distance.
        marked: (n,) uint8, 1 where a row may take a reserved position.
        n_reserved: how many positions are reserved, 0 to k; see ``reserve``.
        n_threads: threads to search on; None means one per core. The result does not depend on it.

    Returns:
        (n_queries, k) int32 rows, best first, -1 where fewer than k are eligible.
    """
    queries = make_queries(relaxed, is_weighted=is_weighted)
    ranked = np.empty((len(queries), k), np.int32)
    relaxed, vectors = np.ascontiguousarray(relaxed), np.ascontiguousarray(vectors)
    allowed = np.ascontiguousarray(eligible).view(np.uint8)
    targets = Targets(np.ascontiguousarray(words), allowed, popularity, np.ascontiguousarray(item_vectors))
    n_parts = n_threads or os.cpu_count() or 1
    edges = np.linspace(0, len(queries), n_parts + 1).astype(int)

    def search(part: int) -> None:
        start, stop = edges[part], edges[part + 1]
        _scan_many(
            targets,
            queries[start:stop],
            k,
            n_candidates,
            _NO_MASK if marked is None else marked,
            n_reserved,
            skip_starts[start : stop + 1],
            skip_columns,
            relaxed[start:stop],
            vectors[start:stop],
            ranked[start:stop],
        )

    with ThreadPoolExecutor(n_parts) as pool:
        list(pool.map(search, range(n_parts)))
    return ranked
