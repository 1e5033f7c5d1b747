"""A scorer by inner products, for every method whose users and items are vectors."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ProductScorer:
    """Scores an item by user . item; who has a NaN in the vector is unknown."""

    users: Floats
    """(n_users, width) float32, NaN rows where nothing is known."""

    items: Floats
    """(n_items, width) float32, NaN rows where nothing is known."""

    def __call__(self, users: NDArray[np.int32]) -> Floats:
        """Return (len(users), n_items) float32, larger is better, -inf where either is unknown."""
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
