"""Codes and ranking vectors of one generation by row, in arrays that grow.

One thread writes; others may read at the same time. A reader takes ``columns`` once, so that its arrays have
one length even while the store grows.
"""

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from dch.errors import CodeShapeError
from dch.models.codes import Vectors, Words, n_words

SMALLEST = 1024  # rows; 16 kB at 64 bits, so smaller first allocations would save nothing


class Columns(NamedTuple):
    """The arrays of a store. All have the same length, the capacity."""

    words: Words
    """(capacity, n_words) codes; zeros where the row has none."""

    present: NDArray[np.bool_]
    """(capacity,) whether the row has a code."""

    vectors: Vectors
    """(capacity, vector_size) ranking vectors; zeros where the row has none."""


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
        self.columns = _empty(SMALLEST, n_words(bits), vector_size)
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
        present = self.columns.present
        is_inside = (rows >= 0) & (rows < len(present))
        found: NDArray[np.bool_] = is_inside & present.take(rows, mode="clip")
        return found

    def rows_with_code(self) -> NDArray[np.int32]:
        """Return the rows that have a code, (n,) ascending."""
        return np.flatnonzero(self.columns.present).astype(np.int32)

    def put(self, rows: NDArray[np.int32], words: Words, vectors: Vectors | None = None) -> None:
        """Add or replace codes; where a row repeats, the last code wins.

        O(n), except when the store grows.

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
        """Make room for n_rows rows; the capacity at least doubles when it has to grow."""
        columns = self.columns
        if n_rows <= len(columns.present):
            return
        grown = _empty(max(n_rows, 2 * len(columns.present)), columns.words.shape[1], self.vector_size)
        for new, old in zip(cast(list[NDArray[Any]], grown), cast(list[NDArray[Any]], columns), strict=True):
            new[: len(old)] = old
        self.columns = grown  # one assignment: a reader sees the old arrays or the new ones


def _empty(capacity: int, words_per_code: int, vector_size: int) -> Columns:
    return Columns(
        np.zeros((capacity, words_per_code), np.uint64),
        np.zeros(capacity, np.bool_),
        np.zeros((capacity, vector_size), np.int8),
    )
