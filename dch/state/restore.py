"""Fill a state at once: from a container of ratings, or from a history that was saved."""

from dch.data.ratings import Ratings
from dch.state.histories import Events
from dch.state.snapshot import Saved
from dch.state.state import State


def fold_in_ratings(state: State, ratings: Ratings) -> None:
    """Fold a whole container in, features too."""
    for user, features in ratings.user_features.items():
        state.set_user(user, features)
    for item, features in ratings.item_features.items():
        state.set_item(item, features)
    user_rows = state.history.user_ids.intern_many(ratings.user_ids.ids())
    item_rows = state.history.item_ids.intern_many(ratings.item_ids.ids())
    users, items = user_rows[ratings.users], item_rows[ratings.items]
    _fold_in(state, Events(users, items, ratings.values, ratings.timestamps, state.places(len(ratings))))


def restore(state: State, saved: Saved) -> None:
    """Take over a history that was saved; the state's own must be empty."""
    history = state.history
    history.user_ids.intern_many(saved.user_ids)
    history.item_ids.intern_many(saved.item_ids)
    history.reserve(0)
    history.user_histories.pairs.forgotten_before[: len(saved.user_forgotten_before)] = (
        saved.user_forgotten_before
    )
    history.item_histories.pairs.forgotten_before[: len(saved.item_forgotten_before)] = (
        saved.item_forgotten_before
    )
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
