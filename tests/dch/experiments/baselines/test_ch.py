"""CH: its factorisation and rotation, and the codes of known and new users and items."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from dch.errors import ConfigError
from dch.experiments.baselines.binary import has_code
from dch.experiments.baselines.ch import (
    Factors,
    best_rotation,
    code_both,
    factorise,
    find_rotation,
    fit_ch,
    nearest_rotation,
    objective,
)
from tests.dch.experiments.baselines.blocks import cut, nothing, share_in_own_block, two_blocks
from tests.dch.experiments.baselines.planted import ratings_of

seeds = st.integers(0, 10**6)


def sampled(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def factors_of(users, items):
    return Factors(users, items, users, items)  # the maps from ratings are not used here


def rotated_square(angle, noise, seed=0):
    """Return the corners of a rotated square with noise."""
    rng = np.random.default_rng(seed)
    corners = rng.choice([-1.0, 1.0], (200, 2)) @ plane_rotation(angle) + noise * rng.standard_normal(
        (200, 2)
    )
    return factors_of(*np.split(corners.astype(np.float32), [120]))


def plane_rotation(angle):
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def best(factors, rotation):
    """Return the objective of a rotation with the best codes for it."""
    return objective(factors, rotation, *code_both(factors, rotation))


@given(seed=seeds, bits=st.integers(1, 12))
def test_no_step_over_codes_or_rotation_increases_the_objective(seed, bits):
    factors = factors_of(sampled((30, bits), seed), sampled((20, bits), seed + 1))
    rotation = nearest_rotation(sampled((bits, bits), seed + 2))
    codes = code_both(factors, -rotation)
    before = objective(factors, rotation, *codes)
    for _ in range(4):
        codes = code_both(factors, rotation)
        by_codes = objective(factors, rotation, *codes)
        rotation = best_rotation(factors, *codes)
        by_rotation = objective(factors, rotation, *codes)
        assert by_rotation <= by_codes + 1e-3
        assert by_codes <= before + 1e-3
        before = by_rotation


@given(seed=seeds)
def test_no_other_rotation_brings_the_factors_nearer_to_given_codes(seed):
    factors = factors_of(sampled((30, 5), seed), sampled((20, 5), seed + 1))
    codes = code_both(factors, np.eye(5, dtype=np.float32))
    found = best_rotation(factors, *codes)
    np.testing.assert_allclose(found.T @ found, np.eye(5), atol=1e-5)
    other = nearest_rotation(sampled((5, 5), seed + 2))
    assert objective(factors, found, *codes) <= objective(factors, other, *codes) + 1e-3


@given(angle=st.floats(0, 2 * np.pi))
def test_the_rotation_in_the_plane_is_as_good_as_the_best_of_a_fine_grid(angle):
    factors = rotated_square(angle, 0.25)
    found = best(factors, find_rotation(factors, np.random.default_rng(1), sweeps=100))
    grid = [best(factors, plane_rotation(each)) for each in np.linspace(0, np.pi / 2, 300)]
    assert found <= min(grid) * 1.001


@pytest.mark.parametrize("seed", range(5))
def test_a_rotated_cube_is_rotated_back_from_one_of_four_starts(seed):
    corners = np.where(sampled((90, 3), seed) < 0, -1, 1) @ nearest_rotation(sampled((3, 3), seed + 1))
    factors = factors_of(*np.split(corners.astype(np.float32), [50]))
    starts = [np.random.default_rng(start) for start in range(4)]  # one start may end in a local optimum
    assert min(best(factors, find_rotation(factors, start, sweeps=100)) for start in starts) < 1e-4


def test_the_factors_are_the_largest_singular_vectors_times_their_values():
    matrix = np.abs(sampled((20, 15), 0))
    factors = factorise(sparse.csr_matrix(matrix), 4)
    left, values, right = np.linalg.svd(matrix)
    ours = factors.users @ factors.items.T
    theirs = (left[:, :4] * values[:4] ** 2) @ right[:4]
    np.testing.assert_allclose(ours / np.linalg.norm(ours), theirs / np.linalg.norm(theirs), atol=1e-5)
    for own in (factors.users, factors.items):
        assert np.square(own).mean() == pytest.approx(1, rel=1e-5)


def test_known_and_new_users_prefer_their_own_block():
    ratings = two_blocks()
    train, given, _, new_items = cut(ratings)
    scores = fit_ch(train, bits=8).fold_in(given)(np.arange(ratings.n_users, dtype=np.int32))
    assert share_in_own_block(scores, ratings) == 1
    assert share_in_own_block(np.where(new_items, scores, -np.inf), ratings) > 0.9


def test_without_given_ratings_codes_are_those_of_the_fit_and_new_rows_have_none():
    train, _, new_users, new_items = cut(two_blocks())
    fitted = fit_ch(train, bits=8)
    scorer = fitted.fold_in(nothing(train))
    users, items = code_both(fitted.factors, fitted.rotation)
    assert np.array_equal(scorer.users[~new_users], users)
    assert np.array_equal(scorer.items[~new_items], items)
    assert not has_code(scorer.users[new_users]).any()
    assert not has_code(scorer.items[new_items]).any()


def test_a_new_row_with_the_ratings_of_a_known_one_gets_the_same_code():
    rng = np.random.default_rng(0)
    matrix, seen = rng.integers(1, 6, (30, 25)).astype(np.float32), rng.random((30, 25)) < 0.4
    for twins in (matrix, seen):
        twins[0], twins[:, 0] = twins[1], twins[:, 1]
    ratings = ratings_of(matrix, seen)
    new = (ratings.users == 0) ^ (ratings.items == 0)
    scorer = fit_ch(ratings.subset((ratings.users > 0) & (ratings.items > 0)), bits=8).fold_in(
        ratings.subset(new)
    )
    assert np.array_equal(scorer.users[0], scorer.users[1])
    assert np.array_equal(scorer.items[0], scorer.items[1])


def test_more_bits_than_items_are_refused():
    with pytest.raises(
        ConfigError, match="more than 8 users and items for 8 bits, got 9 and 8; use fewer bits"
    ):
        fit_ch(ratings_of(np.ones((9, 8), np.float32)), bits=8)
