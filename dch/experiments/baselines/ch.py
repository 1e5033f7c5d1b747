"""Collaborative hashing (CH): factors of the zero-filled ratings, turned until they lie near their codes.

The ratings matrix S (a rating that was not given is 0) is factorised first, by its largest singular values
S ~ P Sigma Q^T. The factors of a user are the least squares of a row of S onto Q, those of an item are the
same of a column onto P:

    U = S Q = P Sigma     V = S^T P = Q Sigma

Then one rotation for both sides and the codes are found in turn:

    minimise  |B - U R|^2 + |D - V R|^2
    where     B, D in {-1, 1}, R^T R = I

R turns both sides, so every product u . v stays as it was factorised while codes move nearer to it. A code is
thus a linear hash function of a row or column of S, and places new users and new items too.

Source:
    Liu, He, Deng, Lang, "Collaborative hashing" (CVPR 2014). Theirs weighs the quantisation of both sides
    against the error of products of codes in one loss; here products are the business of the factorisation
    alone, and what is minimised is quantisation. U and V are each scaled to a mean square of 1, so that
    neither side outweighs the other. The table that this is compared with leaves most cells of CH for new
    users and new items empty; here all can be filled.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.errors import ConfigError
from dch.experiments.baselines.binary import BinaryScorer, Codes, Floats, to_codes
from dch.experiments.baselines.optional_packages import need
from dch.experiments.baselines.rating_matrix import TrainedIds, join, spread, weight_matrix
from dch.training.rating_scale import RatingScale

LOWEST_WEIGHT = 0.2
"""What the lowest rating of the scale counts for, the highest 1: ratings of 1 to 5 divided by 5."""

SETTLED = 1e-4
"""A rotation whose elements move less than this has settled."""


@dataclass(frozen=True)
class Factors:
    """Factors of both sides, and what ratings are multiplied with to get them."""

    users: Floats
    """U, (n, bits), mean square 1."""

    items: Floats
    """V, (m, bits), mean square 1."""

    to_user: Floats
    """Q, scaled, (m, bits): a row of ratings times this is a user's factors."""

    to_item: Floats
    """P, scaled, (n, bits): a column of ratings times this is an item's factors."""


@dataclass(frozen=True)
class FittedCh:
    """Factors of the users and items of the training ratings, and the rotation to their codes."""

    train: Ratings
    scale: RatingScale
    vocabulary: TrainedIds
    factors: Factors

    rotation: Floats
    """R, (bits, bits)."""

    def fold_in(self, given: Ratings) -> BinaryScorer:
        """Return the scores that hold once these ratings have come too.

        A user's factors are the least squares of all ratings of known items, zeros included; for the training
        ratings that is U again. New items are placed the same way by known users; known items stay.
        """
        known, train = self.vocabulary, self.train
        both = join(train, given)
        rows = np.unique(both.users[np.isin(both.items, known.items)]).astype(np.int64)
        rated = weight_matrix(both, self.scale, rows, known.items)
        users = spread(rated @ self.factors.to_user, rows, train.n_users)
        items = spread(self.factors.items, known.items, train.n_items)
        of_new = np.isin(given.users, known.users) & ~np.isin(given.items, known.items)
        rows = np.unique(given.items[of_new]).astype(np.int64)
        items[rows] = weight_matrix(given, self.scale, known.users, rows).T @ self.factors.to_item
        return BinaryScorer(to_codes(users @ self.rotation), to_codes(items @ self.rotation))


def fit_ch(train: Ratings, *, bits: int = 64, sweeps: int = 50, seed: int = 0) -> FittedCh:
    """Factorise the ratings and rotate the factors to their codes.

    Args:
        train: the ratings to learn from.
        bits: length of a code, and number of factors.
        sweeps: over codes and rotation, at most; it ends when the rotation has settled.
        seed: first rotation.

    Raises:
        ConfigError: there are not more users and items than bits.
        MissingExtraError: scipy is not installed.
    """
    vocabulary, scale = TrainedIds.of(train), _rating_scale(train.values)
    rated = weight_matrix(train, scale, vocabulary.users, vocabulary.items)
    factors = factorise(rated, bits)
    rotation = find_rotation(factors, np.random.default_rng(seed), sweeps=sweeps)
    return FittedCh(train, scale, vocabulary, factors, rotation)


def factorise(rated: Any, bits: int) -> Factors:  # noqa: ANN401 - scipy has no types
    """Return the factorisation of a sparse matrix, (n, m), that is best in least squares, zeros included.

    Raises:
        ConfigError: there are not more rows and columns than bits.
        MissingExtraError: scipy is not installed.
    """
    if min(rated.shape) <= bits:
        n, m = rated.shape
        raise ConfigError(
            f"CH needs more than {bits} users and items for {bits} bits, got {n} and {m}; use fewer"
        )
    start = np.random.default_rng(0).standard_normal(min(rated.shape))  # any will do: the optimum is one
    svds = need("scipy.sparse.linalg", "CH").svds
    left, _, right = svds(rated.astype(np.float64), k=bits, v0=start)
    users, to_user = _scaled(rated @ right.T, right.T)
    items, to_item = _scaled(rated.T @ left, left)
    return Factors(users, items, to_user, to_item)


def find_rotation(factors: Factors, rng: np.random.Generator, *, sweeps: int) -> Floats:
    """Return the rotation, (bits, bits), that is found by making codes and rotation optimal in turn."""
    bits = factors.users.shape[1]
    rotation = nearest_rotation(rng.standard_normal((bits, bits)))
    for _ in range(sweeps):
        before, rotation = rotation, turn(factors, *code_both(factors, rotation))
        if np.allclose(before, rotation, atol=SETTLED):
            break
    return rotation


def code_both(factors: Factors, rotation: Floats) -> tuple[Codes, Codes]:
    """Return the codes of users and items that are nearest to the turned factors."""
    return to_codes(factors.users @ rotation), to_codes(factors.items @ rotation)


def turn(factors: Factors, users: Codes, items: Codes) -> Floats:
    """Return the rotation that brings the factors nearest to these codes (orthogonal Procrustes)."""
    return nearest_rotation(factors.users.T @ users + factors.items.T @ items)


def nearest_rotation(matrix: NDArray[Any]) -> Floats:
    """Return the orthonormal matrix nearest to a square one; it may hold a reflection."""
    left, _, right = np.linalg.svd(matrix)
    nearest: Floats = (left @ right).astype(np.float32)
    return nearest


def objective(factors: Factors, rotation: Floats, users: Codes, items: Codes) -> float:
    """Return what is minimised: |B - U R|^2 + |D - V R|^2."""
    gaps = (
        users - factors.users.astype(np.float64) @ rotation,
        items - factors.items.astype(np.float64) @ rotation,
    )
    return float(sum(np.square(gap).sum() for gap in gaps))


def _rating_scale(values: Floats) -> RatingScale:
    low, high = float(values.min()), float(values.max())
    knots = [(low, LOWEST_WEIGHT), (high, 1.0)] if low < high else [(high, 1.0)]
    return RatingScale(np.array(knots, np.float32), high)


def _scaled(factors: Floats, directions: Floats) -> tuple[Floats, Floats]:
    """Return both divided by the root mean square of the factors."""
    size = np.sqrt(np.square(factors).mean())
    return (factors / size).astype(np.float32), (directions / size).astype(np.float32)
