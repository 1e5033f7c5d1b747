"""Discrete collaborative filtering (DCF): codes fitted to the observed ratings, with fold-in.

As published, DCF learns from explicit ratings only and ignores pairs without a rating: it predicts ratings,
and the same codes rank items. The objective is in dcf_descent.py.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Ratings
from dch.experiments.baselines.binary import BinaryScorer, Floats, SignCodes, has_code, to_codes
from dch.experiments.baselines.dcf_descent import Problem, Solution, relaxed_start, signed, take_round
from dch.experiments.baselines.dcf_steps import FixedSide, descend, relax
from dch.experiments.baselines.rating_matrix import join

RELAXED_ROUNDS = 20
FOLD_IN_SWEEPS = 20

SETTLED = 1e-4
"""The fit ends after the first round in which at most this share of all bits flips."""


@dataclass(frozen=True)
class FittedDcf:
    """Codes of the users and items of the training ratings."""

    train: Ratings
    solution: Solution

    weights: tuple[float, float]
    """alpha and beta."""

    def fold_in(self, given: Ratings) -> BinaryScorer:
        """Return the scores after these ratings.

        The code of a known user with given ratings of known items is optimised again: it starts from the
        fitted code, uses all training and given ratings, and is pulled to the fitted delegate. New users and
        new items start from the signs of a ridge regression onto the fitted codes of the other side and, as
        published, have no delegates. Known items keep their codes. Given ratings of new items do not change
        known users.
        """
        users, items = (own.copy() for own in self.solution.vectors)
        knows_user, knows_item = has_code(users), has_code(items)
        both = join(self.train, given)
        scaled = replace(both, values=scale(both.values, self.train.values, users.shape[1]))
        touched = np.unique(given.users[knows_item[given.items]])
        new = np.unique(given.items[knows_user[given.users] & ~knows_item[given.items]])
        self._encode(0, touched, scaled.subset(knows_item[scaled.items]), users)
        self._encode(1, new, scaled.subset(knows_user[scaled.users]), items)
        return BinaryScorer(users, items)

    def _encode(self, side: int, rows: NDArray[np.int32], scaled: Ratings, codes: SignCodes) -> None:
        """Write the codes of these rows of one side, with the codes of the other side fixed."""
        rated = scaled.by_item if side else scaled.by_user
        pull = np.float32(self.weights[side]) * self.solution.delegates[side]  # 0 for new rows
        fixed = FixedSide(rated, self.solution.vectors[1 - side], pull)
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
        alpha: weight of the users' delegates; 0 for no delegates. 0.0001 to 100 in the paper, 0.001 in the
            authors' program.
        beta: weight of the items' delegates.
        sweeps: maximal number of rounds over both sides, 50 in the authors' program; see SETTLED.
        seed: of the first real vectors.

    Raises:
        ConfigError: there are delegates, but not more users and items than bits.

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
    """Map ratings to the range of b . d: the lowest known value to -bits, the highest to bits.

    If there is only one known value, all ratings become bits.
    """
    low, high = float(known.min()), float(known.max())
    if low == high:
        return np.full(len(values), bits, np.float32)
    shares = (np.clip(values, low, high) - low) / (high - low)  # (n,), from 0 to 1
    scaled: Floats = (bits * (2 * shares - 1)).astype(np.float32)
    return scaled
