"""Popularity: every user gets the items of most positive ratings. What any other method has to beat."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.experiments.baselines.rating_matrix import join
from dch.experiments.baselines.score_lists import positive_counts
from dch.training.rating_scale import infer_scale

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class PopularityScorer:
    """Scores an item the same for everybody, new users too."""

    counts: Floats
    """(n_items,) positive ratings, -inf for items without any rating."""

    def __call__(self, users: NDArray[np.int32]) -> Floats:
        """Return (len(users), n_items) float32, a view that cannot be written to."""
        return np.broadcast_to(self.counts, (len(users), len(self.counts)))


@dataclass(frozen=True)
class FittedPopularity:
    """The training ratings, and from which rating on one is positive."""

    train: Ratings
    positive_from: float

    def fold_in(self, given: Ratings) -> PopularityScorer:
        """Return the number of positive ratings in training and given together."""
        both = join(self.train, given)
        counts = positive_counts(both, self.positive_from).astype(np.float32)
        counts[both.by_item.counts() == 0] = -np.inf
        return PopularityScorer(counts)


def fit_popularity(train: Ratings, *, seed: int = 0) -> FittedPopularity:
    """Read off the training ratings what is positive; nothing is drawn, whatever the seed."""
    return FittedPopularity(train, infer_scale(train.values, DchConfig(), graded=False).positive_from)
