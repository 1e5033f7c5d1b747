"""The sum of the weights of a history, for each item that it speaks for.

A history of 200 ratings speaks for tens of thousands of items, of a million perhaps. An array over all items
would miss the caches of the processor at each weight; a hash table of the touched items fits in them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.neighbours import Neighbours, Rated
from dch.models.towers import Ints

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: it spreads rows that follow each other.

Source: Knuth, The Art of Computer Programming, volume 3, section 6.4.
"""


class Sums(NamedTuple):
    """The sums, by the items that a history speaks for, in the order of their first weight."""

    items: Ints  # (n,) rows of the fit, each once
    values: NDArray[np.int64]  # (n,)
    table: (
        Ints  # (2^m,) positions in the other columns, -1 where a place is free; if taken, the next one counts
    )


@kernel
def add_up(neighbours: Neighbours, rated: Rated) -> Sums:
    """Return the sums over a history."""
    n_weights = 0
    for item in rated.items:
        if item < len(neighbours.scales):
            n_weights += neighbours.starts[item + 1] - neighbours.starts[item]
    room = min(n_weights, len(neighbours.scales))
    sums = Sums(np.empty(room, np.int32), np.zeros(room, np.int64), np.full(_table_size(room), -1, np.int32))
    n = 0
    for i in range(len(rated.items)):
        item, weight = rated.items[i], rated.weights[i]
        if item >= len(neighbours.scales):
            continue
        for at in range(neighbours.starts[item], neighbours.starts[item + 1]):
            other = neighbours.items[at]
            place = _place(sums, other)
            if sums.table[place] < 0:
                sums.table[place] = n
                sums.items[n] = other
                n += 1
            sums.values[sums.table[place]] += weight * np.int64(neighbours.weights[at])
    for position in range(n):
        sums.values[position] *= np.int64(neighbours.scales[sums.items[position]])
    return Sums(sums.items[:n], sums.values[:n], sums.table)


@kernel
def position_of(sums: Sums, item: int) -> int:
    """Return the position of an item; -1 if the history does not speak for it."""
    return int(sums.table[_place(sums, item)])


@kernel
def _table_size(room: int) -> int:
    """Return a power of two that leaves at least half of the table free."""
    size = 2
    while size < 2 * room:
        size *= 2
    return size


@kernel
def _place(sums: Sums, item: int) -> int:
    """Return the place of an item in the table, or the free one that it would have."""
    last = len(sums.table) - 1
    place = int((np.uint64(item) * MULTIPLIER) >> np.uint64(33)) & last
    while sums.table[place] >= 0 and sums.items[sums.table[place]] != item:
        place = (place + 1) & last
    return place
