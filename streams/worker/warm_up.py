"""Compile, or load, every kernel before the first record, so that no asker waits for a compiler."""

import numpy as np

from dch.models.model import Model
from dch.recommender import Recommender


def warm_up(model: Model) -> None:
    """Do everything once that a worker does, on a recommender that is thrown away."""
    recommender = Recommender(model)
    state = recommender.state
    item = next(iter(model.item_ids), "item")
    events = state.events(["a", "b"], [item, item], [model.positive_from] * 2, [1, 2])
    state.fold_in_items(events)
    state.refresh_items()
    state.fold_in_users(events, np.ones(2, np.bool_))
    state.fold_in_users(events)
    recommender.recommend("a", include_rated=True)
    recommender.recommend("a", strategy="codes", include_rated=True)
    recommender.recommend_history([(item, model.positive_from)])
    state.prepare(model)
    state.set_user("a", None, 1)
    state.release_users(["a"])
    state.release_items([item])
