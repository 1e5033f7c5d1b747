"""Two-stage hashing: factors in full precision first, then their codes, by median or by rotation.

The factors stand still, so what a method of full precision knows about new users and items, its own fold-in,
comes along: their vectors are coded like those of the fit.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dch.data.ratings import Ratings
from dch.experiments.baselines.binary import BinaryScorer, Floats, to_codes
from dch.training.initial_weights import itq


class Vectors(Protocol):
    """A fitted method whose users and items are vectors, such as ``FittedIals``."""

    def vectors(self, given: Ratings) -> tuple[Floats, Floats]:
        """Return (n_users, factors) and (n_items, factors), NaN where nothing is known.

        Args:
            given: ratings that came after the fit.
        """
        ...


@dataclass(frozen=True)
class FittedMedian:
    """Each dimension cut at its median over the fitted rows of that side."""

    real: Vectors

    medians: tuple[Floats, Floats]
    """(factors,) of the users and (factors,) of the items."""

    def fold_in(self, given: Ratings) -> BinaryScorer:
        """Return the scores that hold once these ratings have come too: new vectors, the same medians."""
        users, items = self.real.vectors(given)
        return BinaryScorer(to_codes(users - self.medians[0]), to_codes(items - self.medians[1]))


@dataclass(frozen=True)
class FittedItq:
    """Both sides turned by one rotation, then their signs."""

    real: Vectors

    rotation: Floats
    """(factors, bits)."""

    def fold_in(self, given: Ratings) -> BinaryScorer:
        """Return the scores that hold once these ratings have come too: new vectors, the same rotation."""
        users, items = self.real.vectors(given)
        return BinaryScorer(to_codes(users @ self.rotation), to_codes(items @ self.rotation))


def fit_median(train: Ratings, real: Vectors) -> FittedMedian:
    """Find the medians; each bit is then on for half of the fitted users, and half of the fitted items.

    Args:
        train: the ratings that the vectors were fitted on.
        real: the vectors; a code has as many bits as they have dimensions.

    Source:
        Zhou and Zha, "Learning binary codes for collaborative filtering" (KDD 2012), its rounding by medians.
    """
    users, items = _fitted(train, real)
    return FittedMedian(real, (np.median(users, axis=0), np.median(items, axis=0)))


def fit_itq(train: Ratings, real: Vectors, *, bits: int = 64, seed: int = 0) -> FittedItq:
    """Find the rotation that brings the vectors of both sides near to their signs.

    The vectors are brought to one length first, so that the active and the popular do not rule the rotation.
    They are not centred: with one rotation and no shift the products stay as they were fitted.

    Args:
        train: the ratings that the vectors were fitted on.
        real: the vectors.
        bits: length of a code.
        seed: first rotation.

    Source:
        Gong and Lazebnik, "Iterative quantization" (CVPR 2011); here fitted on both sides together.
    """
    vectors = np.concatenate(_fitted(train, real))
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return FittedItq(real, itq(vectors / lengths, bits, np.random.default_rng(seed)))


def _fitted(train: Ratings, real: Vectors) -> tuple[Floats, Floats]:
    """Return the vectors of the known users and of the known items."""
    users, items = real.vectors(train.subset(np.zeros(len(train), np.bool_)))
    return users[~np.isnan(users).any(axis=1)], items[~np.isnan(items).any(axis=1)]
