"""Which owned item codes on the topic may be foreign: replaced by a record that their owner did not write.

Only the owner of an item should write its code. A worker that stood still and woke up may do it too, and so
may any client with the right to write. A record does not say who wrote it, so own records are counted until
they are read back. While one is still to come, it is newer than whatever is read, which then means nothing.
What is read while none is to come is foreign. If a foreign record passes for an own one that comes after it,
that own one counts as foreign: its item is encoded once more, and the code is equal.

An own record may be compacted away before it is read, if the reader is a closed segment behind. Then one
foreign record of that item passes for it, unless it is followed by another one.
"""

import numpy as np
from numpy.typing import NDArray

from dch.models.growing_array import GrowingArray

Rows = NDArray[np.int32]


class ForeignCodes:
    """Counts own records that were not read back, and keeps the suspected items. Not for several threads."""

    def __init__(self) -> None:
        self._n_to_come, self._suspected = GrowingArray(np.int32), GrowingArray(np.bool_)
        self._replaced = GrowingArray(np.bool_)  # by what no worker takes for a code
        self._n_rows = 0

    def note_sent(self, rows: Rows) -> None:
        """Note one own record of each of these distinct rows."""
        self._counts(rows)[rows] += 1
        self.note_newest(rows, is_code=True)

    def note_read(self, rows: Rows) -> NDArray[np.int32]:
        """Note records that were read; return how many own ones are to come after them, (n,).

        The rows may repeat: then all records of a row get the number after the last one. It is below 0 where
        one of them is foreign.
        """
        counts = self._counts(rows)
        distinct, places, n_read = np.unique(rows, return_inverse=True, return_counts=True)
        left = (counts[distinct] - n_read).astype(np.int32)
        counts[distinct] = np.maximum(left, 0)
        return left[places]

    def n_to_come(self, rows: Rows) -> NDArray[np.int32]:
        """Return how many own records of each row were not read back, (n,)."""
        return self._counts(rows)[rows]

    def suspect(self, rows: Rows) -> None:
        """Note that the topic may hold a foreign record of these rows, (n,)."""
        self._marks(rows)[rows] = True

    def note_newest(self, rows: Rows, *, is_code: bool) -> None:
        """Note whether workers take the newest record of each of these rows, (n,), for a code or its removal.

        Where they do not, they may still serve what was there before it. Even the removal has to be written.
        """
        self._replaced.first(self._reserve(rows))[rows] = not is_code

    def is_replaced(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows hold on the topic what is neither a code nor its removal, (n,)."""
        return self._replaced.first(self._reserve(rows))[rows]

    def clear(self, rows: Rows) -> None:
        """Note that these rows were encoded since, and are compared with the topic."""
        self._marks(rows)[rows] = False

    def forget(self, rows: Rows) -> None:
        """Forget what was sent and suspected of rows that get another owner, (n,)."""
        self.clear(rows)
        self._counts(rows)[rows] = 0

    def suspected(self) -> Rows:
        """Return the suspected rows, (n,) ascending."""
        return np.flatnonzero(self._suspected.first(self._n_rows)).astype(np.int32)

    def _counts(self, rows: Rows) -> NDArray[np.int32]:
        return self._n_to_come.first(self._reserve(rows))

    def _marks(self, rows: Rows) -> NDArray[np.bool_]:
        return self._suspected.first(self._reserve(rows))

    def _reserve(self, rows: Rows) -> int:
        self._n_rows = max(self._n_rows, int(rows.max(initial=-1)) + 1)
        return self._n_rows
