"""Which bag belongs to which row: a row has one only while something is in it.

A bag takes 2 kB, and a worker hears of many users and items whose ratings another worker keeps. So bags lie
close together, in slots; a slot is taken when something is first added to a row, and given back by ``free``.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.jit import kernel
from dch.models.growing_array import GrowingArray
from dch.models.running_sums import GrowingSums, RunningSums
from dch.models.towers import Ints

EMPTY = 0
"""The slot of a bag to which nothing is ever added: that of all rows without one of their own."""


class Slots(NamedTuple):
    """The slots of the bags of all rows."""

    of_row: Ints  # (rows,)
    given_back: Ints  # (rows,) slots without a row; the first n_given_back count
    counts: NDArray[np.int64]  # (2,) highest slot ever taken, n_given_back


class SlottedBags:
    """Bags of any number of rows. Only one thread may write."""

    def __init__(self, hidden: int) -> None:
        """Take the length of an embedding."""
        self._bags, self._counts = GrowingSums(hidden), np.zeros(2, np.int64)
        self._of_row, self._given_back = GrowingArray(np.int32), GrowingArray(np.int32)
        self.reserve(0)

    def reserve(self, n_rows: int) -> None:
        """Make room for a bag of each of the first n_rows rows; kernels never grow arrays."""
        self.sums: RunningSums = self._bags.first(n_rows + 1)
        self.slots = Slots(self._of_row.first(n_rows), self._given_back.first(n_rows), self._counts)

    @property
    def n_rows(self) -> int:
        """The number of rows that there is room for."""
        return len(self.slots.of_row)

    @property
    def nbytes(self) -> int:
        """Memory of the bags that have been in use, and of the numbers of their slots, in bytes."""
        of_bags = sum(column[: int(self._counts[0]) + 1].nbytes for column in self.sums)
        return of_bags + self.slots.of_row.nbytes + self.slots.given_back.nbytes

    def of(self, rows: Ints) -> Ints:
        """Return the slots of rows, (n,); EMPTY for those without a bag, and for rows past the end."""
        found: Ints = self.slots.of_row.take(rows, mode="clip") if self.n_rows else np.zeros_like(rows)
        return np.where(rows < self.n_rows, found, EMPTY)

    def free(self, rows: Ints) -> None:
        """Give the bags of these rows back. Everything that was added to them must have been subtracted."""
        _give_back(self.slots, rows)


@kernel
def slot_to_fill(slots: Slots, row: int) -> int:
    """Return the slot of the bag of a row, to add something to it; the row gets one if it has none."""
    slot = slots.of_row[row]
    if slot == EMPTY:
        if slots.counts[1] > 0:
            slots.counts[1] -= 1
            slot = slots.given_back[slots.counts[1]]
        else:
            slots.counts[0] += 1
            slot = np.int32(slots.counts[0])
        slots.of_row[row] = slot
    return int(slot)


@kernel
def _give_back(slots: Slots, rows: Ints) -> None:
    for row in rows:
        if slots.of_row[row] != EMPTY:
            slots.given_back[slots.counts[1]] = slots.of_row[row]
            slots.counts[1] += 1
            slots.of_row[row] = EMPTY
