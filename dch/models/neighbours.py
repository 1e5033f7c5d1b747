"""Neighbours: integer weights from a rated item to the items that it speaks for.

Sums of integers do not depend on the order of the terms, so equal histories have equal sums, to the bit.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.errors import CodeShapeError
from dch.models.towers import Floats, Ints

LATEST = 500
"""Only the latest ratings of a history have neighbours, which bounds the time that a list takes."""

RATING_STEPS = 256
"""Steps per 1.0 in the weight of a rating."""

MAX_STEPS = 2 * RATING_STEPS
"""A larger weight, which only ``rating_knots`` can ask for, counts as this much: sums must fit in 63 bits."""


class Neighbours(NamedTuple):
    """The weights between the items of a fit, by rows of ``Model.item_ids``. Empty where a fit has none."""

    starts: NDArray[
        np.int64
    ]  # (n + 1,) the weights from rated item i are those from starts[i] to starts[i + 1]
    items: Ints  # (n_weights,) rows of the items that they speak for, ascending for each rated item
    weights: NDArray[np.int8]  # (n_weights,)
    scales: NDArray[np.uint16]  # (n,) factor of each weight, by the item that it speaks for
    share: NDArray[np.float32]  # (1,) part of the neighbours in a score; see ``dch.search.neighbour_scores``

    @property
    def is_empty(self) -> bool:
        """Whether there are no weights."""
        return len(self.weights) == 0

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        return sum(column.nbytes for column in self)


NO_NEIGHBOURS = Neighbours(
    np.zeros(1, np.int64),
    np.empty(0, np.int32),
    np.empty(0, np.int8),
    np.empty(0, np.uint16),
    np.zeros(1, np.float32),
)


class Rated(NamedTuple):
    """The ratings of one history that neighbours may know: at most LATEST."""

    items: Ints  # (n,) rows of ``Model.item_ids``
    weights: NDArray[np.int64]  # (n,) weight of each rating, in RATING_STEPS, above 0


NOTHING_RATED = Rated(np.empty(0, np.int32), np.empty(0, np.int64))


def check_neighbours(neighbours: Neighbours, n_items: int, vector_size: int) -> None:
    """Check that the kernels can use these weights with a model.

    Args:
        neighbours: the weights.
        n_items: number of items of the model.
        vector_size: length of its ranking vectors.

    Raises:
        CodeShapeError: the arrays do not fit together, or do not fit the model.
    """
    starts, items, weights, scales, share = neighbours
    n = len(scales)
    steps = np.diff(starts)
    fits = (
        n <= n_items
        and starts.shape == (n + 1,)
        and items.shape == weights.shape == (int(starts[-1]),)
        and share.shape == (1,)
    )
    if not fits or starts[0] != 0 or (steps < 0).any() or ((items < 0) | (items >= n)).any():
        raise CodeShapeError(f"the neighbours do not fit together, or have more rows than {n_items} items")
    falls = np.flatnonzero(np.diff(items) < 0) + 1
    if not np.isin(falls, starts).all():
        raise CodeShapeError("the neighbours of a rated item are not in ascending order")
    if not neighbours.is_empty and not vector_size:
        raise CodeShapeError("neighbours need a model with ranking vectors")


def from_columns(rows: Ints, weights: Floats, share: float = 0.0) -> Neighbours:
    """Round weights to integers, and arrange them by the rated item.

    The largest weight of each scored item becomes 127, so that the small weights of another item keep digits.

    Args:
        rows: (n, k) rows of the rated items that speak for each item, negative where there are fewer than k.
        weights: (n, k).
        share: part of the neighbours in a score.
    """
    n, k = rows.shape
    used = (rows >= 0) & (weights != 0)
    kept = np.where(used, weights, 0).astype(np.float64)
    largest = np.abs(kept).max(axis=1, initial=0)
    most = np.iinfo(np.uint16).max
    unit = max(float(largest.max(initial=0)) / most, 1e-30)
    scales = np.minimum(np.ceil(largest / unit), most).astype(np.uint16)
    rounded = np.rint(kept * 127 / np.maximum(scales * unit, 1e-30)[:, None]).astype(np.int8)
    used &= rounded != 0
    scored = np.repeat(np.arange(n, dtype=np.int32), k).reshape(n, k)[used]
    order = np.argsort(rows[used], kind="stable")
    starts = np.concatenate(([0], np.cumsum(np.bincount(rows[used], minlength=n)))).astype(np.int64)
    return Neighbours(starts, scored[order], rounded[used][order], scales, np.array([share], np.float32))


def rated(items: Ints, ratings: Floats, knots: Floats) -> Rated:
    """Return what neighbours need of a history; ratings of weight 0 are left out.

    Args:
        items: (n,) rows of the fitted items, negative where the fit never saw the item.
        ratings: (n,).
        knots: (m, 2) [rating, weight] of the model.
    """
    weights = rating_steps(ratings, knots)
    kept = (items >= 0) & (weights > 0)
    return Rated(np.ascontiguousarray(items[kept], np.int32), weights[kept])


def rating_steps(ratings: Floats, knots: Floats) -> NDArray[np.int64]:
    """Return the weights of ratings in RATING_STEPS, (n,)."""
    weights = np.rint(np.interp(ratings, knots[:, 0], knots[:, 1]) * RATING_STEPS).astype(np.int64)
    return np.minimum(weights, MAX_STEPS)
