"""Ratings and features as bags of tokens: what the towers read, before any of it is left out.

The bag of a user holds the items it rated, then its feature tokens; the bag of an item likewise the users.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features, tokens
from dch.data.ids import UNKNOWN
from dch.data.ratings import Ratings
from dch.training.scale import Scale

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TrainingBags:
    """The bags of all users, or of all items, of the training vocabulary, as compressed rows."""

    ids: list[str]
    """(n,) ids with at least one rating: the vocabulary of this side, and the bag rows of the other."""

    starts: NDArray[np.int64]
    """(n + 1,) into the four arrays that follow."""

    tokens: NDArray[np.int32]
    """(n_ratings,) rows of the other side's vocabulary."""

    values: Floats
    """(n_ratings,) ratings."""

    weights: Floats
    """(n_ratings,) weight in the bag."""

    targets: Floats
    """(n_ratings,) weight as a target; 0 where the rating is not liked."""

    feature_names: list[str]
    """Feature tokens of this side; the f-th is token ``n_other + f`` of the bags."""

    feature_starts: NDArray[np.int64]
    """(n + 1,) into feature_tokens."""

    feature_tokens: NDArray[np.int32]
    """Tokens of the bags, all past the other side's vocabulary."""

    n_other: int
    """Size of the other side's vocabulary."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_tokens(self) -> int:
        """Rows that the embedding table of this side's tower needs."""
        return self.n_other + len(self.feature_names)

    @property
    def popularity(self) -> NDArray[np.int64]:
        """Liked ratings of each row, (n,)."""
        liked = np.concatenate(([0], np.cumsum(self.targets > 0)))
        return np.diff(liked[self.starts])


def make_training_bags(
    ratings: Ratings, scale: Scale, *, min_token_count: int
) -> tuple[TrainingBags, TrainingBags]:
    """Return the user side and the item side of the training ratings."""
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
    places = np.full(n, UNKNOWN, np.int32)
    places[rows] = np.arange(len(rows), dtype=np.int32)
    return places


def _compress(
    rows: NDArray[np.int32], columns: NDArray[np.int32], values: Floats, n: int, scale: Scale
) -> tuple[NDArray[np.int64], NDArray[np.int32], Floats, Floats, Floats]:
    starts = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=n), out=starts[1:])
    order = np.argsort(rows, kind="stable")
    sorted_values = values[order]
    return starts, columns[order], sorted_values, scale.weights(sorted_values), scale.targets(sorted_values)


def _features(
    ids: Sequence[str], features: Mapping[str, Features], min_count: int, first: int
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int32]]:
    """Return the tokens seen often enough, and each row's own as compressed rows of ``first + place``."""
    of_row = [tokens(features[id_]) if id_ in features else [] for id_ in ids]
    seen = Counter(token for row in of_row for token in row)
    names = [token for token, count in seen.items() if count >= min_count]
    place = {token: first + i for i, token in enumerate(names)}
    kept = [[place[token] for token in row if token in place] for row in of_row]
    starts = np.concatenate(([0], np.cumsum([len(row) for row in kept]))).astype(np.int64)
    return names, starts, np.array([token for row in kept for token in row], np.int32)
