"""Reserved places: at least so many places of a list go to marked rows, such as new items.

The best of the marked rows that are not listed take the places of the last others; then the list is put in
its usual order. So nothing changes where enough are listed already.
"""

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.search.order import Float32s, Int32s, Integers, _sort


def reserved_places(k: int, share: float) -> int:
    """Return how many of k places are this share, rounded; at least 1 unless the share is 0."""
    return max(1, round(share * k)) if share > 0 else 0


@kernel
def reserve(
    by_score: bool,
    n: int,
    rows: Int32s,
    distances: Int32s,
    scores: Float32s,
    marked_rows: Int32s,
    marked_distances: Int32s,
    marked_scores: Float32s,
    marked: NDArray[np.uint8],
    popularity: Integers,
) -> None:
    """Bring marked rows into a list, in place, until it has as many of them as are given.

    Args:
        by_score: whether the list is in the order by score.
        n: length of the list; the arrays may be longer.
        rows: written, as are distances and scores.
        distances: of the rows.
        scores: of the rows.
        marked_rows: (m,) the m best marked rows, listed or not.
        marked_distances: (m,).
        marked_scores: (m,).
        marked: (n_rows,) 1 where a row is marked.
        popularity: (n_rows,) integers that break ties, or empty.
    """
    lacking = len(marked_rows)
    for at in range(n):
        lacking -= marked[rows[at]]
    last = n
    for best in range(len(marked_rows)):
        if lacking <= 0:
            break
        if _is_among(marked_rows[best], rows, n):
            continue
        last = _last_other(rows, last, marked)
        if last < 0:  # a row was marked or allowed between the two searches
            break
        rows[last], distances[last] = marked_rows[best], marked_distances[best]
        scores[last] = marked_scores[best]
        lacking -= 1
    _sort(by_score, n, rows, distances, scores, popularity)


@kernel
def _is_among(row: int, rows: Int32s, n: int) -> bool:
    for at in range(n):  # noqa: SIM110 - a generator would not compile
        if rows[at] == row:
            return True
    return False


@kernel
def _last_other(rows: Int32s, end: int, marked: NDArray[np.uint8]) -> int:
    """Return the last place before ``end`` whose row is not marked, -1 where there is none."""
    at = end - 1
    while at >= 0 and marked[rows[at]]:
        at -= 1
    return at
