"""Prepare new ratings for an update: bags hold whole histories, and only new ratings are targets."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.training.training_bags import TrainingBags

Bools = NDArray[np.bool_]
Starts = NDArray[np.int64]


def merge_ratings(train: Ratings, new: Ratings) -> tuple[Ratings, Bools]:
    """Return old and new ratings in order of time, and which of them are new, (n,).

    A new rating replaces the old rating of the same pair.

    Args:
        train: the ratings of the last fit.
        new: the new ratings, over the id tables of train.
    """
    old = train.subset(~np.isin(train.pairs(), new.pairs()))
    timestamps = np.concatenate((old.timestamps, new.timestamps))
    order = np.argsort(timestamps, kind="stable")
    merged = replace(
        train,
        users=np.concatenate((old.users, new.users))[order],
        items=np.concatenate((old.items, new.items))[order],
        values=np.concatenate((old.values, new.values))[order],
        timestamps=timestamps[order],
    )
    return merged, order >= len(old)


def with_update_targets(user_bags: TrainingBags, is_new: Bools) -> TrainingBags:
    """Return the bags of the users with a new rating.

    Old ratings stay in these bags as input. They are not targets: their target weight is 0, their rating NaN.

    Args:
        user_bags: the bags of all users.
        is_new: (n_ratings,) in the order of the bags.
    """
    owner = np.repeat(np.arange(len(user_bags)), np.diff(user_bags.starts))
    rows = np.unique(owner[is_new])
    starts, positions = _selected(user_bags.starts, rows)
    feature_starts, feature_positions = _selected(user_bags.feature_starts, rows)
    return replace(
        user_bags,
        ids=[user_bags.ids[row] for row in rows],
        starts=starts,
        tokens=user_bags.tokens[positions],
        values=np.where(is_new, user_bags.values, np.float32(np.nan))[positions],
        weights=user_bags.weights[positions],
        targets=np.where(is_new, user_bags.targets, np.float32(0))[positions],
        feature_starts=feature_starts,
        feature_tokens=user_bags.feature_tokens[feature_positions],
    )


def _selected(starts: Starts, rows: NDArray[np.int64]) -> tuple[Starts, NDArray[np.int64]]:
    """Select compressed rows: return their new starts, and the positions of their contents."""
    is_selected = np.zeros(len(starts) - 1, np.bool_)
    is_selected[rows] = True
    lengths = np.diff(starts)
    ends = np.cumsum(lengths[rows])
    return np.concatenate(([0], ends)).astype(np.int64), np.flatnonzero(np.repeat(is_selected, lengths))
