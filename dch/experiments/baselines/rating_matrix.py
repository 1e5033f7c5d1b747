"""Ratings as a sparse matrix of weights; the join of two sets of ratings; the users and items of a fit."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings, latest
from dch.experiments.baselines.optional_packages import needed_by
from dch.training.rating_weights import RatingScale

RowNumbers = NDArray[np.int64]
"""(n,) ascending row numbers of an id table."""


@dataclass(frozen=True)
class TrainedIds:
    """The users and items of a fit; the position of a row here is its row in the fitted arrays."""

    users: RowNumbers
    items: RowNumbers

    @classmethod
    def of(cls, train: Ratings) -> "TrainedIds":
        """Return the users and items that have a rating."""
        return cls(np.unique(train.users).astype(np.int64), np.unique(train.items).astype(np.int64))


def join(train: Ratings, given: Ratings) -> Ratings:
    """Return both sets of ratings as one, over the same id tables.

    For a pair that is in both, the later rating counts; at equal times, the given one.
    """
    users, items = np.concatenate([train.users, given.users]), np.concatenate([train.items, given.items])
    stamps = np.concatenate([train.timestamps, given.timestamps])
    kept = latest(users, items, stamps)
    values = np.concatenate([train.values, given.values])
    return replace(train, users=users[kept], items=items[kept], values=values[kept], timestamps=stamps[kept])


def weight_matrix(ratings: Ratings, scale: RatingScale, users: RowNumbers, items: RowNumbers) -> Any:  # noqa: ANN401 - scipy has no types
    """Return the weights of the ratings of these items by these users.

    Args:
        ratings: over the id tables that the rows refer to.
        scale: maps a rating to its weight.
        users: (n,) ascending user rows.
        items: (m,) ascending item rows.

    Returns:
        (n, m) scipy.sparse.csr_matrix, float32.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    of_users, ratings_of_items = positions(users, ratings.n_users), positions(items, ratings.n_items)
    rows, columns = of_users[ratings.users], ratings_of_items[ratings.items]
    both = (rows >= 0) & (columns >= 0)
    weights = scale.weights(ratings.values[both])
    with needed_by("a matrix of ratings", "scipy"):
        from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
    return csr_matrix((weights, (rows[both], columns[both])), shape=(len(users), len(items)))


def positions(rows: RowNumbers, n: int) -> NDArray[np.int32]:
    """Return the position in these rows of each of n table rows, or -1 if it is not one of them, (n,)."""
    found = np.full(n, -1, np.int32)
    found[rows] = np.arange(len(rows), dtype=np.int32)
    return found


def scatter(values: NDArray[np.float32], rows: RowNumbers, n: int) -> NDArray[np.float32]:
    """Return (n, width) with these values, (len(rows), width), at these rows, and NaN elsewhere."""
    whole = np.full((n, values.shape[1]), np.nan, np.float32)
    whole[rows] = values
    return whole
