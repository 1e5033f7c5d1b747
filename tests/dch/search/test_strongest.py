"""The strongest neighbours of a history, against sorting all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import random_neighbours

from dch.models.neighbours import Rated
from dch.search.neighbour_scores import Chosen, Items, _fitted_of, _floor_of, _strongest
from dch.search.neighbour_sums import add_up

N = 300
NOTHING = np.empty(0, np.int32)


def items_of(rng, n_allowed):
    """Return N items in another order than that of the fit, of which so many may be listed."""
    rows = rng.permutation(N).astype(np.int32)
    fitted = np.argsort(rows).astype(np.int32)
    allowed = np.zeros(N, np.uint8)
    allowed[rng.permutation(N)[:n_allowed]] = 1
    words, vectors = np.zeros((N, 1), np.uint64), np.zeros((N, 8), np.int8)
    return Items(words, vectors, allowed, rng.integers(0, 3, N), fitted, rows)


@given(
    st.integers(1, 60),
    st.integers(1, 40),
    st.integers(0, N),
    st.integers(0, 50),
    st.sampled_from([None, 0, 10, N]),
    st.integers(0, 99),
)
def test_the_strongest_are_those_of_a_sort(n_rated, size, n_allowed, n_skipped, n_chosen, seed):
    rng = np.random.default_rng(seed)
    neighbours, items = random_neighbours(N, 12, seed), items_of(rng, n_allowed)
    rated = Rated(rng.permutation(N)[:n_rated].astype(np.int32), rng.integers(1, 513, n_rated))
    skip = rng.permutation(N + 9)[:n_skipped].astype(np.int32)
    chosen = np.sort(rng.permutation(N)[: N if n_chosen is None else n_chosen]).astype(np.int32)
    every = add_up(neighbours, rated, NOTHING, NOTHING)
    strength = {
        int(items.rows[item]): np.float32(value)
        for item, value in zip(every.items.tolist(), every.values.tolist(), strict=True)
    }
    listed = [row for row, of in strength.items() if of > 0 and items.allowed[row] and row not in skip]
    listed = [row for row in listed if row in chosen]
    expected = sorted(listed, key=lambda row: (-strength[row], -items.precedence[row], row))[:size]
    sums = add_up(neighbours, rated, _fitted_of(skip, items), NOTHING)
    rows, found = _strongest(sums, size, items, Chosen(n_chosen is not None, chosen))
    assert sorted(rows.tolist()) == sorted(expected)
    assert [strength[row] for row in rows.tolist()] == found.astype(np.float32).tolist()


@given(st.lists(st.integers(-(2**50), 2**50), max_size=80), st.integers(1, 30))
def test_a_floor_leaves_enough(values, wanted):
    strengths = np.array(values, np.int64).astype(np.float32)
    n_above, floor = int((strengths > 0).sum()), _floor_of(strengths, wanted)
    assert (strengths >= floor).sum() >= min(wanted, n_above)
    assert floor >= 1


@pytest.mark.parametrize("wanted", [1, 100, 5000])
def test_a_floor_leaves_few(wanted):
    strengths = np.random.default_rng(0).gamma(1.0, 1e6, 30_000).astype(np.float32)
    assert wanted <= (strengths >= _floor_of(strengths, wanted)).sum() <= 1.5 * wanted + 10
