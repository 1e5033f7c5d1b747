"""Collaborative hashing (CH): factors of the zero-filled ratings, rotated until they are near their codes.

The ratings matrix S (0 where there is no rating) is factorised first by its largest singular values:
S ~ P Sigma Q^T. The factors of a user are the least squares solution of a row of S onto Q, those of an item
the solution of a column onto P:

    U = S Q = P Sigma     V = S^T P = Q Sigma

Then the codes and one rotation for both sides are optimised in turn:

    minimise  |B - U R|^2 + |D - V R|^2
    where     B, D in {-1, 1}, R^T R = I

R rotates both sides, so it changes no product u . v of the factorisation while it brings factors nearer to
codes. A code is a linear hash function of a row or a column of S, so new users and new items get codes too.

Source:
    Liu, He, Deng, Lang, "Collaborative hashing" (CVPR 2014). Their loss combines the quantisation error of
    both sides with the error of products of codes. Here the factorisation alone fits the products, and only
    the quantisation error is minimised. U and V are each scaled to a mean square of 1, so that both sides
    have the same weight. The published table has no figures of CH for most cells of new users and new
    items; here all cells have one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.errors import ConfigError
from dch.experiments.baselines.binary import BinaryScorer, Floats, SignCodes, to_codes
from dch.experiments.baselines.optional_packages import needed_by
from dch.experiments.baselines.rating_matrix import TrainedIds, join, scatter, weight_matrix
from dch.training.rating_weights import RatingScale

LOWEST_WEIGHT = 0.2
"""Weight of the lowest rating of the scale; the highest weighs 1, as for ratings of 1 to 5 divided by 5."""

SETTLED = 1e-4
"""The search ends when no element of the rotation changes by more than this."""


@dataclass(frozen=True)
class Factors:
    """The factors of both sides, and the matrices that map ratings to factors."""

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
    """The factors of the users and items of the training ratings, and the rotation to codes."""

    train: Ratings
    scale: RatingScale
    trained: TrainedIds
    factors: Factors

    rotation: Floats
    """R, (bits, bits)."""

    def fold_in(self, given: Ratings) -> BinaryScorer:
        """Return the scores after these ratings.

        A user's factors are the least squares solution for all ratings of known items, zeros included;
        without given ratings they are U. New items get factors the same way from known users. Known items
        do not change.
        """
        known, train = self.trained, self.train
        both = join(train, given)
        rows = np.unique(both.users[np.isin(both.items, known.items)]).astype(np.int64)
        rated = weight_matrix(both, self.scale, rows, known.items)
        users = scatter(rated @ self.factors.to_user, rows, train.n_users)
        items = scatter(self.factors.items, known.items, train.n_items)
        of_new = np.isin(given.users, known.users) & ~np.isin(given.items, known.items)
        rows = np.unique(given.items[of_new]).astype(np.int64)
        items[rows] = weight_matrix(given, self.scale, known.users, rows).T @ self.factors.to_item
        return BinaryScorer(to_codes(users @ self.rotation), to_codes(items @ self.rotation))


def fit_ch(train: Ratings, *, bits: int = 64, sweeps: int = 50, seed: int = 0) -> FittedCh:
    """Factorise the ratings and rotate the factors towards their codes.

    Args:
        train: the ratings to learn from.
        bits: length of a code and number of factors.
        sweeps: maximal number of sweeps over codes and rotation; see SETTLED.
        seed: of the first rotation.

    Raises:
        ConfigError: there are not more users and items than bits.
        MissingExtraError: scipy is not installed.
    """
    trained, scale = TrainedIds.of(train), _rating_scale(train.values)
    rated = weight_matrix(train, scale, trained.users, trained.items)
    factors = factorise(rated, bits)
    rotation = find_rotation(factors, np.random.default_rng(seed), sweeps=sweeps)
    return FittedCh(train, scale, trained, factors, rotation)


def factorise(rated: Any, bits: int) -> Factors:  # noqa: ANN401 - scipy has no types
    """Return the least squares factorisation of a sparse (n, m) matrix, zeros included.

    Raises:
        ConfigError: there are not more rows and columns than bits.
        MissingExtraError: scipy is not installed.
    """
    if min(rated.shape) <= bits:
        n, m = rated.shape
        raise ConfigError(
            f"CH needs more than {bits} users and items for {bits} bits, got {n} and {m}; use fewer bits"
        )
    start = np.random.default_rng(0).standard_normal(min(rated.shape))  # any: there is one optimum
    with needed_by("CH", "scipy"):
        from scipy.sparse.linalg import svds  # type: ignore[import-untyped]
    left, _, right = svds(rated.astype(np.float64), k=bits, v0=start)
    users, to_user = _scaled(rated @ right.T, right.T)
    items, to_item = _scaled(rated.T @ left, left)
    return Factors(users, items, to_user, to_item)


def find_rotation(factors: Factors, rng: np.random.Generator, *, sweeps: int) -> Floats:
    """Return the rotation, (bits, bits), found by optimising codes and rotation in turn."""
    bits = factors.users.shape[1]
    rotation = nearest_rotation(rng.standard_normal((bits, bits)))
    for _ in range(sweeps):
        before, rotation = rotation, best_rotation(factors, *code_both(factors, rotation))
        if np.allclose(before, rotation, atol=SETTLED):
            break
    return rotation


def code_both(factors: Factors, rotation: Floats) -> tuple[SignCodes, SignCodes]:
    """Return the codes of users and items that are nearest to the rotated factors."""
    return to_codes(factors.users @ rotation), to_codes(factors.items @ rotation)


def best_rotation(factors: Factors, users: SignCodes, items: SignCodes) -> Floats:
    """Return the rotation that brings the factors nearest to these codes (orthogonal Procrustes)."""
    return nearest_rotation(factors.users.T @ users + factors.items.T @ items)


def nearest_rotation(matrix: NDArray[Any]) -> Floats:
    """Return the orthonormal matrix nearest to a square one; it may include a reflection."""
    left, _, right = np.linalg.svd(matrix)
    nearest: Floats = (left @ right).astype(np.float32)
    return nearest


def objective(factors: Factors, rotation: Floats, users: SignCodes, items: SignCodes) -> float:
    """Return the objective |B - U R|^2 + |D - V R|^2."""
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
    """Return both arrays divided by the root mean square of the factors."""
    size = np.sqrt(np.square(factors).mean())
    return (factors / size).astype(np.float32), (directions / size).astype(np.float32)
