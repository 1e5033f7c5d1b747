"""Sums over a history by blocks of items, against a dict of Python integers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_neighbours

from dch.models.neighbours import LATEST, MAX_STEPS, NO_NEIGHBOURS, NOTHING_RATED, Rated, from_columns
from dch.search.neighbour_sums import BLOCK, add_up

NOTHING = np.empty(0, np.int32)


def expected(neighbours, rated):
    found = {}
    for item, weight in zip(rated.items.tolist(), rated.weights.tolist(), strict=True):
        if item < len(neighbours.scales):
            for at in range(neighbours.starts[item], neighbours.starts[item + 1]):
                other = int(neighbours.items[at])
                found[other] = found.get(other, 0) + weight * int(neighbours.weights[at])
    return {item: total * int(neighbours.scales[item]) for item, total in found.items()}


@given(
    st.integers(1, 300),
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(0, 320), st.integers(1, 512)), max_size=60, unique_by=lambda one: one[0]),
    st.integers(0, 9),
)
def test_sums_are_those_of_a_dict(n_items, k, history, seed):
    neighbours = random_neighbours(n_items, k, seed)
    rated = Rated(
        np.array([item for item, _ in history], np.int32),
        np.array([weight for _, weight in history], np.int64),
    )
    require_sums(neighbours, rated, np.random.default_rng(seed).integers(-1, n_items + 70, (2, 30)))


def test_catalogues_of_several_blocks_have_the_sums_of_a_dict():
    rng, n_items = np.random.default_rng(0), 2 * BLOCK + 7
    rows = rng.integers(40, size=(n_items, 2)).astype(np.int32) * (n_items // 40)
    neighbours = from_columns(rows, rng.normal(size=rows.shape).astype(np.float32))
    rated = Rated(np.unique(rows)[::-2].astype(np.int32), rng.integers(1, 512, 20))
    assert {0, 1, 2} == {item // BLOCK for item in expected(neighbours, rated)}
    near_ends = [*range(-1, 30), *range(BLOCK - 30, BLOCK + 30), *range(n_items - 30, n_items + 70)]
    require_sums(neighbours, rated, (rng.permutation(near_ends), rng.permutation(n_items)[:2000]))
    require_sums(neighbours, rated, (rng.permutation(n_items)[:2000], rng.permutation(near_ends)))


def require_sums(neighbours, rated, asked):
    """Require the sums of a dict, without and with hidden items, and those of wanted items."""
    hidden, wanted = (np.array(rows, np.int32) for rows in asked)
    all_sums = expected(neighbours, rated)
    for rows in (NOTHING, hidden):
        sums, left = add_up(neighbours, rated, rows, wanted), set(rows.tolist())
        shown = {item: 0 if item in left else value for item, value in all_sums.items()}
        assert len(set(sums.items.tolist())) == len(sums.items)
        assert dict(zip(sums.items.tolist(), sums.values.tolist(), strict=True)) == shown
        assert sums.wanted.tolist() == [shown.get(item, 0) for item in wanted.tolist()]


def test_nothing_rated_speaks_for_nothing():
    for neighbours in (NO_NEIGHBOURS, random_neighbours(8)):
        sums = add_up(neighbours, NOTHING_RATED, NOTHING, np.array([3], np.int32))
        assert len(sums.items) == 0
        assert sums.wanted.tolist() == [0]


def test_sums_that_cancel_out_and_the_largest_ones_are_exact():
    weights = np.full((2, LATEST), 1.0, np.float32)
    weights[1, ::2] = -1.0
    rows = np.tile(np.arange(LATEST, dtype=np.int32), (2, 1))
    neighbours = from_columns(
        np.vstack([rows, np.full((LATEST - 2, LATEST), -1, np.int32)]),
        np.vstack([weights, np.zeros((LATEST - 2, LATEST), np.float32)]),
    )
    rated = Rated(np.arange(LATEST, dtype=np.int32), np.full(LATEST, MAX_STEPS))
    sums = add_up(neighbours, rated, NOTHING, np.array([1, 0], np.int32))
    assert dict(zip(sums.items.tolist(), sums.values.tolist(), strict=True)) == {
        0: LATEST * MAX_STEPS * 127 * int(neighbours.scales[0]),
        1: 0,
    }
    assert sums.wanted.tolist() == [0, LATEST * MAX_STEPS * 127 * int(neighbours.scales[0])]
