"""Discrete collaborative filtering (DCF): codes fitted to the observed ratings, and its own fold-in.

The published method: explicit ratings alone, what was not rated says nothing. So it predicts ratings, and
lists are made from the same codes. What is minimised is in dcf_descent.py.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.experiments.baselines.binary import BinaryScorer, Codes, Floats, has_code, to_codes
from dch.experiments.baselines.dcf_descent import Problem, Solution, relaxed_start, signed, take_round
from dch.experiments.baselines.dcf_steps import Fixed, descend, relax
from dch.experiments.baselines.rating_matrix import join

RELAXED_ROUNDS = 20
FOLD_IN_SWEEPS = 20

SETTLED = 1e-4
"""The fit ends with the round in which no more than this share of all bits flips."""


@dataclass(frozen=True)
class FittedDcf:
    """Codes of the users and items of the training ratings."""

    train: Ratings
    solution: Solution

    weights: tuple[float, float]
    """alpha and beta."""

    def fold_in(self, given: Ratings) -> BinaryScorer:
        """Return the scores that hold once these ratings have come too.

        A known user who has rated known items since is descended again, from the fitted code, over all
        ratings of training and given, drawn to the fitted delegate. New users and new items start from the
        sign of their ridge regression onto the fitted codes of the other side, and have no delegates, as
        published. Known items keep their codes; a rating of a new item says nothing about a known user.
        """
        users, items = (own.copy() for own in self.solution.vectors)
        knows_user, knows_item = has_code(users), has_code(items)
        both = join(self.train, given)
        scaled = replace(both, values=scale(both.values, self.train.values, users.shape[1]))
        touched = np.unique(given.users[knows_item[given.items]])
        new = np.unique(given.items[knows_user[given.users] & ~knows_item[given.items]])
        self._place(0, touched, scaled.subset(knows_item[scaled.items]), users)
        self._place(1, new, scaled.subset(knows_user[scaled.users]), items)
        return BinaryScorer(users, items)

    def _place(self, side: int, rows: NDArray[np.int32], scaled: Ratings, codes: Codes) -> None:
        """Write the codes of these rows of one side, the fitted codes of the other side standing still."""
        rated = scaled.by_item if side else scaled.by_user
        pull = np.float32(self.weights[side]) * self.solution.delegates[side]  # 0 for what is new
        fixed = Fixed(rated, self.solution.vectors[1 - side], pull)
        new = rows[~has_code(codes[rows])]
        relaxed = np.zeros(codes.shape, np.float32)
        relax(new, fixed, relaxed, ridge=self.weights[side], sweeps=FOLD_IN_SWEEPS)
        codes[new] = to_codes(relaxed[new])
        descend(rows, fixed, codes, sweeps=FOLD_IN_SWEEPS)


def fit_dcf(
    train: Ratings,
    *,
    bits: int = 64,
    alpha: float = 0.001,
    beta: float = 0.001,
    sweeps: int = 50,
    seed: int = 0,
) -> FittedDcf:
    """Fit codes to the observed ratings.

    Args:
        train: the ratings to learn from.
        bits: length of a code.
        alpha: weight of the users' delegates, from 0.0001 to 100 in the paper, 0.001 in the authors' program;
            0 for none.
        beta: the same for items.
        sweeps: rounds over both sides, at most, 50 in the authors' program; it ends when hardly a bit flips.
        seed: start of the real vectors.

    Raises:
        ConfigError: there are delegates, and not more users and items than bits.

    Source:
        Zhang et al., "Discrete collaborative filtering" (SIGIR 2016), algorithm 1.
    """
    problem = Problem.of(replace(train, values=scale(train.values, train.values, bits)), alpha, beta)
    relaxed = relaxed_start(problem, bits, np.random.default_rng(seed))
    for _ in range(RELAXED_ROUNDS):
        sum(take_round(problem, relaxed))
    solution = signed(problem, relaxed)
    n_bits = bits * sum(len(problem.rows(side)) for side in (0, 1))
    for _ in range(sweeps):
        if sum(take_round(problem, solution)) <= SETTLED * n_bits:
            break
    return FittedDcf(train, solution, (alpha, beta))


def scale(values: Floats, known: Floats, bits: int) -> Floats:
    """Return ratings on the range of b . d: the lowest known rating is -bits, the highest bits.

    With one known rating only, all are bits.
    """
    low, high = float(known.min()), float(known.max())
    if low == high:
        return np.full(len(values), bits, np.float32)
    places = (np.clip(values, low, high) - low) / (high - low)  # (n,), from 0 to 1
    scaled: Floats = (bits * (2 * places - 1)).astype(np.float32)
    return scaled
