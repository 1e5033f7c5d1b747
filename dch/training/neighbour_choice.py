"""Decide on held-out ratings whether a model gets neighbours, and what part they have in a score."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.models.model import Model
from dch.models.neighbours import Neighbours, from_columns
from dch.search import CANDIDATES
from dch.search.queries import weights_of_bits
from dch.training.auto_settings import is_clear
from dch.training.batches import whole_bags
from dch.training.neighbour_solver import fit_neighbours, history_matrix
from dch.training.tower_net import TowerNet
from dch.training.training_bags import TrainingBags
from dch.training.training_data import TrainingData, wants_neighbours
from dch.training.validation import Validation

Floats = NDArray[np.float32]
Scores = Callable[[slice], Floats]

AUTO_K = 32
"""Neighbours of an item, where their number is chosen by the fit: 32 * 5 + 2 bytes an item."""

SHARES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Shares that are compared, in units that make both parts of a score vary alike among the candidates."""


def with_neighbours(
    model: Model, nets: tuple[TowerNet, TowerNet], data: TrainingData, config: DchConfig, *, n_threads: int
) -> Model:
    """Return the model with neighbours, or unchanged if they are off or do not pay.

    ``config.neighbours`` of None keeps them only if NDCG@20 of the lists rises by more than two standard
    errors; a number keeps them in any case, with the best share.

    Args:
        model: the frozen model.
        nets: the towers that it was made of.
        data: the training data; its validation ratings are in no bag.
        config: the settings.
        n_threads: threads.
    """
    if not wants_neighbours(config) or data.validation is None:
        return model
    columns = fit_neighbours(data.bags[0], config.neighbours or AUTO_K, n_threads=n_threads)
    neighbours = from_columns(*columns)
    if neighbours.is_empty:
        return model
    share, before, after = _best_share(nets, data.bags, data.validation, config, neighbours)
    metrics = {
        **model.metrics,
        "held_out_ndcg@20 without neighbours": float(before.mean()),
        "held_out_ndcg@20 with neighbours": float(after.mean()),
    }
    if config.neighbours is None and not is_clear(after - before):
        return replace(model, metrics=metrics)
    shares = np.array([share], np.float32)
    return replace(model, metrics=metrics, neighbours=neighbours._replace(share=shares))


def _best_share(
    nets: tuple[TowerNet, TowerNet],
    bags: tuple[TrainingBags, TrainingBags],
    validation: Validation,
    config: DchConfig,
    neighbours: Neighbours,
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the best share, and the NDCG@20 of each user without neighbours and with this share."""
    parts = _score_parts(nets, bags, validation, config, neighbours)
    unit = _unit(parts, len(validation.users))

    def quality(share: float) -> NDArray[np.float64]:
        return validation.ndcg_by_user(lambda block: _scores(parts(block), share * unit))

    found = {share: quality(share) for share in SHARES}
    best = max(SHARES, key=lambda share: found[share].mean())
    return best * unit, quality(0.0), found[best]


Parts = tuple[Floats, Floats, NDArray[np.bool_], NDArray[np.bool_]]
"""Of a block of users, (n, n_items) each: product of vectors, normalised sum over the history, which items
are candidates by code, and which by neighbours."""


def _score_parts(
    nets: tuple[TowerNet, TowerNet],
    bags: tuple[TrainingBags, TrainingBags],
    validation: Validation,
    config: DchConfig,
    neighbours: Neighbours,
) -> Callable[[slice], Parts]:
    everything = (validation.users, np.arange(len(bags[1])))
    with torch.no_grad():
        (codes, vectors), (item_codes, item_vectors) = (
            [
                part.cpu().numpy()
                for part in net.codes_and_vectors(whole_bags(of, rows, config.feature_weight))
            ]
            for net, of, rows in zip(nets, bags, everything, strict=True)
        )
    signs, item_signs = (np.where(part > 0, 1, -1).astype(np.float32) for part in (codes, item_codes))
    if config.relaxed_users:
        signs *= weights_of_bits(codes)
    histories = history_matrix(bags[0])[validation.users]
    lengths = np.sqrt(np.asarray(histories.multiply(histories).sum(axis=1))).clip(1e-6)
    matrix = _as_matrix(neighbours)

    def parts(block: slice) -> Parts:
        sums = (histories[block] @ matrix).toarray() / lengths[block]
        is_seen = np.zeros(sums.shape, np.bool_)
        is_seen[validation.seen.cells(block)] = True
        by_code = _top(signs[block] @ item_signs.T, ~is_seen)
        by_neighbours = _top(sums, ~is_seen & (sums > 0))
        return vectors[block] @ item_vectors.T, sums.astype(np.float32), by_code, by_neighbours

    return parts


def _as_matrix(neighbours: Neighbours) -> Any:  # noqa: ANN401 - scipy has no types
    """Return the weights in steps, from a rated item (row) to a scored item (column)."""
    from scipy import sparse  # type: ignore[import-untyped]

    steps = neighbours.weights.astype(np.float32) * neighbours.scales[neighbours.items]
    n = len(neighbours.scales)
    return sparse.csr_matrix((steps, neighbours.items, neighbours.starts), shape=(n, n))


def _top(scores: Floats, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the CANDIDATES largest scores of each row among those allowed."""
    masked = np.where(allowed, scores, -np.inf)
    n = min(CANDIDATES, masked.shape[1])
    top = np.zeros(masked.shape, np.bool_)
    np.put_along_axis(top, np.argpartition(-masked, n - 1, axis=1)[:, :n], True, axis=1)
    return top & allowed


def _unit(parts: Callable[[slice], Parts], n_users: int) -> float:
    """Return the share with which both parts vary alike among the candidates of the first users."""
    products, sums, by_code, by_neighbours = parts(slice(0, min(n_users, 100)))
    among = by_code | by_neighbours
    return float(products[among].std() / max(float(sums[among].std()), 1e-12))


def _scores(parts: Parts, share: float) -> Floats:
    """Return the scores, -inf for items that are no candidates; a share of 0 means no neighbours at all."""
    products, sums, by_code, by_neighbours = parts
    if share == 0:
        return np.where(by_code, products, -np.inf)
    return np.where(by_code | by_neighbours, products + np.float32(share) * sums, -np.inf)
