"""Cold start: lists for new users, and of new items, of whom so many ratings are given and no more.

The question stays the same at every number: the same users, the same items to rank, the same right answers,
so that what is given is all that differs. What a user gives at the last number is ranked at none.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.data.splits import Holdout
from dch.evaluation.holdout import known, of_items
from dch.evaluation.lists import Question, make_question

POINTS = (0, 1, 2, 5, 10, 20)
"""Ratings given of each new user, or item; whoever has fewer than the last is left out."""


class Cold(NamedTuple):
    """What is given, step by step, and what is asked after each."""

    questions: dict[str, Question]
    """By case."""

    order: Ratings
    """The ratings that are given, of those alone who have enough."""

    place: NDArray[np.int64]
    """(n_ratings,) how many of the same user, or item, come before; drawn by chance."""

    n: int
    """How many new users, or items."""

    def given(self, least: int, most: int) -> Ratings:
        """Return the ratings from one number given (this many are there) to another."""
        return self.order.subset((self.place >= least) & (self.place < most))

    def steps(self) -> Iterator[tuple[int, Ratings]]:
        """Yield each of POINTS with the ratings that come on top of the point before."""
        before = 0
        for point in POINTS:
            yield point, self.given(before, point)
            before = point


def cold_users(split: Holdout, relevant_from: float, rng: np.random.Generator) -> Cold:
    """Ask for lists of new users: known items, without those of the whole given part."""
    order, place, who = _drawn(split.user_given, split.user_given.users, rng)
    known_items = known(split)[1]
    tested = of_items(split.user_test, known_items)
    question = make_question(
        _marked(who, order.n_users),
        known_items,
        given=[split.user_given],
        test=tested,
        relevant_from=relevant_from,
    )
    return Cold({"users": question}, order, place, len(who))


def cold_items(split: Holdout, relevant_from: float, rng: np.random.Generator) -> Cold:
    """Ask known users, encoded from training ratings, for new items: among themselves, and among all."""
    order, place, who = _drawn(split.item_given, split.item_given.items, rng)
    (users, known_items), cold = known(split), _marked(who, order.n_items)
    tested, given = of_items(split.item_test, cold), [split.train, split.item_given]
    questions = {
        case: make_question(users, ranked, given=given, test=tested, relevant_from=relevant_from)
        for case, ranked in (("items", cold), ("items among all", cold | known_items))
    }
    return Cold(questions, order, place, len(who))


def _drawn(
    given: Ratings, rows: NDArray[np.int32], rng: np.random.Generator
) -> tuple[Ratings, NDArray[np.int64], NDArray[np.int64]]:
    """Return the ratings of rows with enough of them, the place of each in a random order, and those rows."""
    enough = np.bincount(rows) >= POINTS[-1]
    kept = np.flatnonzero(enough[rows])
    shuffled = rng.permutation(len(kept))
    order = shuffled[np.argsort(rows[kept][shuffled], kind="stable")]  # by row, by chance within
    counts = np.bincount(rows[kept])
    place = np.empty(len(kept), np.int64)
    place[order] = np.arange(len(kept)) - np.repeat(np.cumsum(counts) - counts, counts)
    return given.subset(kept), place, np.flatnonzero(enough)


def _marked(rows: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    marked = np.zeros(n, np.bool_)
    marked[rows] = True
    return marked
