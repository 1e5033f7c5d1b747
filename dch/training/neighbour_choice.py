"""Decide on held-out ratings whether a model gets neighbours, and what part they have in a score.

In the trial a teacher stands for the ranking vectors, which learn from it. So it is made before the towers
learn, and no rating is kept from them. Where item-to-item weights teach codes, it decides whether they teach
vectors, too; otherwise codes and vectors are those of a fit without neighbours, to the bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.ratings import Ratings
from dch.models.model import Model
from dch.models.neighbours import Neighbours, from_columns
from dch.search import CANDIDATES
from dch.search.query_words import weights_of_bits
from dch.training.auto_settings import is_clear, trial_data, trial_teacher
from dch.training.batches import whole_bags
from dch.training.item_products import history_matrix
from dch.training.neighbour_solver import fit_neighbours, products_for
from dch.training.teacher import Teacher
from dch.training.tower_net import TowerNet
from dch.training.training_bags import TrainingBags
from dch.training.training_data import TrainingData
from dch.training.validation import Validation
from dch.training.validation_split import MIN_USERS, split_validation

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

SIZES = (32, 64)
"""Neighbours of an item that are compared, where the fit chooses their number; each takes 5 bytes.

The first is kept unless the other one is clearly better: on Amazon books, and in one of three seeds of ML-1M.
"""

MAX_USERS = 4000
"""Users with held-out ratings in the trial."""

SHARES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Shares that are compared, in units that make both parts of a score vary alike among the candidates."""

DEFAULT_SHARE = 0.5
"""The share where neighbours are asked for and there are too few users to compare on."""

UNIT_USERS = 100
"""Users from whom the unit of the share is found."""

SHARE = "neighbour_share"
"""Name of the metric in a model that holds the chosen share, 0 without neighbours; a refit keeps it."""

SIZE = "neighbours_of_item"
"""Name of the metric that holds the chosen number, which a refit keeps; older models have none."""


def wants_neighbours(config: DchConfig) -> bool:
    """Return whether a fit may learn neighbours. They need ranking vectors."""
    return config.neighbours != 0 and config.objective == "ranking" and config.vector_size > 0


def choose_neighbours(
    ratings: Ratings, config: DchConfig, *, start: Model | None = None, n_threads: int = 1
) -> dict[str, float]:
    """Return the share of neighbours, 0 for none, and their number, with what was measured.

    It is empty if neighbours are off. ``neighbours`` of None in the settings keeps them only if NDCG@20 of
    the lists rises clearly, and chooses their number; a number keeps them in any case, with the best share.

    Args:
        ratings: the ratings that the model is made from.
        config: the settings, resolved.
        start: the model that a refit starts from, whose choice is kept; None for a first fit.
        n_threads: threads.
    """
    if not wants_neighbours(config):
        return {}
    kept = _choice_of(start) if start else {}
    if kept.get(SHARE) or (kept and config.neighbours is None):
        return kept | ({SIZE: float(config.neighbours)} if config.neighbours else {})
    return _try(ratings, config, n_threads)


def settings_of_steps(config: DchConfig, choice: Mapping[str, float]) -> DchConfig:
    """Return the settings with which towers learn: ``neighbours`` is 0 if the model gets none."""
    return config if choice.get(SHARE) else replace(config, neighbours=0)


def with_neighbours(
    model: Model,
    nets: tuple[TowerNet, TowerNet],
    data: TrainingData,
    choice: Mapping[str, float],
    *,
    n_threads: int = 1,
) -> Model:
    """Return the model with the choice among its metrics, and with neighbours if that is the choice.

    Args:
        model: the frozen model.
        nets: the towers that it was made of.
        data: the training data.
        choice: see ``choose_neighbours``.
        n_threads: threads.
    """
    config = data.config
    model = replace(model, metrics={**model.metrics, **choice})
    if not choice.get(SHARE):
        return model
    k = config.neighbours or round(choice.get(SIZE, SIZES[0]))
    neighbours = from_columns(*fit_neighbours(data.bags[0], k, n_threads=n_threads))
    if neighbours.is_empty:
        return model
    share = choice[SHARE] * _unit_of_model(nets, data.bags, neighbours, config)
    return replace(model, neighbours=neighbours._replace(share=np.array([share], np.float32)))


def _choice_of(start: Model) -> dict[str, float]:
    return {name: value for name, value in start.metrics.items() if name in (SHARE, SIZE)}


def _try(ratings: Ratings, config: DchConfig, n_threads: int) -> dict[str, float]:
    """Return the best share, 0 for no neighbours, and what was measured on the held-out ratings."""
    forced = {SHARE: DEFAULT_SHARE, SIZE: float(config.neighbours)} if config.neighbours else {SHARE: 0.0}
    rest, held_out = split_validation(ratings, share=1.0, seed=config.seed + 2, max_users=MAX_USERS)
    if not len(held_out):
        return forced
    bags, validation = trial_data(config, ratings, rest, held_out)
    if validation is None or len(validation.users) < MIN_USERS:
        return forced
    trial = Trial(trial_teacher(bags[0], _stand_in(config)), bags[0], validation)
    best, *others = trial.of_sizes([config.neighbours] if config.neighbours else SIZES, n_threads)
    if not best.share:
        return forced
    for other in others:
        best = other if is_clear(other.ndcg - best.ndcg) else best
    is_kept = bool(config.neighbours) or is_clear(best.ndcg - trial.before)
    return {
        SHARE: best.share if is_kept else 0.0,
        SIZE: float(best.size),
        "held_out_ndcg@20 without neighbours": float(trial.before.mean()),
        "held_out_ndcg@20 with neighbours": float(best.ndcg.mean()),
    }


