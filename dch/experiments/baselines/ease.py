"""EASE: a full matrix of item-to-item weights in closed form; scores new users, but not new items."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import ConfigError
from dch.experiments.baselines.rating_matrix import RowNumbers, TrainedIds, join, weight_matrix
from dch.training.ease_solver import cost_of, solve_ease
from dch.training.rating_weights import RatingScale, infer_scale

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class EaseScorer:
    """Scores an item by the weights from the items that the user rated."""

    histories: Any
    """(n_users, n_known) scipy.sparse.csr_matrix of rating weights."""

    weights: Floats
    """(n_known, n_known)."""

    items: RowNumbers
    """(n_known,) rows of the known items."""

    n_items: int

    def __call__(self, users: NDArray[np.int32]) -> Floats:
        """Return (len(users), n_items) float32, -inf for new items and for users with no known item."""
        scores = np.full((len(users), self.n_items), -np.inf, np.float32)
        histories = self.histories[users]
        has_any = np.flatnonzero(np.diff(histories.indptr))
        scores[np.ix_(has_any, self.items)] = histories[has_any] @ self.weights
        return scores


@dataclass(frozen=True)
class FittedEase:
    """The weights between the items of the training ratings."""

    train: Ratings
    scale: RatingScale
    items: RowNumbers
    """(n_known,) rows of the items with a training rating."""

    weights: Floats
    """(n_known, n_known), from a rated item (row) to a scored item (column); the diagonal is 0."""

    def fold_in(self, given: Ratings) -> EaseScorer:
        """Return the scores from the training and given ratings of known items together.

        New users are scored like known users. New items have no weights and score -inf.
        """
        everyone = np.arange(self.train.n_users)
        histories = weight_matrix(join(self.train, given), self.scale, everyone, self.items)
        return EaseScorer(histories, self.weights, self.items, self.train.n_items)


def fit_ease(
    train: Ratings,
    *,
    regularization: float = 500.0,
    graded: bool = True,
    most_items: int = 15_000,
    seed: int = 0,
) -> FittedEase:
    """Solve for the item weights that best reconstruct each history without the item itself.

    The fit takes 4 bytes per pair of items, and time that grows with the cube of their number: see
    ``cost_of``. It is deterministic.

    Args:
        train: the ratings to learn from.
        regularization: penalty on the squared weights.
        graded: histories contain rating weights; if not, each rating weighs 1.
        most_items: refuse more items than this.
        seed: not used.

    Raises:
        ConfigError: there are more items than most_items.
        MissingExtraError: scipy is not installed.

    Source:
        Steck, "Embarrassingly shallow autoencoders for sparse data" (WWW 2019), Equation 8; here over
        rating weights.
    """
    trained, scale = (
        TrainedIds.of(train),
        infer_scale(train.values, DchConfig(), graded=graded, users=train.users),
    )
    if len(trained.items) > most_items:
        raise ConfigError(
            f"most_items is {most_items}, there are {len(trained.items)} items, "
            f"which need {cost_of(len(trained.items))}; raise most_items, or leave EASE out"
        )
    histories = weight_matrix(train, scale, trained.users, trained.items)
    return FittedEase(train, scale, trained.items, solve_ease(histories, regularization))
