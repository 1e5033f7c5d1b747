"""The rating scale: which ratings are positive, and what a rating weighs in a bag.

The ends of a scale are levels that many users use, so a few odd values never move it. Counts of plays,
purchases or hours have no scale: all above 0 are positive, and their weights go by rank.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.data.readers.read_options import NONE, option_text
from dch.errors import RatingsError

Floats = NDArray[np.float32]

POSITIVE_FRACTION = 0.75
"""Lowest positive rating, between the lowest (0) and the highest (1) rating: 4.0 on a scale of 1 to 5."""

GRADED_WEIGHTS = ((0.0, 0.1), (0.25, 0.2), (0.5, 0.5), (0.75, 1.0), (1.0, 1.5))
"""(fraction of the scale, weight). The lowest weight is above 0: even a low rating shows a user's choice."""

LEVEL_USERS = 0.01
"""A level belongs to the scale if at least this share of the users use it, and two users."""

LEVEL_RATINGS = 0.99
"""Levels are a scale if this share of the ratings is at levels that belong to it. Otherwise the ratings are
continuous, and the scale goes from their 1% quantile to their 99% quantile."""

MIN_USERS = 20
"""With fewer users, every level belongs to the scale: one user is then too large a share to be an error."""

COUNTS_POSITIVE = 0.1
"""Ratings of 0 and more are counts if fewer than this share would be positive by their position on the scale,
and half of them lie in the lowest quarter."""

HIGHEST_SCORE = 10
"""A scale that ends above it may be counts of a narrow range, which their values alone do not show."""

COUNT_QUANTILES = np.array([0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 0.95, 0.99])
"""Where the weights of counts have their knots."""


@dataclass(frozen=True)
class RatingScale:
    """What the ratings of one data set mean."""

    knots: Floats
    """(m, 2): rating, weight; interpolated linearly and clamped at both ends."""

    positive_from: float
    """The lowest positive rating."""

    def weights(self, values: Floats) -> Floats:
        """Return the weight of each rating in a bag, (n,)."""
        return np.interp(values, self.knots[:, 0], self.knots[:, 1]).astype(np.float32)

    def targets(self, values: Floats) -> Floats:
        """Return the weight of each rating as a target, (n,); 0 if it is not positive."""
        targets: Floats = np.where(values >= self.positive_from, self.weights(values), np.float32(0.0))
        return targets


@dataclass(frozen=True)
class Ends:
    """The lowest and the highest rating of a scale, and the ratings that may be the lowest positive one."""

    low: float
    high: float
    levels: Floats
    """Ascending."""

    positive_from: float
    """The lowest level that is positive by its position on the scale."""

    is_counts: bool = False


def infer_scale(
    values: Floats, config: DchConfig, *, graded: bool, users: NDArray[np.int32] | None = None
) -> RatingScale:
    """Derive the scale from the ratings that many users give; what the settings give overrides it.

    Args:
        values: (n,) ratings, n at least 1.
        config: the settings.
        graded: weigh ratings by their value; False gives each the weight 1.
        users: (n,) row of the user of each rating; None: each rating is by another user.

    Raises:
        RatingsError: no rating is positive.
    """
    ends, highest = find_ends(values, users), float(values.max())
    positive_from = ends.positive_from if config.positive_from is None else config.positive_from
    if positive_from > highest:
        found = f"the highest is {highest:g}, positive_from is {positive_from:g}"
        raise RatingsError(f"no rating is positive: {found}; lower positive_from")
    return RatingScale(_knots(values, ends, config, graded), positive_from)


def find_ends(values: Floats, users: NDArray[np.int32] | None = None) -> Ends:
    """Return the ends of the scale of ratings, (n,); see ``infer_scale`` for the arguments."""
    levels, is_used, n_users = _levels(values, users)
    if is_used[np.searchsorted(levels, values)].mean() >= LEVEL_RATINGS:
        levels = levels[is_used]
        low, high = float(levels[0]), float(levels[-1])
    else:
        cut = max(1, int((1 - LEVEL_RATINGS) * len(values))) if n_users >= MIN_USERS else 0
        in_order = np.sort(values)
        low, high = float(in_order[cut]), float(in_order[-1 - cut])
    positive_from = float(levels[levels >= low + POSITIVE_FRACTION * (high - low)][0])
    if _are_counts(values, low, high, positive_from):
        above_0 = levels[(levels > 0) & (levels >= low)]
        return Ends(low, high, levels, float(above_0[0]), is_counts=True)
    return Ends(low, high, levels, positive_from)


