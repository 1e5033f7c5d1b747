"""The owner partition of every known id of one side, by row. Each is computed once."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dch.models.growing_array import GrowingArray
from streams.kafka.partitioner import partition_for


class Owners:
    """The owner partitions of users, or of items. Only the ingest thread uses it."""

    def __init__(self, known_ids: Callable[[], Sequence[str]], n_partitions: int) -> None:
        """Take a function that returns all ids met so far, by row; it may return more each time."""
        self._known_ids, self._n_partitions = known_ids, n_partitions
        self._owners, self._n = GrowingArray(np.int32), 0  # of the first n ids

    def all(self) -> NDArray[np.int32]:
        """Return the owner of each row, (n_known,)."""
        ids = self._known_ids()
        owners = self._owners.first(len(ids))
        for row in range(self._n, len(owners)):
            owners[row] = partition_for(ids[row].encode(), self._n_partitions)
        self._n = len(owners)
        return owners

    def of(self, rows: NDArray[np.int32], ids: Sequence[str]) -> NDArray[np.int32]:
        """Return the owner of each id, (n,).

        Args:
            rows: (n,) row of each id, below 0 where it is not known.
            ids: (n,).
        """
        owners = self._of_known(rows)
        for at in np.flatnonzero(rows < 0).tolist():
            owners[at] = partition_for(ids[at].encode(), self._n_partitions)
        return owners

    def ids_of(self, partitions: frozenset[int]) -> list[str]:
        """Return the known ids that belong to these partitions, by row."""
        ids = self._known_ids()
        return [ids[row] for row in np.flatnonzero(np.isin(self.all(), list(partitions))).tolist()]

    def _of_known(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        found = self.all()
        return found.take(rows, mode="clip") if len(found) else np.empty(len(rows), np.int32)
