"""The descents of DCF against a search over all codes and against a ridge regression."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dch.experiments.baselines.dcf_steps import FixedSide, descend, relax, squared_error
from tests.dch.experiments.baselines.planted import ratings_of

CUBE = np.array(list(product([-1, 1], repeat=4)), np.int8)
SEPARABLE = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.int8)
seeds = st.integers(0, 10**6)


def small_case(seed, others=None):
    """Return three rows that rated four others, and start codes; there are only 16 codes per row."""
    rng = np.random.default_rng(seed)
    others = CUBE[rng.integers(16, size=4)] if others is None else others
    ratings = ratings_of(rng.uniform(-4, 4, (3, 4)).astype(np.float32))
    pull = rng.normal(0, 2, (3, 4)).astype(np.float32)
    start = CUBE[rng.integers(16, size=3)]
    return FixedSide(ratings.by_user, others, pull), start


def loss(fixed, code, row):
    """Return the loss of a row's code, computed naively."""
    rated = fixed.rated
    own = slice(rated.starts[row], rated.starts[row + 1])
    product_ = fixed.others[rated.columns[own]].astype(float) @ code
    return np.square(rated.values[own] - product_).sum() - 2 * fixed.pull[row] @ code


@given(seed=seeds)
def test_independent_bits_reach_the_best_of_all_codes_in_one_sweep(seed):
    fixed, codes = small_case(seed, SEPARABLE)
    descend(np.arange(3), fixed, codes, sweeps=1)
    for row in range(3):
        assert loss(fixed, codes[row], row) == pytest.approx(min(loss(fixed, code, row) for code in CUBE))


@given(seed=seeds)
def test_descent_ends_where_no_flip_helps_and_never_above_its_start(seed):
    fixed, codes = small_case(seed)
    start = codes.copy()
    flips = descend(np.arange(3), fixed, codes, sweeps=50)
    assert (flips == 0) == np.array_equal(start, codes)
    for row in range(3):
        end = loss(fixed, codes[row], row)
        assert end <= loss(fixed, start[row], row)
        for k in range(4):
            flipped = np.where(np.arange(4) == k, -codes[row], codes[row])
            assert loss(fixed, flipped, row) >= end - 1e-4


def test_a_bit_whose_two_values_are_equally_good_does_not_change():
    fixed = FixedSide(
        ratings_of(np.zeros((1, 1), np.float32)).by_user, CUBE[:1], np.zeros((1, 4), np.float32)
    )
    codes = np.array([[1, 1, -1, -1]], np.int8)
    assert descend(np.arange(1), fixed, codes, sweeps=5) == 0
    assert codes.tolist() == [[1, 1, -1, -1]]


def test_only_the_given_rows_change():
    fixed, codes = small_case(4)
    start = codes.copy()
    fixed.pull[:] = -100.0 * start
    assert descend(np.array([1]), fixed, codes, sweeps=5) == 4
    assert np.array_equal(codes, [start[0], -start[1], start[2]])


@given(seed=seeds)
def test_relaxed_descent_finds_the_ridge_regression(seed):
    rng = np.random.default_rng(seed)
    others = rng.standard_normal((12, 4)).astype(np.float32)
    ratings = ratings_of(rng.uniform(-4, 4, (3, 12)).astype(np.float32))
    pull = rng.standard_normal((3, 4)).astype(np.float32)
    vectors = np.zeros((3, 4), np.float32)
    relax(np.arange(3), FixedSide(ratings.by_user, others, pull), vectors, ridge=2.0, sweeps=300)
    target = ratings.by_user.values.reshape(3, 12) @ others + pull
    exact = np.linalg.solve(others.T @ others + 2 * np.eye(4), target.T).T
    np.testing.assert_allclose(vectors, exact, atol=1e-3)


def test_the_squared_error_covers_only_the_observed_ratings():
    seen = np.array([[True, False], [True, True]])
    ratings = ratings_of(np.array([[3, 9], [1, -2]], np.float32), seen)
    users, items = np.array([[1, 1], [1, -1]], np.int8), np.array([[1, 1], [-1, 1]], np.int8)
    # products: 2 and not observed, 0 and -2
    assert squared_error(ratings.by_user, users, items) == 1 + 1 + 0
