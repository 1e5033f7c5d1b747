"""Teach by neighbours: score items by item-to-item weights and the history of a user.

On sparse ratings such weights predict held-out ratings better than any factorisation of low rank, and towers
that learn from both are better than towers that learn from factors alone.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.training.item_products import history_matrix
from dch.training.neighbour_solver import fit_neighbours
from dch.training.training_bags import TrainingBags

Floats = NDArray[np.float32]
Rows = NDArray[np.int64] | slice

TEACHING_NEIGHBOURS = 64
"""Neighbours of an item in a teacher."""

SCORED_USERS = 2000
"""Users over which the typical score is averaged, as for the factors of a teacher."""

MIN_TYPICAL_SCORE = 1e-3
"""Lower limit of the typical score."""


class NeighbourTeacher:
    """Scores items for the users of a fit: the sum of rating weight * item weight over a whole history.

    Dropout does not change these histories. The weight of an item for itself is 0, so an item that dropout
    took out of a bag is scored by the others.
    """

    def __init__(self, user_bags: TrainingBags, *, n_threads: int = 1) -> None:
        """Learn the weights.

        Args:
            user_bags: the histories.
            n_threads: threads.

        Raises:
            MissingExtraError: scipy is not installed.
        """
        rows, weights = fit_neighbours(user_bags, TEACHING_NEIGHBOURS, n_threads=n_threads)
        self._histories = history_matrix(user_bags)
        self._weights = _as_columns(rows, weights)
        self.typical_score = max(self._mean_of_rated(user_bags), MIN_TYPICAL_SCORE)
        """The mean score of rated items; temperatures are in units of it."""

    def scores(self, users: Rows, items: Rows) -> Floats:
        """Return the scores of items for users, (n_users, n_items), both by row of the bags."""
        found: Floats = (self._histories[users] @ self._weights[:, items]).toarray().astype(np.float32)
        return found

    def _mean_of_rated(self, user_bags: TrainingBags) -> float:
        users = np.unique(np.linspace(0, len(user_bags) - 1, SCORED_USERS).astype(np.int64))
        rated = self._histories[users]
        rated.data = np.ones_like(rated.data)
        scores = (self._histories[users] @ self._weights).multiply(rated)
        n_rated = np.maximum(np.diff(rated.indptr), 1)
        return float((np.asarray(scores.sum(axis=1))[:, 0] / n_rated).mean())


def _as_columns(rows: NDArray[np.int32], weights: Floats) -> Any:  # noqa: ANN401 - scipy has no types
    """Return the weights as a scipy.sparse.csc_matrix, from a rated item (row) to a scored item (column)."""
    from scipy import sparse  # type: ignore[import-untyped]

    is_present = rows >= 0
    columns = np.nonzero(is_present)[0]
    n = len(rows)
    return sparse.csc_matrix((weights[is_present], (rows[is_present], columns)), shape=(n, n))
