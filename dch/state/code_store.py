"""Codes and ranking vectors of one generation by row, in arrays that grow without being copied.

One thread writes; others may read at the same time. A reader takes ``columns`` once, so that its arrays have
one length even while the store grows.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.errors import CodeShapeError
from dch.models.codes import Vectors, Words, n_words
from dch.models.growing_array import GrowingArray


class Columns(NamedTuple):
    """The arrays of a store. All have the same length, the number of rows that there is room for."""

    words: Words
    """(n_rows, n_words) codes; zeros where the row has none."""

    present: NDArray[np.bool_]
    """(n_rows,) whether the row has a code."""

    vectors: Vectors
    """(n_rows, vector_size) ranking vectors; zeros where the row has none."""


class CodeStore:
    """Codes by row. Rows are those of an id table; not every row has a code."""

    def __init__(self, bits: int, generation: int, vector_size: int = 0) -> None:
        """Create an empty store.

        Args:
            bits: length of a code.
            generation: number of the model that makes the codes.
            vector_size: length of a ranking vector; 0 where the codes have none.
        """
        self.bits = bits
        self.generation = generation
        self.vector_size = vector_size
        self._words, self._present = GrowingArray(np.uint64, n_words(bits)), GrowingArray(np.bool_)
        self._vectors = GrowingArray(np.int8, vector_size)
        self.columns = self._first(0)
        self._n_codes = 0

    def __len__(self) -> int:
        """Return the number of codes. O(1)."""
        return self._n_codes

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        return sum(column.nbytes for column in self.columns)

    def has_code(self, rows: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return whether each row has a code, (n,); rows outside the store have none."""
        return has_code(self.columns.present, rows)

    def rows_with_code(self) -> NDArray[np.int32]:
        """Return the rows that have a code, (n,) ascending."""
        return np.flatnonzero(self.columns.present).astype(np.int32)

    def put(self, rows: NDArray[np.int32], words: Words, vectors: Vectors | None = None) -> None:
        """Add or replace codes; where a row repeats, the last code wins. O(n).

        Args:
            rows: (n,) rows of ids.
            words: (n, n_words) uint64.
            vectors: (n, vector_size) int8; None where the store has no vectors.

        Raises:
            CodeShapeError: the words or vectors have another length than those of the store.
        """
        if vectors is None:
            vectors = np.empty((len(rows), 0), np.int8)
        self._check("words", words, (len(rows), n_words(self.bits)))
        self._check("ranking vectors", vectors, (len(rows), self.vector_size))
        if len(rows) == 0:
            return
        self.reserve(int(rows.max()) + 1)
        columns = self.columns
        self._n_codes += len(np.unique(rows[~columns.present[rows]]))
        columns.vectors[rows] = vectors
        columns.words[rows] = words
        columns.present[rows] = True  # after the words, so that a concurrent reader sees no empty code

    def _check(self, what: str, array: NDArray[Any], shape: tuple[int, int]) -> None:
        if array.shape != shape:
            raise CodeShapeError(
                f"{what} of {self.bits}-bit codes must have shape {shape}, got {array.shape}"
            )

    def remove(self, rows: NDArray[np.int32]) -> None:
        """Remove codes; rows without a code are ignored."""
        columns = self.columns
        rows = rows[rows < len(columns.present)]
        self._n_codes -= len(np.unique(rows[columns.present[rows]]))
        columns.present[rows] = False
        columns.words[rows] = 0
        columns.vectors[rows] = 0

    def reserve(self, n_rows: int) -> None:
        """Make room for n_rows rows."""
        if n_rows > len(self.columns.present):
            self.columns = self._first(n_rows)  # one assignment: a reader sees columns of one length

    def _first(self, n_rows: int) -> Columns:
        return Columns(*(column.first(n_rows) for column in (self._words, self._present, self._vectors)))


def has_code(present: NDArray[np.bool_], rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return whether each row has a code, (n,), by the column that tells it; rows outside have none."""
    if not len(present):
        return np.zeros(len(rows), np.bool_)
    found: NDArray[np.bool_] = (rows >= 0) & (rows < len(present)) & present.take(rows, mode="clip")
    return found
