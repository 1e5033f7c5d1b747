"""Split ratings for evaluation: by time, or at random with whole users and whole items held out.

All parts share the id tables of the whole, so a row means the same user or item in each part.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.errors import ConfigError, RatingsError


@dataclass(frozen=True)
class Holdout:
    """The parts of a hold-out split. Ratings of new items by new users are in no part."""

    train: Ratings
    """Known users, known items."""

    test: Ratings
    """Known users, known items: the tested ratings."""

    user_given: Ratings
    """New users, known items: the input of the frozen user tower."""

    user_test: Ratings
    """New users, known items: the tested ratings."""

    item_given: Ratings
    """Known users, new items: the input of the frozen item tower."""

    item_test: Ratings
    """Known users, new items: the tested ratings."""

    new_users: NDArray[np.bool_]
    """(n_users,) users of whom all ratings are held out."""

    new_items: NDArray[np.bool_]
    """(n_items,) items of which all ratings are held out."""


def holdout(
    ratings: Ratings,
    rng: np.random.Generator,
    *,
    test_share: float = 0.2,
    user_share: float = 0.1,
    item_share: float = 0.1,
) -> Holdout:
    """Split at random: hold out whole users and whole items, and a share of every part for testing.

    Args:
        ratings: all ratings.
        rng: source of randomness.
        test_share: probability of each rating to be tested; the others are for training, or given.
        user_share: share of the users with ratings to hold out.
        item_share: share of the items with ratings to hold out.

    Raises:
        ConfigError: a share is below 0, or 1 or more.
    """
    for name, share in (("test_share", test_share), ("user_share", user_share), ("item_share", item_share)):
        if not 0 <= share < 1:
            raise ConfigError(f"{name} must be from 0 to below 1, got {share}")
    new_users = _sample(ratings.users, ratings.n_users, user_share, rng)
    new_items = _sample(ratings.items, ratings.n_items, item_share, rng)
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
    """Split into the earliest ratings and the rest; ratings of equal time keep the order of the source.

    Args:
        ratings: all ratings.
        share: share of the ratings in the first part.

    Raises:
        ConfigError: the share is not between 0 and 1.
        RatingsError: the ratings have no timestamps.
    """
    if not 0 < share < 1:
        raise ConfigError(f"share must be between 0 and 1, got {share}")
    if not ratings.timestamps.any():
        raise RatingsError(
            "the ratings have no timestamps, which a split by time needs; use the holdout protocol"
        )
    order = np.arange(len(ratings))
    cut = round(share * len(ratings))
    return ratings.subset(order[:cut]), ratings.subset(order[cut:])


def _sample(rows: NDArray[np.int32], n: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark a random share of the rows that occur, (n,) bool."""
    occurring = np.unique(rows)
    sampled = np.zeros(n, np.bool_)
    sampled[rng.choice(occurring, round(share * len(occurring)), replace=False)] = True
    return sampled
