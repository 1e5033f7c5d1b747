"""BPR finds planted structure among fitted users and items; others are unknown."""

import numpy as np

from dch.experiments.baselines.bpr import fit_bpr
from tests.dch.experiments.baselines.blocks import cut, share_in_own_block, two_blocks

SETTINGS = {"factors": 8, "learning_rate": 0.05, "iterations": 60}


def scores_of(train, given, **settings):
    return fit_bpr(train, **(SETTINGS | settings)).fold_in(given)(np.arange(train.n_users, dtype=np.int32))


def test_users_prefer_their_own_block_and_new_users_and_items_are_unknown():
    train, given, new_users, new_items = cut(two_blocks())
    scores = scores_of(train, given)
    assert share_in_own_block(scores, train) > 0.9
    assert (scores[new_users] == -np.inf).all()
    assert (scores[:, new_items] == -np.inf).all()
    assert np.isfinite(scores[np.ix_(~new_users, ~new_items)]).all()


def test_ratings_that_are_not_positive_count_only_without_liked_only():
    ratings = two_blocks()
    poor = ratings.subset(ratings.items != 0)
    poor = poor.subset(np.flatnonzero((poor.values >= 4) | (poor.items == 1)))
    disliked = poor.subset(~((poor.items == 1) & (poor.values >= 4)))
    assert (disliked.items == 1).any()
    assert (scores_of(disliked, ratings)[:, 1] == -np.inf).all()
    assert np.isfinite(scores_of(disliked, ratings, liked_only=False)[:, 1]).all()


def test_scores_depend_on_the_seed_alone():
    train, given, _, _ = cut(two_blocks())
    assert np.array_equal(scores_of(train, given, seed=1), scores_of(train, given, seed=1))
    assert not np.array_equal(scores_of(train, given, seed=1), scores_of(train, given, seed=2))
