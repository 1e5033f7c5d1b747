"""Reserved positions: at least a given number of a list's positions go to marked rows, such as new items.

The best marked rows that are not in the list replace its last unmarked ones. Then the list is put in its
usual order again; a list with neighbours has them at its end. A list that already has enough marked rows does
not change.
"""

from numbers import Real

import numpy as np
from numpy.typing import NDArray

from dch.errors import ConfigError
from dch.jit import kernel
from dch.models.towers import Floats, Ints
from dch.search.order import Integers, sort_results


def reserved_positions(k: int, share: float) -> int:
    """Return how many of k positions this share is, rounded, halves up.

    A short list has none of a small share: one position is more than the share that was asked for.

    Raises:
        ConfigError: as for ``require_share``.
    """
    require_share(share)
    return int(share * k + 0.5)


def require_share(share: float) -> None:
    """Require that a share of new items is one.

    Raises:
        ConfigError: it is not a number from 0 to 1.
    """
    if not isinstance(share, Real) or isinstance(share, bool) or not 0 <= share <= 1:
        raise ConfigError(f"new_item_share must be from 0 to 1, got {share!r}")


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
    _replace_last(n, rows, distances, scores, marked_rows, marked_distances, marked_scores, marked)
    sort_results(by_score, n, rows, distances, scores, popularity)


@kernel
def reserve_at_end(
    rows: Ints,
    distances: Ints,
    scores: Floats,
    marked_rows: Ints,
    marked_distances: Ints,
    marked_scores: Floats,
    marked: NDArray[np.uint8],
) -> None:
    """Do the same in a list that has an order of its own: the marked rows become its last ones.

    They have the score of the row before them, if their own is larger: scores still descend.
    """
    n = len(rows)
    _replace_last(n, rows, distances, scores, marked_rows, marked_distances, marked_scores, marked)
    for at in range(1, n):
        scores[at] = min(scores[at], scores[at - 1])


@kernel
def _replace_last(
    n: int,
    rows: Ints,
    distances: Ints,
    scores: Floats,
    marked_rows: Ints,
    marked_distances: Ints,
    marked_scores: Floats,
    marked: NDArray[np.uint8],
) -> None:
    """Remove the last unmarked rows, and append the best marked ones instead, best first."""
    n_missing, new = len(marked_rows), np.empty(len(marked_rows), np.int32)
    for at in range(n):
        n_missing -= marked[rows[at]]
    n_new = 0
    for best in range(len(marked_rows)):
        if n_new < n_missing and not _is_among(marked_rows[best], rows, n):
            new[n_new] = best
            n_new += 1
    n_left = _remove_unmarked(n_new, n, rows, distances, scores, marked)
    for at in range(n_left, n):
        best = new[at - n_left]
        rows[at], distances[at] = marked_rows[best], marked_distances[best]
        scores[at] = marked_scores[best]


@kernel
def _is_among(row: int, rows: Ints, n: int) -> bool:
    for at in range(n):  # noqa: SIM110 - a generator would not compile
        if rows[at] == row:
            return True
    return False


@kernel
def _remove_unmarked(
    n_removed: int, n: int, rows: Ints, distances: Ints, scores: Floats, marked: NDArray[np.uint8]
) -> int:
    """Remove the last unmarked rows, at most so many; return how many rows are left."""
    left = n
    for at in range(n - 1, -1, -1):
        if left == n - n_removed or marked[rows[at]]:
            continue
        rows[at : left - 1] = rows[at + 1 : left].copy()
        distances[at : left - 1] = distances[at + 1 : left].copy()
        scores[at : left - 1] = scores[at + 1 : left].copy()
        left -= 1
    return left
