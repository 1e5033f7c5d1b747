"""BPR: vectors learned so that rated items score above others (implicit's BPR); no fold-in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.experiments.baselines.optional_packages import needed_by, one_blas_thread
from dch.experiments.baselines.rating_matrix import TrainedIds, scatter, weight_matrix
from dch.experiments.baselines.scorers import ProductScorer
from dch.training.rating_weights import infer_scale

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class FittedBpr:
    """Vectors of the users and items of the fit; the last element is 1 for users and the bias for items."""

    users: Floats
    """(n_users, factors + 1), NaN for users without a rating in the fit."""

    items: Floats
    """(n_items, factors + 1), NaN for items without a rating in the fit."""

    def fold_in(self, given: Ratings) -> ProductScorer:
        """Return the scores of the fit; BPR cannot fold ratings in.

        Users and items that are not in the fit stay unknown (-inf), whatever ratings are given.
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
    """Learn to rank from pairs of a rated and another item, on one thread so that runs are reproducible.

    Args:
        train: the ratings to learn from.
        factors: width of the vectors without the bias.
        learning_rate: of the stochastic gradient descent.
        regularization: of the vectors.
        iterations: passes; each samples as many pairs as there are ratings.
        liked_only: only positive ratings count as rated; if not, all ratings do.
        seed: of the random generator.

    Raises:
        MissingExtraError: implicit is not installed.

    Source:
        Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback" (UAI 2009).
    """
    with needed_by("BPR", "implicit"):
        from implicit.cpu.bpr import BayesianPersonalizedRanking
    scale = infer_scale(train.values, DchConfig(), graded=False, users=train.users)
    part = train.subset(train.values >= scale.positive_from) if liked_only else train
    seen = TrainedIds.of(part)
    with one_blas_thread():
        model = BayesianPersonalizedRanking(
            factors=factors,
            learning_rate=learning_rate,
            regularization=regularization,
            iterations=iterations,
            num_threads=1,
            random_state=seed,
        )
        model.fit(weight_matrix(part, scale, seen.users, seen.items), show_progress=False)
    users = scatter(np.asarray(model.user_factors, np.float32), seen.users, train.n_users)
    return FittedBpr(users, scatter(np.asarray(model.item_factors, np.float32), seen.items, train.n_items))
