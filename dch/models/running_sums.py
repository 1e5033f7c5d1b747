"""Running sums: the bags of many users or items in fixed-point arithmetic.

Integer sums do not depend on the order of the terms, and a term can be subtracted exactly. So folding in
ratings one by one gives the same bits as summing a whole history.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Rows
from dch.jit import kernel
from dch.models.growing_array import GrowingArray
from dch.models.towers import Floats, add_token, square_of


class RunningSums(NamedTuple):
    """One bag per row."""

    sums: NDArray[np.int64]  # (n, hidden) sum of weight * embedding, fixed point
    squares: NDArray[np.int64]  # (n,) sum of squared weights, fixed point
    n_ratings: NDArray[np.int32]  # (n,) ratings in the bag; feature tokens do not count
    n_positive: NDArray[np.int32]  # (n,) positive ratings of the row, in the bag or not


def empty_sums(n: int, hidden: int) -> RunningSums:
    """Return n empty bags."""
    return RunningSums(
        np.zeros((n, hidden), np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int32),
        np.zeros(n, np.int32),
    )


class GrowingSums:
    """Bags of which any number of first ones can be had, empty until something is added."""

    def __init__(self, hidden: int) -> None:
        """Take the length of an embedding."""
        self._sums, self._squares = GrowingArray(np.int64, hidden), GrowingArray(np.int64)
        self._n_ratings, self._n_positive = GrowingArray(np.int32), GrowingArray(np.int32)

    def first(self, n: int) -> RunningSums:
        """Return the first n bags, as views."""
        return RunningSums(
            self._sums.first(n), self._squares.first(n), self._n_ratings.first(n), self._n_positive.first(n)
        )


def bags_of(sums: RunningSums, rows: NDArray[np.int32]) -> RunningSums:
    """Return a copy of the bags of these rows, (n,)."""
    return RunningSums(sums.sums[rows], sums.squares[rows], sums.n_ratings[rows], sums.n_positive[rows])


@kernel
def interpolate(knots: Floats, rating: float) -> float:
    """Return the weight of a rating: linear between knots (m, 2) of [rating, weight], constant outside."""
    # Convert to double precision first: in a kernel, float() keeps a float32, and the weight subtracted from
    # a bag must have the same bits as the weight that was added.
    at = np.float64(rating)
    last = len(knots) - 1
    if at <= knots[0, 0]:
        return float(np.float64(knots[0, 1]))
    for i in range(last):
        if at <= knots[i + 1, 0]:
            left, right = np.float64(knots[i, 0]), np.float64(knots[i + 1, 0])
            low, high = np.float64(knots[i, 1]), np.float64(knots[i + 1, 1])
            return float(low + (at - left) / (right - left) * (high - low))
    return float(np.float64(knots[last, 1]))


@kernel
def add_rating(sums: RunningSums, row: int, embedding: Floats, weight: float, sign: int) -> None:
    """Add one rating to a bag (sign 1) or subtract it (sign -1); a rating of weight 0 is left out."""
    if weight <= 0.0:
        return
    add_token(sums.sums[row], embedding, sign * weight)
    sums.squares[row] += sign * square_of(weight)
    sums.n_ratings[row] += sign


@kernel
def add_features(sums: RunningSums, row: int, bag: Floats, tokens: NDArray[np.int32], weight: float) -> None:
    """Add feature tokens to a bag; a negative weight subtracts them."""
    for token in tokens:
        add_token(sums.sums[row], bag[token], weight)
        sums.squares[row] += square_of(weight) if weight > 0 else -square_of(weight)


@kernel
def add_many_features(
    sums: RunningSums, starts: NDArray[np.int64], tokens: NDArray[np.int32], weight: float, bag: Floats
) -> None:
    """Add the feature tokens ``tokens[starts[row]:starts[row + 1]]`` to the bag of each row."""
    for row in range(len(starts) - 1):
        add_features(sums, row, bag, tokens[starts[row] : starts[row + 1]], weight)


@kernel
def add_rows(
    sums: RunningSums,
    starts: NDArray[np.int64],
    columns: NDArray[np.int32],
    values: Floats,
    token_of: NDArray[np.int32],
    bag: Floats,
    knots: Floats,
) -> None:
    """Add each compressed row of ratings to the bag of the same row; columns without a token are left out."""
    for row in range(len(starts) - 1):
        for at in range(starts[row], starts[row + 1]):
            token = token_of[columns[at]]
            if token >= 0:
                add_rating(sums, row, bag[token], interpolate(knots, values[at]), 1)


def sums_of(rows: Rows, token_of: NDArray[np.int32], bag: Floats, knots: Floats) -> RunningSums:
    """Return the bags of whole histories; ``n_positive`` stays 0.

    Args:
        rows: one history per row; columns are rows of the other side.
        token_of: (n_columns,) token of each column, negative where the fit never saw the id.
        bag: (n_tokens, hidden) embeddings.
        knots: (m, 2) [rating, weight].
    """
    sums = empty_sums(len(rows), bag.shape[1])
    add_rows(sums, rows.starts, rows.columns, rows.values, token_of, bag, knots)
    return sums
