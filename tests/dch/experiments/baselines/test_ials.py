"""iALS finds planted structure, and its fold-in solves the equations of the model."""

import sys

import numpy as np
import pytest

from dch.errors import MissingExtraError
from dch.experiments.baselines.ials import fit_ials
from tests.dch.experiments.baselines.blocks import cut, nothing, share_in_own_block, two_blocks

SETTINGS = {"factors": 4, "alpha": 5.0, "regularization": 1.0, "graded": True}


def solved(own, others, weights):
    """Solve the equation of one row naively: the target is 1 where rated, else 0 at confidence 1."""
    confidence = np.ones(len(others))
    confidence[own] = 5.0 * weights
    target = np.zeros(len(others))
    target[own] = 1
    left = others.T @ (confidence[:, None] * others) + np.eye(others.shape[1])
    return np.linalg.solve(left, others.T @ (confidence * target))


def test_known_and_new_users_prefer_their_own_block():
    ratings = two_blocks()
    train, given, _, new_items = cut(ratings)
    scores = fit_ials(train, **SETTINGS).fold_in(given)(np.arange(ratings.n_users, dtype=np.int32))
    assert np.isfinite(scores).all()
    assert share_in_own_block(scores, ratings) == 1
    only_new = np.where(new_items, scores, -np.inf)
    assert share_in_own_block(only_new, ratings) > 0.9


def test_users_are_solved_again_from_all_their_ratings_of_known_items():
    train, given, _, _ = cut(two_blocks())
    fitted = fit_ials(train, **SETTINGS)
    users, _ = fitted.vectors(given)
    known = np.flatnonzero(np.isfinite(fitted.items).all(axis=1))
    for user in range(train.n_users):
        own, values = [], []
        for part in (train, given):
            of = (part.users == user) & np.isin(part.items, known)
            own, values = [*own, *np.searchsorted(known, part.items[of])], [*values, *part.values[of]]
        expected = solved(own, fitted.items[known].astype(float), fitted.scale.weights(np.array(values)))
        assert users[user] == pytest.approx(expected, rel=1e-2, abs=1e-3)


def test_new_items_are_solved_from_fitted_users_and_known_items_do_not_change():
    train, given, _, new_items = cut(two_blocks())
    fitted = fit_ials(train, **SETTINGS)
    _, items = fitted.vectors(given)
    known = np.flatnonzero(np.isfinite(fitted.users).all(axis=1))
    assert np.array_equal(items[~new_items], fitted.items[~new_items])
    assert np.isnan(fitted.items[new_items]).all()
    for item in np.flatnonzero(new_items):
        of = (given.items == item) & np.isin(given.users, known)
        own, weights = np.searchsorted(known, given.users[of]), fitted.scale.weights(given.values[of])
        expected = solved(own, fitted.users[known].astype(float), weights)
        assert items[item] == pytest.approx(expected, rel=1e-2, abs=1e-3)


def test_users_and_items_without_ratings_are_unknown():
    train, _, new_users, new_items = cut(two_blocks())
    scores = fit_ials(train, **SETTINGS).fold_in(nothing(train))(np.arange(train.n_users, dtype=np.int32))
    assert (scores[new_users] == -np.inf).all()
    assert (scores[:, new_items] == -np.inf).all()
    assert np.isfinite(scores[np.ix_(~new_users, ~new_items)]).all()


def test_factors_depend_on_the_seed_alone():
    ratings = two_blocks()
    once, again, other = (fit_ials(ratings, **SETTINGS, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(once.users, again.users)
    assert np.array_equal(once.items, again.items)
    assert not np.array_equal(once.items, other.items)


def test_without_implicit_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(
        MissingExtraError,
        match=r"iALS needs implicit, which is not installed; run: pip install -c constraints.txt '.\[fit\]'",
    ):
        fit_ials(two_blocks(), **SETTINGS)
