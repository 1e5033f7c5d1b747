"""The interface of a baseline: fit once, fold in new ratings, score all items; and a scorer by products."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings

Floats = NDArray[np.float32]


class BaselineScorer(Protocol):
    """Scores every item for some users."""

    def __call__(self, users: NDArray[np.int32]) -> Floats:
        """Return scores over the rows of the id tables; larger is better.

        Args:
            users: (n,) user rows.

        Returns:
            (n, n_items) float32. An unknown item scores -inf. An unknown user gets -inf for every item, and
            so gets the popular list.
        """
        ...


class FittedBaseline(Protocol):
    """A fitted baseline, which keeps the ratings that it was fitted to."""

    def fold_in(self, given: Ratings) -> BaselineScorer:
        """Return the scores after these ratings, with the learned parameters unchanged.

        Args:
            given: new ratings over the same id tables, possibly none: of known users and items, of new users
                (who have no rating in the fit) and of new items. A baseline that cannot encode new users or
                new items scores them -inf.
        """
        ...


@dataclass(frozen=True)
class ProductScorer:
    """Scores an item by the inner product with the user; a vector with a NaN is unknown."""

    users: Floats
    """(n_users, width) float32, NaN in the rows of unknown users."""

    items: Floats
    """(n_items, width) float32, NaN in the rows of unknown items."""

    def __call__(self, users: NDArray[np.int32]) -> Floats:
        """Return (len(users), n_items) float32, larger is better, -inf where user or item is unknown."""
        scores: Floats = np.nan_to_num(self.users[users]) @ self._columns
        scores[:, self._unknown_items] = -np.inf
        scores[np.isnan(self.users[users]).any(axis=1)] = -np.inf
        return scores

    @cached_property
    def _columns(self) -> Floats:
        return np.nan_to_num(self.items).T

    @cached_property
    def _unknown_items(self) -> NDArray[np.int64]:
        return np.flatnonzero(np.isnan(self.items).any(axis=1))
