"""The exact scan: one pass over all codes that keeps the nearest k of each of several queries.

Codes are read in blocks that stay in the first-level cache, for one query after the other, so that they are
read from memory once for all queries. Of each query, only rows no farther than its limit are kept. Most
chunks of a block have none: their least distance tells, which is found without storing any distance. The
limit begins at an estimate from a sample of the codes and falls to the distance of the k-th nearest so far.
If the estimate was too small, which is rare, a second pass without it follows: the result does not depend on
the sample.

What breaks ties is read only in the end, and where the room for rows gets full: for rows as far as the k-th
nearest alone, and for all of them together, because each of these reads misses the caches.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import inlined, kernel
from dch.models.codes import Words
from dch.models.towers import Floats, Ints
from dch.search.distances import (
    Distances,
    block_distances,
    chunk_distances,
    farthest,
    fits_bytes,
    next_within,
)
from dch.search.instructions import CHUNK, ONE, lowest_bit, prefetch, within
from dch.search.order import Integers, sort_results

BLOCK = 2048  # rows; the codes of a block stay in the first-level cache
RUN = 128  # rows; samples are read in runs, because single rows would cost a cache line each
MAX_RUNS = 64  # 8,192 rows: the nearest 200 of a million are then estimated from about 6 of them

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
    """The rows kept for several queries: of each line the first ``found``, ascending until sorted."""

    rows: Ints  # (n_queries, room)
    distances: Ints
    scores: Floats  # all 0: room for finer ones
    found: NDArray[np.int64]  # (n_queries,)


class Progress(NamedTuple):
    """What a pass over the codes knows of each query."""

    limits: NDArray[np.int64]  # (n_queries,) no farther row is kept; or DONE
    counts: NDArray[np.int32]  # (n_queries, farthest + 1) how many rows of each distance were kept
    n_within: NDArray[np.int64]  # (n_queries,) how many of the rows kept are within the limit
    next_skips: NDArray[np.int64]  # (n_queries,) position in ``Criteria.skip_rows`` of the next row to skip


class Work(NamedTuple):
    """How much a scan did for all its queries together; tests count it."""

    compared: NDArray[np.int64]  # (1,) codes compared with a query, those of samples included
    offered: NDArray[np.int64]  # (1,) rows within the limit


@kernel
def no_work() -> Work:
    """Return counters at 0."""
    return Work(np.zeros(1, np.int64), np.zeros(1, np.int64))


@kernel
def room_for(n_queries: int, k: int, n: int) -> Kept:
    """Return room for the nearest k of n rows of each query, and for those that a scan drops again."""
    room = min(n, 2 * k + 2 * BLOCK)
    rows, distances = np.empty((n_queries, room), np.int32), np.empty((n_queries, room), np.int32)
    return Kept(rows, distances, np.zeros((n_queries, k), np.float32), np.zeros(n_queries, np.int64))


@kernel
def scan(words: Words, queries: Words, criteria: Criteria, kept: Kept, work: Work) -> None:
    """Write the nearest rows of each query, ascending: see ``sort_kept``.

    Args:
        words: (n, n_words) uint64, contiguous.
        queries: (n_queries, n_words) uint64, or (n_queries, 2 * n_words) for weighted distances.
        criteria: for n rows and n_queries queries.
        kept: of ``room_for``, written; ``found`` is the size asked for, or the number of rows allowed if
            these are fewer.
        work: counters, increased.
    """
    if fits_bytes(words.shape[1], queries.shape[1]):
        _scan(words, queries, criteria, kept, work, np.empty(RUN, np.uint8))
    else:
        _scan(words, queries, criteria, kept, work, np.empty(RUN, np.uint16))


@kernel
def sort_kept(kept: Kept, popularity: Integers) -> None:
    """Sort the rows kept for each query, nearest first."""
    for i in range(len(kept.found)):
        n = kept.found[i]
        rows, order = kept.rows[i, :n].copy(), np.arange(n).astype(np.int32)
        # Positions stand for rows, which ascend, so that comparisons read what breaks ties side by side.
        ties = popularity[rows] if len(popularity) > 0 else popularity
        sort_results(False, n, order, kept.distances[i], kept.scores[i], ties)
        kept.rows[i, :n] = rows[order]


@kernel
def _scan(
    words: Words, queries: Words, criteria: Criteria, kept: Kept, work: Work, scratch: Distances
) -> None:
    no_limit = farthest(words.shape[1], queries.shape[1])
    limits = _estimate_limits(words, queries, criteria, work, scratch)
    _pass_over(words, queries, criteria, limits, kept, work, scratch)
    for i in range(len(queries)):
        is_short = kept.found[i] < criteria.sizes[i] and limits[i] < no_limit
        limits[i] = no_limit if is_short else DONE
    if np.any(limits != DONE):
        _pass_over(words, queries, criteria, limits, kept, work, scratch)


@kernel
def _estimate_limits(
    words: Words, queries: Words, criteria: Criteria, work: Work, scratch: Distances
) -> NDArray[np.int64]:
    """Return a distance for each query within which it most likely finds as many rows as it keeps."""
    n, largest = len(words), farthest(words.shape[1], queries.shape[1])
    counts = np.zeros((len(queries), largest + 1), np.int64)
    n_runs = min(MAX_RUNS, -(-n // RUN))
    n_sampled = 0
    for run in range(n_runs):
        start = max(RUN, n // n_runs) * run
        block = scratch[: min(RUN, n - start)]
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
    """Keep the nearest rows of each query that is not DONE, of those within its limit."""
    n, n_queries = len(words), len(queries)
    counts = np.zeros((n_queries, farthest(words.shape[1], queries.shape[1]) + 1), np.int32)
    n_within, next_skips = np.zeros(n_queries, np.int64), criteria.skip_starts[:n_queries].copy()
    progress = Progress(limits.copy(), counts, n_within, next_skips)
    for i in range(n_queries):
        kept.found[i] = 0 if limits[i] != DONE else kept.found[i]
    flat, n_words = words.reshape(-1), words.shape[1]
    for start in range(0, n, BLOCK):
        block = flat[start * n_words : min(start + BLOCK, n) * n_words]
        for row in range(start, start + BLOCK * min(len(criteria.allowed), 1), CHUNK):
            prefetch(criteria.allowed, row)
        for i in range(n_queries):
            if limits[i] != DONE:
                work.compared[0] += len(block) // n_words
                _keep_from(block, n_words, queries[i], start, i, criteria, kept, progress, work, scratch)
    for i in range(n_queries):
        if limits[i] != DONE:
            _keep_best(i, kept, progress, criteria)


@inlined
def _keep_from(
    block: Words,
    n_words: int,
    query: Words,
    start: int,
    i: int,
    criteria: Criteria,
    kept: Kept,
    progress: Progress,
    work: Work,
    scratch: Distances,
) -> None:
    """Keep the rows of a block that are within the limit of query i, and let the limit fall."""
    n = len(block) // n_words
    at = next_within(block, n_words, query, progress.limits[i], 0)
    if at < n and kept.found[i] + BLOCK > kept.rows.shape[1]:
        _drop_far(i, kept, progress, criteria)
    while at < n:
        chunk_distances(block, n_words, query, at, scratch)
        _hide_skipped(i, start + at, criteria, progress, scratch)
        _append(i, start + at, criteria, kept, progress, work, scratch)
        _lower_limit(i, criteria, progress)
        at = next_within(block, n_words, query, progress.limits[i], at + CHUNK)


@inlined
def _hide_skipped(i: int, first: int, criteria: Criteria, progress: Progress, distances: Distances) -> None:
    """Make the rows of a chunk that query i skips farther than any."""
    at, stop, skip = progress.next_skips[i], criteria.skip_starts[i + 1], criteria.skip_rows
    while at < stop and skip[at] < first + CHUNK:
        if skip[at] >= first:
            distances[skip[at] - first] = -1
        at += 1
    progress.next_skips[i] = at


@inlined
def _append(
    i: int,
    first: int,
    criteria: Criteria,
    kept: Kept,
    progress: Progress,
    work: Work,
    distances: Distances,
) -> None:
    """Keep the rows of a chunk that are within the limit of query i."""
    n, near = kept.found[i], within(distances, progress.limits[i])
    while near:
        inside = lowest_bit(near)
        near &= near - ONE
        if len(criteria.allowed) == 0 or criteria.allowed[first + inside]:
            kept.rows[i, n], kept.distances[i, n] = first + inside, distances[inside]
            progress.counts[i, distances[inside]] += 1
            n += 1
    progress.n_within[i] += n - kept.found[i]
    work.offered[0] += n - kept.found[i]
    kept.found[i] = n


@inlined
def _lower_limit(i: int, criteria: Criteria, progress: Progress) -> None:
    """Let the limit of query i fall as far as enough rows are kept within it."""
    limit = progress.limits[i]
    while progress.n_within[i] - progress.counts[i, limit] >= criteria.sizes[i]:
        progress.n_within[i] -= progress.counts[i, limit]
        limit -= 1
    progress.limits[i] = limit


@kernel
def _drop_far(i: int, kept: Kept, progress: Progress, criteria: Criteria) -> None:
    """Make room for a block: drop the rows outside the limit, and many of the farthest if they are many."""
    if progress.n_within[i] > criteria.sizes[i] + BLOCK // 2:
        _keep_best(i, kept, progress, criteria)
    else:
        _drop(i, progress.counts[i, progress.limits[i]], kept, progress, criteria.popularity)


@kernel
def _keep_best(i: int, kept: Kept, progress: Progress, criteria: Criteria) -> None:
    """Keep as many rows as query i may find."""
    n_farthest = progress.counts[i, progress.limits[i]]
    n_nearer = progress.n_within[i] - n_farthest
    _drop(i, min(n_farthest, criteria.sizes[i] - n_nearer), kept, progress, criteria.popularity)


@kernel
def _drop(i: int, n_farthest: int, kept: Kept, progress: Progress, popularity: Integers) -> None:
    """Drop the rows outside the limit of query i, and of those exactly as far all but the first so many."""
    limit, rows, distances = progress.limits[i], kept.rows[i], kept.distances[i]
    of_farthest = distances[: kept.found[i]] == limit
    is_first = _are_first(rows[: kept.found[i]][of_farthest], n_farthest, popularity)
    n, n_seen = 0, 0
    for at in range(kept.found[i]):
        is_kept = distances[at] < limit
        if distances[at] == limit:
            is_kept = is_first[n_seen]
            n_seen += 1
        rows[n], distances[n] = rows[at], distances[at]
        n += int(is_kept)
    kept.found[i] = progress.n_within[i] = n
    progress.counts[i, limit] = n_farthest


@kernel
def _are_first(rows: Ints, wanted: int, popularity: Integers) -> NDArray[np.bool_]:
    """Return which of some ascending rows of equal distance are the first so many in the order of ties."""
    if len(popularity) == 0 or wanted == 0 or wanted == len(rows):
        return np.arange(len(rows)) < wanted
    ties = popularity[rows]
    last = np.partition(ties, len(rows) - wanted)[len(rows) - wanted]
    is_first: NDArray[np.bool_] = ties > last
    n_equal = wanted - is_first.sum()
    for at in range(len(rows)):
        if ties[at] == last and n_equal > 0:
            is_first[at] = True
            n_equal -= 1
    return is_first


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
