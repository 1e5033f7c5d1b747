"""RP3beta: item-to-item weights by a random walk of three steps, weakened for popular items."""

from typing import Any

import numpy as np

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.experiments.baselines.item_weights import FittedItemWeights, strongest
from dch.experiments.baselines.rating_matrix import TrainedIds, weight_matrix
from dch.training.rating_weights import infer_scale


def fit_rp3beta(
    train: Ratings,
    *,
    k: int = 100,
    alpha: float = 1.0,
    beta: float = 0.4,
    graded: bool = False,
    seed: int = 0,
) -> FittedItemWeights:
    """Walk from each item to a user who rated it, and on to an item that the user rated.

    Args:
        train: the ratings to learn from.
        k: weights that each rated item keeps, the largest.
        alpha: exponent of the probabilities of a step.
        beta: exponent of the number of ratings of the scored item, by which a weight is divided.
        graded: steps are as probable as their rating weights; if not, all ratings weigh 1.
        seed: not used.

    Raises:
        MissingExtraError: scipy is not installed.

    Source:
        Paudel, Christoffel, Newell, Bernstein, "Updatable, accurate, diverse, and scalable recommendations
        for interactive applications" (ACM TiiS 2017).
    """
    trained = TrainedIds.of(train)
    scale = infer_scale(train.values, DchConfig(), graded=graded, users=train.users)
    by_user = weight_matrix(train, scale, trained.users, trained.items)
    to_users, to_items = _steps(by_user.T.tocsr(), alpha), _steps(by_user, alpha)
    n_ratings = np.bincount(by_user.indices, minlength=by_user.shape[1])
    weaker = (n_ratings ** -float(beta)).astype(np.float32)
    weights = strongest(lambda cut: (to_users[cut] @ to_items).toarray() * weaker, len(weaker), k)
    return FittedItemWeights(train, scale, trained.items, weights)


def _steps(weights: Any, alpha: float) -> Any:  # noqa: ANN401 - scipy has no types
    """Return the probability of each step from a row to a column, to the power of alpha."""
    sums = np.asarray(weights.sum(axis=1)).ravel()
    steps = weights.copy()
    steps.data = (steps.data / np.repeat(sums, np.diff(steps.indptr))) ** np.float32(alpha)
    return steps
