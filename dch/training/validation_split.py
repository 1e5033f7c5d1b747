"""Hold out a part of the training ratings for validation. The split is a hash of the ids.

Equal ids give equal splits in every fit with one seed. So a refit measures on nearly the same ratings as the
fit before it, and that fit did not learn from them.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings

Fractions = NDArray[np.float64]
Words = NDArray[np.uint64]

HELD_OUT_SHARE = 0.2
"""Share of a validation user's ratings that is held out."""

MAX_USERS = 500
MIN_RATINGS = 5
"""Users with fewer ratings than this keep all of them."""

MIN_USERS = 50
"""With fewer users who have MIN_RATINGS, NDCG is noise: no early stopping, and no settings are tried."""


def split_validation(
    ratings: Ratings, *, share: float, seed: int, max_users: int = MAX_USERS
) -> tuple[Ratings, NDArray[np.int64]]:
    """Hold out a fifth of the ratings of some users.

    Args:
        ratings: the training data.
        share: share of the users with MIN_RATINGS who lose ratings; at least 100 of them, or a fifth if that
            is fewer.
        seed: changes which users and ratings are chosen.
        max_users: at most this many users lose ratings.

    Returns:
        The remaining ratings, and the positions of those held out; no positions when there are too few users.
    """
    counts = np.bincount(ratings.users, minlength=ratings.n_users)
    eligible = np.flatnonzero(counts >= MIN_RATINGS)
    if len(eligible) < MIN_USERS:
        return ratings, np.empty(0, np.int64)
    wanted = int(min(max_users, max(share * len(eligible), min(100, 0.2 * len(eligible)))))
    user_ids = ratings.user_ids.ids()
    hashes = hash_ids([user_ids[row] for row in eligible.tolist()], seed)
    chosen = np.zeros(ratings.n_users, np.bool_)
    chosen[eligible[np.argsort(hashes, kind="stable")[:wanted]]] = True
    positions = np.flatnonzero(chosen[ratings.users])
    rows = ratings.users[positions], ratings.items[positions]
    held_out = positions[hash_pairs((user_ids, ratings.item_ids.ids()), rows, seed) < HELD_OUT_SHARE]
    is_held_out = np.zeros(len(ratings), np.bool_)
    is_held_out[held_out] = True
    return ratings.subset(~is_held_out), held_out


def hash_ids(ids: Sequence[str], seed: int) -> Fractions:
    """Hash each id to a number in [0, 1), (n,); any integer is a seed."""
    return _to_fractions(_mix(_checksums(ids) + _seed_word(seed)))


def hash_pairs(
    ids: tuple[Sequence[str], Sequence[str]], rows: tuple[NDArray[np.int32], NDArray[np.int32]], seed: int
) -> Fractions:
    """Hash each pair of ids to a number in [0, 1), (n,).

    Args:
        ids: the user ids and the item ids.
        rows: (n,) and (n,): the rows of the two ids of each pair.
        seed: any integer.
    """
    first, second = (_checksums(of_side)[of_pair] for of_side, of_pair in zip(ids, rows, strict=True))
    return _to_fractions(_mix(_mix(first + _seed_word(seed)) ^ second))


def _seed_word(seed: int) -> np.uint64:
    return np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)  # moves neighbouring seeds far apart


def _checksums(ids: Sequence[str]) -> Words:
    return np.array([zlib.crc32(id_.encode()) for id_ in ids], np.uint64)


def _mix(words: Words) -> Words:
    """Spread a difference in any bit over all bits.

    Source:
        The last steps of SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators"
        (OOPSLA 2014).
    """
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _to_fractions(words: Words) -> Fractions:
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
