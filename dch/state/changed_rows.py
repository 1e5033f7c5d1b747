"""Rows that changed and wait for their turn, each once, oldest first.

Work on many changes at once can so be done in parts: a part takes its own rows alone, however many wait.
"""

from collections import deque

import numpy as np

from dch.models.growing_array import GrowingArray
from dch.models.towers import Ints

NO_ROWS = np.empty(0, np.int32)


class ChangedRows:
    """A queue of distinct rows. Only one thread may use it."""

    def __init__(self) -> None:
        self._parts: deque[Ints] = deque()
        self._growing = GrowingArray(np.bool_)
        self._waits = self._growing.first(0)  # (n_rows,) which rows are in the queue
        self._n = 0

    def __len__(self) -> int:
        """Return the number of rows that wait."""
        return self._n

    def add(self, rows: Ints) -> None:
        """Append those of these rows that do not wait yet; they may repeat."""
        if not len(rows):
            return
        self._make_room(int(rows.max()) + 1)
        new = np.unique(rows[~self._waits[rows]])
        if len(new):
            self._waits[new] = True
            self._parts.append(new)
            self._n += len(new)

    def take(self, at_most: int | None = None) -> Ints:
        """Remove the rows that have waited longest, and return them, (n,) ascending; None takes all."""
        left = self._n if at_most is None else min(at_most, self._n)
        self._n -= left
        taken = [NO_ROWS]
        while left:
            part = self._parts.popleft()
            if len(part) > left:
                self._parts.appendleft(part[left:])
            taken.append(part[:left])
            left -= len(taken[-1])
        rows = np.concatenate(taken)
        self._waits[rows] = False
        rows.sort()
        return rows

    def _make_room(self, n_rows: int) -> None:
        if n_rows > len(self._waits):
            self._waits = self._growing.first(n_rows)
