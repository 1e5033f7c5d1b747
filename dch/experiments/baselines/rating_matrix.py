"""Ratings as a sparse matrix of weights, users by items; and two sets of ratings as one."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings, latest
from dch.experiments.baselines.optional_packages import need
from dch.training.rating_scale import RatingScale

Rows = NDArray[np.int64]
"""(n,) ascending rows of an id table."""


@dataclass(frozen=True)
class TrainedIds:
    """The users and items that a fit has seen; a row's place in these is its row in the fitted arrays."""

    users: Rows
    items: Rows

    @classmethod
    def of(cls, train: Ratings) -> "TrainedIds":
        """Return the users and items with a rating."""
        return cls(np.unique(train.users).astype(np.int64), np.unique(train.items).astype(np.int64))


def join(train: Ratings, given: Ratings) -> Ratings:
    """Return both as one, over the same id tables; of a pair that is in both, the latest rating counts.

    At equal times that is the given one.
    """
    users, items = np.concatenate([train.users, given.users]), np.concatenate([train.items, given.items])
    stamps = np.concatenate([train.timestamps, given.timestamps])
    kept = latest(users, items, stamps)
    values = np.concatenate([train.values, given.values])
    return replace(train, users=users[kept], items=items[kept], values=values[kept], timestamps=stamps[kept])


def weight_matrix(ratings: Ratings, scale: RatingScale, users: Rows, items: Rows) -> Any:  # noqa: ANN401 - scipy has no types
    """Return the weights of the ratings of these users and items, others left out.

    Args:
        ratings: over the tables that the rows are of.
        scale: from a rating to its weight.
        users: (n,) ascending.
        items: (m,) ascending.

    Returns:
        (n, m) scipy.sparse.csr_matrix, float32.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    of_users, of_items = places(users, ratings.n_users), places(items, ratings.n_items)
    rows, columns = of_users[ratings.users], of_items[ratings.items]
    both = (rows >= 0) & (columns >= 0)
    weights = scale.weights(ratings.values[both])
    sparse = need("scipy.sparse", "a matrix of ratings")
    return sparse.csr_matrix((weights, (rows[both], columns[both])), shape=(len(users), len(items)))


def places(rows: Rows, n: int) -> NDArray[np.int32]:
    """Return the place of each of n table rows among these rows, -1 where it is not one of them, (n,)."""
    found = np.full(n, -1, np.int32)
    found[rows] = np.arange(len(rows), dtype=np.int32)
    return found


def spread(values: NDArray[np.float32], rows: Rows, n: int) -> NDArray[np.float32]:
    """Return (n, width) with these values (len(rows), width) at these rows and NaN elsewhere."""
    whole = np.full((n, values.shape[1]), np.nan, np.float32)
    whole[rows] = values
    return whole
