from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dch.config import DchConfig
from dch.training.batches import Thinning, rounds, thin_bags, whole_bags
from dch.training.scale import read_scale
from dch.training.training_bags import make_training_bags
from tests.dch.training.data import clusters, four_ratings


def _user_side(ratings):
    return make_training_bags(
        ratings, read_scale(ratings.values, DchConfig(), graded=True), min_token_count=1
    )[0]


def test_a_whole_bag_holds_the_history_then_the_features_scaled_to_length_one():
    bags = whole_bags(_user_side(four_ratings()), np.array([1, 0]), 2.0)
    assert bags.tokens.tolist() == [1, 0, 2, 0, 1, 2]
    assert bags.starts.tolist() == [0, 3, 6]
    assert bags.counts.tolist() == [2, 2]
    norm = np.sqrt(1 + 0.25 + 4)
    assert bags.weights[:3] == pytest.approx([1 / norm, 0.5 / norm, 2 / norm])


def test_a_rating_of_weight_zero_is_in_no_bag_and_not_counted():
    side = _user_side(four_ratings())
    side = replace(side, weights=np.array([1, 0, 0, 0], np.float32))
    bags = whole_bags(side, np.array([0, 1]), 0.0)
    assert bags.counts.tolist() == [1, 0]
    assert bags.weights.tolist() == [1, 0, 0]


@given(st.integers(0, 9), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0]))
def test_each_rating_is_either_in_the_bag_or_held_back(seed, dropout, feature_dropout):
    side = _user_side(clusters(n_users=8, n_items=12))
    rows = np.array([3, 3, 0, 7])
    rng = np.random.default_rng(seed)
    bags, left = thin_bags(side, rows, rng, Thinning(dropout, 1.0, feature_dropout))
    for i, row in enumerate(rows):
        mine = side.tokens[side.starts[row] : side.starts[row + 1]]
        kept = bags.tokens[bags.starts[i] : bags.starts[i + 1]]
        held = left.tokens[left.starts[i] : left.starts[i + 1]]
        assert sorted([*kept, *held]) == sorted(mine)
        weights = bags.weights[bags.starts[i] : bags.starts[i + 1]]
        assert not len(kept) or np.square(weights).sum() == pytest.approx(1)
    if dropout == 0:
        assert not len(left.tokens)


def test_a_cold_row_keeps_its_features_alone():
    thinning = Thinning(dropout=0.0, feature_weight=1.0, feature_dropout=1.0, cold_share=1.0)
    bags, left = thin_bags(_user_side(four_ratings()), np.array([0]), np.random.default_rng(0), thinning)
    assert (bags.tokens.tolist(), bags.counts.tolist(), left.tokens.tolist()) == ([2], [0], [0, 1])


def test_a_round_takes_each_row_once_before_any_again():
    drawn = np.concatenate(list(islice(rounds(5, 3, np.random.default_rng(0)), 5)))
    assert all(sorted(drawn[a : a + 5]) == [0, 1, 2, 3, 4] for a in (0, 5, 10))
    assert len(next(rounds(2, 3, np.random.default_rng(0)))) == 2
