import numpy as np

from dch.config import DchConfig
from dch.training.rating_weights import infer_scale
from dch.training.training_bags import make_training_bags
from tests.dch.training.data import four_ratings


def _bags(min_token_count=1):
    ratings = four_ratings()
    return make_training_bags(
        ratings, infer_scale(ratings.values, DchConfig(), graded=True), min_token_count=min_token_count
    )


def test_the_vocabularies_hold_only_users_and_items_with_ratings():
    users, items = _bags()
    assert (users.ids, items.ids) == (["a", "b"], ["x", "y"])
    assert (users.n_other, items.n_other) == (2, 2)


def test_each_rating_is_in_the_bag_of_its_user_and_of_its_item():
    users, items = _bags()
    assert users.tokens.tolist() == [0, 1, 1, 0]
    assert users.values.tolist() == [5, 1, 4, 3]
    assert users.targets.tolist() == [1.5, 0, 1, 0]
    assert items.tokens.tolist() == [0, 1, 0, 1]
    assert items.values.tolist() == [5, 3, 1, 4]
    assert items.popularity.tolist() == [1, 1]


def test_feature_tokens_come_after_the_other_sides_ids():
    users, items = _bags()
    assert users.feature_names == ["age=20", "age~20"]
    assert users.feature_tokens.tolist() == [2, 3, 2, 3]
    assert items.feature_names == ["genres=Drama", "genres=War"]
    assert (items.feature_starts.tolist(), items.feature_tokens.tolist()) == ([0, 2, 2], [2, 3])
    assert items.n_tokens == 4


def test_rare_feature_tokens_are_left_out():
    users, items = _bags(min_token_count=2)
    assert (users.feature_names, items.feature_names) == (["age=20", "age~20"], [])
    assert np.array_equal(items.feature_starts, [0, 0, 0])
