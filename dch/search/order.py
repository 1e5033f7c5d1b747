"""The two orders of search results, and a bounded heap that keeps the best k of either.

By distance: distance, then score descending, then popularity descending, then row.
By score: score descending, then distance, then popularity descending, then row.
Rows are distinct, so both orders are total and every result is deterministic. Results are parallel arrays.
"""

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.towers import Floats, Ints

Integers = NDArray[np.int32] | NDArray[np.int64]
"""What breaks ties, larger first; int64 where the caller packs more than a count into it."""


@kernel
def is_worse(
    by_score: bool,
    distance: int,
    score: np.float32,
    row: int,
    other_distance: int,
    other_score: np.float32,
    other_row: int,
    popularity: Integers,
) -> bool:
    """Return whether the first result comes after the other one."""
    if by_score and score != other_score:
        return bool(score < other_score)
    if distance != other_distance:
        return distance > other_distance
    if score != other_score:
        return bool(score < other_score)
    if len(popularity) > 0 and popularity[row] != popularity[other_row]:
        return bool(popularity[row] < popularity[other_row])
    return row > other_row


@kernel
def _sift_down(
    by_score: bool, at: int, n: int, rows: Ints, distances: Ints, scores: Floats, popularity: Integers
) -> None:
    """Restore the heap of the first n results (worst at the root) after the one at ``at`` changed."""
    row, distance, score = rows[at], distances[at], scores[at]
    while True:
        child = 2 * at + 1
        if child >= n:
            break
        right = child + 1
        if right < n and is_worse(
            by_score,
            distances[right],
            scores[right],
            rows[right],
            distances[child],
            scores[child],
            rows[child],
            popularity,
        ):
            child = right
        if not is_worse(
            by_score, distances[child], scores[child], rows[child], distance, score, row, popularity
        ):
            break
        rows[at], distances[at], scores[at] = rows[child], distances[child], scores[child]
        at = child
    rows[at], distances[at], scores[at] = row, distance, score


@kernel
def _heapify(
    by_score: bool, n: int, rows: Ints, distances: Ints, scores: Floats, popularity: Integers
) -> None:
    """Turn the first n results into a heap, worst at the root."""
    for at in range(n // 2 - 1, -1, -1):
        _sift_down(by_score, at, n, rows, distances, scores, popularity)


@kernel
def keep_nearest(
    k: int,
    found: int,
    row: int,
    distance: int,
    score: np.float32,
    rows: Ints,
    distances: Ints,
    scores: Floats,
    popularity: Integers,
) -> int:
    """Keep a result if it is among the best k by distance so far; return how many are kept.

    The results become a heap, worst at the root, once there are k of them.
    """
    if found < k:
        rows[found], distances[found], scores[found] = row, distance, score
        if found + 1 == k:
            _heapify(False, k, rows, distances, scores, popularity)
        return found + 1
    if is_worse(False, distances[0], scores[0], rows[0], distance, score, row, popularity):
        rows[0], distances[0], scores[0] = row, distance, score
        _sift_down(False, 0, k, rows, distances, scores, popularity)
    return found


@kernel
def sort_results(
    by_score: bool, n: int, rows: Ints, distances: Ints, scores: Floats, popularity: Integers
) -> None:
    """Sort the first n results in place, best first.

    Args:
        by_score: which of the two orders to use.
        n: number of results; the arrays may be longer.
        rows: written, as are distances and scores.
        distances: of the rows.
        scores: of the rows.
        popularity: (n_rows,), or empty to break ties by row only.
    """
    _heapify(by_score, n, rows, distances, scores, popularity)
    for last in range(n - 1, 0, -1):
        rows[0], rows[last] = rows[last], rows[0]
        distances[0], distances[last] = distances[last], distances[0]
        scores[0], scores[last] = scores[last], scores[0]
        _sift_down(by_score, 0, last, rows, distances, scores, popularity)
