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
    catalogue: Ints  # (n,) number of items that had a code
    popularity: NDArray[np.int64]  # (n,) sum over the items
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


ROW = np.dtype(
    [
        ("time", np.int64),
        ("label", np.int32),
        ("generation", np.int32),
        ("n_items", np.int32),
        ("n_new", np.int32),
        ("n_repeated", np.int32),
        ("catalogue", np.int32),
        ("popularity", np.int64),
        ("delay", np.int64),
    ]
)
"""All columns of a list but its items: a row that is written at once takes a fraction of the time."""


class _Rows:
    """An array with room at both ends."""

    def __init__(self, dtype: Any) -> None:  # noqa: ANN401 - what numpy takes for a type
        self.data = np.zeros(16, dtype)
        self.start = self.stop = 0

    def view(self) -> NDArray[Any]:
        return self.data[self.start : self.stop]

    def make_room(self, n: int) -> None:
        """Make room for n elements; twice as much as is held, so each costs O(1)."""
        if self.stop + n > len(self.data):
            kept = self.view()
            self.data = np.zeros(2 * (len(kept) + n), self.data.dtype)
            self.data[: len(kept)] = kept
            self.start, self.stop = 0, len(kept)

    def append(self, row: tuple[int, ...]) -> None:
        """Add one element at the end."""
        self.make_room(1)
        self.data[self.stop] = row
        self.stop += 1

    def extend(self, values: NDArray[Any]) -> None:
        """Add elements at the end."""
        self.make_room(n := len(values))
        self.data[self.stop : self.stop + n] = values
        self.stop += n

    def drop(self, n: int) -> None:
        """Drop the first n elements. Their memory is used again when room is made."""
        self.start += n


class ListColumns:
    """The lists of one partition."""

    def __init__(self) -> None:
        self._rows, self._items = _Rows(ROW), _Rows(np.int32)
        self.first = 0
        """The number of the first list that is kept."""

    def __len__(self) -> int:
        return self._rows.stop - self._rows.start

    @property
    def kept(self) -> Lists:
        """The lists that are kept, as views: elements may be changed in place."""
        rows = self._rows.view()
        return lists_of([*(rows[name] for name in ROW.names or ()), self._items.view()])

    @property
    def nbytes(self) -> int:
        """Memory of the columns, in bytes."""
        return self._rows.data.nbytes + self._items.data.nbytes

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
        self._rows.append(
            (time, label, generation, len(items), n_new, n_repeated, catalogue, popularity, delay)
        )
        self._items.extend(items)
        return self.first + len(self) - 1

    def column(self, name: str) -> NDArray[Any]:
        """Return one column of the lists that are kept, as a view."""
        found: NDArray[Any] = self._rows.data[name][self._rows.start : self._rows.stop]
        return found

    def drop_before(self, time: int) -> None:
        """Drop the first lists, up to the first one that is not older than this time."""
        if not len(self) or self._rows.data["time"][self._rows.start] >= time:
            return
        young = np.flatnonzero(self.column("time") >= time)
        n = int(young[0]) if len(young) else len(self)
        self._items.drop(int(self.column("n_items")[:n].sum()))
        self._rows.drop(n)
        self.first += n
