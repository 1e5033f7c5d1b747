"""Count how much more than others the users with each feature token like each of the popular items."""

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.lifts import LIFT_STEPS, NO_LIFTS, Lifts
from dch.training.training_bags import TrainingBags

Ints = NDArray[np.int32]
Starts = NDArray[np.int64]

MOST_ITEMS = 2000
"""Popular items that get lifts; a list is made from the 500 most popular ones of the time."""

MOST_LIFTS = 4_000_000
"""With more tokens than 2,000, fewer items get lifts: this many bytes at most."""

PRIOR = 20.0
"""Likes that are added to those found and to those expected, so that a few likes say little. On ML-1M and
ML-100K, 20 gave better lists than 5 and 80."""


def fit_lifts(users: TrainingBags) -> Lifts:
    """Return the lifts of all feature tokens of the users."""
    n_tokens = len(users.feature_names)
    if not n_tokens:
        return NO_LIFTS
    is_liked = users.targets > 0
    likes = np.bincount(users.tokens[is_liked], minlength=users.n_other)
    n_items = min(MOST_ITEMS, MOST_LIFTS // n_tokens, users.n_other)
    items = np.sort(np.argsort(-likes, kind="stable")[:n_items]).astype(np.int32)
    column_of = np.full(users.n_other, -1, np.int32)
    column_of[items] = np.arange(n_items, dtype=np.int32)
    found, totals = np.zeros((n_tokens, n_items), np.int32), np.zeros(n_tokens, np.int64)
    features = (users.feature_starts, users.feature_tokens - np.int32(users.n_other))
    _count(users.starts, users.tokens, is_liked, *features, column_of, found, totals)
    expected = totals[:, None] * (likes[items] / max(len(users.tokens[is_liked]), 1))
    logarithms = np.log((found + PRIOR) / (expected + PRIOR))
    return Lifts(items, np.clip(np.rint(LIFT_STEPS * logarithms), -127, 127).astype(np.int8))


@kernel
def _count(
    starts: Starts,
    items: Ints,
    is_liked: NDArray[np.bool_],
    feature_starts: Starts,
    feature_tokens: Ints,
    column_of: Ints,
    found: Ints,
    totals: NDArray[np.int64],
) -> None:
    """Add the likes of each user to the rows of the user's tokens."""
    for user in range(len(starts) - 1):
        for position in range(feature_starts[user], feature_starts[user + 1]):
            token = feature_tokens[position]
            for at in range(starts[user], starts[user + 1]):
                if is_liked[at]:
                    totals[token] += 1
                    if column_of[items[at]] >= 0:
                        found[token, column_of[items[at]]] += 1
