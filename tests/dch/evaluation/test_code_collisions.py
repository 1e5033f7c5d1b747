"""Compare measures of code collisions with values computed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from dch import Ratings
from dch.config import DchConfig
from dch.data.ids import IdTable
from dch.evaluation.code_collisions import (
    measure_bits,
    measure_code_collisions,
    measure_shared_codes,
    rater_sets,
)
from dch.evaluation.fit_and_serve import serve
from dch.models.codes import pack
from tests.dch.evaluation.stand_in import random_fit, random_ratings
from tests.dch.random_models import random_tower


def codes_with(*bits, n):
    """Return codes of 8 bits: the first bits given as columns of -1 and 1, the other bits always off."""
    columns = [*bits, *([[-1] * n] * (8 - len(bits)))]
    return pack(np.array(columns, np.float32).T)


def test_balanced_and_independent_bits_measure_zero():
    found = measure_bits(codes_with([1, 1, -1, -1], [1, -1, 1, -1], n=4), 8)
    assert found.balance_mean == pytest.approx(6 / 8)  # six of the eight bits are always off
    assert found.balance_max == 1
    assert found.correlation_mean == found.correlation_max == 0


def test_balance_and_correlation_equal_a_computation_by_hand():
    # means 0.5 and 0; covariance (1 - 1 + 1 + 1) / 4 - 0 = 0.5; deviations sqrt(0.75) and 1
    found = measure_bits(codes_with([1, 1, 1, -1], [1, -1, 1, -1], n=4), 8)
    assert found.balance_mean == pytest.approx((0.5 + 0 + 6) / 8)
    assert found.correlation_max == pytest.approx(0.5 / np.sqrt(0.75))
    assert found.correlation_mean == pytest.approx(found.correlation_max / 28)


def test_a_bit_and_its_opposite_have_correlation_one():
    found = measure_bits(codes_with([1, 1, -1], [-1, -1, 1], n=3), 8)
    assert found.correlation_max == pytest.approx(1)


def test_an_item_clashes_if_an_item_with_its_code_has_different_raters():
    codes = np.array([[1], [1], [1], [2], [2], [3]], np.uint8)
    found = measure_shared_codes(codes, [b"x", b"x", b"y", b"z", b"z", b"x"])
    assert found == (6, 3, 3, 0.5)  # the three of code 1; those of code 2 have the same raters


def test_a_set_of_raters_does_not_depend_on_the_order_or_values_of_ratings():
    pairs = [("b", "i0"), ("a", "i0"), ("a", "i1"), ("b", "i1"), ("a", "i2")]
    users, items = zip(*pairs, strict=True)
    ratings = Ratings.from_events(users, items, [1.0, 2.0, 3.0, 4.0, 5.0])
    first, second, third = rater_sets(ratings, np.arange(3, dtype=np.int32))
    assert first == second != third


def test_only_items_with_a_rating_are_measured():
    ratings = random_ratings(item_features={"unrated": {"genres": ["a"]}})
    model = random_fit(ratings, DchConfig(bits=64))
    tower = random_tower(np.random.default_rng(0), ratings.n_users + 1, 24, 64)
    state = serve(replace(model, item_tower=tower, item_tokens=IdTable(["genres=a"])), ratings)
    found = measure_code_collisions(state, ratings)
    assert len(state.snapshot.item_index) == ratings.n_items  # features alone give a code, too
    assert found.item_sharing.items == ratings.n_items - 1
    assert 1 <= found.item_sharing.distinct_codes <= found.item_sharing.items
    assert 0 < found.user_bits.balance_mean <= found.user_bits.balance_max <= 1
    assert 0 < found.item_bits.correlation_mean <= found.item_bits.correlation_max <= 1
