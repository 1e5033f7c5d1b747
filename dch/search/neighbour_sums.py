"""The sum of the weights of a history, for each item that it speaks for.

A history of 200 ratings speaks for tens of thousands of items, of a million perhaps. An array over all items
would miss the caches of the processor at each weight. The weights of each rated item are in the order of the
items that they speak for, so the sums of one block of items after the other are made, and a block fits. What
is asked of single items is answered while their block is there.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.neighbours import Neighbours, Rated
from dch.models.towers import Ints
from dch.search.instructions import prefetch

BLOCK = 1 << 16
"""Items of a block: their sums take 256 KiB, part of a second-level cache."""

AHEAD = 16
"""Weights of a rated item that are read ahead of time: a line of the caches holds as many rows of items."""


class Sums(NamedTuple):
    """The sums over a history, in no particular order."""

    items: Ints  # (n,) rows of the fit that the history speaks for
    values: NDArray[np.int64]  # (n,)
    wanted: NDArray[np.int64]  # (n_wanted,) the sums of the items that were asked for


class _Ranges(NamedTuple):
    """The weights of each rated item that are left to add."""

    weights: NDArray[np.int32]  # (n_rated,) of the ratings
    starts: NDArray[np.int64]  # (n_rated,)
    stops: NDArray[np.int64]  # (n_rated,)


@kernel
def add_up(neighbours: Neighbours, rated: Rated, hidden: Ints, wanted: Ints) -> Sums:
    """Return the sums over a history.

    Args:
        neighbours: the weights between the items of the fit.
        rated: the history; ``LATEST`` ratings keep the sums far within 32 bits.
        hidden: (n_hidden,) rows of the fit, in any order, whose sums are 0; others than those of items count
            for nothing.
        wanted: (n_wanted,) the rows of the fit whose sums are returned in this order; 0 for others.
    """
    n_items = len(neighbours.scales)
    left, n_weights = _ranges(neighbours, rated, n_items)
    room = min(n_weights, n_items)
    items, values = np.empty(room + 1, np.int32), np.empty(room, np.int64)  # one more: see ``_add_block``
    of_wanted, block, n = np.zeros(len(wanted), np.int64), np.zeros(min(BLOCK, n_items), np.int32), 0
    for first in range(0, n_items, BLOCK):
        stop = _add_block(first, neighbours, left, block, items, n)
        for item in hidden:
            if first <= item < first + len(block):
                block[item - first] &= 1
        for at in range(len(wanted)):
            item = wanted[at]
            if first <= item < min(first + len(block), n_items):
                of_wanted[at] = np.int64(block[item - first] >> 1) * np.int64(neighbours.scales[item])
        for at in range(n, stop):
            item = items[at]
            values[at] = np.int64(block[item - first] >> 1) * np.int64(neighbours.scales[item])
            block[item - first] = 0
        n = stop
    return Sums(items[:n], values[:n], of_wanted)


@kernel
def _ranges(neighbours: Neighbours, rated: Rated, n_items: int) -> tuple[_Ranges, int]:
    """Return the weights of each rated item that the neighbours know, and their number."""
    n, n_weights, n_known = len(rated.items), 0, 0
    left = _Ranges(np.empty(n, np.int32), np.empty(n, np.int64), np.empty(n, np.int64))
    for item in rated.items:
        prefetch(neighbours.starts, item)
    for i in range(n):
        item = rated.items[i]
        if item < n_items:
            start, stop = neighbours.starts[item], neighbours.starts[item + 1]
            left.weights[n_known], left.starts[n_known], left.stops[n_known] = rated.weights[i], start, stop
            n_weights += stop - start
            n_known += 1
            for at in range(start, min(start + 16 * AHEAD, stop), AHEAD):
                prefetch(neighbours.items, at)
            for at in range(start, min(start + 16 * AHEAD, stop), 4 * AHEAD):
                prefetch(neighbours.weights, at)
    return _Ranges(left.weights[:n_known], left.starts[:n_known], left.stops[:n_known]), n_weights


@kernel
def _add_block(
    first: int, neighbours: Neighbours, left: _Ranges, block: NDArray[np.int32], touched: Ints, n: int
) -> int:
    """Add the weights that speak for the items of a block, and append these items; return how many there are.

    A block holds twice the sum, plus 1 where the history speaks for the item. That tells a new item without
    a jump that the processor would often predict wrongly: it is written behind the others each time, and
    counted if it is new.
    """
    items, weights, stop = neighbours.items, neighbours.weights, first + BLOCK
    for i in range(len(left.weights)):
        at, end, weight = left.starts[i], left.stops[i], 2 * left.weights[i]
        while at < end and items[at] < stop:
            item = items[at]
            before = block[item - first]
            block[item - first] = (before | 1) + weight * np.int32(weights[at])
            touched[n] = item
            n += int(before == 0)
            at += 1
        left.starts[i] = at
        prefetch(items, at + AHEAD)
        prefetch(weights, at + 4 * AHEAD)
    return n
