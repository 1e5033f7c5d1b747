"""Random ratings, and a fit that returns random weights, for tests that need no torch and no good model."""

from dataclasses import replace

import numpy as np

from dch.data.ids import IdTable
from dch.data.ratings import Ratings
from dch.models.model import Model
from tests.dch.random_models import KNOTS, random_lifts, random_neighbours, random_tower


def random_ratings(n=300, *, n_users=20, n_items=15, seed=0, timed=True, **features):
    rng = np.random.default_rng(seed)
    users, items = rng.integers(n_users, size=n), rng.integers(n_items, size=n)
    return Ratings.from_events(
        [f"u{row}" for row in users],
        [f"i{row}" for row in items],
        rng.integers(1, 6, size=n).astype(np.float32),
        1000 + np.arange(n) if timed else None,
        **features,
    )


def random_fit(ratings, config, *, vector_size=0, progress=False):
    """Return a model with the vocabulary of the ratings and random weights."""
    rng = np.random.default_rng(config.seed)
    user_ids = IdTable(ratings.user_ids[row] for row in np.unique(ratings.users))
    item_ids = IdTable(ratings.item_ids[row] for row in np.unique(ratings.items))
    return Model(
        generation=1,
        user_tower=random_tower(rng, len(item_ids), 24, config.bits, vector_size),
        item_tower=random_tower(rng, len(user_ids), 24, config.bits, vector_size, 10.0),
        user_ids=user_ids,
        item_ids=item_ids,
        rating_knots=KNOTS,
        settings={"objective": "ranking", "relaxed_users": config.relaxed_users},
    )


def with_lifts(model):
    """Return the model with lifts of an age and its range."""
    tower = random_tower(np.random.default_rng(9), len(model.item_ids) + 2, 24, model.bits)
    tokens = IdTable(["age=25", "age~20"])
    return replace(model, user_tower=tower, user_tokens=tokens, lifts=random_lifts(len(model.item_ids), 2))


def fit_with_neighbours(ratings, config):
    """Return such a model that has ranking vectors and neighbours, which matter about alike."""
    model = random_fit(ratings, config, vector_size=12)
    return replace(model, neighbours=random_neighbours(len(model.item_ids), 5, share=3e-6))
