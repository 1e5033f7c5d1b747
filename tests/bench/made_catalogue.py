"""A catalogue of any size: a seeded generator makes model, codes, features and ratings, no fit.

For searches, ``made_recommender``: codes lie around random centres, so that distances spread as those of
fitted codes do. The tower knows the first 3,700 items; the others are new to it, as items are that arrived
after a fit. For a service, ``service_model``: its towers know every item, user and feature, each item has
neighbours, and users are relaxed, as after a fit with default settings.
"""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "dch"))

import numpy as np
from random_models import KNOTS, random_model, random_tower

from dch import Recommender
from dch.data.ids import IdTable
from dch.models.model import Model
from dch.models.neighbours import NO_NEIGHBOURS, from_columns
from dch.state.item_columns import ItemCodes
from dch.training.training_bags import TrainingBags

FITTED, CENTRES, FLIPPED = 3_700, 500, 0.2  # FLIPPED: share of bits in which a code differs from its centre
USERS, RATED, NEIGHBOURS = 64, 200, 32
HIDDEN, BITS, VECTOR_SIZE = 256, 64, 64  # as of a fit with default settings
AVAILABLE = 0.95
RATERS, GENRES, YEARS = 20_000, 20, 60  # of a service: users who rate, and what features items have
FIRST_MS = 1_700_000_000_000


def made_model(n_fitted=FITTED, seed=0, neighbours=NO_NEIGHBOURS):
    """Return a model of the size of a fit with default settings."""
    return random_model(
        n_users=USERS,
        n_items=n_fitted,
        bits=BITS,
        hidden=HIDDEN,
        vector_size=VECTOR_SIZE,
        seed=seed,
        neighbours=neighbours,
    )


def made_recommender(n_items, seed=0, *, model=None, draw=None):
    """Return a recommender of n_items items with codes and 64 users, u0 to u63, of 200 ratings each.

    Args:
        n_items: size of the catalogue.
        seed: of everything that is drawn.
        model: the model; None makes one.
        draw: returns the rows that a user has rated; None draws evenly from the fitted items.
    """
    rng = np.random.default_rng(seed)
    model = model or made_model(seed=seed)
    draw = draw or (lambda: rng.choice(FITTED, RATED, replace=False))
    recommender = Recommender(model)
    rows = recommender.state.intern_items([f"i{row}" for row in range(n_items)])
    for user in range(USERS):
        items = [f"i{row}" for row in draw()]
        ratings = rng.choice([3.0, 4.0, 5.0], RATED)
        recommender.state.fold_in_users(
            recommender.state.events([f"u{user}"] * RATED, items, ratings, range(1, RATED + 1))
        )
    recommender.state.history.unavailable.update(rows[rng.random(n_items) > AVAILABLE].tolist())
    recommender.state.put_item_codes(rows, made_codes(rng, n_items))
    return recommender


def made_codes(rng, n):
    """Return codes, ranking vectors and popularities of n items; a few items are much more popular."""
    words = rng.integers(2**64, size=CENTRES, dtype=np.uint64)[rng.integers(CENTRES, size=n)]
    for bit in range(BITS):
        words[rng.random(n) < FLIPPED] ^= np.uint64(1 << bit)
    vectors = rng.integers(-127, 128, (n, VECTOR_SIZE)).astype(np.int8)
    popularity = (1000 * rng.random(n) ** 20).astype(np.int32)
    return ItemCodes(words[:, None], vectors, popularity, np.ones(n, np.bool_))


def service_model(n_items, seed=0):
    """Return a model of the size of a fit with default settings to n_items items and 20,000 users."""
    rng = np.random.default_rng(seed)
    tokens = [f"genres=g{one}" for one in range(GENRES)] + [f"year={one}" for one in range(YEARS)]
    return Model(
        generation=1,
        user_tower=_made_tower(rng, n_items),
        item_tower=_made_tower(rng, RATERS + len(tokens)),
        user_ids=IdTable(f"u{row}" for row in range(RATERS)),
        item_ids=IdTable(f"i{row}" for row in range(n_items)),
        item_tokens=IdTable(tokens),
        rating_knots=KNOTS,
        settings={"objective": "ranking", "relaxed_users": True},
        neighbours=made_neighbours(rng, n_items),
    )


def preferred(rng, n, size):
    """Draw rows below n, those of low number more often."""
    return (n * rng.random(size) ** 2).astype(np.int32)


def made_neighbours(rng, n):
    """Return 32 neighbours of each item, most of them popular ones."""
    weights = rng.gamma(1.0, 0.05, (n, NEIGHBOURS)).astype(np.float32)
    return from_columns(preferred(rng, n, (n, NEIGHBOURS)), weights, share=0.001)


def _made_tower(rng, n_tokens):
    bag = rng.standard_normal((n_tokens, HIDDEN), np.float32) / 2
    return replace(random_tower(rng, 1, HIDDEN, BITS, VECTOR_SIZE, 10.0), bag=bag)


def made_histories(n_items, n_ratings, seed=0):
    """Return the histories of a fit: the bags of n_ratings / 20 users, with fewer ratings than n_ratings.

    The length of a history is log-normal, with a median of 12 and a mean of 20, at most 1,000. The popularity
    of items falls with their rank, as 1 / (rank + 10). Each user has three of many tastes, groups of 200
    items, and takes 70% of the ratings from them. A pair that is drawn twice counts once.
    """
    rng = np.random.default_rng(seed)
    n_users, n_tastes = n_ratings // 20, max(1, n_items // 200)
    lengths = np.minimum(rng.lognormal(np.log(12), 1.0, n_users).astype(np.int64) + 1, 1_000)
    users = np.repeat(np.arange(n_users), lengths)
    items = _popular(rng, n_items, len(users))
    by_taste = rng.random(len(users)) < 0.7
    tastes = rng.integers(n_tastes, size=(n_users, 3))[users[by_taste], rng.integers(3, size=by_taste.sum())]
    items[by_taste] = tastes + n_tastes * _popular(rng, n_items // n_tastes, len(tastes))
    pairs = np.unique(users * n_items + items)
    starts = np.concatenate(([0], np.cumsum(np.bincount(pairs // n_items, minlength=n_users))))
    tokens, ones = (pairs % n_items).astype(np.int32), np.ones(len(pairs), np.float32)
    features = [], np.zeros(n_users + 1, np.int64), np.empty(0, np.int32)
    return TrainingBags([""] * n_users, starts, tokens, ones, ones, ones, *features, n_items)


def _popular(rng, n, size):
    """Draw rows below n with a density of 1 / (row + 10), by inversion."""
    return np.minimum(10 * ((n + 10) / 10) ** rng.random(size) - 10, n - 1).astype(np.int64)


def made_features(row):
    """Return the features of an item: a title, two genres, a year; one in twenty is not available."""
    found = {"title": f"Item {row}", "genres": [f"g{row % GENRES}", f"g{row // GENRES % GENRES}"]}
    return found | {"year": row % YEARS} | ({"available": False} if row % 20 == 7 else {})


def made_ratings(n, n_items, seed=0):
    """Return n ratings as columns: user and item numbers, values 1 to 5, and times in ms.

    Users come in any order. Some rate much more than others, and a few items get most of the ratings.
    """
    rng = np.random.default_rng(seed)
    users = (RATERS * rng.random(n) ** 2).astype(np.int32)
    items = (n_items * rng.random(n) ** 3).astype(np.int32)
    values = rng.choice([1, 2, 3, 4, 4, 4, 5, 5], n)
    return users, items, values, FIRST_MS + 1000 * (seed * 1_000_000 + np.arange(n))
