"""Learn codes by features alone: a regression from feature tokens to the outputs of items with ratings.

A step shows few items by features alone, so the steps do not find good codes for these. But an item with
ratings shows where an item with such features belongs. Frequent pairs of tokens have a part of their own: an
old comedy is not the sum of what is old and of what is a comedy.

Source:
    Gantner et al., "Learning attribute-to-feature mappings for cold-start recommendations" (ICDM 2010), here
    to the outputs of a tower, with pairs.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dch.models.feature_codes import NO_FEATURE_CODES, FeatureCodes
from dch.models.towers import Floats, TowerWeights
from dch.training.batches import whole_bags
from dch.training.tower_net import TowerNet
from dch.training.training_bags import TrainingBags

REGULARIZATION = 20.0
"""Of the regression, in items: a token keeps half of what so few items say that have it alone."""

PAIR_SCALE = 0.5
"""Of a pair in the regression: its part is regularised by 1 / PAIR_SCALE ** 2 times as much as a token's."""

MIN_PAIR_ITEMS = 20
"""Pairs of fewer items than this have no part."""

PAIRED_TOKENS, MAX_PAIRS = 1000, 2000
"""Pairs are made of so many tokens and kept up to this number, the most frequent of both."""

FEW_RATINGS = 30
"""An item with so few ratings counts half, because they say little about it."""

ITERATIONS = 30
"""Steps of the conjugate gradients: on ML-1M, 20 leave an error of 2%, 30 none that shows."""


def fit_feature_codes(item_tower: TowerWeights, bags: TrainingBags, feature_weight: float) -> FeatureCodes:
    """Return the map from feature tokens to outputs; it is empty if no item has a feature.

    Args:
        item_tower: the frozen tower.
        bags: the bags of the items, with ratings.
        feature_weight: weight of one feature token in a bag.
    """
    if not bags.feature_names:
        return NO_FEATURE_CODES
    with torch.no_grad():
        batch = whole_bags(bags, np.arange(len(bags)), feature_weight)
        outputs = torch.cat(TowerNet(item_tower).codes_and_vectors(batch), dim=1).numpy()
    n_ratings = np.diff(bags.starts)
    trust = np.sqrt(n_ratings / (n_ratings + FEW_RATINGS)).astype(np.float32)[:, None]
    features = _features(bags)
    pairs = frequent_pairs(features)
    design = _design(features, pairs).multiply(trust).tocsr()
    table = sparse_ridge(design, outputs * trust, REGULARIZATION)
    table[len(bags.feature_names) : -1] *= np.float32(PAIR_SCALE)
    return FeatureCodes(pairs, table)


def frequent_pairs(features: Any) -> NDArray[np.int64]:  # noqa: ANN401 - scipy has no types
    """Return the most frequent pairs of columns as ``FeatureCodes.pairs``; of equal ones the lower.

    Args:
        features: sparse (n, n_columns), 1 where a row has a column.
    """
    from scipy.sparse import triu  # type: ignore[import-untyped]

    n_items = np.asarray(features.sum(axis=0))[0]
    paired = np.sort(np.argsort(-n_items, kind="stable")[:PAIRED_TOKENS])
    both = triu(features[:, paired].T @ features[:, paired], k=1).tocoo()
    pairs = (paired[both.row].astype(np.int64) << 32) | paired[both.col]
    kept = np.lexsort((pairs, -both.data))[:MAX_PAIRS]
    return np.sort(pairs[kept[both.data[kept] >= MIN_PAIR_ITEMS]])


def sparse_ridge(x: Any, y: Floats, regularization: float) -> Floats:  # noqa: ANN401 - scipy has no types
    """Return the matrix that maps x to y by ridge regression, (n_columns, size), without a square matrix.

    Args:
        x: (n, n_columns) sparse.
        y: (n, size).
        regularization: above 0.

    Source:
        Hestenes, Stiefel, "Methods of conjugate gradients for solving linear systems" (1952), for each column
        of y, with the columns of x brought to one length.
    """
    scale = 1 / np.sqrt(np.asarray(x.multiply(x).sum(axis=0)).reshape(-1, 1) + regularization)
    residual = scale * (x.T @ y)
    solved, direction = np.zeros_like(residual), residual.copy()
    square = np.square(residual).sum(axis=0)
    for _ in range(ITERATIONS):
        moved = scale * direction
        product = scale * (x.T @ (x @ moved) + regularization * moved)
        step = square / np.maximum((direction * product).sum(axis=0), 1e-30)
        solved += step * direction
        residual -= step * product
        before, square = square, np.square(residual).sum(axis=0)
        direction = residual + square / np.maximum(before, 1e-30) * direction
    found: Floats = (scale * solved).astype(np.float32)
    return found


def _features(bags: TrainingBags) -> Any:  # noqa: ANN401 - scipy has no types
    """Return 1 where an item has a token, sparse (n, n_features)."""
    from scipy.sparse import csr_matrix

    columns = bags.feature_tokens - bags.n_other
    ones = np.ones(len(columns), np.float32)
    return csr_matrix((ones, columns, bags.feature_starts), shape=(len(bags), len(bags.feature_names)))


def _design(features: Any, pairs: NDArray[np.int64]) -> Any:  # noqa: ANN401 - scipy has no types
    """Return the columns of tokens, PAIR_SCALE where an item has a pair, and a last column of ones."""
    from scipy.sparse import hstack

    by_column = features.tocsc()
    of_pairs = by_column[:, pairs >> 32].multiply(by_column[:, pairs & 0xFFFFFFFF]) * np.float32(PAIR_SCALE)
    return hstack([features, of_pairs, np.ones((features.shape[0], 1), np.float32)], format="csr")
