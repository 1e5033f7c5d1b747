"""The alternating optimisation of DCF: the codes and delegates of both sides in turn.

With ratings scaled to S_ij in [-bits, bits], codes b_i, d_j in {-1, 1}^bits and their delegates X, Y:

    minimise  sum over ratings (S_ij - b_i . d_j)^2 + alpha |B - X|^2 + beta |D - Y|^2
    where     X^T 1 = 0, X^T X = n_users I, Y^T 1 = 0, Y^T Y = n_items I

All rows of B and D have the same length and X and Y have a fixed norm, so up to a constant the last two
terms are -2 alpha tr(B^T X) - 2 beta tr(D^T Y). The same problem over real vectors is the relaxed problem;
its solution is the start. X and Y, the delegates, are the balanced and decorrelated matrices that codes are
pulled to.

Source:
    Zhang, Shen, Liu, He, Luan, Chua, "Discrete collaborative filtering" (SIGIR 2016). Here the relaxed
    problem is solved by coordinate descent, there by gradient descent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings, Rows
from dch.errors import ConfigError
from dch.experiments.baselines.binary import Floats, to_codes
from dch.experiments.baselines.dcf_steps import FixedSide, RowSelection, descend, relax, squared_error

BIT_SWEEPS = 5
"""Sweeps over the bits of one side before the other side is optimised, as in the authors' program."""

RANK_TOLERANCE = 1e-5
"""Singular values below this share of the largest count as zero."""


@dataclass(frozen=True)
class Problem:
    """The data and weights of the problem, by side: users first, then items."""

    rated: tuple[Rows, Rows]
    """Scaled ratings by user and by item, over the rows of the id tables."""

    weights: tuple[float, float]
    """alpha and beta; a side with weight 0 has no delegates."""

    @classmethod
    def of(cls, scaled: Ratings, alpha: float, beta: float) -> "Problem":
        """Return the problem for scaled ratings."""
        return cls((scaled.by_user, scaled.by_item), (alpha, beta))

    def rows(self, side: int) -> RowSelection:
        """Return the rows of a side that have a rating."""
        return np.flatnonzero(self.rated[side].counts())


@dataclass
class Solution:
    """Codes, or the real vectors of the relaxed problem, and delegates; rows without a rating are 0."""

    vectors: tuple[NDArray[Any], NDArray[Any]]
    """(n_users, bits) and (n_items, bits), int8 or float32; changed in place."""

    delegates: list[Floats]
    """(n_users, bits) and (n_items, bits)."""


def objective(problem: Problem, solution: Solution) -> float:
    """Return the objective for codes or for real vectors."""
    total = squared_error(problem.rated[0], *solution.vectors)
    for side in (0, 1):
        gap = solution.vectors[side] - solution.delegates[side].astype(np.float64)
        total += problem.weights[side] * float(np.square(gap).sum())
    return total


def take_round(problem: Problem, solution: Solution) -> Iterator[int]:
    """Improve each of B, D, X and Y in turn; no step increases the objective.

    Yields:
        After each step, the number of bits that flipped; 0 for real vectors.
    """
    for side in (0, 1):
        own, weight = solution.vectors[side], problem.weights[side]
        fixed = FixedSide(problem.rated[side], solution.vectors[1 - side], weight * solution.delegates[side])
        if own.dtype == np.int8:
            yield descend(problem.rows(side), fixed, own, sweeps=BIT_SWEEPS)
        else:
            relax(problem.rows(side), fixed, own, ridge=weight, sweeps=1)
            yield 0
    for side in (0, 1):
        update_delegates(problem, solution, side)
        yield 0


def update_delegates(problem: Problem, solution: Solution, side: int) -> None:
    """Set the delegates of one side to their optimum, if the side has delegates."""
    if problem.weights[side]:
        rows = problem.rows(side)
        solution.delegates[side][rows] = delegates(solution.vectors[side][rows])


def relaxed_start(problem: Problem, bits: int, rng: np.random.Generator) -> Solution:
    """Return random real vectors and their delegates."""
    vectors = []
    for side in (0, 1):
        vectors.append(np.zeros((len(problem.rated[side]), bits), np.float32))
        rows = problem.rows(side)
        vectors[side][rows] = rng.standard_normal((len(rows), bits), dtype=np.float32)
    start = Solution((vectors[0], vectors[1]), [np.zeros_like(own) for own in vectors])
    for side in (0, 1):
        update_delegates(problem, start, side)
    return start


def signed(problem: Problem, relaxed: Solution) -> Solution:
    """Return the signs of real vectors, with the same delegates."""
    codes = []
    for side in (0, 1):
        rows = problem.rows(side)
        codes.append(np.zeros(relaxed.vectors[side].shape, np.int8))
        codes[side][rows] = to_codes(relaxed.vectors[side][rows])
    return Solution((codes[0], codes[1]), list(relaxed.delegates))


def delegates(codes: NDArray[Any]) -> Floats:
    """Return the balanced, decorrelated matrix X nearest to the codes B, which maximises tr(B^T X).

    Args:
        codes: (n, bits) codes or real vectors, with n > bits.

    Returns:
        (n, bits) float32 with X^T 1 = 0 and X^T X = n I.

    Raises:
        ConfigError: there are not more rows than bits.

    Source:
        Zhang et al. 2016, the X-subproblem: the singular vectors of the centred codes; those of singular
        value 0 are replaced by any that are orthonormal and balanced (by Gram-Schmidt; here by QR).
    """
    n, bits = codes.shape
    if n <= bits:
        raise ConfigError(
            f"DCF needs more than {bits} users and items for {bits} bits, got {n}; use fewer bits"
        )
    centred = codes - codes.mean(axis=0, dtype=np.float64)
    # eigenvectors of a bits x bits matrix: much faster than the SVD of the n x bits matrix
    squares, right = np.linalg.eigh(centred.T @ centred)
    kept = squares > RANK_TOLERANCE**2 * max(squares[-1], 1.0)
    left = centred @ (right[:, kept] / np.sqrt(squares[kept]))  # (n, rank)
    right = np.hstack([right[:, kept], right[:, ~kept]])
    left = np.hstack([left, _balanced(left, bits - left.shape[1])])
    nearest: Floats = (np.sqrt(n) * (left @ right.T)).astype(np.float32)
    return nearest


def _balanced(basis: NDArray[np.float64], n_more: int) -> NDArray[np.float64]:
    """Return more columns, orthonormal to each other, to the basis and to the vector of ones."""
    n, rank = basis.shape
    if not n_more:
        return np.empty((n, 0))
    sampled = np.random.default_rng(0).standard_normal((n, n_more))  # any: the optimum is the same
    ones = np.full((n, 1), 1 / np.sqrt(n))
    return np.linalg.qr(np.hstack([ones, basis, sampled]))[0][:, 1 + rank :]
