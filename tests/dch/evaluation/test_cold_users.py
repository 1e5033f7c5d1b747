"""Cold users: lists by features beside the popular list, for users of whom no rating is given."""

from dataclasses import replace

import numpy as np

from dch.config import DchConfig
from dch.data.ids import IdTable
from dch.data.splits import holdout
from dch.evaluation.cold_users import measure_cold_users
from dch.models.lifts import LIFT_STEPS, Lifts
from tests.dch.evaluation.stand_in import random_fit, random_ratings
from tests.dch.random_models import random_tower


def world(with_lifts=True):
    """Return a model whose lifts order the items by their rows, and a split whose users have one feature."""
    features = {f"u{row}": {"kind": "a"} for row in range(20)}
    ratings = random_ratings(900, n_items=60, user_features=features)
    split = holdout(ratings, np.random.default_rng(1), user_share=0.4, item_share=0)
    model = random_fit(split.train, DchConfig(bits=16))
    n_items = len(model.item_ids)
    steps = np.linspace(127, -127, n_items).astype(np.int8)[None]
    lifts = Lifts(np.arange(n_items, dtype=np.int32), steps) if with_lifts else model.lifts
    tower = random_tower(np.random.default_rng(2), n_items + 1, 24, 16)
    return replace(model, user_tower=tower, user_tokens=IdTable(["kind=a"]), lifts=lifts), split


def test_the_measures_are_those_of_a_list_made_by_hand():
    model, split = world()
    found = measure_cold_users(model, split, split.user_test, 4.0)
    popularity = np.bincount(split.train.items[split.train.values >= 4], minlength=split.train.n_items)
    rows = model.item_ids.rows(split.train.item_ids.ids())
    scores = np.where(rows >= 0, np.log1p(popularity) + model.lifts.steps[0][rows] / LIFT_STEPS, -np.inf)
    listed = set(np.argsort(-scores)[:20].tolist())
    liked: dict[int, set[int]] = {}
    for user, item, value in zip(
        split.user_test.users, split.user_test.items, split.user_test.values, strict=True
    ):
        if value >= 4 and rows[item] >= 0:
            liked.setdefault(int(user), set()).add(int(item))
    assert found.users == len(liked)
    assert found.features_hit == np.mean([bool(items & listed) for items in liked.values()])
    assert found.features_ndcg != found.popular_ndcg


def test_without_lifts_the_lists_are_the_popular_ones():
    model, split = world(with_lifts=False)
    found = measure_cold_users(model, split, split.user_test, 4.0)
    assert found[1:3] == found[3:]
    assert measure_cold_users(model, split, split.user_test, 6.0) is None
