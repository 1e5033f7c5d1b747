"""Items by features alone: ridge regression from feature tokens to the item factors of iALS."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features, tokens
from dch.data.ids import IdTable
from dch.data.ratings import Ratings
from dch.experiments.baselines.ials import FittedIals
from dch.experiments.baselines.scorers import ProductScorer

Floats = NDArray[np.float32]

REGULARIZATIONS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)

FOLDS = 5

MIN_RATINGS = 10
"""Items with fewer ratings are not learned from, because their factors say little."""


def features_scorer(fitted: FittedIals, ratings: Ratings, seed: int = 0) -> ProductScorer:
    """Return the scores of items by their features, for users by their factors.

    An item without a token of the training items scores -inf. The regularisation has the least squared error
    on items that it was not fitted to, over FOLDS parts of the training items.

    Args:
        fitted: iALS, fitted to the training ratings.
        ratings: the training ratings, with the features of all items.
        seed: of the parts.
    """
    records = [ratings.item_features.get(id_, {}) for id_ in ratings.item_ids]
    n_ratings = ratings.by_item.counts()
    names = IdTable(
        token for record, n in zip(records, n_ratings, strict=True) if n for token in tokens(record)
    )
    design, learned = _design(records, names), np.flatnonzero(n_ratings >= MIN_RATINGS)
    x, y = design[learned], fitted.items[learned].astype(np.float64)
    predicted = design @ _ridge(x, y, _best_regularization(x, y, np.random.default_rng(seed)))
    predicted[design[:, :-1].sum(axis=1) == 0] = np.nan
    return ProductScorer(fitted.users, predicted.astype(np.float32))


def _design(records: Sequence[Features], names: IdTable) -> NDArray[np.float64]:
    """Return 1 where an item has a token, (n_items, n_tokens + 1); the last column is 1 throughout."""
    design = np.zeros((len(records), len(names) + 1))
    design[:, -1] = 1
    for row, record in enumerate(records):
        known = names.rows(tokens(record))
        design[row, known[known >= 0]] = 1
    return design


def _best_regularization(x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator) -> float:
    fold = rng.integers(FOLDS, size=len(x))

    def error(regularization: float) -> float:
        return sum(
            float(
                np.square(
                    x[fold == f] @ _ridge(x[fold != f], y[fold != f], regularization) - y[fold == f]
                ).sum()
            )
            for f in range(FOLDS)
        )

    return min(REGULARIZATIONS, key=error)


def _ridge(x: NDArray[np.float64], y: NDArray[np.float64], regularization: float) -> NDArray[np.float64]:
    gram = x.T @ x + regularization * np.eye(x.shape[1])
    return np.linalg.solve(gram, x.T @ y).astype(np.float64)
