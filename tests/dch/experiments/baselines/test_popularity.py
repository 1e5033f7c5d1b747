"""Popularity counts the positive ratings of training and of those given later."""

import numpy as np

from dch.data.ratings import Ratings
from dch.experiments.baselines.popularity import fit_popularity


def test_positive_ratings_of_both_parts_are_counted_once_and_cold_items_are_unknown():
    ratings = Ratings.from_events(
        ["a", "b", "c", "a", "b", "a"],
        ["x", "x", "x", "y", "y", "z"],
        [5.0, 4.0, 1.0, 2.0, 5.0, 5.0],
        item_features={"a cold item": {}},
    )
    train, given = ratings.subset(np.array([0, 1, 2, 3])), ratings.subset(np.array([0, 4]))
    scores = fit_popularity(train).fold_in(given)(np.array([0, 2], np.int32))
    assert scores.tolist() == [[2, 1, -np.inf, -np.inf]] * 2
