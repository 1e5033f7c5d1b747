"""New ratings among the old: joined into whole histories, with the new ones alone as targets."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.training.training_bags import TrainingBags

Bools = NDArray[np.bool_]
Starts = NDArray[np.int64]


def join(train: Ratings, given: Ratings) -> tuple[Ratings, Bools]:
    """Return both in order of time, over the tables of train, and which are given, (n,).

    A given rating replaces one of the same pair.
    """
    old = train.subset(~np.isin(train.pairs(), given.pairs()))
    timestamps = np.concatenate((old.timestamps, given.timestamps))
    order = np.argsort(timestamps, kind="stable")
    joined = replace(
        train,
        users=np.concatenate((old.users, given.users))[order],
        items=np.concatenate((old.items, given.items))[order],
        values=np.concatenate((old.values, given.values))[order],
        timestamps=timestamps[order],
    )
    return joined, order >= len(old)


def with_update_targets(side: TrainingBags, is_new: Bools) -> TrainingBags:
    """Return the rows with a new rating; their old ratings are no targets: weight 0, rating NaN.

    Args:
        side: the user side.
        is_new: (n_ratings,) of the ratings in the order of the side.
    """
    owner = np.repeat(np.arange(len(side)), np.diff(side.starts))
    rows = np.unique(owner[is_new])
    starts, places = _picked(side.starts, rows)
    feature_starts, feature_places = _picked(side.feature_starts, rows)
    return replace(
        side,
        ids=[side.ids[row] for row in rows],
        starts=starts,
        tokens=side.tokens[places],
        values=np.where(is_new, side.values, np.float32(np.nan))[places],
        weights=side.weights[places],
        targets=np.where(is_new, side.targets, np.float32(0))[places],
        feature_starts=feature_starts,
        feature_tokens=side.feature_tokens[feature_places],
    )


def _picked(starts: Starts, rows: NDArray[np.int64]) -> tuple[Starts, NDArray[np.int64]]:
    """Return the starts of these of some compressed rows, and the places of what they hold."""
    is_picked = np.zeros(len(starts) - 1, np.bool_)
    is_picked[rows] = True
    lengths = np.diff(starts)
    ends = np.cumsum(lengths[rows])
    return np.concatenate(([0], ends)).astype(np.int64), np.flatnonzero(np.repeat(is_picked, lengths))
