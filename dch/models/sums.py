"""Running sums: the bags of many users or items, kept as whole numbers.

Whole numbers add up to the same sum in any order and can be taken away again exactly; that is what makes
folding in event by event equal to encoding a history at once, bit for bit.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ratings import Rows
from dch.jit import kernel
from dch.models.towers import Floats, add_token, square_of


class RunningSums(NamedTuple):
    """One bag per row."""

    sums: NDArray[np.int64]  # (n, hidden) weight * embedding, fixed point
    squares: NDArray[np.int64]  # (n,) weight squared, fixed point
    n_ratings: NDArray[np.int32]  # (n,) ratings in the bag; feature tokens do not count


def empty_sums(n: int, hidden: int) -> RunningSums:
    """Return n empty bags."""
    return RunningSums(np.zeros((n, hidden), np.int64), np.zeros(n, np.int64), np.zeros(n, np.int32))


def grow_sums(sums: RunningSums, n: int) -> RunningSums:
    """Return room for at least n bags, doubling so that growth is rare."""
    have, hidden = sums.sums.shape
    if n <= have:
        return sums
    larger = empty_sums(max(n, 2 * have), hidden)
    larger.sums[:have], larger.squares[:have] = sums.sums, sums.squares
    larger.n_ratings[:have] = sums.n_ratings
    return larger


@kernel
def interpolate(knots: Floats, rating: float) -> float:
    """Return the weight of a rating: linear between knots (m, 2) of [rating, weight], constant outside."""
    # In double precision from the first line: a kernel's float() keeps float32 as it is, and the weight taken
    # out of a bag must be to the bit the one that was put in.
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
    """Put one rating into a bag (sign 1), or take it out again (sign -1); weight 0 keeps it out."""
    if weight <= 0.0:
        return
    add_token(sums.sums[row], embedding, sign * weight)
    sums.squares[row] += sign * square_of(weight)
    sums.n_ratings[row] += sign


@kernel
def add_features(sums: RunningSums, row: int, bag: Floats, tokens: NDArray[np.int32], weight: float) -> None:
    """Put feature tokens into a bag; with -weight, take them out again."""
    for token in tokens:
        add_token(sums.sums[row], bag[token], weight)
        sums.squares[row] += square_of(weight) if weight > 0 else -square_of(weight)


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
    """Put each compressed row into the bag of the same number; columns without a token are left out."""
    for row in range(len(starts) - 1):
        for at in range(starts[row], starts[row + 1]):
            token = token_of[columns[at]]
            if token >= 0:
                add_rating(sums, row, bag[token], interpolate(knots, values[at]), 1)


def sums_of(rows: Rows, token_of: NDArray[np.int32], bag: Floats, knots: Floats) -> RunningSums:
    """Return the bags of whole histories at once."""
    sums = empty_sums(len(rows), bag.shape[1])
    add_rows(sums, rows.starts, rows.columns, rows.values, token_of, bag, knots)
    return sums
