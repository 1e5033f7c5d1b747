"""Ratings and features as bags of tokens: the input of the towers before dropout.

The bag of a user holds the items that the user rated, then the user's feature tokens. The bag of an item
holds the users who rated it, then the item's feature tokens.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features, tokens
from dch.data.ids import UNKNOWN
from dch.data.ratings import Ratings
from dch.training.rating_weights import RatingScale

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TrainingBags:
    """The bags of all users, or of all items, of the training data, as compressed rows."""

    ids: list[str]
    """(n,) ids with at least one rating: the vocabulary of this side, and the bag rows of the other side."""

    starts: NDArray[np.int64]
    """(n + 1,) into the four arrays that follow."""

    tokens: NDArray[np.int32]
    """(n_ratings,) rows of the other side's vocabulary."""

    values: Floats
    """(n_ratings,) ratings."""

    weights: Floats
    """(n_ratings,) weight in the bag."""

    targets: Floats
    """(n_ratings,) weight as a target; 0 if the rating is not positive."""

    feature_names: list[str]
    """Feature tokens of this side; number f is token ``n_other + f`` of the bags."""

    feature_starts: NDArray[np.int64]
    """(n + 1,) into feature_tokens."""

    feature_tokens: NDArray[np.int32]
    """Tokens of the bags, each at least ``n_other``."""

    n_other: int
    """Size of the other side's vocabulary."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_tokens(self) -> int:
        """Number of rows in the embedding table of this side's tower."""
        return self.n_other + len(self.feature_names)

    @property
    def popularity(self) -> NDArray[np.int64]:
        """Number of positive ratings of each row, (n,)."""
        liked = np.concatenate(([0], np.cumsum(self.targets > 0)))
        return np.diff(liked[self.starts])


def make_training_bags(
    ratings: Ratings, scale: RatingScale, *, min_token_count: int
) -> tuple[TrainingBags, TrainingBags]:
    """Return the bags of the users and the bags of the items.

    Args:
        ratings: the training data.
        scale: gives each rating its weights.
        min_token_count: feature tokens of fewer users (items) than this are left out.
    """
    user_rows, item_rows = np.unique(ratings.users), np.unique(ratings.items)
    users = _positions(user_rows, ratings.n_users)[ratings.users]
    items = _positions(item_rows, ratings.n_items)[ratings.items]
    user_ids, item_ids = [ratings.user_ids[r] for r in user_rows], [ratings.item_ids[r] for r in item_rows]
    values = ratings.values
    user_features = _features(user_ids, ratings.user_features, min_token_count, len(item_ids))
    item_features = _features(item_ids, ratings.item_features, min_token_count, len(user_ids))
    return (
        TrainingBags(
            user_ids, *_compress(users, items, values, len(user_ids), scale), *user_features, len(item_ids)
        ),
        TrainingBags(
            item_ids, *_compress(items, users, values, len(item_ids), scale), *item_features, len(user_ids)
        ),
    )


def _positions(rows: NDArray[np.int32], n: int) -> NDArray[np.int32]:
    positions = np.full(n, UNKNOWN, np.int32)
    positions[rows] = np.arange(len(rows), dtype=np.int32)
    return positions


def _compress(
    rows: NDArray[np.int32], columns: NDArray[np.int32], values: Floats, n: int, scale: RatingScale
) -> tuple[NDArray[np.int64], NDArray[np.int32], Floats, Floats, Floats]:
    starts = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=n), out=starts[1:])
    order = np.argsort(rows, kind="stable")
    sorted_values = values[order]
    return starts, columns[order], sorted_values, scale.weights(sorted_values), scale.targets(sorted_values)


def _features(
    ids: Sequence[str], features: Mapping[str, Features], min_count: int, first_token: int
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int32]]:
    """Return the names of the frequent feature tokens, and the tokens of each row as compressed rows.

    Args:
        ids: (n,) ids of one side.
        features: feature record by id.
        min_count: tokens of fewer rows than this are left out.
        first_token: number of the first feature token.
    """
    of_row = [tokens(features[id_]) if id_ in features else [] for id_ in ids]
    counts = Counter(name for row in of_row for name in row)
    names = [name for name, count in counts.items() if count >= min_count]
    token_of = {name: first_token + i for i, name in enumerate(names)}
    kept = [[token_of[name] for name in row if name in token_of] for row in of_row]
    starts = np.concatenate(([0], np.cumsum([len(row) for row in kept]))).astype(np.int64)
    return names, starts, np.array([token for row in kept for token in row], np.int32)
