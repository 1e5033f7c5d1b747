"""The exact scan: one pass over all codes that keeps the nearest k of each of several queries.

The distances of a block of codes go into scratch memory, for one query after the other, so that the codes are
read from memory once for all queries. Of each query, only rows no farther than its limit are looked at one by
one. The limit begins at an estimate from a sample of the codes and falls to the distance of the k-th nearest
so far. If the estimate was too small, which is rare, a second pass without it follows: the result does not
depend on the sample.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.codes import Words
from dch.models.towers import Floats, Ints
from dch.search.distances import Distances, block_distances, farthest, fits_bytes, least
from dch.search.order import Integers, keep_nearest, sort_results

BLOCK = 1024  # rows; the codes and distances of a block stay in the first-level cache
WINDOW = 64  # rows of a block, looked at one by one only if the smallest distance is within the limit
CHUNK = 128  # rows; samples are read in chunks, because single rows would cost a cache line each
MAX_CHUNKS = 128  # 16,384 rows: the nearest 200 of a million are then estimated from about 10 of them

DONE = -1
"""The limit of a query that needs no more rows."""


class Criteria(NamedTuple):
    """What several queries may find, and the order of ties."""

    sizes: NDArray[np.int64]  # (n_queries,) how many rows each query keeps
    allowed: NDArray[
        np.uint8
    ]  # (n,) 1, or 0 where no query may find the row; empty if every row may be found
    skip_starts: NDArray[
        np.int64
    ]  # (n_queries + 1,) query i skips skip_rows[skip_starts[i]:skip_starts[i + 1]]
    skip_rows: Ints  # ascending within each query
    popularity: Integers  # (n,) breaks ties, larger first; empty if the row alone breaks them


class Kept(NamedTuple):
    """The rows kept for several queries: of each line the first ``found``."""

    rows: Ints  # (n_queries, k)
    distances: Ints
    scores: Floats  # all 0: room for finer ones
    found: NDArray[np.int64]  # (n_queries,)


class Work(NamedTuple):
    """How much a scan did for all its queries together; tests count it."""

    compared: NDArray[np.int64]  # (1,) distances computed, those of samples included
    offered: NDArray[np.int64]  # (1,) rows within the limit, looked at one by one


@kernel
def no_work() -> Work:
    """Return counters at 0."""
    return Work(np.zeros(1, np.int64), np.zeros(1, np.int64))


@kernel
def room_for(n_queries: int, k: int) -> Kept:
    """Return room for k rows of each query."""
    rows, distances = np.empty((n_queries, k), np.int32), np.empty((n_queries, k), np.int32)
    return Kept(rows, distances, np.zeros((n_queries, k), np.float32), np.zeros(n_queries, np.int64))


@kernel
def scan(words: Words, queries: Words, criteria: Criteria, kept: Kept, work: Work) -> None:
    """Write the nearest rows of each query, in no particular order: see ``sort_kept``.

    Args:
        words: (n, n_words) uint64, contiguous.
        queries: (n_queries, n_words) uint64, or (n_queries, 2 * n_words) for weighted distances.
        criteria: for n rows and n_queries queries.
        kept: written; ``found`` is the size asked for, or the number of rows allowed if these are fewer.
        work: counters, increased.
    """
    if fits_bytes(words.shape[1], queries.shape[1]):
        _scan(words, queries, criteria, kept, work, np.empty(BLOCK, np.uint8))
    else:
        _scan(words, queries, criteria, kept, work, np.empty(BLOCK, np.uint16))


@kernel
def sort_kept(kept: Kept, popularity: Integers) -> None:
    """Sort the rows kept for each query, nearest first."""
    rows, distances, scores, found = kept
    for i in range(len(found)):
        sort_results(False, found[i], rows[i], distances[i], scores[i], popularity)


@kernel
def _scan(
    words: Words, queries: Words, criteria: Criteria, kept: Kept, work: Work, scratch: Distances
) -> None:
    no_limit = farthest(words.shape[1], queries.shape[1])
    limits = _estimate_limits(words, queries, criteria, work, scratch)
    kept.found[:] = 0
    _pass_over(words, queries, criteria, limits, kept, work, scratch)
    for i in range(len(queries)):
        is_short = kept.found[i] < criteria.sizes[i] and limits[i] < no_limit
        limits[i] = no_limit if is_short else DONE
        if is_short:
            kept.found[i] = 0
    if np.any(limits != DONE):
        _pass_over(words, queries, criteria, limits, kept, work, scratch)


@kernel
def _estimate_limits(
    words: Words, queries: Words, criteria: Criteria, work: Work, scratch: Distances
) -> NDArray[np.int64]:
    """Return a distance for each query within which it most likely finds as many rows as it keeps."""
    n, largest = len(words), farthest(words.shape[1], queries.shape[1])
    counts = np.zeros((len(queries), largest + 1), np.int64)
    n_chunks = min(MAX_CHUNKS, -(-n // CHUNK))
    n_sampled = 0
    for chunk in range(n_chunks):
        start = max(CHUNK, n // n_chunks) * chunk
        block = scratch[: min(CHUNK, n - start)]
        n_sampled += len(block)
        for i in range(len(queries)):
            _block_of(words, queries[i], criteria.allowed, start, block)
            for distance in block:
                if distance <= largest:
                    counts[i, distance] += 1
    work.compared[0] += n_sampled * len(queries)
    limits = np.empty(len(queries), np.int64)
    for i in range(len(queries)):
        wanted = criteria.sizes[i] + criteria.skip_starts[i + 1] - criteria.skip_starts[i]
        enough = wanted if n_sampled == n else 2 * wanted * n_sampled // n + 4
        limits[i] = _first_with(counts[i], enough) if criteria.sizes[i] > 0 else DONE
    return limits


@kernel
def _first_with(counts: NDArray[np.int64], enough: int) -> int:
    """Return the first position up to which the counts add up to enough; the last one if none does."""
    total = 0
    for at in range(len(counts)):
        total += counts[at]
        if total >= enough:
            return at
    return len(counts) - 1


@kernel
def _block_of(
    words: Words, query: Words, allowed: NDArray[np.uint8], start: int, distances: Distances
) -> None:
    """Write the distances of the rows from start on, as many as there is room for."""
    stop, n_words = start + len(distances), words.shape[1]
    block = words.reshape(-1)[start * n_words : stop * n_words]
    block_distances(block, n_words, query, allowed[start:stop], distances)


@kernel
def _pass_over(
    words: Words,
    queries: Words,
    criteria: Criteria,
    limits: NDArray[np.int64],
    kept: Kept,
    work: Work,
    scratch: Distances,
) -> None:
    """Keep the nearest rows of each query that is not DONE, within its limit, which falls meanwhile."""
    n = len(words)
    for start in range(0, n, BLOCK):
        block = scratch[: min(BLOCK, n - start)]
        for i in range(len(queries)):
            if limits[i] != DONE:
                _block_of(words, queries[i], criteria.allowed, start, block)
                work.compared[0] += len(block)
                if least(block) <= limits[i]:
                    limits[i] = _keep_from(block, start, i, criteria, limits[i], kept, work)


@kernel
def _keep_from(
    block: Distances, start: int, i: int, criteria: Criteria, limit: int, kept: Kept, work: Work
) -> int:
    """Keep the rows of a block that are among the nearest of query i so far; return its new limit."""
    size, found = criteria.sizes[i], kept.found[i]
    skip = criteria.skip_rows[criteria.skip_starts[i] : criteria.skip_starts[i + 1]]
    rows, distances, scores = kept.rows[i], kept.distances[i], kept.scores[i]
    for at in range(0, len(block), WINDOW):
        stop = min(at + WINDOW, len(block))
        if least(block[at:stop]) > limit:
            continue
        for inside in range(at, stop):
            distance, row = int(block[inside]), start + inside
            if distance > limit or is_among(row, skip):
                continue
            work.offered[0] += 1
            found = keep_nearest(
                size, found, row, distance, np.float32(0), rows, distances, scores, criteria.popularity
            )
            if found == size:
                limit = min(limit, int(distances[0]))
    kept.found[i] = found
    return limit


@kernel
def is_among(row: int, ascending: Ints) -> bool:
    """Return whether a row is in an ascending column."""
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < row:
            low = middle + 1
        else:
            high = middle
    return bool(low < len(ascending) and ascending[low] == row)
