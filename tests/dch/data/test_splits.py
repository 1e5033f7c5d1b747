"""Splits: what each part holds, and that no rating is in two parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dch.data.ratings import Ratings
from dch.data.splits import by_time, holdout
from dch.errors import ConfigError, RatingsError

PAIRS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz")), unique=True, max_size=30)


def ratings_of(pairs, timestamps=None):
    users, items = [user for user, _ in pairs], [item for _, item in pairs]
    return Ratings.from_events(users, items, np.ones(len(pairs)), timestamps)


def pairs_of(ratings):
    return set(zip(ratings.users.tolist(), ratings.items.tolist(), strict=True))


@given(PAIRS, st.integers(0, 9))
def test_the_parts_of_a_hold_out_split_are_disjoint_and_hold_the_documented_pairs(pairs, seed):
    whole = ratings_of(pairs)
    split = holdout(whole, np.random.default_rng(seed), test_share=0.3, user_share=0.3, item_share=0.3)
    parts = [split.train, split.test, split.user_given, split.user_test, split.item_given, split.item_test]
    for part, new_user, new_item in zip(parts, (0, 0, 1, 1, 0, 0), (0, 0, 0, 0, 1, 1), strict=True):
        assert (split.new_users[part.users] == new_user).all()
        assert (split.new_items[part.items] == new_item).all()
        assert part.user_ids is whole.user_ids
    both_new = {(u, i) for u, i in pairs_of(whole) if split.new_users[u] and split.new_items[i]}
    everything = [pair for part in parts for pair in pairs_of(part)] + list(both_new)
    assert len(everything) == len(set(everything)) == len(whole)
    assert set(everything) == pairs_of(whole)


def test_the_parts_have_the_requested_shares():
    pairs = [(f"u{i}", f"i{j}") for i in range(100) for j in range(50)]
    split = holdout(ratings_of(pairs), np.random.default_rng(0))
    assert split.new_users.sum() == 10
    assert split.new_items.sum() == 5
    for given_part, test in (
        (split.train, split.test),
        (split.user_given, split.user_test),
        (split.item_given, split.item_test),
    ):
        assert len(test) / (len(test) + len(given_part)) == pytest.approx(0.2, abs=0.06)


def test_users_and_items_without_ratings_are_not_held_out():
    ratings = Ratings.from_events(["u"], ["i"], [1], user_features={f"v{n}": {} for n in range(99)})
    split = holdout(ratings, np.random.default_rng(0), user_share=0.99)
    assert np.flatnonzero(split.new_users).tolist() == [0]


def test_a_split_by_time_puts_the_earliest_share_first():
    ratings = ratings_of([("a", "u"), ("a", "v"), ("b", "u"), ("b", "v")], [40, 10, 30, 20])
    early, late = by_time(ratings, 0.5)
    assert early.timestamps.tolist() == [10, 20]
    assert late.timestamps.tolist() == [30, 40]


def test_ratings_without_timestamps_cannot_be_split_by_time():
    with pytest.raises(RatingsError, match="the ratings have no timestamps"):
        by_time(ratings_of([("a", "u")]), 0.5)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_shares_out_of_range_are_refused(share):
    with pytest.raises(ConfigError, match=f"share must be between 0 and 1, got {share}"):
        by_time(ratings_of([("a", "u")], [1]), share)


def test_a_share_of_one_cannot_be_held_out():
    with pytest.raises(ConfigError, match="item_share must be from 0 to below 1, got 1"):
        holdout(ratings_of([("a", "u")]), np.random.default_rng(0), item_share=1)
