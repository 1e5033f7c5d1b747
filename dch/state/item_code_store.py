"""Codes, ranking vectors and popularity of items by row: what is published of a generation, but not searched.

An ``ItemIndex`` also holds what a search needs: which items may be listed, and the order of ties.
"""

import numpy as np
from numpy.typing import NDArray

from dch.models.growing_array import GrowingArray
from dch.state.code_store import CodeStore
from dch.state.item_columns import ItemCodes


class ItemCodeStore:
    """The item codes of one generation. Only one thread may use it."""

    def __init__(self, *, generation: int, bits: int, vector_size: int) -> None:
        """Create an empty store.

        Args:
            generation: number of the model that makes the codes.
            bits: length of a code.
            vector_size: length of a ranking vector; 0 where the model makes none.
        """
        self._store = CodeStore(bits, generation, vector_size)
        self._growing_popularity = GrowingArray(np.int32)
        self._popularity = self._growing_popularity.first(0)

    @property
    def nbytes(self) -> int:
        """Memory of the codes, in bytes."""
        return self._store.nbytes + self._popularity.nbytes

    def has_code(self, rows: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return whether each row has a code, (n,); rows past the end have none."""
        return self._store.has_code(rows)

    def codes(self, rows: NDArray[np.int32]) -> ItemCodes:
        """Return a copy of what is stored of these rows; rows without a code have popularity 0."""
        self._reserve(rows)
        columns = self._store.columns
        return ItemCodes(
            columns.words[rows], columns.vectors[rows], self._popularity[rows], columns.present[rows]
        )

    def put(self, rows: NDArray[np.int32], codes: ItemCodes) -> None:
        """Store these codes; a row whose code is not present loses the code it had.

        Args:
            rows: (n,) distinct rows.
            codes: one per row.
        """
        self._reserve(rows)
        present = codes.present
        self._store.remove(rows[~present])
        self._store.put(rows[present], codes.words[present], codes.vectors[present])
        self._popularity[rows] = np.where(present, codes.popularity, 0)

    def remove(self, rows: NDArray[np.int32]) -> None:
        """Remove the codes of these rows."""
        self._reserve(rows)
        self._store.remove(rows)
        self._popularity[rows] = 0

    def _reserve(self, rows: NDArray[np.int32]) -> None:
        self._store.reserve(int(rows.max(initial=-1)) + 1)
        self._popularity = self._growing_popularity.first(len(self._store.columns.present))
