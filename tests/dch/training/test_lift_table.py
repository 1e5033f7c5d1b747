"""The counts behind lifts, against a slow account; and the arrays that a model refuses."""

import math

import numpy as np
import pytest

from dch.config import DchConfig
from dch.data.features import tokens
from dch.data.ratings import Ratings
from dch.errors import CodeShapeError
from dch.models.lifts import LIFT_STEPS, NO_LIFTS, Lifts, check_lifts
from dch.training import lift_table
from dch.training.lift_table import PRIOR, fit_lifts
from dch.training.rating_weights import infer_scale
from dch.training.training_bags import make_training_bags


def some_ratings(n=4000):
    rng = np.random.default_rng(0)
    users, items = rng.integers(90, size=n), (rng.random(n) ** 2 * 40).astype(int)
    features = {f"u{user}": {"age": 20 + user % 3, "gender": "FM"[user % 2]} for user in range(80)}
    ratings = rng.integers(1, 6, n) - (users % 2 == items % 2)
    return Ratings.from_events(
        [f"u{user}" for user in users], [f"i{item}" for item in items], ratings, user_features=features
    )


def bags_of(ratings):
    scale = infer_scale(ratings.values, DchConfig(), graded=True)
    return make_training_bags(ratings, scale, min_token_count=3)[0], scale.positive_from


def slow_lift(ratings, positive_from, token, item):
    """Return the logarithm of the lift, counted like by like."""
    likes = [
        (ratings.user_ids[user], ratings.item_ids[row])
        for user, row, value in zip(ratings.users, ratings.items, ratings.values, strict=True)
        if value >= positive_from
    ]
    by_token = [pair for pair in likes if token in tokens(ratings.user_features.get(pair[0], {}))]
    found, all_of_item = (sum(liked == item for _, liked in pairs) for pairs in (by_token, likes))
    return math.log((found + PRIOR) / (all_of_item * len(by_token) / len(likes) + PRIOR))


def test_the_lifts_of_a_fit_equal_those_of_a_slow_count():
    ratings = some_ratings()
    bags, positive_from = bags_of(ratings)
    lifts = fit_lifts(bags)
    assert sorted(bags.feature_names) == ["age=20", "age=21", "age=22", "age~20", "gender=F", "gender=M"]
    assert lifts.items.tolist() == list(range(len({*ratings.items.tolist()})))
    for row, token in enumerate(bags.feature_names):
        for column in (0, 1, 17, 30):
            wanted = slow_lift(ratings, positive_from, token, _item(ratings, column))
            assert abs(lifts.steps[row, column] - LIFT_STEPS * wanted) <= 0.5 + 1e-9
    assert np.abs(lifts.steps).max() > 3


def _item(ratings, column):
    """Return the id of a row of the item table of the fit."""
    return ratings.item_ids[np.unique(ratings.items)[column]]


def test_only_the_most_popular_items_get_lifts(monkeypatch):
    bags, _ = bags_of(some_ratings())
    all_lifts = fit_lifts(bags)
    monkeypatch.setattr(lift_table, "MOST_ITEMS", 7)
    lifts = fit_lifts(bags)
    likes = np.bincount(bags.tokens[bags.targets > 0], minlength=bags.n_other)
    assert len(lifts.items) == 7
    assert likes[lifts.items].min() >= np.delete(likes, lifts.items).max()
    assert np.array_equal(lifts.steps, all_lifts.steps[:, lifts.items])


def test_without_features_there_are_no_lifts():
    ratings = some_ratings()
    assert fit_lifts(bags_of(Ratings.from_events(["u"], ["i"], [5]))[0]) is NO_LIFTS
    assert len(fit_lifts(bags_of(ratings.subset(ratings.values < 2))[0]).steps) == 6


@pytest.mark.parametrize(
    ("items", "shape"),
    [([0, 1], (2, 3)), ([1, 0], (2, 2)), ([0, 8], (2, 2)), ([-1, 0], (2, 2)), ([0], (4, 1))],
)
def test_lifts_that_do_not_fit_a_model_are_refused(items, shape):
    with pytest.raises(CodeShapeError, match="the lifts do not fit together, or have more than 8 items or 3"):
        check_lifts(Lifts(np.array(items, np.int32), np.zeros(shape, np.int8)), n_items=8, n_tokens=3)
