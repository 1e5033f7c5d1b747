"""iALS: matrix factorisation of rating weights in full precision (implicit's ALS), with fold-in."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.experiments.baselines.optional_packages import needed_by, one_blas_thread
from dch.experiments.baselines.rating_matrix import TrainedIds, join, scatter, weight_matrix
from dch.experiments.baselines.scorers import ProductScorer
from dch.training.rating_weights import RatingScale, infer_scale

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class FittedIals:
    """Factors of the users and items of the training ratings."""

    train: Ratings
    scale: RatingScale
    trained: TrainedIds

    model: Any
    """implicit's AlternatingLeastSquares over the rows of ``trained``."""

    @property
    def users(self) -> Floats:
        """Return (n_users, factors) as fitted, NaN for users without a training rating."""
        return scatter(self.model.user_factors, self.trained.users, self.train.n_users)

    @property
    def items(self) -> Floats:
        """Return (n_items, factors) as fitted, NaN for items without a training rating."""
        return scatter(self.model.item_factors, self.trained.items, self.train.n_items)

    def vectors(self, given: Ratings) -> tuple[Floats, Floats]:
        """Return the factors after these ratings.

        Every user with a rating of a known item, in training or given, is solved again with the item factors
        of the fit. Every new item with a given rating by a known user is solved with the user factors of the
        fit. Known items keep their factors.

        Args:
            given: new ratings, possibly none.

        Returns:
            (n_users, factors) and (n_items, factors) float32, NaN for unknown users and items.
        """
        known = self.trained
        both = join(self.train, given)
        rated = np.isin(both.items, known.items)
        rows = np.unique(both.users[rated]).astype(np.int64)
        matrix = weight_matrix(both, self.scale, rows, known.items)
        users = scatter(self._solve(self.model.recalculate_user, matrix), rows, self.train.n_users)
        return users, self._with_new_items(given)

    def fold_in(self, given: Ratings) -> ProductScorer:
        """Return the scores after these ratings; see ``vectors``."""
        return ProductScorer(*self.vectors(given))

    def _with_new_items(self, given: Ratings) -> Floats:
        known, items = self.trained, self.items
        of_new = np.isin(given.users, known.users) & ~np.isin(given.items, known.items)
        rows = np.unique(given.items[of_new]).astype(np.int64)
        matrix = weight_matrix(given, self.scale, known.users, rows)
        items[rows] = self._solve(self.model.recalculate_item, matrix.T.tocsr())
        return items

    def _solve(self, solve: Any, weights: Any) -> Floats:  # noqa: ANN401 - implicit and scipy have no types
        """Solve the least squares of each row of weights with the other side fixed; return (n, factors)."""
        with one_blas_thread():
            solved: Floats = solve(np.arange(weights.shape[0]), weights)
        return solved


def fit_ials(
    train: Ratings,
    *,
    factors: int = 64,
    alpha: float,
    regularization: float,
    iterations: int = 15,
    graded: bool,
    seed: int = 0,
) -> FittedIals:
    """Factorise the rating weights.

    Args:
        train: the ratings to learn from.
        factors: width of the vectors.
        alpha: confidence of a rating of weight 1.
        regularization: on the scale of the confidences.
        iterations: sweeps over both sides.
        graded: weights depend on the rating value; if not, each rating weighs 1.
        seed: of the first factors.

    Raises:
        MissingExtraError: implicit is not installed.

    Source:
        Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets" (ICDM 2008); here a
        rating has the confidence alpha * weight.
    """
    with needed_by("iALS", "implicit"):
        from implicit.cpu.als import AlternatingLeastSquares
    trained, scale = (
        TrainedIds.of(train),
        infer_scale(train.values, DchConfig(), graded=graded, users=train.users),
    )
    weights = weight_matrix(train, scale, trained.users, trained.items)
    with one_blas_thread():
        model = AlternatingLeastSquares(
            factors=factors,
            alpha=alpha,
            regularization=regularization,
            iterations=iterations,
            random_state=seed,
        )
        model.fit(weights, show_progress=False)
    return FittedIals(train, scale, trained, model)