def describe(scale: RatingScale, values: Floats, users: NDArray[np.int32] | None = None) -> str:
    """Return a sentence that says which ratings are positive, how many, and what helps if they are counts.

    Args:
        scale: the scale.
        values: (n,) ratings.
        users: (n,) row of the user of each rating; None: each rating is by another user.
    """
    n_positive = int((values >= scale.positive_from).sum())
    said = f"{n_positive:,} of {len(values):,} ratings are positive: those from {scale.positive_from:g} up"
    if values.max() <= HIGHEST_SCORE:
        return said  # without a look for the ends, which takes a while
    ends = find_ends(values, users)
    is_by_position = not ends.is_counts and 0 <= ends.low < ends.high
    if not is_by_position or ends.high <= HIGHEST_SCORE or scale.positive_from != ends.positive_from:
        return said
    return (
        f"{said}; they are taken as a scale from {ends.low:g} to {ends.high:g}; if these are counts, "
        f"{option_text('rating_column', NONE)} makes each line count 1"
    )


def oddities(values: Floats, users: NDArray[np.int32] | None = None) -> list[str]:
    """Return sentences about ratings that are no scale, or lie far outside of it."""
    ends = find_ends(values, users)
    if ends.is_counts:
        return [
            f"the ratings are counts, half of them up to {np.median(values):g} and the largest "
            f"{values.max():g}: all above 0 are positive, with weights by rank"
        ]
    margin = 0.25 * (ends.high - ends.low)
    is_outside = (values < ends.low - margin) | (values > ends.high + margin)
    if not is_outside.any():
        return []
    farthest = values[np.abs(values - (ends.low + ends.high) / 2).argmax()]
    return [
        f"{int(is_outside.sum()):,} of {len(values):,} ratings lie far outside of the scale {ends.low:g} to "
        f"{ends.high:g} that others use, such as {farthest:g}; they count as its ends"
    ]


def _levels(values: Floats, users: NDArray[np.int32] | None) -> tuple[Floats, NDArray[np.bool_], int]:
    """Return the distinct ratings, whether enough users use each, and the number of users."""
    levels, level_of = np.unique(values, return_inverse=True)
    if users is None:
        n_users, n_of_level = len(values), np.bincount(level_of)
    else:
        n_users = len(np.unique(users))
        pairs = np.unique(users.astype(np.int64) * len(levels) + level_of)
        n_of_level = np.bincount(pairs % len(levels), minlength=len(levels))
    needed = max(2.0, LEVEL_USERS * n_users) if n_users >= MIN_USERS else 1.0
    return levels, n_of_level >= needed, n_users


def _are_counts(values: Floats, low: float, high: float, positive_from: float) -> bool:
    is_skewed = low >= 0 and float(np.median(values)) <= low + 0.25 * (high - low)
    return low < high and is_skewed and float((values >= positive_from).mean()) < COUNTS_POSITIVE


def _knots(values: Floats, ends: Ends, config: DchConfig, graded: bool) -> Floats:
    if config.rating_knots is not None:
        return np.array(config.rating_knots, np.float32)
    if ends.low == ends.high or not graded:
        return np.array([[ends.high, 1.0]], np.float32)
    if ends.is_counts:
        return _knots_by_rank(values)
    return np.array(
        [(ends.low + fraction * (ends.high - ends.low), weight) for fraction, weight in GRADED_WEIGHTS],
        np.float32,
    )


def _knots_by_rank(values: Floats) -> Floats:
    """Return knots that give a rating the weight of its rank; equal ones share their middle rank."""
    in_order = np.sort(values)
    chosen = np.unique(in_order[np.rint(COUNT_QUANTILES * (len(values) - 1)).astype(np.int64)])
    ranks = (np.searchsorted(in_order, chosen, "left") + np.searchsorted(in_order, chosen, "right")) / 2
    weights = np.interp(ranks / len(values), *np.array(GRADED_WEIGHTS).T)
    return np.column_stack((chosen, weights)).astype(np.float32)
