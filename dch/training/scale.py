"""The rating scale: from which rating on an item counts as liked, and what a rating weighs in a bag."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dch.config import DchConfig
from dch.errors import RatingsError

Floats = NDArray[np.float32]

LIKED_PLACE = 0.75
"""Place of the lowest liked rating on a scale from 0 to 1: 4.0 on a scale of 1 to 5."""

GRADED = ((0.0, 0.1), (0.25, 0.2), (0.5, 0.5), (0.75, 1.0), (1.0, 1.5))
"""(place on the scale, weight): a low rating still says that the user chose the item."""


@dataclass(frozen=True)
class Scale:
    """What a rating means in one data set."""

    knots: Floats
    """(m, 2): rating, weight; interpolated linearly and clamped at both ends."""

    positive_from: float
    """The lowest rating that counts as liked."""

    def weights(self, values: Floats) -> Floats:
        """Return the weight of each rating in a bag, (n,)."""
        return np.interp(values, self.knots[:, 0], self.knots[:, 1]).astype(np.float32)

    def targets(self, values: Floats) -> Floats:
        """Return the weight of each rating as a target: 0 where it is not liked, (n,)."""
        liked: Floats = np.where(values >= self.positive_from, self.weights(values), np.float32(0.0))
        return liked


def read_scale(values: Floats, config: DchConfig, *, graded: bool) -> Scale:
    """Place the ratings of a data set on a scale from the lowest to the highest found.

    Raises:
        RatingsError: no rating counts as liked.
    """
    low, high = float(values.min()), float(values.max())
    positive_from = (
        _positive_from(values, low, high) if config.positive_from is None else config.positive_from
    )
    if positive_from > high:
        found = f"the highest is {high:g}, positive_from is {positive_from:g}"
        raise RatingsError(f"no rating is liked: {found}; lower positive_from")
    return Scale(_knots(low, high, config, graded), positive_from)


def _positive_from(values: Floats, low: float, high: float) -> float:
    levels = np.unique(values)
    return float(levels[levels >= low + LIKED_PLACE * (high - low)][0])


def _knots(low: float, high: float, config: DchConfig, graded: bool) -> Floats:
    if config.rating_knots is not None:
        return np.array(config.rating_knots, np.float32)
    if low == high or not graded:
        return np.array([[high, 1.0]], np.float32)
    return np.array([(low + place * (high - low), weight) for place, weight in GRADED], np.float32)
