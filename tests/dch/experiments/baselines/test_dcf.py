"""DCF finds planted codes, and folds new users and items in."""

from dataclasses import replace

import numpy as np
import pytest

from dch.errors import ConfigError
from dch.experiments.baselines.binary import has_code
from dch.experiments.baselines.dcf import fit_dcf, scale
from tests.dch.experiments.baselines.planted import planted, ratings_of


def split(ratings, new_users=(), new_items=()):
    """Return the training ratings, and those between known and new users and items."""
    of_user, of_item = np.isin(ratings.users, new_users), np.isin(ratings.items, new_items)
    return ratings.subset(~of_user & ~of_item), ratings.subset(of_user ^ of_item)


def nothing(ratings):
    return ratings.subset(np.zeros(len(ratings), bool))


def rms(scorer, ratings):
    scores = scorer(np.arange(ratings.n_users, dtype=np.int32))[ratings.users, ratings.items]
    return float(np.sqrt(np.square(scores - ratings.values).mean()))


def test_ratings_are_scaled_to_the_range_of_a_product_of_codes():
    known = np.array([1, 3, 5], np.float32)
    assert scale(np.array([1, 2, 3, 5, 9], np.float32), known, 8).tolist() == [-8, -4, 0, 8, 8]
    assert scale(known, np.array([4, 4], np.float32), 8).tolist() == [8, 8, 8]


def test_planted_codes_are_recovered_from_half_of_their_ratings():
    ratings, users, items = planted(n_users=200, n_items=150, share=0.5)
    fitted = fit_dcf(ratings, bits=8, seed=1)
    whole = ratings_of(users.astype(np.float32) @ items.T)
    spread = float(whole.values.std())
    assert rms(fitted.fold_in(nothing(ratings)), whole) < 0.4 * spread


def test_a_fit_depends_on_its_seed_alone():
    ratings, _, _ = planted()
    once, again, other = (fit_dcf(ratings, bits=8, seed=seed).solution.vectors[0] for seed in (3, 3, 4))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_a_new_user_and_a_new_item_are_encoded_about_as_well_as_their_known_twins():
    _, users, items = planted(n_users=60, n_items=50)
    users[0], items[0] = users[1], items[1]
    ratings = ratings_of(users.astype(np.float32) @ items.T)
    train, given = split(ratings, new_users=[0], new_items=[0])
    scorer = fit_dcf(train, bits=8).fold_in(given)
    for rows in (ratings.users, ratings.items):
        new, twin = (rms(scorer, ratings.subset(rows == row)) for row in (0, 1))
        assert new < 1.2 * twin < ratings.values.std()


def test_new_codes_that_explain_their_ratings_exactly_are_found():
    ratings, users, items = planted(share=1.0)
    train, given = split(ratings, new_users=[5], new_items=[7])
    fitted = fit_dcf(train, bits=8, alpha=0.0, beta=0.0)
    users[5] = items[7] = 0
    fitted = replace(fitted, solution=replace(fitted.solution, vectors=(users, items)))
    scorer = fitted.fold_in(given)
    _, expected_users, expected_items = planted(share=1.0)
    assert np.array_equal(scorer.users[5], expected_users[5])
    assert np.array_equal(scorer.items[7], expected_items[7])


def test_without_given_ratings_codes_are_those_of_the_fit_and_cold_rows_have_none():
    ratings, _, _ = planted()
    train, _ = split(ratings, new_users=[2], new_items=[3])
    fitted = fit_dcf(train, bits=8)
    scorer = fitted.fold_in(nothing(ratings))
    assert np.flatnonzero(~has_code(scorer.users)).tolist() == [2]
    assert np.flatnonzero(~has_code(scorer.items)).tolist() == [3]
    assert np.array_equal(scorer.users, fitted.solution.vectors[0])


def test_new_ratings_of_a_known_user_change_only_that_code_and_do_not_fit_worse():
    ratings, _, _ = planted(share=1.0)
    later = (ratings.users == 4) & (ratings.items > 10)
    fitted = fit_dcf(ratings.subset(~later), bits=8)
    before = fitted.fold_in(nothing(ratings))
    after = fitted.fold_in(ratings.subset(later))
    own = ratings.subset(ratings.users == 4)
    assert np.flatnonzero((before.users != after.users).any(axis=1)).tolist() in ([], [4])
    assert np.array_equal(before.items, after.items)
    assert rms(after, own) <= rms(before, own)


def test_a_user_who_rated_only_a_new_item_stays_unknown():
    ratings, _, _ = planted(share=1.0)
    train, _ = split(ratings, new_users=[2], new_items=[3])
    given = ratings.subset((ratings.users == 2) & (ratings.items == 3))
    scorer = fit_dcf(train, bits=8).fold_in(given)
    assert not scorer.users[2].any()
    assert not scorer.items[3].any()


def test_more_bits_than_items_are_refused_unless_there_are_no_delegates():
    ratings, _, _ = planted(n_users=9, n_items=5)
    with pytest.raises(ConfigError, match="use fewer bits"):
        fit_dcf(ratings, bits=8)
    assert fit_dcf(ratings, bits=8, alpha=0, beta=0).solution.vectors[1].shape == (5, 8)
