"""Popularity: every user gets the items with the most positive ratings; a useful method beats it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.experiments.baselines.rating_matrix import join
from dch.experiments.baselines.score_lists import positive_counts
from dch.training.rating_weights import infer_scale

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PopularityScorer:
    """Gives each item the same score for all users, new users included."""

    counts: Floats
    """(n_items,) number of positive ratings, -inf for items without any rating."""

    def __call__(self, users: NDArray[np.int32]) -> Floats:
        """Return (len(users), n_items) float32, a read-only view."""
        return np.broadcast_to(self.counts, (len(users), len(self.counts)))


@dataclass(frozen=True)
class FittedPopularity:
    """The training ratings, and the lowest rating that is positive."""

    train: Ratings
    positive_from: float

    def fold_in(self, given: Ratings) -> PopularityScorer:
        """Return scores by the number of positive ratings in the training and given ratings together."""
        both = join(self.train, given)
        counts = positive_counts(both, self.positive_from).astype(np.float32)
        counts[both.by_item.counts() == 0] = -np.inf
        return PopularityScorer(counts)


def fit_popularity(train: Ratings, *, seed: int = 0) -> FittedPopularity:
    """Derive the lowest positive rating from the training ratings; the seed is not used."""
    return FittedPopularity(
        train, infer_scale(train.values, DchConfig(), graded=False, users=train.users).positive_from
    )
