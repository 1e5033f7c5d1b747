"""The teacher of the ranking objective: matrix factorisation of the training ratings (implicit's ALS)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.errors import MissingExtraError
from dch.training.neighbour_teacher import NeighbourTeacher
from dch.training.training_bags import TrainingBags

Floats = NDArray[np.float32]


SCORED_USERS = 2000
"""Users over which ``typical_score`` averages; enough for a stable mean."""


@dataclass(frozen=True)
class Teacher:
    """Factors whose products rank the items for each user; used during the fit and then discarded."""

    users: Floats
    """(n_users, factors)."""

    items: Floats
    """(n_items, factors)."""

    neighbours: NeighbourTeacher | None = None
    """Scores by item-to-item weights, which are mixed with the products of factors; None: products alone."""

    def typical_score(self, user_bags: TrainingBags) -> float:
        """Return the mean score of rated items, over at most SCORED_USERS evenly spaced users.

        Temperatures are in units of this score, because scores on sparse data are far below 1.
        """
        users = np.unique(np.linspace(0, len(user_bags) - 1, SCORED_USERS).astype(np.int64))
        means = [
            self.items[user_bags.tokens[user_bags.starts[user] : user_bags.starts[user + 1]]].mean(axis=0)
            for user in users
        ]
        return float((self.users[users] * np.array(means)).sum(axis=1).mean())


def fit_teacher(user_bags: TrainingBags, config: DchConfig) -> Teacher:
    """Factorise the rating weights, and learn item-to-item weights if they have a share in the scores.

    Args:
        user_bags: the bags of the users.
        config: settings in which no setting of the teacher is None.

    Raises:
        MissingExtraError: implicit is not installed.

    Source:
        Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets" (ICDM 2008); here a
        rating has the confidence alpha * weight.
    """
    als, sparse, limits = _implicit()
    weights = sparse.csr_matrix(
        (user_bags.weights, user_bags.tokens, user_bags.starts), shape=(len(user_bags), user_bags.n_other)
    )
    with limits(limits=1, user_api="blas"):  # implicit starts its own threads and warns if BLAS does, too
        model = als(
            factors=config.teacher_factors,
            alpha=config.teacher_alpha,
            regularization=config.teacher_regularization,
            iterations=config.teacher_iterations,
            num_threads=torch.get_num_threads(),
            random_state=config.seed,
        )
        model.fit(weights, show_progress=False)
    factors = np.asarray(model.user_factors, np.float32), np.asarray(model.item_factors, np.float32)
    if not config.teacher_neighbours and not config.vector_teacher_neighbours:
        return Teacher(*factors)
    return Teacher(*factors, neighbours=NeighbourTeacher(user_bags, n_threads=torch.get_num_threads()))


def _implicit() -> tuple[Any, Any, Any]:
    try:
        from implicit.cpu.als import AlternatingLeastSquares
        from scipy import sparse  # type: ignore[import-untyped]
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError as missing:
        raise MissingExtraError(
            "the teacher of the ranking objective needs implicit, which is not installed; "
            "run: pip install -c constraints.txt '.[fit]'"
        ) from missing
    return AlternatingLeastSquares, sparse, threadpool_limits
