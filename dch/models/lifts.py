"""Lifts: how much more than others the users with a feature token like an item. They rank for newcomers.

A user without ratings has no code. If the user has features, the popular items are ordered by their
popularity and by the lifts of the user's tokens; nothing is trained for it.

Source:
    Naive Bayes with a Dirichlet prior (Manning, Raghavan, Schuetze, "Introduction to information retrieval",
    2008, chapter 13), here damped: tokens of one user, such as an age and its range, say much the same.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.errors import CodeShapeError
from dch.models.towers import Floats, Ints

LIFT_STEPS = 32
"""Steps per 1.0 of the logarithm of a lift; int8 then holds lifts up to 50 times."""


class Lifts(NamedTuple):
    """The logarithms of the lifts of a fit. Empty where a fit had no users with features."""

    items: Ints  # (m,) ascending rows of ``Model.item_ids``: the most popular items of the fit
    steps: NDArray[np.int8]  # (n_tokens, m) by row of ``Model.user_tokens``, in LIFT_STEPS

    def known(self, tokens: Ints) -> Ints:
        """Return the tokens that have lifts; an update may have added others."""
        return tokens[tokens < len(self.steps)]

    def scores(self, tokens: Ints, fitted: Ints, popularity: Ints) -> Floats:
        """Return what orders items for a user by features alone; larger is better.

        It is the logarithm of the popularity, plus the sum of the logarithms of the lifts divided by the
        root of their number. Items without a lift have 0.

        Args:
            tokens: (n_tokens_of_user,) at least one, each known.
            fitted: (n,) rows of ``Model.item_ids``, negative for items that the fit never saw.
            popularity: (n,) positive ratings of each item so far.

        Returns:
            (n,) float32.
        """
        lift = self._totals(tokens, fitted) / (LIFT_STEPS * np.sqrt(len(tokens)))
        scores: Floats = (np.log1p(popularity.astype(np.float64)) + lift).astype(np.float32)
        return scores

    def _totals(self, tokens: Ints, fitted: Ints) -> NDArray[np.int64]:
        if not len(self.items):  # so many tokens that there was no room for an item
            return np.zeros(len(fitted), np.int64)
        at = np.minimum(np.searchsorted(self.items, fitted), len(self.items) - 1)
        steps = self.steps[tokens][:, at].sum(axis=0, dtype=np.int64)
        return np.where(self.items[at] == fitted, steps, 0)


NO_LIFTS = Lifts(np.empty(0, np.int32), np.empty((0, 0), np.int8))


def check_lifts(lifts: Lifts, n_items: int, n_tokens: int) -> None:
    """Check that lifts fit a model.

    Raises:
        CodeShapeError: the arrays do not fit together, or do not fit the model.
    """
    items, steps = lifts
    fits = steps.shape == (len(steps), len(items)) and len(steps) <= n_tokens and (np.diff(items) > 0).all()
    if not fits or (len(items) and not 0 <= items[0] <= items[-1] < n_items):
        raise CodeShapeError(
            f"the lifts do not fit together, or have more than {n_items} items or {n_tokens} tokens"
        )
