"""EASE against its closed form, written down naively; users are free, new items impossible."""

import numpy as np
import pytest

from dch.errors import ConfigError
from dch.experiments.baselines import ease
from dch.experiments.baselines.ease import cost_of, fit_ease
from tests.dch.experiments.baselines.blocks import blocks_told_apart, cut, nothing, two_blocks


def dense(ratings, scale, items):
    """Rating weights as a plain array, users by known items."""
    histories = np.zeros((ratings.n_users, ratings.n_items))
    histories[ratings.users, ratings.items] = scale.weights(ratings.values)
    return histories[:, items]


@pytest.mark.parametrize("block", [3, 7, 1024])
@pytest.mark.parametrize("graded", [True, False])
def test_the_weights_are_the_closed_form_with_a_diagonal_of_zero(monkeypatch, block, graded):
    monkeypatch.setattr(ease, "BLOCK", block)
    train, _, _, _ = cut(two_blocks())
    fitted = fit_ease(train, regularization=5.0, graded=graded)
    histories = dense(train, fitted.scale, fitted.items)
    inverse = np.linalg.inv(histories.T @ histories + 5.0 * np.eye(len(fitted.items)))
    expected = np.eye(len(inverse)) - inverse / np.diag(inverse)
    assert fitted.weights == pytest.approx(expected, abs=1e-4)
    assert (np.diagonal(fitted.weights) == 0).all()


def test_scores_are_the_histories_of_both_parts_times_the_weights():
    train, given, _, new_items = cut(two_blocks())
    fitted = fit_ease(train, regularization=5.0)
    scores = fitted.fold_in(given)(np.arange(train.n_users, dtype=np.int32))
    both = dense(train, fitted.scale, fitted.items) + dense(given, fitted.scale, fitted.items)
    assert scores[:, fitted.items] == pytest.approx(both @ fitted.weights, abs=1e-4)
    assert (scores[:, new_items] == -np.inf).all()
    assert blocks_told_apart(scores, train) == 1


def test_a_user_without_ratings_is_unknown():
    train, _, new_users, _ = cut(two_blocks())
    scores = fit_ease(train).fold_in(nothing(train))(np.arange(train.n_users, dtype=np.int32))
    assert ((scores == -np.inf).all(axis=1) == new_users).all()


def test_too_many_items_are_refused_with_what_they_would_cost():
    with pytest.raises(
        ConfigError, match=r"max_items is 30, there are 40 items, which need 0\.0 GB and about 0\.0 minutes"
    ):
        fit_ease(two_blocks(), max_items=30)
    assert cost_of(33_000) == "4.4 GB and about 12.0 minutes"


def test_a_matrix_that_cannot_be_inverted_is_refused():
    ratings = two_blocks(n_users=6)
    with pytest.raises(ConfigError, match="the item matrix cannot be inverted; raise regularization"):
        fit_ease(ratings, regularization=0.0)
