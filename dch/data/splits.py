"""Splits of ratings for evaluation: by time, and by chance with whole users and whole items held out.

All parts share the id tables of the whole, so rows mean the same users and items in each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.errors import ConfigError, RatingsError


@dataclass(frozen=True)
class Holdout:
    """The parts of a hold-out. Ratings of new items by new users are in none of them."""

    train: Ratings
    """Known users, known items."""

    test: Ratings
    """Known users, known items: the rest."""

    user_given: Ratings
    """New users, known items: what is given to the frozen user tower."""

    user_test: Ratings
    """New users, known items: the rest."""

    item_given: Ratings
    """Known users, new items: what is given to the frozen item tower."""

    item_test: Ratings
    """Known users, new items: the rest."""

    new_users: NDArray[np.bool_]
    """(n_users,) held out whole."""

    new_items: NDArray[np.bool_]
    """(n_items,) held out whole."""


def holdout(
    ratings: Ratings,
    rng: np.random.Generator,
    *,
    test_share: float = 0.2,
    user_share: float = 0.1,
    item_share: float = 0.1,
) -> Holdout:
    """Split by chance: hold out whole users and whole items, and of every part a share for testing.

    Args:
        ratings: the whole.
        rng: where chance comes from.
        test_share: chance of each rating to be tested; the others are trained on, or given.
        user_share: share of the users with ratings to hold out whole.
        item_share: share of the items with ratings to hold out whole.

    Raises:
        ConfigError: a share is not between 0 and 1.
    """
    for name, share in (("test_share", test_share), ("user_share", user_share), ("item_share", item_share)):
        if not 0 <= share < 1:
            raise ConfigError(f"{name} must be from 0 to below 1, got {share}")
    new_users = _draw(ratings.users, ratings.n_users, user_share, rng)
    new_items = _draw(ratings.items, ratings.n_items, item_share, rng)
    by_new_user, of_new_item = new_users[ratings.users], new_items[ratings.items]
    is_tested = rng.random(len(ratings)) < test_share
    known = ~by_new_user & ~of_new_item

    def parts(of: NDArray[np.bool_]) -> tuple[Ratings, Ratings]:
        return ratings.subset(of & ~is_tested), ratings.subset(of & is_tested)

    train, test = parts(known)
    user_given, user_test = parts(by_new_user & ~of_new_item)
    item_given, item_test = parts(~by_new_user & of_new_item)
    return Holdout(train, test, user_given, user_test, item_given, item_test, new_users, new_items)


def by_time(ratings: Ratings, share: float) -> tuple[Ratings, Ratings]:
    """Split into the earliest share of the ratings and the rest; equal times keep the order of the source.

    Raises:
        ConfigError: the share is not between 0 and 1.
        RatingsError: the ratings have no time.
    """
    if not 0 < share < 1:
        raise ConfigError(f"share must be between 0 and 1, got {share}")
    if not ratings.timestamps.any():
        raise RatingsError("the ratings have no timestamps, a split by time needs them; split by hold-out")
    order = np.arange(len(ratings))
    cut = round(share * len(ratings))
    return ratings.subset(order[:cut]), ratings.subset(order[cut:])


def _draw(rows: NDArray[np.int32], n: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark a share of the rows that occur, (n,) bool."""
    occurring = np.unique(rows)
    drawn = np.zeros(n, np.bool_)
    drawn[rng.choice(occurring, round(share * len(occurring)), replace=False)] = True
    return drawn
