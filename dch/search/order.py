"""The two orders of search results, and a bounded heap that keeps the best k of either.

By distance: distance, then score descending, then popularity descending, then row.
By score: score descending, then distance, then popularity descending, then row.
Rows are unique, so both orders are total and every result is deterministic. Results are parallel arrays.
"""

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel

Int32s = NDArray[np.int32]
Integers = NDArray[np.int32] | NDArray[np.int64]
"""What breaks ties, larger first; wider than a count where the caller packs more into it."""
Float32s = NDArray[np.float32]


@kernel
def _worse(
    by_score: bool,
    distance: int,
    score: np.float32,
    row: int,
    other_distance: int,
    other_score: np.float32,
    other_row: int,
    popularity: Integers,
) -> bool:
    """Tell whether the first result comes after the other one."""
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
    by_score: bool, at: int, n: int, rows: Int32s, distances: Int32s, scores: Float32s, popularity: Integers
) -> None:
    """Restore the heap of the first n results (worst at the root) after the one at ``at`` changed."""
    row, distance, score = rows[at], distances[at], scores[at]
    while True:
        child = 2 * at + 1
        if child >= n:
            break
        right = child + 1
        if right < n and _worse(
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
        if not _worse(
            by_score, distances[child], scores[child], rows[child], distance, score, row, popularity
        ):
            break
        rows[at], distances[at], scores[at] = rows[child], distances[child], scores[child]
        at = child
    rows[at], distances[at], scores[at] = row, distance, score


@kernel
def _heapify(
    by_score: bool, n: int, rows: Int32s, distances: Int32s, scores: Float32s, popularity: Integers
) -> None:
    """Make a heap of the first n results."""
    for at in range(n // 2 - 1, -1, -1):
        _sift_down(by_score, at, n, rows, distances, scores, popularity)


@kernel
def _offer(
    k: int,
    found: int,
    row: int,
    distance: int,
    score: np.float32,
    rows: Int32s,
    distances: Int32s,
    scores: Float32s,
    popularity: Integers,
) -> int:
    """Keep a result if it is among the best k by distance so far; return how many are kept.

    They become a heap, worst at the root, when they are k.
    """
    if found < k:
        rows[found], distances[found], scores[found] = row, distance, score
        if found + 1 == k:
            _heapify(False, k, rows, distances, scores, popularity)
        return found + 1
    if _worse(False, distances[0], scores[0], rows[0], distance, score, row, popularity):
        rows[0], distances[0], scores[0] = row, distance, score
        _sift_down(False, 0, k, rows, distances, scores, popularity)
    return found


@kernel
def _sort(
    by_score: bool, n: int, rows: Int32s, distances: Int32s, scores: Float32s, popularity: Integers
) -> None:
    """Sort the first n results in place, best first."""
    _heapify(by_score, n, rows, distances, scores, popularity)
    for last in range(n - 1, 0, -1):
        rows[0], rows[last] = rows[last], rows[0]
        distances[0], distances[last] = distances[last], distances[0]
        scores[0], scores[last] = scores[last], scores[0]
        _sift_down(by_score, 0, last, rows, distances, scores, popularity)


@kernel
def _order_by_score(n: int, rows: Int32s, distances: Int32s, scores: Float32s, popularity: Integers) -> None:
    """Sort the first n results in place: score descending, distance, popularity descending, row.

    ``popularity`` is (n_rows,) or empty.
    """
    _sort(True, n, rows, distances, scores, popularity)
