"""Two-stage hashing: factors in full precision first, then codes of them, by medians or by a rotation.

The second stage does not change the factors, so the fold-in of the full-precision method still works:
vectors of new users and items are coded like those of the fit.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dch.data.ratings import Ratings
from dch.experiments.baselines.binary import BinaryScorer, Floats, to_codes
from dch.training.initial_weights import itq


class Vectors(Protocol):
    """A fitted baseline whose users and items are vectors, such as ``FittedIals``."""

    def vectors(self, given: Ratings) -> tuple[Floats, Floats]:
        """Return (n_users, factors) and (n_items, factors), NaN for unknown users and items.

        Args:
            given: ratings after the fit.
        """
        ...


@dataclass(frozen=True)
class FittedMedian:
    """Vectors, and the thresholds of their dimensions: the medians over the fitted rows of each side."""

    real: Vectors

    medians: tuple[Floats, Floats]
    """(factors,) of the users and (factors,) of the items."""

    def fold_in(self, given: Ratings) -> BinaryScorer:
        """Return the scores after these ratings: from new vectors with the same medians."""
        users, items = self.real.vectors(given)
        return BinaryScorer(to_codes(users - self.medians[0]), to_codes(items - self.medians[1]))


@dataclass(frozen=True)
class FittedItq:
    """Vectors, and one rotation for both sides; codes are the signs of rotated vectors."""

    real: Vectors

    rotation: Floats
    """(factors, bits)."""

    def fold_in(self, given: Ratings) -> BinaryScorer:
        """Return the scores after these ratings: from new vectors with the same rotation."""
        users, items = self.real.vectors(given)
        return BinaryScorer(to_codes(users @ self.rotation), to_codes(items @ self.rotation))


def fit_median(train: Ratings, real: Vectors) -> FittedMedian:
    """Find the medians, so that each bit is on for half of the fitted users and half of the fitted items.

    Args:
        train: the ratings that the vectors were fitted to.
        real: the vectors; a code has one bit per dimension.

    Source:
        Zhou and Zha, "Learning binary codes for collaborative filtering" (KDD 2012), rounding by medians.
    """
    users, items = _fitted(train, real)
    return FittedMedian(real, (np.median(users, axis=0), np.median(items, axis=0)))


def fit_itq(train: Ratings, real: Vectors, *, bits: int = 64, seed: int = 0) -> FittedItq:
    """Find the rotation that brings the vectors of both sides near their signs.

    The vectors are scaled to unit length first, so that active users and popular items do not dominate the
    rotation. They are not centred: a rotation without a shift keeps the fitted products.

    Args:
        train: the ratings that the vectors were fitted to.
        real: the vectors.
        bits: length of a code.
        seed: of the first rotation.

    Source:
        Gong and Lazebnik, "Iterative quantization" (CVPR 2011); here fitted on both sides together.
    """
    vectors = np.concatenate(_fitted(train, real))
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return FittedItq(real, itq(vectors / lengths, bits, np.random.default_rng(seed)))


def _fitted(train: Ratings, real: Vectors) -> tuple[Floats, Floats]:
    """Return the vectors of the known users and those of the known items."""
    users, items = real.vectors(train.subset(np.zeros(len(train), np.bool_)))
    return users[~np.isnan(users).any(axis=1)], items[~np.isnan(items).any(axis=1)]
