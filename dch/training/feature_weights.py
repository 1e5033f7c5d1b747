"""Embeddings of the feature tokens of items: after the last step, a regression to what their ratings say.

A step shows few items by features alone, so the steps do not find embeddings that give good codes to such
items. But the bag of an item with ratings shows where the tower expects an item like it.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dch.models.towers import COUNT_SPREAD
from dch.training.batches import whole_bags
from dch.training.embedding_bag import bag_sum
from dch.training.tower_net import TowerNet
from dch.training.training_bags import TrainingBags

Floats = NDArray[np.float32]

REGULARIZATION = 2.0
"""Of the regression, in items: a token keeps half of what so few items say that have it alone."""

FEW_RATINGS = 10
"""An item with so few ratings counts half, because they say little about it."""

ITERATIONS = 30
"""Steps of the conjugate gradients: on ML-1M, 20 leave an error of 2%, 30 none that shows."""


def fit_feature_embeddings(net: TowerNet, bags: TrainingBags) -> None:
    """Replace the embeddings of the feature tokens in a trained tower.

    Features alone then lead to nearly the same bag as the ratings of an item do, on average over the items
    with these features; that no rating is in the bag, which the tower sees too, is allowed for.

    Args:
        net: the trained item tower, changed in place.
        bags: the bags of the items, with ratings.
    """
    if not bags.feature_names:
        return
    with torch.no_grad():
        embeddings: Any = net.bag
        wanted = _sums_of_ratings(net, bags)
        n_ratings = np.diff(bags.starts)
        trust = np.sqrt(n_ratings / (n_ratings + FEW_RATINGS)).astype(np.float32)[:, None]
        found = sparse_ridge(_feature_weights(bags).multiply(trust).tocsr(), wanted * trust, REGULARIZATION)
        embeddings[bags.n_other :] = torch.from_numpy(found).to(embeddings.device)


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


def _sums_of_ratings(net: Any, bags: TrainingBags) -> Floats:  # noqa: ANN401 - parameters are named at run time
    """Return what the bag of each item would have to be without ratings, to be the same to the tower."""
    batch = whole_bags(bags, np.arange(len(bags)), 0.0)
    sums = bag_sum(net.bag, batch).cpu().numpy()
    more = np.log1p(batch.counts).astype(np.float32) / np.float32(COUNT_SPREAD)
    wanted: Floats = sums + more[:, None] * net.count.detach().cpu().numpy()
    return wanted


def _feature_weights(bags: TrainingBags) -> Any:  # noqa: ANN401 - scipy has no types
    """Return the weight of each token in a bag without ratings, sparse (n, n_features); rows of length 1."""
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

    counts = np.diff(bags.feature_starts)
    weights = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts).astype(np.float32)
    columns = bags.feature_tokens - bags.n_other
    return csr_matrix((weights, columns, bags.feature_starts), shape=(len(bags), len(bags.feature_names)))
