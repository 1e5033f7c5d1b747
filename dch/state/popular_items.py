"""The most popular items of an index, kept in order, so that no list and no trial sorts the catalogue."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.towers import Ints
from dch.search.list_rank import precedes
from dch.search.scan import is_among

SIZE = 2048
"""Items kept: enough for a list of 1,000 if the user has rated as many. Half to twice as many are kept until
they are gathered anew."""

EVERYTHING = -1
"""The floor of a list that holds every item that may be listed."""


class PopularItems(NamedTuple):
    """Every item that may be listed and has a precedence above the floor, in the order of popular lists."""

    rows: Ints  # (n,)
    floor: int


NOTHING = PopularItems(np.empty(0, np.int32), EVERYTHING)
"""The popular items of an index without codes."""


def most_popular(allowed: NDArray[np.uint8], precedence: NDArray[np.int64]) -> PopularItems:
    """Return SIZE items, or all that may be listed if these are fewer. O(number of items).

    There are fewer if the last precedence is shared, because all items that share it are left out.

    Args:
        allowed: (n,) 1 where the item may be listed.
        precedence: (n,) larger first; rows break ties.
    """
    rows = np.flatnonzero(allowed).astype(np.int32)
    floor = EVERYTHING
    if len(rows) > SIZE:
        floor = int(-np.partition(-precedence[rows], SIZE)[SIZE])
        rows = rows[precedence[rows] > floor]
    return PopularItems(in_order(rows, precedence), floor)


def updated(
    popular: PopularItems,
    changed: Ints,
    allowed: NDArray[np.uint8],
    precedence: NDArray[np.int64],
    among: NDArray[np.uint8] | None = None,
) -> PopularItems:
    """Return the popular items after some rows changed. O(SIZE + changed), and rarely O(number of items).

    Args:
        popular: the items before.
        changed: (m,) rows, distinct and ascending.
        allowed: (n,) as it is now.
        precedence: (n,) as it is now.
        among: (n,) 1 for the rows that count; ``changed`` holds only such. None counts all.
    """
    if not len(changed):
        return popular
    entering = changed[(allowed[changed] > 0) & (precedence[changed] > popular.floor)]
    if len(popular.rows) + len(entering) <= 2 * SIZE:
        rows = _merge(popular.rows, changed, in_order(entering, precedence), precedence)
        if len(rows) >= SIZE // 2 or popular.floor == EVERYTHING:
            return PopularItems(rows, popular.floor)
    return most_popular(allowed if among is None else allowed & among, precedence)


def in_order(rows: Ints, precedence: NDArray[np.int64]) -> Ints:
    """Return ascending rows in the order of popular lists."""
    ordered: Ints = rows[np.argsort(-precedence[rows], kind="stable")]
    return ordered


@kernel
def first_listed(rows: Ints, allowed: NDArray[np.uint8], skip: Ints, k: int) -> Ints:
    """Return the first k of these rows that may be listed and are not skipped, or all of them.

    Args:
        rows: (n,) in any order.
        allowed: (n_rows,) as it is now; ``rows`` may be newer or older.
        skip: (m,) ascending.
        k: list length.
    """
    found, n = np.empty(min(k, len(rows)), np.int32), 0
    for row in rows:
        if n == len(found):
            break
        if row < len(allowed) and allowed[row] and not is_among(row, skip):
            found[n] = row
            n += 1
    return found[:n]


@kernel
def _merge(rows: Ints, changed: Ints, entering: Ints, precedence: NDArray[np.int64]) -> Ints:
    """Take the changed rows out of the list, and put those that enter at their places."""
    merged, n, next_ = np.empty(len(rows) + len(entering), np.int32), 0, 0
    for row in rows:
        if is_among(row, changed):
            continue
        while next_ < len(entering) and precedes(precedence, entering[next_], row):
            merged[n] = entering[next_]
            n, next_ = n + 1, next_ + 1
        merged[n] = row
        n += 1
    for row in entering[next_:]:
        merged[n] = row
        n += 1
    return merged[:n]
