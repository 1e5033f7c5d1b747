"""The rating scale: which ratings are positive, and the weight of a rating in a bag."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.errors import RatingsError

Floats = NDArray[np.float32]

LIKED_FRACTION = 0.75
"""Lowest positive rating, between the lowest (0) and the highest (1) rating: 4.0 on a scale of 1 to 5."""

GRADED_WEIGHTS = ((0.0, 0.1), (0.25, 0.2), (0.5, 0.5), (0.75, 1.0), (1.0, 1.5))
"""(fraction of the scale, weight). The lowest weight is above 0: even a low rating shows a user's choice."""


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
        liked: Floats = np.where(values >= self.positive_from, self.weights(values), np.float32(0.0))
        return liked


def infer_scale(values: Floats, config: DchConfig, *, graded: bool) -> RatingScale:
    """Derive the scale from the lowest and the highest rating found; what the settings give overrides it.

    Args:
        values: (n,) ratings, n at least 1.
        config: the settings.
        graded: weigh ratings by their value; False gives each the weight 1.

    Raises:
        RatingsError: no rating is positive.
    """
    low, high = float(values.min()), float(values.max())
    positive_from = (
        _positive_from(values, low, high) if config.positive_from is None else config.positive_from
    )
    if positive_from > high:
        found = f"the highest is {high:g}, positive_from is {positive_from:g}"
        raise RatingsError(f"no rating is positive: {found}; lower positive_from")
    return RatingScale(_knots(low, high, config, graded), positive_from)


def _positive_from(values: Floats, low: float, high: float) -> float:
    levels = np.unique(values)
    return float(levels[levels >= low + LIKED_FRACTION * (high - low)][0])


def _knots(low: float, high: float, config: DchConfig, graded: bool) -> Floats:
    if config.rating_knots is not None:
        return np.array(config.rating_knots, np.float32)
    if low == high or not graded:
        return np.array([[high, 1.0]], np.float32)
    return np.array(
        [(low + fraction * (high - low), weight) for fraction, weight in GRADED_WEIGHTS], np.float32
    )
