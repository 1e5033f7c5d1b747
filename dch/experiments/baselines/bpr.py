"""BPR: vectors learned so that a rated item scores above one that is not (implicit's BPR); no fold-in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.experiments.baselines.optional_packages import need, one_blas_thread
from dch.experiments.baselines.product_scorer import ProductScorer
from dch.experiments.baselines.rating_matrix import TrainedIds, spread, weight_matrix
from dch.training.rating_scale import infer_scale

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class FittedBpr:
    """Vectors of the users and items of the fit; the last of each is a constant or the item's bias."""

    users: Floats
    """(n_users, factors + 1), NaN where the fit saw nothing."""

    items: Floats
    """(n_items, factors + 1), NaN where the fit saw nothing."""

    def fold_in(self, given: Ratings) -> ProductScorer:
        """Return the scores of the fit as they were: BPR has no way to take in ratings later.

        Users and items that the fit did not see are unknown (-inf), whatever is given of them; known ones
        keep their vectors.
        """
        return ProductScorer(self.users, self.items)


def fit_bpr(
    train: Ratings,
    *,
    factors: int = 64,
    learning_rate: float = 0.01,
    regularization: float = 0.01,
    iterations: int = 50,
    liked_only: bool = True,
    seed: int = 0,
) -> FittedBpr:
    """Learn to rank by pairs of a rated and an unrated item, on one thread: more would race and differ.

    Args:
        train: the ratings to learn from.
        factors: width of the vectors, beside the bias.
        learning_rate: of the stochastic gradient descent.
        regularization: of the vectors.
        iterations: passes; each draws as many pairs as there are ratings.
        liked_only: positive ratings alone count as rated; else every one.
        seed: start of every random draw.

    Raises:
        MissingExtraError: implicit is not installed.

    Source:
        Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback" (UAI 2009).
    """
    bpr = need("implicit.cpu.bpr", "BPR").BayesianPersonalizedRanking
    scale = infer_scale(train.values, DchConfig(), graded=False)
    part = train.subset(train.values >= scale.positive_from) if liked_only else train
    seen = TrainedIds.of(part)
    with one_blas_thread():
        model = bpr(
            factors=factors,
            learning_rate=learning_rate,
            regularization=regularization,
            iterations=iterations,
            num_threads=1,
            random_state=seed,
        )
        model.fit(weight_matrix(part, scale, seen.users, seen.items), show_progress=False)
    users = spread(np.asarray(model.user_factors, np.float32), seen.users, train.n_users)
    return FittedBpr(users, spread(np.asarray(model.item_factors, np.float32), seen.items, train.n_items))
