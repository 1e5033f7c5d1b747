"""NDCG@20 on held-out ratings, before and during a fit.

Users are measured in blocks, so no array of n_users x n_items is ever allocated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dch.config import DchConfig
from dch.data.ids import UNKNOWN, IdTable
from dch.data.ratings import ItemSets, Ratings
from dch.jit import kernel
from dch.training.batches import whole_bags
from dch.training.tower_net import TowerNet
from dch.training.training_bags import TrainingBags

Floats = NDArray[np.float32]

NDCG_DEPTH = 20

USERS_AT_ONCE = 32
"""Users of one block."""


@dataclass(frozen=True)
class Validation:
    """The validation users, the items of their positive held-out ratings, and their items in training."""

    users: NDArray[np.int64]
    """(n,) rows of the user bags."""

    relevant: ItemSets
    """The items of each user's positive held-out ratings, in rows of the item bags; at least one."""

    seen: ItemSets
    """The items that each user rated in training; they are not ranked."""

    ties: Floats
    """(n_items,) in [0, 1). Of items with equal scores, the one with the larger value comes first."""

    def ndcg(self, scores: Callable[[slice], Floats]) -> float:
        """Return the mean of ``ndcg_by_user``."""
        return float(self.ndcg_by_user(scores).mean())

    def ndcg_by_user(self, scores: Callable[[slice], Floats]) -> NDArray[np.float64]:
        """Return the NDCG@20 of each validation user, (n,).

        Args:
            scores: returns the scores of a block of the validation users, (block, n_items).
        """
        of_one: NDArray[np.float64] = self.ndcg_of_each(lambda block: [scores(block)])[0]
        return of_one

    def ndcg_of_each(self, scores: Callable[[slice], Sequence[Floats]]) -> NDArray[np.float64]:
        """Return the NDCG@20 of each validation user by each of several rankings, (n_rankings, n).

        Args:
            scores: returns for a block of the validation users the scores of each ranking, (block, n_items).
        """
        blocks = [slice(start, start + USERS_AT_ONCE) for start in range(0, len(self.users), USERS_AT_ONCE)]
        found = [[self._ndcg(block, one) for one in scores(block)] for block in blocks]
        return np.concatenate(found, axis=1)

    def _ndcg(self, block: slice, scores: Floats) -> NDArray[np.float64]:
        scores = np.array(scores, np.float32)
        scores[self.seen.cells(block)] = -np.inf
        starts = self.relevant.starts[block.start : block.stop + 1]
        return _ndcg(scores, self.ties, starts, self.relevant.columns)


@kernel
def _ndcg(
    scores: Floats, ties: Floats, starts: NDArray[np.int64], columns: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Count the items ranked before each relevant item, without building the list."""
    ratios = np.empty(len(scores), np.float64)
    for i in range(len(scores)):
        gain, ideal_gain = 0.0, 0.0
        for position in range(starts[i], starts[i + 1]):
            score, tie = scores[i, columns[position]], ties[columns[position]]
            rank = 0
            for row in range(scores.shape[1]):
                other = scores[i, row]
                rank += (other > score) | ((other == score) & (ties[row] > tie))
            if rank < NDCG_DEPTH and score > -np.inf:  # the NaN scores of a diverged fit gain nothing
                gain += 1 / np.log2(rank + 2)
            if position - starts[i] < NDCG_DEPTH:
                ideal_gain += 1 / np.log2(position - starts[i] + 2)
        ratios[i] = gain / ideal_gain
    return ratios


def make_validation(
    ratings: Ratings,
    held_out: NDArray[np.int64],
    bags: tuple[TrainingBags, TrainingBags],
    liked_from: float,
) -> Validation | None:
    """Arrange the held-out ratings by the rows of the bags; None when no held-out rating is positive.

    Ties go by popularity.

    Args:
        ratings: all ratings.
        held_out: (n_held_out,) positions of the held-out ratings.
        bags: made of the remaining ratings.
        liked_from: the lowest rating that is relevant.
    """
    user_bags, item_bags = bags
    liked = held_out[ratings.values[held_out] >= liked_from]
    users = _positions(ratings.user_ids, user_bags.ids)[ratings.users[liked]]
    items = _positions(ratings.item_ids, item_bags.ids)[ratings.items[liked]]
    known = (users >= 0) & (items >= 0)
    if not known.any():
        return None
    order = np.argsort(users[known], kind="stable")
    validation_users, firsts = np.unique(users[known][order], return_index=True)
    relevant = ItemSets.of(np.split(items[known][order], firsts[1:]))
    seen = ItemSets.of(
        [user_bags.tokens[user_bags.starts[user] : user_bags.starts[user + 1]] for user in validation_users]
    )
    ranks = np.argsort(np.argsort(item_bags.popularity, kind="stable"), kind="stable")
    return Validation(
        validation_users.astype(np.int64), relevant, seen, (ranks / len(ranks)).astype(np.float32)
    )


def break_ties_at_random(validation: Validation, rng: np.random.Generator) -> Validation:
    """Return the same validation with ties broken at random instead of by popularity."""
    ties = rng.permutation(len(validation.ties)) / len(validation.ties)
    return replace(validation, ties=ties.astype(np.float32))


def make_measure(
    nets: tuple[TowerNet, TowerNet],
    bags: tuple[TrainingBags, TrainingBags],
    validation: Validation,
    config: DchConfig,
) -> Callable[[], float]:
    """Return a function that computes the mean NDCG@20 of lists by codes and lists by ranking vectors.

    Both kinds are measured, because codes converge long before the vectors do: early stopping by codes alone
    would end the fit too early.

    Args:
        nets: the towers; each call uses their current weights.
        bags: the training bags.
        validation: the users and their relevant items.
        config: the settings of the fit.
    """
    users = whole_bags(bags[0], validation.users, config.feature_weight)
    items = whole_bags(bags[1], np.arange(len(bags[1])), config.feature_weight)

    def ndcg(of_users: Tensor, of_items: Tensor) -> float:
        return validation.ndcg(lambda block: (of_users[block] @ of_items.T).cpu().numpy())

    @torch.no_grad()
    def measure() -> float:
        pairs = [net.codes_and_vectors(batch) for net, batch in zip(nets, (users, items), strict=True)]
        if not all(part.isfinite().all() for pair in pairs for part in pair):
            return 0.0  # a diverged fit has equal codes for all items, which would rank by popularity
        (user_codes, user_vectors), (item_codes, item_vectors) = pairs
        scores = [ndcg(*(torch.where(codes > 0, 1.0, -1.0) for codes in (user_codes, item_codes)))]
        if item_vectors.shape[1]:
            scores.append(ndcg(user_vectors, item_vectors))
        return fmean(scores)

    return measure


def _positions(table: IdTable, ids: list[str]) -> NDArray[np.int64]:
    """Return the position in ids of each row of the table, UNKNOWN for rows whose id is not among them."""
    positions = np.full(len(table), UNKNOWN, np.int64)
    positions[table.rows(ids)] = np.arange(len(ids))
    return positions