def _stand_in(config: DchConfig) -> DchConfig:
    """Return the settings of a teacher with as many factors as a ranking vector has numbers, if it has more.

    With more it would hide what neighbours add to vectors, which cannot hold all that such a teacher knows.
    """
    return replace(config, teacher_factors=min(config.teacher_factors or 0, config.vector_size))


class Tried(NamedTuple):
    """So many neighbours of an item, with their best share."""

    size: int
    share: float  # 0 if no item has neighbours
    ndcg: Doubles  # (n,) NDCG@20 of each validation user


class Trial:
    """Lists by the factors of a teacher, alone and with neighbours, for users with held-out ratings."""

    def __init__(self, teacher: Teacher, user_bags: TrainingBags, validation: Validation) -> None:
        self._teacher, self._bags, self._validation = teacher, user_bags, validation
        self.before = validation.ndcg_by_user(self._products)
        """(n,) NDCG@20 of each validation user by the teacher alone."""

    def of_sizes(self, sizes: Sequence[int], n_threads: int) -> list[Tried]:
        """Return what each number of neighbours gains."""
        products = products_for(self._bags)
        return [
            self._of(k, from_columns(*fit_neighbours(self._bags, k, products=products, n_threads=n_threads)))
            for k in sizes
        ]

    def _of(self, size: int, neighbours: Neighbours) -> Tried:
        if neighbours.is_empty:
            return Tried(size, 0.0, self.before)
        sums, users = HistorySums(self._bags, neighbours), self._validation.users
        of_first = self._products(slice(0, UNIT_USERS))
        unit = _unit(of_first, of_first, *sums.of(users[:UNIT_USERS]))

        def scores(block: slice) -> list[Floats]:
            products, of_neighbours = self._products(block), sums.of(users[block])[0]
            return [products + np.float32(share * unit) * of_neighbours for share in SHARES]

        found = self._validation.ndcg_of_each(scores)
        best = int(found.mean(axis=1).argmax())
        return Tried(size, SHARES[best], found[best])

    def _products(self, block: slice) -> Floats:
        found: Floats = self._teacher.users[self._validation.users[block]] @ self._teacher.items.T
        return found


class HistorySums:
    """The normalised sums of the weights of neighbours over the histories of users."""

    def __init__(self, user_bags: TrainingBags, neighbours: Neighbours) -> None:
        self._histories, self._matrix = history_matrix(user_bags), _as_matrix(neighbours)

    def of(self, users: NDArray[np.int64]) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the sum for each item, and whether the user rated it, (n, n_items) each."""
        histories = self._histories[users]
        lengths = np.sqrt(np.asarray(histories.multiply(histories).sum(axis=1))).clip(1e-6)
        sums = (histories @ self._matrix).toarray() / lengths
        return sums.astype(np.float32), histories.toarray() > 0


def _as_matrix(neighbours: Neighbours) -> Any:  # noqa: ANN401 - scipy has no types
    """Return the weights in steps, from a rated item (row) to a scored item (column)."""
    from scipy import sparse  # type: ignore[import-untyped]

    steps = neighbours.weights.astype(np.float32) * neighbours.scales[neighbours.items]
    n = len(neighbours.scales)
    return sparse.csr_matrix((steps, neighbours.items, neighbours.starts), shape=(n, n))


def _unit_of_model(
    nets: tuple[TowerNet, TowerNet],
    bags: tuple[TrainingBags, TrainingBags],
    neighbours: Neighbours,
    config: DchConfig,
) -> float:
    users = np.unique(np.linspace(0, len(bags[0]) - 1, UNIT_USERS).astype(np.int64))
    with torch.no_grad():
        (codes, vectors), (item_codes, item_vectors) = (
            [
                part.cpu().numpy()
                for part in net.codes_and_vectors(whole_bags(of, rows, config.feature_weight))
            ]
            for net, of, rows in zip(nets, bags, (users, np.arange(len(bags[1]))), strict=True)
        )
    signs = np.where(codes > 0, 1.0, -1.0) * (weights_of_bits(codes) if config.relaxed_users else 1.0)
    nearness = (signs @ np.where(item_codes > 0, 1.0, -1.0).T).astype(np.float32)
    return _unit(nearness, vectors @ item_vectors.T, *HistorySums(bags[0], neighbours).of(users))


def _unit(nearness: Floats, products: Floats, sums: Floats, is_rated: NDArray[np.bool_]) -> float:
    """Return the share with which both parts of a score vary alike among the candidates.

    Args:
        nearness: (n, n_items) by which candidates are found.
        products: (n, n_items) of ranking vectors.
        sums: (n, n_items) of neighbours.
        is_rated: (n, n_items) items that are no candidates.
    """
    among = _top(nearness, ~is_rated) | _top(sums, ~is_rated & (sums > 0))
    return float(products[among].std() / max(float(sums[among].std()), 1e-12))


def _top(scores: Floats, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the CANDIDATES largest scores of each row among those allowed."""
    masked = np.where(allowed, scores, -np.inf)
    n = min(CANDIDATES, masked.shape[1])
    top = np.zeros(masked.shape, np.bool_)
    np.put_along_axis(top, np.argpartition(-masked, n - 1, axis=1)[:, :n], True, axis=1)
    return top & allowed
