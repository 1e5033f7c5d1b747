"""Map ids (external strings) to rows (dense integers) and back. The row of an id never changes."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
"""The row of an id that is not in the table."""


class IdTable:
    """An append-only table of ids; the n-th distinct id has row n."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._row_of: dict[str, int] = {}
        self._ids: list[str] = []
        self.intern_many(list(ids))

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id_: str) -> bool:
        return id_ in self._row_of

    def __getitem__(self, row: int) -> str:
        return self._ids[row]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def ids(self) -> Sequence[str]:
        """Return all ids in the order of their rows; the table's own list, so do not change it."""
        return self._ids

    def row(self, id_: str) -> int:
        """Return the row of an id, UNKNOWN if it is not in the table."""
        return self._row_of.get(id_, UNKNOWN)

    def rows(self, ids: Iterable[str]) -> NDArray[np.int32]:
        """Return the rows of ids, (n,) int32, UNKNOWN for ids that are not in the table."""
        get = self._row_of.get
        return np.array([get(id_, UNKNOWN) for id_ in ids], np.int32)

    def intern(self, id_: str) -> int:
        """Return the row of an id; a new id is added at the end."""
        row = self._row_of.get(id_)
        if row is None:
            row = self._row_of[id_] = len(self._ids)
            self._ids.append(id_)
        return row

    def intern_many(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """Return the rows of ids, (n,) int32; new ids are added in the order given."""
        get, intern = self._row_of.get, self.intern
        found = [get(id_, UNKNOWN) for id_ in ids]
        return np.array(
            [row if row >= 0 else intern(id_) for row, id_ in zip(found, ids, strict=True)], np.int32
        )
