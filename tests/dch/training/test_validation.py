import numpy as np
import pytest

from dch.config import DchConfig
from dch.training.scale import read_scale
from dch.training.sides import make_sides
from dch.training.validation import Validation, make_validation, split_validation, without_popularity
from tests.dch.training.data import clusters, four_ratings


def _validation(relevant, seen, ties):
    return Validation(
        np.arange(len(relevant)), np.array(relevant, bool), np.array(seen, bool), np.array(ties, np.float32)
    )


def test_ndcg_is_that_of_a_computation_by_hand():
    measure = _validation([[1, 0, 1, 0]], [[0, 1, 0, 0]], [0.0, 0.25, 0.5, 0.75])
    # item 1 is seen; the order is 3, 2, 0: hits at places 2 and 3 of an ideal 1 and 2
    by_hand = (1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    assert measure.ndcg(np.array([[1.0, 9.0, 2.0, 3.0]])) == pytest.approx(by_hand)


def test_equal_scores_go_by_popularity():
    measure = _validation([[1, 0, 0]], [[0, 0, 0]], [0.1, 0.9, 0.5])
    assert measure.ndcg(np.zeros((1, 3))) == pytest.approx(1 / np.log2(4))


def test_without_popularity_equal_scores_go_by_chance_and_others_as_before():
    measure = _validation([[1] + 99 * [0]], [100 * [0]], np.linspace(0.99, 0, 100))
    fair = without_popularity(measure, np.random.default_rng(0))
    assert measure.ndcg(np.zeros((1, 100))) == 1.0
    assert fair.ndcg(np.zeros((1, 100))) < 1.0
    assert fair.ndcg(np.arange(100.0)[None, ::-1]) == 1.0


def test_the_validation_part_leaves_the_training_data_and_is_measured():
    ratings = clusters(n_users=200)
    train, taken = split_validation(ratings, DchConfig(), np.random.default_rng(0))
    assert len(train) + len(taken) == len(ratings)
    touched = np.unique(ratings.users[taken])
    assert len(touched) <= 40
    scale = read_scale(train.values, DchConfig(), graded=True)
    sides = make_sides(train, scale, min_token_count=1)
    found = make_validation(ratings, taken, sides, scale.positive_from)
    assert found.relevant.sum() == (ratings.values[taken] >= 4).sum()
    assert not (found.relevant & found.seen).any()
    user, item = sides[0].ids[found.users[0]], sides[1].ids[int(found.relevant[0].argmax())]
    pair = (ratings.users == ratings.user_ids.row(user)) & (ratings.items == ratings.item_ids.row(item))
    assert np.flatnonzero(pair)[0] in taken


def test_with_few_users_nothing_is_taken():
    train, taken = split_validation(four_ratings(), DchConfig(), np.random.default_rng(0))
    assert (len(train), len(taken)) == (4, 0)
