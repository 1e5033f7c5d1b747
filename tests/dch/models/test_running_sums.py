"""Bags of whole histories against adding ratings one by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from random_models import KNOTS, random_tower

from dch.data.ratings import Rows
from dch.models.running_sums import GrowingSums, add_features, add_rating, empty_sums, interpolate, sums_of


@given(st.floats(-10, 10, width=32))
def test_the_weight_of_a_rating_is_linear_between_knots_and_constant_outside(rating):
    np.testing.assert_allclose(interpolate(KNOTS, rating), np.interp(rating, *KNOTS.T), atol=1e-6)
    assert interpolate(KNOTS, np.float32(rating)) == interpolate(KNOTS, rating)


def test_a_whole_history_gives_the_sum_of_its_ratings_and_ignores_unknown_ids():
    tower = random_tower(np.random.default_rng(0), 3, 8, 8)
    rows = Rows(
        np.array([0, 3, 3, 4]), np.array([0, 1, 2, 1], np.int32), np.array([1, 5, 4, 2.5], np.float32)
    )
    token_of = np.array([2, -1, 0], np.int32)
    found = sums_of(rows, token_of, tower.bag, KNOTS)

    expected = empty_sums(3, 8)
    add_rating(expected, 0, tower.bag[0], 1.0, 1)
    add_rating(expected, 0, tower.bag[2], float(KNOTS[0, 1]), 1)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert found.n_ratings.tolist() == [2, 0, 0]


def test_a_rating_of_weight_zero_is_not_in_the_bag():
    sums = empty_sums(1, 8)
    add_rating(sums, 0, np.ones(8, np.float32), 0.0, 1)
    assert sums.n_ratings[0] == sums.squares[0] == 0


def test_features_can_be_added_and_subtracted_and_do_not_count_as_ratings():
    tower = random_tower(np.random.default_rng(0), 3, 8, 8)
    sums = empty_sums(1, 8)
    add_features(sums, 0, tower.bag, np.array([0, 2], np.int32), 0.7)
    assert sums.squares[0] > 0
    assert sums.n_ratings[0] == 0
    add_features(sums, 0, tower.bag, np.array([2, 0], np.int32), -0.7)
    assert not sums.sums.any()
    assert sums.squares[0] == 0


def test_growing_keeps_the_sums_and_copies_nothing():
    growing = GrowingSums(8)
    sums = growing.first(4)
    sums.sums[3], sums.squares[3], sums.n_ratings[3], sums.n_positive[3] = 7, 8, 9, 10
    grown = growing.first(5)
    assert [column[3].max() for column in grown] == [7, 8, 9, 10]
    assert [column[4].max() for column in grown] == [0, 0, 0, 0]
    assert all(map(np.shares_memory, sums, grown))
