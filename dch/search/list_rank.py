"""The rank of one row in the list of one query (strategy ``codes+rerank``), without building the list.

Most rows are not among the candidates. That is known as soon as enough nearer rows were counted, which takes
a few blocks of codes. Only for the others all codes are searched, once.
"""

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import Vectors, Words
from dch.models.towers import Floats, Ints
from dch.search.distances import Distances, block_distances, count_below, distance_of, fits_bytes
from dch.search.nearest import CANDIDATES
from dch.search.order import Integers
from dch.search.query_words import write_query
from dch.search.scan import BLOCK, Criteria, Work, room_for, scan
from dch.search.scores import make_scorer, score_of, score_rows

OUTSIDE = np.iinfo(np.int32).max
"""The rank of a row that is not among the candidates."""

LOOK_AHEAD = 16
"""Blocks after which a row with few nearer ones so far is taken for a candidate. The search decides."""


@kernel
def list_rank(
    words: Words,
    vectors: Vectors,
    allowed: NDArray[np.uint8],
    popularity: Integers,
    relaxed: Floats,
    vector: Floats,
    is_weighted: bool,
    skip: Ints,
    row: int,
    work: Work,
) -> int:
    """Return the rank of a row, from 0, in the list of a query, or OUTSIDE.

    Args:
        words: (n, n_words) uint64.
        vectors: (n, vector_size) int8.
        allowed: (n,) uint8, 1, or 0 where a row is never listed.
        popularity: (n,) breaks ties, larger first.
        relaxed: (bits,) relaxed code of the query.
        vector: (vector_size,) ranking vector of the query; empty: score by the relaxed code.
        is_weighted: whether the candidates are the nearest by weighted distance.
        skip: rows never listed, distinct and ascending.
        row: an allowed row that is not in ``skip``.
        work: counters, increased.
    """
    query = np.zeros(words.shape[1] * (2 if is_weighted else 1), np.uint64)
    write_query(relaxed, query)
    rows, distances = candidates_with(words, query, allowed, popularity, skip, row, work)
    if len(rows) == 0:
        return OUTSIDE
    scorer, scores = make_scorer(words, vectors, relaxed, vector), np.empty(len(rows), np.float32)
    score_rows(rows, scorer, scores)
    own, own_score, before = distance_of(words[row], query), score_of(row, scorer), 0
    for at in range(len(rows)):
        nearer = distances[at] < own or (distances[at] == own and precedes(popularity, rows[at], row))
        before += int(scores[at] > own_score or (scores[at] == own_score and nearer))
    return before


@kernel
def candidates_with(
    words: Words,
    query: Words,
    allowed: NDArray[np.uint8],
    popularity: Integers,
    skip: Ints,
    row: int,
    work: Work,
) -> tuple[Ints, Ints]:
    """Return rows and distances of the candidates, in no order, if a row is among them; or else none.

    Args:
        words: as for ``list_rank``, like all others.
        query: what is searched for; see ``dch.search.query_words``.
        allowed: (n,).
        popularity: (n,).
        skip: distinct and ascending.
        row: an allowed row that is not in ``skip``.
        work: counters, increased.
    """
    nothing = np.empty(0, np.int32)
    if _is_outside(words, query, allowed, skip, row, work):
        return nothing, nothing
    sizes, starts = np.array([min(CANDIDATES, len(words))]), np.array([0, len(skip)])
    kept = room_for(1, sizes[0], len(words))
    scan(words, query.reshape(1, -1), Criteria(sizes, allowed, starts, skip, popularity), kept, work)
    rows, distances = kept.rows[0, : kept.found[0]], kept.distances[0, : kept.found[0]]
    for at in range(len(rows)):
        if rows[at] == row:
            return rows, distances
    return nothing, nothing


@kernel
def precedes(popularity: Integers, row: int, other: int) -> bool:
    """Return whether a row comes before another one of the same distance and score."""
    return bool(popularity[row] > popularity[other] or (popularity[row] == popularity[other] and row < other))


@kernel
def _is_outside(
    words: Words, query: Words, allowed: NDArray[np.uint8], skip: Ints, row: int, work: Work
) -> bool:
    """Return whether so many rows are nearer that this one cannot be a candidate; False if it may be one."""
    own, n_skipped = distance_of(words[row], query), 0
    for other in skip:
        if other < len(words) and allowed[other] and distance_of(words[other], query) < own:
            n_skipped += 1
    enough = CANDIDATES + n_skipped
    if fits_bytes(words.shape[1], len(query)):
        return _has_nearer(words, query, allowed, own, enough, work, np.empty(BLOCK, np.uint8))
    return _has_nearer(words, query, allowed, own, enough, work, np.empty(BLOCK, np.uint16))


@kernel
def _has_nearer(
    words: Words,
    query: Words,
    allowed: NDArray[np.uint8],
    distance: int,
    enough: int,
    work: Work,
    scratch: Distances,
) -> bool:
    """Return whether enough allowed rows are nearer than a distance; stop once that is known, or unlikely."""
    n, n_words = words.shape
    flat, n_nearer = words.reshape(-1), 0
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        block = scratch[: stop - start]
        block_distances(flat[start * n_words : stop * n_words], n_words, query, allowed[start:stop], block)
        work.compared[0] += len(block)
        n_nearer += count_below(block, distance)
        if n_nearer >= enough:
            return True
        if start >= LOOK_AHEAD * BLOCK and n_nearer < 2 * enough * stop // n + 4:
            return False
    return False
