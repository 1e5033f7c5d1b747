"""Held-out NDCG@20 before and during a fit, on ratings taken out of the training data.

Measured a block of users at a time: nothing of the size users x items is ever made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dch.data.ids import UNKNOWN, IdTable
from dch.data.ratings import Ratings
from dch.jit import kernel
from dch.training.id_hash import drawn_by, drawn_by_pair
from dch.training.training_bags import TrainingBags

Floats = NDArray[np.float32]

DEPTH = 20
HELD_SHARE = 0.2
MOST_USERS = 500
FEWEST_RATINGS = 5
"""A user needs this many ratings to lose one."""

FEWEST_USERS = 50
"""With fewer users that can lose one, NDCG is noise: there is no early stopping, and nothing is tried."""


BLOCK = 32
"""Users measured at once."""


@dataclass(frozen=True)
class ItemSets:
    """Sets of item rows: set i is columns[starts[i]:starts[i + 1]]."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]

    @classmethod
    def of(cls, sets: Sequence[NDArray[np.integer]]) -> "ItemSets":
        """Join one array of item rows per set."""
        starts = np.concatenate(([0], np.cumsum([len(one) for one in sets]))).astype(np.int64)
        return cls(starts, np.concatenate([np.empty(0, np.int32), *sets]).astype(np.int32))

    def cells(self, block: slice) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return place in the block and item row of everything in the sets of a block."""
        starts = self.starts[block.start : block.stop + 1]
        return np.repeat(np.arange(len(starts) - 1), np.diff(starts)), self.columns[starts[0] : starts[-1]]


@dataclass(frozen=True)
class Validation:
    """Some users, what they liked among the held-out ratings, and which items are not to be ranked."""

    users: NDArray[np.int64]
    """(n,) rows of the user side."""

    relevant: ItemSets
    """A set for each of the users, in rows of the item side; never empty."""

    seen: ItemSets
    """A set for each of the users: rated in training."""

    ties: Floats
    """(n_items,) in [0, 1): larger for more popular items."""

    def ndcg(self, scores: Callable[[slice], Floats]) -> float:
        """Return the mean of ``ndcg_by_user``."""
        return float(self.ndcg_by_user(scores).mean())

    def ndcg_by_user(self, scores: Callable[[slice], Floats]) -> NDArray[np.float64]:
        """Return the NDCG@20 of each of these users, (n,); equal scores go by popularity.

        Args:
            scores: returns the scores of a block of these users, (block, n_items).
        """
        blocks = [slice(start, start + BLOCK) for start in range(0, len(self.users), BLOCK)]
        return np.concatenate([self._ndcg(block, scores(block)) for block in blocks])

    def _ndcg(self, block: slice, scores: Floats) -> NDArray[np.float64]:
        """Return the NDCG@20 of each user of a block."""
        scores = np.array(scores, np.float32)
        scores[self.seen.cells(block)] = -np.inf
        starts = self.relevant.starts[block.start : block.stop + 1]
        return _ndcg(scores, self.ties, starts, self.relevant.columns)


@kernel
def _ndcg(
    scores: Floats, ties: Floats, starts: NDArray[np.int64], columns: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Count what stands before each relevant item; no list is made."""
    ratios = np.empty(len(scores), np.float64)
    for i in range(len(scores)):
        gained, possible = 0.0, 0.0
        for place in range(starts[i], starts[i + 1]):
            score, tie = scores[i, columns[place]], ties[columns[place]]
            ahead = 0
            for row in range(scores.shape[1]):
                other = scores[i, row]
                ahead += (other > score) | ((other == score) & (ties[row] > tie))
            if ahead < DEPTH and score > -np.inf:  # a diverged fit scores NaN, and earns nothing
                gained += 1 / np.log2(ahead + 2)
            if place - starts[i] < DEPTH:
                possible += 1 / np.log2(place - starts[i] + 2)
        ratios[i] = gained / possible
    return ratios


def split_validation(
    ratings: Ratings, *, share: float, seed: int, most: int = MOST_USERS
) -> tuple[Ratings, NDArray[np.int64]]:
    """Take a fifth of the ratings of some users out of the training data; of equal ids mostly the same.

    Args:
        ratings: the training data.
        share: of the users with FEWEST_RATINGS, how many lose ratings; 100 or a fifth of them at least.
        seed: start of the draw.
        most: at most this many users.

    Returns:
        The ratings left, and the positions of those taken; none when there are too few to measure by.
    """
    counts = np.bincount(ratings.users, minlength=ratings.n_users)
    able = np.flatnonzero(counts >= FEWEST_RATINGS)
    if len(able) < FEWEST_USERS:
        return ratings, np.empty(0, np.int64)
    wanted = int(min(most, max(share * len(able), min(100, 0.2 * len(able)))))
    user_ids = ratings.user_ids.ids()
    draws = drawn_by([user_ids[row] for row in able.tolist()], seed)
    chosen = np.zeros(ratings.n_users, np.bool_)
    chosen[able[np.argsort(draws, kind="stable")[:wanted]]] = True
    places = np.flatnonzero(chosen[ratings.users])
    rows = ratings.users[places], ratings.items[places]
    taken = places[drawn_by_pair((user_ids, ratings.item_ids.ids()), rows, seed) < HELD_SHARE]
    is_taken = np.zeros(len(ratings), np.bool_)
    is_taken[taken] = True
    return ratings.subset(~is_taken), taken


def make_validation(
    ratings: Ratings, taken: NDArray[np.int64], sides: tuple[TrainingBags, TrainingBags], liked_from: float
) -> Validation | None:
    """Arrange the held-out ratings by the rows of the sides; None when none of them is liked.

    Args:
        ratings: the whole.
        taken: (n_taken,) positions of the held-out ones.
        sides: made of the others.
        liked_from: the least rating that is relevant.
    """
    user_side, item_side = sides
    liked = taken[ratings.values[taken] >= liked_from]
    users = _places(ratings.user_ids, user_side.ids)[ratings.users[liked]]
    items = _places(ratings.item_ids, item_side.ids)[ratings.items[liked]]
    known = (users >= 0) & (items >= 0)
    if not known.any():
        return None
    order = np.argsort(users[known], kind="stable")
    who, firsts = np.unique(users[known][order], return_index=True)
    relevant = ItemSets.of(np.split(items[known][order], firsts[1:]))
    seen = ItemSets.of(
        [user_side.tokens[user_side.starts[user] : user_side.starts[user + 1]] for user in who]
    )
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
