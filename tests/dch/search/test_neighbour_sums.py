"""Sums over a history by blocks of items, against a dict of Python integers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_neighbours

from dch.models.neighbours import NO_NEIGHBOURS, NOTHING_RATED, Rated, from_columns
from dch.search.neighbour_sums import BLOCK, add_up, position_of


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
    sums, wanted = add_up(neighbours, rated), expected(neighbours, rated)
    assert dict(zip(sums.items.tolist(), sums.values.tolist(), strict=True)) == wanted
    require_positions(sums, wanted, range(-1, n_items + 70))


def test_catalogues_of_several_blocks_have_the_sums_of_a_dict():
    rng, n_items = np.random.default_rng(0), 2 * BLOCK + 7
    rows = rng.integers(40, size=(n_items, 2)).astype(np.int32) * (n_items // 40)
    neighbours = from_columns(rows, rng.normal(size=rows.shape).astype(np.float32))
    rated = Rated(np.unique(rows)[::-2].astype(np.int32), rng.integers(1, 512, 20))
    sums, wanted = add_up(neighbours, rated), expected(neighbours, rated)
    assert {0, 1, 2} == {item // BLOCK for item in wanted}
    assert dict(zip(sums.items.tolist(), sums.values.tolist(), strict=True)) == wanted
    require_positions(
        sums, wanted, [*range(-1, 300), *range(BLOCK - 70, BLOCK + 70), *range(n_items, n_items + 70)]
    )


def require_positions(sums, wanted, items):
    for item in items:
        position = position_of(sums, item)
        assert (position >= 0) == (item in wanted)
        assert position < 0 or sums.items[position] == item


def test_nothing_rated_speaks_for_nothing():
    for neighbours in (NO_NEIGHBOURS, random_neighbours(8)):
        sums = add_up(neighbours, NOTHING_RATED)
        assert len(sums.items) == 0
        assert position_of(sums, 3) == -1
