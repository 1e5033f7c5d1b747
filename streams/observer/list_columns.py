"""Columns of lists in order of arrival: rows are added at the end and dropped at the beginning.

A list has a number that never changes; its row is the number minus that of the first list kept.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.models.towers import Ints

NEVER = np.iinfo(np.int64).max
"""The delay of a list of which nothing was liked so far."""


class Lists(NamedTuple):
    """The lists kept, one element of each array per list, and their items one list after the other."""

    time: NDArray[np.int64]  # (n,) when the request was sent, in ms since 1970
    label: Ints  # (n,) row in the table of labels
    generation: Ints  # (n,) of the model that made the list
    n_items: Ints  # (n,)
    n_new: Ints  # (n,) items that the fit of the generation never saw
    n_repeated: Ints  # (n,) items that an earlier list showed to the same user
    popularity: NDArray[np.int64]  # (n,) sum over the items
    catalogue: Ints  # (n,) number of items that had a code
    delay: NDArray[np.int64]  # (n,) ms from the list to the first like of one of its items, or NEVER
    items: Ints  # (sum of n_items,) item rows

    def part(self, start: int) -> "Lists":
        """Return the lists from this row on, as views."""
        items = self.items[int(self.n_items[:start].sum()) :]
        return lists_of([*(column[start:] for column in self[:-1]), items])


def lists_of(columns: Iterable[Any]) -> Lists:
    """Return lists from their columns, in order."""
    found: list[Any] = list(columns)
    return Lists(*found)


class _Column:
    """An array with room at both ends."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self._data = np.zeros(16, dtype)
        self._start = self._stop = 0

    def view(self) -> NDArray[Any]:
        return self._data[self._start : self._stop]

    def extend(self, values: NDArray[Any] | list[int]) -> None:
        """Add elements at the end; twice as much room is made when there is none, so each costs O(1)."""
        n = len(values)
        if self._stop + n > len(self._data):
            kept = self.view()
            self._data = np.zeros(2 * (len(kept) + n), self._data.dtype)
            self._data[: len(kept)] = kept
            self._start, self._stop = 0, len(kept)
        self._data[self._stop : self._stop + n] = values
        self._stop += n

    def drop(self, n: int) -> None:
        """Drop the first n elements. Their memory is used again when room is made."""
        self._start += n

    @property
    def nbytes(self) -> int:
        return self._data.nbytes


KINDS: tuple[type[np.generic], ...] = (np.int64, *[np.int32] * 5, np.int64, np.int32, np.int64, np.int32)
"""The types of the columns of ``Lists``."""


class ListColumns:
    """The lists of one partition."""

    def __init__(self) -> None:
        *self._columns, self._items = (_Column(kind) for kind in KINDS)
        self.first = 0
        """The number of the first list that is kept."""

        self.kept = self._views()
        """The lists that are kept. Elements may be changed in place."""

    @property
    def nbytes(self) -> int:
        """Memory of the columns, in bytes."""
        return sum(column.nbytes for column in [*self._columns, self._items])

    def append(
        self,
        *,
        time: int,
        label: int,
        generation: int,
        items: Ints,
        n_new: int,
        n_repeated: int,
        popularity: int,
        catalogue: int,
        delay: int,
    ) -> int:
        """Add a list and return its number."""
        row = (time, label, generation, len(items), n_new, n_repeated, popularity, catalogue, delay)
        for column, value in zip(self._columns, row, strict=True):
            column.extend([value])
        self._items.extend(items)
        self.kept = self._views()
        return self.first + len(self.kept.time) - 1

    def drop_before(self, time: int) -> None:
        """Drop the first lists, up to the first one that is not older than this time."""
        if not len(self.kept.time) or self.kept.time[0] >= time:
            return
        young = np.flatnonzero(self.kept.time >= time)
        n = int(young[0]) if len(young) else len(self.kept.time)
        self._items.drop(int(self.kept.n_items[:n].sum()))
        for column in self._columns:
            column.drop(n)
        self.first += n
        self.kept = self._views()

    def _views(self) -> Lists:
        return lists_of([column.view() for column in [*self._columns, self._items]])
