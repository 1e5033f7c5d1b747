"""The rank of one row in the list of one query (strategy ``codes+rerank``), without building the list.

Most rows are not among the candidates. That is known as soon as enough nearer rows were counted, which takes
a few blocks of codes. Only for the others all codes are searched.
"""

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import Vectors, Words
from dch.models.towers import Floats, Ints
from dch.search.distances import Distances, block_distances, count_below, fits_bytes, popcount
from dch.search.nearest import CANDIDATES
from dch.search.order import Integers
from dch.search.scan import BLOCK, Criteria, Work, room_for, scan
from dch.search.scores import make_scorer, score_of, score_rows

OUTSIDE = np.iinfo(np.int32).max
"""The rank of a row that is not among the candidates."""


@kernel
def list_rank(
    words: Words,
    vectors: Vectors,
    allowed: NDArray[np.uint8],
    popularity: Integers,
    relaxed: Floats,
    vector: Floats,
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
        skip: rows never listed, distinct and ascending.
        row: an allowed row that is not in ``skip``.
        work: counters, increased.
    """
    query = np.zeros(words.shape[1], np.uint64)
    sign_words(relaxed, query)
    if _is_outside(words, query, allowed, skip, row, work):
        return OUTSIDE
    sizes, starts = np.array([min(CANDIDATES, len(words))]), np.array([0, len(skip)])
    kept = room_for(1, sizes[0])
    scan(words, query.reshape(1, -1), Criteria(sizes, allowed, starts, skip, popularity), kept, work)
    rows, distances = kept.rows[0, : kept.found[0]], kept.distances[0]
    scorer, scores = make_scorer(words, vectors, relaxed, vector), kept.scores[0]
    score_rows(rows, scorer, scores)
    own, own_score, is_candidate, before = distance_to(words, query, row), score_of(row, scorer), False, 0
    for at in range(len(rows)):
        is_candidate = is_candidate or rows[at] == row
        nearer = distances[at] < own or (distances[at] == own and precedes(popularity, rows[at], row))
        before += int(scores[at] > own_score or (scores[at] == own_score and nearer))
    return before if is_candidate else OUTSIDE


@kernel
def sign_words(relaxed: Floats, words: NDArray[np.uint64]) -> None:
    """Write the packed code of one relaxed code, as ``codes.pack`` and ``codes.to_words`` do."""
    words[:] = 0
    for b in range(len(relaxed)):
        if relaxed[b] > 0:
            # First bit highest within a byte, bytes in memory order within a little-endian word.
            bit = 8 * (b // 8 % 8) + 7 - b % 8
            words[b // 64] |= np.uint64(1) << np.uint64(bit)


@kernel
def precedes(popularity: Integers, row: int, other: int) -> bool:
    """Return whether a row comes before another one of the same distance and score."""
    return bool(popularity[row] > popularity[other] or (popularity[row] == popularity[other] and row < other))


@kernel
def distance_to(words: Words, query: Words, row: int) -> int:
    """Return the distance of one row."""
    total = np.uint64(0)
    for j in range(len(query)):
        total += popcount(words[row, j] ^ query[j])
    return int(total)


@kernel
def _is_outside(
    words: Words, query: Words, allowed: NDArray[np.uint8], skip: Ints, row: int, work: Work
) -> bool:
    """Return whether so many rows are nearer that this one cannot be a candidate."""
    own, n_skipped = distance_to(words, query, row), 0
    for other in skip:
        if other < len(words) and allowed[other] and distance_to(words, query, other) < own:
            n_skipped += 1
    enough = CANDIDATES + n_skipped
    if fits_bytes(words.shape[1]):
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
    """Return whether enough allowed rows are nearer than a distance; stop as soon as they are."""
    n, n_words = words.shape
    flat, n_nearer = words.reshape(-1), 0
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        block = scratch[: stop - start]
        block_distances(flat[start * n_words : stop * n_words], query, allowed[start:stop], block)
        work.compared[0] += len(block)
        n_nearer += count_below(block, distance)
        if n_nearer >= enough:
            return True
    return False
