"""EASE: a full matrix of item-to-item weights in closed form; new users are free, new items impossible."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.errors import ConfigError
from dch.experiments.baselines.optional_packages import need
from dch.experiments.baselines.rating_matrix import Rows, TrainedIds, join, weight_matrix
from dch.training.rating_scale import RatingScale, infer_scale

Floats = NDArray[np.float32]

BLOCK = 1024
"""Rows at a time of what is done to the item matrix in place: 135 MB of 33,000 items."""


@dataclass(frozen=True)
class EaseScorer:
    """Scores an item by the weights of what the user rated."""

    histories: Any
    """(n_users, n_known) scipy.sparse.csr_matrix of rating weights."""

    weights: Floats
    """(n_known, n_known)."""

    items: Rows
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
    """Weights between the items of the training ratings."""

    train: Ratings
    scale: RatingScale
    items: Rows
    """(n_known,) items with a training rating."""

    weights: Floats
    """(n_known, n_known), from a rated item (row) to a scored one; the diagonal is 0."""

    def fold_in(self, given: Ratings) -> EaseScorer:
        """Return the scores from the ratings of training and given together, of known items.

        New users are scored as known ones are. A new item has no weights and scores -inf.
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
    """Solve for the item weights that best restore each history without the item itself.

    Memory is 4 bytes a pair of items and time grows with the cube: see ``cost_of``. Nothing is drawn,
    whatever the seed.

    Args:
        train: the ratings to learn from.
        regularization: penalty on the squared weights.
        graded: histories hold rating weights; else 1 each.
        most_items: refuse more items than this.
        seed: not used.

    Raises:
        ConfigError: there are more items than most_items.
        MissingExtraError: scipy is not installed.

    Source:
        Steck, "Embarrassingly shallow autoencoders for sparse data" (WWW 2019), Equation 8; here over
        rating weights.
    """
    seen, scale = TrainedIds.of(train), infer_scale(train.values, DchConfig(), graded=graded)
    if len(seen.items) > most_items:
        raise ConfigError(
            f"most_items is {most_items}, there are {len(seen.items)} items, "
            f"which need {cost_of(len(seen.items))}; raise most_items, or leave EASE out"
        )
    gram = gram_matrix(weight_matrix(train, scale, seen.users, seen.items))
    gram[np.diag_indices_from(gram)] += np.float32(regularization)
    return FittedEase(train, scale, seen.items, _to_weights(_invert(gram)))


def cost_of(n_items: int) -> str:
    """Return what an inversion costs, in words: 4 bytes a pair, n^3 operations at about 5e10 a second."""
    return f"{4e-9 * n_items**2:.1f} GB and about {n_items**3 / 5e10 / 60:.1f} minutes"


def gram_matrix(histories: Any) -> Floats:  # noqa: ANN401 - scipy has no types
    """Return (n, n) float32, the products of all pairs of columns of a sparse matrix, made block by block."""
    n = histories.shape[1]
    gram = np.empty((n, n), np.float32)
    by_item = histories.T.tocsr()
    for start in range(0, n, BLOCK):
        gram[start : start + BLOCK] = (by_item[start : start + BLOCK] @ histories).toarray()
    return gram


def _invert(gram: Floats) -> Floats:
    """Invert a symmetric positive definite matrix in place."""
    lapack = need("scipy.linalg.lapack", "EASE")
    # The transposed view of a symmetric matrix is the same matrix in the column order that LAPACK wants:
    # no copy is made, and its lower triangle is our upper one.
    factor, failed = lapack.spotrf(gram.T, lower=1, overwrite_a=1, clean=0)
    inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise ConfigError("the item matrix cannot be inverted; raise regularization")
    return _mirror(inverse.T)


def _mirror(upper: Floats) -> Floats:
    """Copy the upper triangle into the lower one, in place."""
    n = len(upper)
    for start in range(0, n, BLOCK):
        end = min(start + BLOCK, n)
        square = np.triu(upper[start:end, start:end])
        upper[start:end, start:end] = square + np.triu(square, 1).T
        upper[end:, start:end] = upper[start:end, end:].T
    return upper


def _to_weights(inverse: Floats) -> Floats:
    """Turn the inverse into the weights, in place: each column over minus its diagonal element."""
    diagonal = np.diagonal(inverse).copy()
    for start in range(0, len(inverse), BLOCK):
        inverse[start : start + BLOCK] /= -diagonal
    inverse[np.diag_indices_from(inverse)] = 0
    return inverse
