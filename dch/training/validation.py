"""Held-out NDCG@20 of the codes during a fit, on ratings taken out of the training data."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.ids import UNKNOWN, IdTable
from dch.ratings import Ratings
from dch.training.sides import Side

Floats = NDArray[np.float32]

DEPTH = 20
HELD_SHARE = 0.2
MOST_USERS = 500
FEWEST_RATINGS = 5
"""A user needs this many ratings to lose one."""

FEWEST_USERS = 50
"""With fewer users that can lose one, NDCG is noise, and early stopping is off."""


@dataclass(frozen=True)
class Validation:
    """Some users, what they liked among the held-out ratings, and which items are not to be ranked."""

    users: NDArray[np.int64]
    """(n,) rows of the user side."""

    relevant: NDArray[np.bool_]
    """(n, n_items) of the item side."""

    seen: NDArray[np.bool_]
    """(n, n_items): rated in training."""

    ties: Floats
    """(n_items,) in [0, 1): larger for more popular items."""

    def ndcg(self, scores: Floats) -> float:
        """Return the mean NDCG@20 of scores (n, n_items) for these users; equal scores go by popularity."""
        keys = scores.astype(np.float64) + 1e-6 * self.ties
        keys[self.seen] = -np.inf
        depth = min(DEPTH, keys.shape[1])
        top = np.argpartition(-keys, depth - 1, axis=1)[:, :depth]
        top = np.take_along_axis(top, np.argsort(-np.take_along_axis(keys, top, 1), axis=1), 1)
        gains = 1 / np.log2(np.arange(2, depth + 2))
        gained = (np.take_along_axis(self.relevant, top, 1) * gains).sum(axis=1)
        possible = np.concatenate(([0], np.cumsum(gains)))[np.minimum(self.relevant.sum(axis=1), depth)]
        return float((gained / possible).mean())


def split_validation(
    ratings: Ratings, config: DchConfig, rng: np.random.Generator
) -> tuple[Ratings, NDArray[np.int64]]:
    """Take a fifth of the ratings of a few users out of the training data.

    Returns:
        The ratings left, and the positions of those taken; none when there are too few to measure by.
    """
    counts = np.bincount(ratings.users, minlength=ratings.n_users)
    able = np.flatnonzero(counts >= FEWEST_RATINGS)
    if len(able) < FEWEST_USERS:
        return ratings, np.empty(0, np.int64)
    wanted = max(config.validation_users * len(able), min(100, 0.2 * len(able)))
    chosen = np.zeros(ratings.n_users, bool)
    chosen[rng.choice(able, min(MOST_USERS, int(wanted)), replace=False)] = True
    taken = chosen[ratings.users] & (rng.random(len(ratings)) < HELD_SHARE)
    return ratings.subset(~taken), np.flatnonzero(taken)


def make_validation(
    ratings: Ratings, taken: NDArray[np.int64], sides: tuple[Side, Side], liked_from: float
) -> Validation | None:
    """Arrange the held-out ratings by the rows of the sides; None when none of them is liked."""
    user_side, item_side = sides
    liked = taken[ratings.values[taken] >= liked_from]
    users = _places(ratings.user_ids, user_side.ids)[ratings.users[liked]]
    items = _places(ratings.item_ids, item_side.ids)[ratings.items[liked]]
    known = (users >= 0) & (items >= 0)
    if not known.any():
        return None
    who, rows = np.unique(users[known], return_inverse=True)
    relevant = np.zeros((len(who), len(item_side)), bool)
    relevant[rows, items[known]] = True
    seen = np.zeros_like(relevant)
    for row, user in enumerate(who):
        seen[row, user_side.tokens[user_side.starts[user] : user_side.starts[user + 1]]] = True
    ranks = np.argsort(np.argsort(item_side.popularity, kind="stable"), kind="stable")
    return Validation(who.astype(np.int64), relevant, seen, (ranks / len(ranks)).astype(np.float32))


def without_popularity(validation: Validation, rng: np.random.Generator) -> Validation:
    """Return the same with ties in an order drawn by chance, so that equal codes for all earn nothing."""
    drawn = rng.permutation(len(validation.ties)) / len(validation.ties)
    return replace(validation, ties=drawn.astype(np.float32))


def _places(table: IdTable, ids: list[str]) -> NDArray[np.int64]:
    """Return the place in ids of each row of the table, UNKNOWN where there is none."""
    places = np.full(len(table), UNKNOWN, np.int64)
    places[table.rows(ids)] = np.arange(len(ids))
    return places
