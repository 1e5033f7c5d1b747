"""Small synthetic ratings for the tests of training."""

import numpy as np

from dch.data.ratings import Ratings


def clusters(*, n_users=120, n_items=60, n_clusters=4, share=0.5, seed=0, features=False):
    """Return ratings with planted clusters; all items are about equally popular.

    Each user rates half of the items of the own cluster 5, and two items of other clusters 2.
    """
    rng = np.random.default_rng(seed)
    users, items, values = [], [], []
    for user in range(n_users):
        own = np.arange(user % n_clusters, n_items, n_clusters)
        other = np.setdiff1d(np.arange(n_items), own)
        for item in rng.permutation(own)[: int(share * len(own))]:
            users, items, values = [*users, f"u{user}"], [*items, f"i{item}"], [*values, 5.0]
        for item in rng.choice(other, 2, replace=False):
            users, items, values = [*users, f"u{user}"], [*items, f"i{item}"], [*values, 2.0]
    kinds = {f"i{item}": {"kind": f"k{item % n_clusters}"} for item in range(n_items)} if features else {}
    return Ratings.from_events(users, items, values, item_features=kinds)


def four_ratings():
    """Return four ratings by two users; a third item has no ratings; some users and items have features."""
    return Ratings.from_events(
        ["a", "a", "b", "b"],
        ["x", "y", "y", "x"],
        [5.0, 1.0, 4.0, 3.0],
        user_features={"a": {"age": 20}, "b": {"age": 20}, "nobody": {"age": 20}},
        item_features={"x": {"genres": ["Drama", "War"]}, "z": {"genres": ["War"]}},
    )
