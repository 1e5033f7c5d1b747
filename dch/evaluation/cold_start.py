"""Cold start: rank for new users, and rank new items, after a given number of their ratings.

For every number, the users, candidates and relevant items are the same; only the ratings given differ.
To keep the candidates equal, an item whose rating is given at the largest number is never a candidate.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.data.splits import Holdout
from dch.evaluation.holdout import known_rows, ratings_of_items
from dch.evaluation.ranked_lists import RankingTask, make_task

GIVEN_COUNTS = (0, 1, 2, 5, 10, 20)
"""Numbers of ratings given per new user or item; those with fewer ratings than the last are left out."""


class ColdStart(NamedTuple):
    """The tasks of new users, or of new items, and the ratings that are given step by step."""

    tasks: dict[str, RankingTask]
    """By case."""

    ratings: Ratings
    """The ratings that can be given, of the new users (items) that have enough."""

    number: NDArray[np.int64]
    """(n_ratings,) how many ratings of the same user (item) are given before; the order is random."""

    n_new: int
    """Number of new users (items)."""

    def given(self, start: int, stop: int) -> Ratings:
        """Return the ratings with these numbers, start included and stop excluded."""
        return self.ratings.subset((self.number >= start) & (self.number < stop))

    def steps(self) -> Iterator[tuple[int, Ratings]]:
        """Yield each of GIVEN_COUNTS with the ratings that are given in addition to the previous count."""
        before = 0
        for count in GIVEN_COUNTS:
            yield count, self.given(before, count)
            before = count


def cold_start_users(split: Holdout, relevant_from: float, rng: np.random.Generator) -> ColdStart:
    """Rank the known items for new users, except the items in the given part of each user.

    Args:
        split: the parts of the data.
        relevant_from: the lowest relevant rating.
        rng: draws the order in which ratings are given.
    """
    ratings, number, new_users = _random_order(split.user_given, split.user_given.users, rng)
    known_items = known_rows(split)[1]
    tested = ratings_of_items(split.user_test, known_items)
    task = make_task(
        _mask(new_users, ratings.n_users),
        known_items,
        given=[split.user_given],
        test=tested,
        relevant_from=relevant_from,
    )
    return ColdStart({"users": task}, ratings, number, len(new_users))


def cold_start_items(split: Holdout, relevant_from: float, rng: np.random.Generator) -> ColdStart:
    """Rank new items for known users, encoded from their training ratings: alone, and among all items.

    Arguments as for ``cold_start_users``.
    """
    ratings, number, new_items = _random_order(split.item_given, split.item_given.items, rng)
    (users, known_items), is_new = known_rows(split), _mask(new_items, ratings.n_items)
    tested, given = ratings_of_items(split.item_test, is_new), [split.train, split.item_given]
    tasks = {
        case: make_task(users, ranked, given=given, test=tested, relevant_from=relevant_from)
        for case, ranked in (("items", is_new), ("items among all", is_new | known_items))
    }
    return ColdStart(tasks, ratings, number, len(new_items))


def _random_order(
    given: Ratings, rows: NDArray[np.int32], rng: np.random.Generator
) -> tuple[Ratings, NDArray[np.int64], NDArray[np.int64]]:
    """Select the rows that have enough ratings, and number the ratings of each row in random order.

    Args:
        given: the ratings that can be given.
        rows: (n_given,) the user, or the item, of each rating.
        rng: source of randomness.

    Returns:
        The ratings of the selected rows, the number of each of them, and the selected rows.
    """
    enough = np.bincount(rows) >= GIVEN_COUNTS[-1]
    kept = np.flatnonzero(enough[rows])
    shuffled = rng.permutation(len(kept))
    order = shuffled[np.argsort(rows[kept][shuffled], kind="stable")]  # by row, at random within a row
    counts = np.bincount(rows[kept])
    number = np.empty(len(kept), np.int64)
    number[order] = np.arange(len(kept)) - np.repeat(np.cumsum(counts) - counts, counts)
    return given.subset(kept), number, np.flatnonzero(enough)


def _mask(rows: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    mask = np.zeros(n, np.bool_)
    mask[rows] = True
    return mask
