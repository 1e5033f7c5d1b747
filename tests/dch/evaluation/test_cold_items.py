"""Cold items: which items are ranked, and the expected value of a random list."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from dch.config import DchConfig
from dch.data.ids import IdTable
from dch.data.splits import holdout
from dch.evaluation.cold_items import chance_of_hit, measure_cold_items
from tests.dch.evaluation.stand_in import random_fit, random_ratings
from tests.dch.random_models import random_tower

GENRES = ("a", "b", "c")


def world(n_items=60):
    """Return a model that knows genres, and a split in which four of five items have a genre."""
    features = {f"i{row}": {"genres": [GENRES[row % 3]]} for row in range(n_items) if row % 5}
    ratings = random_ratings(900, n_items=n_items, item_features=features)
    split = holdout(ratings, np.random.default_rng(1), item_share=0.6, user_share=0)
    model = random_fit(split.train, DchConfig(bits=16))
    tower = random_tower(np.random.default_rng(2), len(model.user_ids) + 3, 24, 16)
    tokens = IdTable(f"genres={genre}" for genre in GENRES)
    return replace(model, item_tower=tower, item_tokens=tokens), split


@pytest.mark.parametrize(("n_items", "k"), [(6, 2), (5, 5), (3, 5), (7, 1)])
def test_the_chance_of_a_hit_equals_the_mean_over_all_possible_lists(n_items, k):
    relevant = np.arange(n_items + 1)
    draws = list(combinations(range(n_items), min(k, n_items)))
    expected = [np.mean([min(draw) < n for draw in draws]) for n in relevant]
    assert chance_of_hit(n_items, relevant, k) == pytest.approx(expected)


def test_only_held_out_items_with_features_are_ranked_and_relevant():
    model, split = world()
    with_features = [id_ in split.train.item_features for id_ in split.train.item_ids]
    ranked = split.new_items & np.array(with_features)
    found = measure_cold_items(model, split, split.item_test, 4.0)
    assert found.items == ranked.sum()
    liked = split.item_test.values >= 4
    assert found.users == len(np.unique(split.item_test.users[liked & ranked[split.item_test.items]]))
    assert all(0 < value < 1 for value in found[2:])


def test_ratings_of_held_out_items_do_not_change_the_result():
    model, split = world()
    swapped = replace(split, item_given=split.item_test, item_test=split.item_given)
    assert measure_cold_items(model, split, split.item_test, 4.0) == measure_cold_items(
        model, swapped, split.item_test, 4.0
    )


def test_without_features_nothing_is_measured():
    model, split = world()
    without_features = replace(split, train=replace(split.train, item_features={}))
    assert measure_cold_items(model, without_features, split.item_test, 4.0) is None
