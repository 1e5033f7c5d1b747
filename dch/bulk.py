"""Fill a state at once: from a container of ratings, or from a memory that was written down."""

from dch.histories import Events
from dch.ratings import Ratings
from dch.snapshot import Saved
from dch.state import State


def fold_in_ratings(state: State, ratings: Ratings) -> None:
    """Fold a whole container in, features too."""
    for user, features in ratings.user_features.items():
        state.set_user(user, features)
    for item, features in ratings.item_features.items():
        state.set_item(item, features)
    user_rows = state.memory.user_ids.intern_many(ratings.user_ids.ids())
    item_rows = state.memory.item_ids.intern_many(ratings.item_ids.ids())
    users, items = user_rows[ratings.users], item_rows[ratings.items]
    _fold_in(state, Events(users, items, ratings.values, ratings.timestamps, state.places(len(ratings))))


def restore(state: State, saved: Saved) -> None:
    """Take over a memory that was written down; the state's own must be empty."""
    memory = state.memory
    memory.user_ids.intern_many(saved.user_ids)
    memory.item_ids.intern_many(saved.item_ids)
    memory.reserve(0)
    memory.user_histories.pairs.floors[: len(saved.user_floors)] = saved.user_floors
    memory.item_histories.pairs.floors[: len(saved.item_floors)] = saved.item_floors
    for user, features in saved.user_features.items():
        state.set_user(user, features)
    for item, features in saved.item_features.items():
        state.set_item(item, features)
    places = state.places(len(saved.users))
    _fold_in(state, Events(saved.users, saved.items, saved.values, saved.timestamps, places))


def _fold_in(state: State, events: Events) -> None:
    state.fold_in_users(events)
    state.fold_in_items(events)
    state.refresh_items()
