"""EASE: weights over rating weights; scores of known and new users, but not of new items."""

import numpy as np
import pytest

from dch.errors import ConfigError
from dch.experiments.baselines.ease import fit_ease, fit_pruned_ease, pruned
from tests.dch.experiments.baselines.blocks import cut, nothing, share_in_own_block, two_blocks
from tests.dch.experiments.baselines.test_item_weights import slow_strongest


def dense(ratings, scale, items):
    """Return rating weights as a dense array, users by known items."""
    histories = np.zeros((ratings.n_users, ratings.n_items))
    histories[ratings.users, ratings.items] = scale.weights(ratings.values)
    return histories[:, items]


@pytest.mark.parametrize("graded", [True, False])
def test_the_weights_are_the_closed_form_over_rating_weights(graded):
    train, _, _, _ = cut(two_blocks())
    fitted = fit_ease(train, regularization=5.0, graded=graded)
    histories = dense(train, fitted.scale, fitted.items)
    inverse = np.linalg.inv(histories.T @ histories + 5.0 * np.eye(len(fitted.items)))
    expected = np.eye(len(inverse)) - inverse / np.diag(inverse)
    assert fitted.weights == pytest.approx(expected, abs=1e-4)


def test_scores_are_the_joined_histories_times_the_weights():
    train, given, _, new_items = cut(two_blocks())
    fitted = fit_ease(train, regularization=5.0)
    scores = fitted.fold_in(given)(np.arange(train.n_users, dtype=np.int32))
    both = dense(train, fitted.scale, fitted.items) + dense(given, fitted.scale, fitted.items)
    assert scores[:, fitted.items] == pytest.approx(both @ fitted.weights, abs=1e-4)
    assert (scores[:, new_items] == -np.inf).all()
    assert share_in_own_block(scores, train) == 1


def test_a_user_without_ratings_is_unknown():
    train, _, new_users, _ = cut(two_blocks())
    scores = fit_ease(train).fold_in(nothing(train))(np.arange(train.n_users, dtype=np.int32))
    assert ((scores == -np.inf).all(axis=1) == new_users).all()


def test_too_many_items_are_refused_with_their_cost():
    with pytest.raises(
        ConfigError, match=r"most_items is 30, there are 40 items, which need 0\.0 GB and about 0\.0 minutes"
    ):
        fit_ease(two_blocks(), most_items=30)


@pytest.mark.parametrize("k", [1, 6, 100])
def test_pruned_weights_are_the_strongest_of_each_scored_item(k):
    train, _, _, _ = cut(two_blocks())
    whole = fit_ease(train, regularization=5.0).weights
    fitted = fit_pruned_ease(train, k=k, regularization=5.0)
    assert np.array_equal(fitted.weights.toarray().T, slow_strongest(np.ascontiguousarray(whole.T), k))


def test_pruning_once_more_gives_what_pruning_at_once_gives():
    train, _, _, _ = cut(two_blocks())
    twice = pruned(fit_pruned_ease(train, k=9), 4).weights.toarray()
    assert np.array_equal(twice, fit_pruned_ease(train, k=4).weights.toarray())
