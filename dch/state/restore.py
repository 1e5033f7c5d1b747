"""Fill a state at once, from a ``Ratings`` or from a saved history."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features
from dch.data.ratings import Ratings
from dch.state.histories import Events
from dch.state.state import State


class Saved(NamedTuple):
    """A history as it is saved. Rows refer to the lists of ids."""

    user_ids: list[str]
    item_ids: list[str]
    users: NDArray[np.int32]  # (n,) pairs, oldest event first
    items: NDArray[np.int32]  # (n,)
    values: NDArray[np.float32]  # (n,) NaN where withdrawn
    timestamps: NDArray[np.int64]  # (n,)
    user_forgotten_before: NDArray[np.int64]  # (n_users,) time in ms up to which events are ignored
    item_forgotten_before: NDArray[np.int64]  # (n_items,)
    user_features: dict[str, Features]
    item_features: dict[str, Features]


def fold_in_ratings(state: State, ratings: Ratings) -> None:
    """Fold in all ratings and features of a ``Ratings``."""
    _set_features(state, ratings.user_features, ratings.item_features)
    user_rows = state.history.user_ids.intern_many(ratings.user_ids.ids())
    item_rows = state.history.item_ids.intern_many(ratings.item_ids.ids())
    users, items = user_rows[ratings.users], item_rows[ratings.items]
    offsets = state.next_offsets(len(ratings))
    _fold_in(state, Events(users, items, ratings.values, ratings.timestamps, offsets))


def restore(state: State, saved: Saved) -> None:
    """Load a saved history into a state that has none."""
    history = state.history
    history.user_ids.intern_many(saved.user_ids)
    history.item_ids.intern_many(saved.item_ids)
    history.reserve(0)
    for histories, times in (
        (history.user_histories, saved.user_forgotten_before),
        (history.item_histories, saved.item_forgotten_before),
    ):
        histories.pairs.forgotten_before[: len(times)] = times
    _set_features(state, saved.user_features, saved.item_features)
    offsets = state.next_offsets(len(saved.users))
    _fold_in(state, Events(saved.users, saved.items, saved.values, saved.timestamps, offsets))


def _set_features(state: State, users: Mapping[str, Features], items: Mapping[str, Features]) -> None:
    for user, features in users.items():
        state.set_user(user, features)
    for item, features in items.items():
        state.set_item(item, features)


def _fold_in(state: State, events: Events) -> None:
    state.fold_in_users(events)
    state.fold_in_items(events)
    state.refresh_items()
