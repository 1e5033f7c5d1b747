from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dch.config import DchConfig
from dch.training.batches import BagDropout, bags_with_dropout, shuffled_batches, whole_bags
from dch.training.rating_weights import infer_scale
from dch.training.training_bags import make_training_bags
from tests.dch.training.data import clusters, four_ratings


def _user_bags(ratings):
    return make_training_bags(
        ratings, infer_scale(ratings.values, DchConfig(), graded=True), min_token_count=1
    )[0]


def test_a_whole_bag_holds_the_history_then_the_features_with_weights_of_norm_one():
    batch = whole_bags(_user_bags(four_ratings()), np.array([1, 0]), 2.0)
    assert batch.tokens.tolist() == [1, 0, 2, 3, 0, 1, 2, 3]  # 2 and 3: age=20 and its range
    assert batch.starts.tolist() == [0, 4, 8]
    assert batch.counts.tolist() == [2, 2]
    norm = np.sqrt(1 + 0.25 + 4 + 4)
    assert batch.weights[:4] == pytest.approx([1 / norm, 0.5 / norm, 2 / norm, 2 / norm])


def test_a_rating_of_weight_zero_is_in_no_bag_and_is_not_counted():
    bags = replace(_user_bags(four_ratings()), weights=np.array([1, 0, 0, 0], np.float32))
    batch = whole_bags(bags, np.array([0, 1]), 0.0)
    assert batch.counts.tolist() == [1, 0]
    assert batch.weights.tolist() == [1, 0, 0, 0, 0]


@given(st.integers(0, 9), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0]))
def test_each_rating_is_either_in_the_bag_or_dropped(seed, rating_dropout, feature_dropout):
    bags = _user_bags(clusters(n_users=8, n_items=12))
    rows = np.array([3, 3, 0, 7])
    rng = np.random.default_rng(seed)
    batch, dropped = bags_with_dropout(bags, rows, rng, BagDropout(rating_dropout, 1.0, feature_dropout))
    for i, row in enumerate(rows):
        history = bags.tokens[bags.starts[row] : bags.starts[row + 1]]
        in_bag = batch.tokens[batch.starts[i] : batch.starts[i + 1]]
        left_out = dropped.tokens[dropped.starts[i] : dropped.starts[i + 1]]
        assert sorted([*in_bag, *left_out]) == sorted(history)
        weights = batch.weights[batch.starts[i] : batch.starts[i + 1]]
        assert not len(in_bag) or np.square(weights).sum() == pytest.approx(1)
    if rating_dropout == 0:
        assert not len(dropped.tokens)


def test_a_cold_row_keeps_only_its_features():
    dropout = BagDropout(rating_dropout=0.0, feature_weight=1.0, feature_dropout=1.0, cold_share=1.0)
    bags = _user_bags(four_ratings())
    batch, dropped = bags_with_dropout(bags, np.array([0]), np.random.default_rng(0), dropout)
    assert (batch.tokens.tolist(), batch.counts.tolist(), dropped.tokens.tolist()) == ([2, 3], [0], [0, 1])


def test_every_row_comes_once_before_any_row_comes_again():
    rows = np.concatenate(list(islice(shuffled_batches(5, 3, np.random.default_rng(0)), 5)))
    assert all(sorted(rows[a : a + 5]) == [0, 1, 2, 3, 4] for a in (0, 5, 10))
    assert len(next(shuffled_batches(2, 3, np.random.default_rng(0)))) == 2
