"""The alternation of discrete collaborative filtering: codes and delegates of both sides in turn.

With ratings scaled to S_ij in [-bits, bits], codes b_i, d_j in {-1, 1}^bits and their delegates X, Y:

    minimise  sum over ratings (S_ij - b_i . d_j)^2 + alpha |B - X|^2 + beta |D - Y|^2
    where     X^T 1 = 0, X^T X = n_users I, Y^T 1 = 0, Y^T Y = n_items I

Rows of B and D have one length and X, Y one norm, so the last two terms are -2 alpha tr(B^T X)
- 2 beta tr(D^T Y) and a constant. Over real vectors the same is the relaxed problem that gives the start.

Source:
    Zhang, Shen, Liu, He, Luan, Chua, "Discrete collaborative filtering" (SIGIR 2016). Here the relaxed
    problem is solved by coordinate descent instead of gradient descent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings, Rows
from dch.experiments.baselines.binary import Floats, to_codes
from dch.experiments.baselines.dcf_delegates import delegates
from dch.experiments.baselines.dcf_steps import Fixed, RowNumbers, descend, relax, squared_error

BIT_SWEEPS = 5
"""Sweeps over the bits of a row before the other side has its turn, as in the authors' program."""


@dataclass(frozen=True)
class Problem:
    """What is minimised, by side: users first, then items."""

    rated: tuple[Rows, Rows]
    """Scaled ratings by user and by item, over the rows of the id tables."""

    weights: tuple[float, float]
    """alpha and beta; with 0 there are no delegates."""

    @classmethod
    def of(cls, scaled: Ratings, alpha: float, beta: float) -> "Problem":
        """Pose the problem for scaled ratings."""
        return cls((scaled.by_user, scaled.by_item), (alpha, beta))

    def rows(self, side: int) -> RowNumbers:
        """Return the rows with a rating."""
        return np.flatnonzero(self.rated[side].counts())


@dataclass
class Solution:
    """Codes, or real vectors on the way to them, and delegates; rows without a rating are 0."""

    vectors: tuple[NDArray[Any], NDArray[Any]]
    """(n_users, bits) and (n_items, bits), int8 or float32; changed in place."""

    delegates: list[Floats]
    """(n_users, bits) and (n_items, bits)."""


def objective(problem: Problem, solution: Solution) -> float:
    """Return what is minimised, of codes or of real vectors."""
    total = squared_error(problem.rated[0], *solution.vectors)
    for side in (0, 1):
        gap = solution.vectors[side] - solution.delegates[side].astype(np.float64)
        total += problem.weights[side] * float(np.square(gap).sum())
    return total


def take_round(problem: Problem, solution: Solution) -> Iterator[int]:
    """Make each of the four parts optimal, or better, in turn: B, D, X, Y; none raises the objective.

    Yields:
        After each part, how many bits flipped; 0 for real vectors.
    """
    for side in (0, 1):
        own, weight = solution.vectors[side], problem.weights[side]
        fixed = Fixed(problem.rated[side], solution.vectors[1 - side], weight * solution.delegates[side])
        if own.dtype == np.int8:
            yield descend(problem.rows(side), fixed, own, sweeps=BIT_SWEEPS)
        else:
            relax(problem.rows(side), fixed, own, ridge=weight, sweeps=1)
            yield 0
    for side in (0, 1):
        place_delegates(problem, solution, side)
        yield 0


def place_delegates(problem: Problem, solution: Solution, side: int) -> None:
    """Set the delegates of one side to their optimum."""
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
        place_delegates(problem, start, side)
    return start


def signed(problem: Problem, relaxed: Solution) -> Solution:
    """Return the codes of real vectors, with the same delegates."""
    codes = []
    for side in (0, 1):
        rows = problem.rows(side)
        codes.append(np.zeros(relaxed.vectors[side].shape, np.int8))
        codes[side][rows] = to_codes(relaxed.vectors[side][rows])
    return Solution((codes[0], codes[1]), list(relaxed.delegates))
