"""Reserved positions: at least a given number of a list's positions go to marked rows, such as new items.

The best marked rows that are not in the list replace its last unmarked ones. Then the list is put in its
usual order again. A list that already has enough marked rows does not change.
"""

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.towers import Floats, Ints
from dch.search.order import Integers, sort_results


def reserved_positions(k: int, share: float) -> int:
    """Return how many of k positions this share is, rounded, halves up.

    A short list has none of a small share: one position is more than the share that was asked for.
    """
    return int(share * k + 0.5)


@kernel
def reserve(
    by_score: bool,
    n: int,
    rows: Ints,
    distances: Ints,
    scores: Floats,
    marked_rows: Ints,
    marked_distances: Ints,
    marked_scores: Floats,
    marked: NDArray[np.uint8],
    popularity: Integers,
) -> None:
    """Move marked rows into a list, in place, until it has as many marked rows as are given.

    Args:
        by_score: whether the list is in the order by score.
        n: length of the list; the arrays may be longer.
        rows: written, as are distances and scores.
        distances: of the rows.
        scores: of the rows.
        marked_rows: (m,) the m best marked rows, whether they are in the list or not.
        marked_distances: (m,).
        marked_scores: (m,).
        marked: (n_rows,) 1 where a row is marked.
        popularity: (n_rows,) integers that break ties, or empty.
    """
    n_missing = len(marked_rows)
    for at in range(n):
        n_missing -= marked[rows[at]]
    last = n
    for best in range(len(marked_rows)):
        if n_missing <= 0:
            break
        if _is_among(marked_rows[best], rows, n):
            continue
        last = _last_unmarked(rows, last, marked)
        if last < 0:  # the writer marked or allowed a row between the two searches
            break
        rows[last], distances[last] = marked_rows[best], marked_distances[best]
        scores[last] = marked_scores[best]
        n_missing -= 1
    sort_results(by_score, n, rows, distances, scores, popularity)


@kernel
def _is_among(row: int, rows: Ints, n: int) -> bool:
    for at in range(n):  # noqa: SIM110 - a generator would not compile
        if rows[at] == row:
            return True
    return False


@kernel
def _last_unmarked(rows: Ints, end: int, marked: NDArray[np.uint8]) -> int:
    """Return the last position before ``end`` whose row is not marked; -1 if there is none."""
    at = end - 1
    while at >= 0 and marked[rows[at]]:
        at -= 1
    return at
