"""The teacher of the ranking objective: matrix factorisation of the training ratings (implicit's ALS)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.errors import MissingExtraError
from dch.training.training_bags import TrainingBags

Floats = NDArray[np.float32]


ASKED = 2000
"""Users that tell the usual score well enough."""


@dataclass(frozen=True)
class Teacher:
    """Factors whose products rank the items of each user; used in the fit and then thrown away."""

    users: Floats
    """(n_users, factors)."""

    items: Floats
    """(n_items, factors)."""

    unit: float | None = None
    """What temperatures are in units of; None: ``usual_score``."""

    def usual_score(self, side: TrainingBags) -> float:
        """Return the mean score of what a user rated, over at most ASKED users, evenly chosen.

        The scores of sparse data are far below 1: a temperature means nothing without it.
        """
        if self.unit is not None:
            return self.unit
        users = np.unique(np.linspace(0, len(side) - 1, ASKED).astype(np.int64))
        means = [
            self.items[side.tokens[side.starts[user] : side.starts[user + 1]]].mean(axis=0) for user in users
        ]
        return float((self.users[users] * np.array(means)).sum(axis=1).mean())


def fit_teacher(user_side: TrainingBags, config: DchConfig) -> Teacher:
    """Factorise the rating weights, by settings that leave nothing of the teacher's open.

    Raises:
        MissingExtraError: implicit is not installed.

    Source:
        Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets" (ICDM 2008); here a
        rating has the confidence alpha * weight.
    """
    als, sparse, limits = _implicit()
    weights = sparse.csr_matrix(
        (user_side.weights, user_side.tokens, user_side.starts), shape=(len(user_side), user_side.n_other)
    )
    with limits(
        limits=1, user_api="blas"
    ):  # implicit has threads of its own and warns about those of the BLAS
        model = als(
            factors=config.teacher_factors,
            alpha=config.teacher_alpha,
            regularization=config.teacher_regularization,
            iterations=config.teacher_iterations,
            num_threads=torch.get_num_threads(),
            random_state=config.seed,
        )
        model.fit(weights, show_progress=False)
    return Teacher(np.asarray(model.user_factors, np.float32), np.asarray(model.item_factors, np.float32))


def _implicit() -> tuple[Any, Any, Any]:
    try:
        from implicit.cpu.als import AlternatingLeastSquares
        from scipy import sparse  # type: ignore[import-untyped]
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError as missing:
        raise MissingExtraError(
            "the teacher of the ranking objective needs implicit, which is not installed; "
            "run: pip install 'dch-streams[fit]'"
        ) from missing
    return AlternatingLeastSquares, sparse, threadpool_limits
