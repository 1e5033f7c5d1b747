"""The codes of one side in one generation, in arrays that grow.

Rows are those of an id table that the store shares with others; it may hold ids that have no code here. One
thread writes; readers may scan beside it. They take ``columns`` once, so that the arrays they read belong
together while the store grows.
"""

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from dch.data.ids import IdTable
from dch.errors import CodeShapeError, UnknownIdError
from dch.models.codes import Words, from_words, n_words

SMALLEST = 1024  # rows; 16 kB at 64 bits, not worth growing from less

LARGEST = 127
"""Of a ranking vector's element, as an int8."""

Vectors = NDArray[np.int8]
"""(n, vector_size)."""


class Columns(NamedTuple):
    """The arrays of a store, of one length; rows past those put so far are absent."""

    words: Words
    """(capacity, n_words)."""

    present: NDArray[np.bool_]
    """(capacity,) whether the row has a code."""

    popularity: NDArray[np.int32]
    """(capacity,) positive ratings; breaks ties in search. Its owner writes to it."""

    vectors: Vectors
    """(capacity, vector_size) ranking vectors; no columns where there are none."""


class CodeStore:
    """Codes by row: put, remove, read one, scan all."""

    def __init__(self, ids: IdTable, bits: int, generation: int, vector_size: int = 0) -> None:
        self.ids = ids
        self.bits = bits
        self.generation = generation
        self.columns = _empty(max(SMALLEST, len(ids)), n_words(bits), vector_size)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.columns.present))

    @property
    def words(self) -> Words:
        """(capacity, n_words) uint64."""
        return self.columns.words

    @property
    def present(self) -> NDArray[np.bool_]:
        """(capacity,) whether the row has a code."""
        return self.columns.present

    @property
    def popularity(self) -> NDArray[np.int32]:
        """(capacity,) int32, to be written to."""
        return self.columns.popularity

    @property
    def vectors(self) -> Vectors:
        """(capacity, vector_size) int8."""
        return self.columns.vectors

    @property
    def vector_size(self) -> int:
        """Length of a ranking vector; 0 where there are none."""
        return int(self.vectors.shape[1])

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes; the ids are not ours and not counted."""
        return sum(column.nbytes for column in self.columns)

    def put(self, rows: NDArray[np.int32], words: Words, vectors: Vectors | None = None) -> None:
        """Add or replace codes, in O(len(rows)) but for the growing; the last wins where a row repeats.

        Args:
            rows: (n,) rows of ids.
            words: (n, n_words).
            vectors: (n, vector_size); None where there are none.

        Raises:
            CodeShapeError: the words or vectors are of another length.
        """
        if words.shape != (len(rows), self.words.shape[1]):
            raise CodeShapeError(
                f"{len(rows)} codes of {self.bits} bits have shape {(len(rows), self.words.shape[1])}, "
                f"got {words.shape}"
            )
        if vectors is None:
            vectors = np.empty((len(rows), 0), np.int8)
        if vectors.shape != (len(rows), self.vector_size):
            expected = (len(rows), self.vector_size)
            raise CodeShapeError(f"ranking vectors here have shape {expected}, got {vectors.shape}")
        if len(rows) == 0:
            return
        self.reserve(int(rows.max()) + 1)
        self.vectors[rows] = vectors
        self.words[rows] = words
        self.present[rows] = True  # after the words: a scan that runs beside sees no empty code

    def remove(self, rows: NDArray[np.int32]) -> None:
        """Forget codes; rows without one are no error."""
        rows = rows[rows < len(self.present)]
        self.present[rows] = False
        self.words[rows] = 0
        self.vectors[rows] = 0
        self.popularity[rows] = 0

    def code(self, row: int) -> bytes:
        """Return the packed code of a row.

        Raises:
            UnknownIdError: the row has no code.
        """
        if not 0 <= row < len(self.present) or not self.present[row]:
            raise UnknownIdError(f"row {row} has no code in generation {self.generation}")
        return from_words(self.words[row : row + 1], self.bits).tobytes()

    def reserve(self, n_rows: int) -> None:
        """Make room for rows below n_rows, at least doubling when there is too little."""
        columns = self.columns
        if n_rows <= len(columns.present):
            return
        grown = _empty(max(n_rows, 2 * len(columns.present)), columns.words.shape[1], self.vector_size)
        for new, old in zip(cast(list[NDArray[Any]], grown), cast(list[NDArray[Any]], columns), strict=True):
            new[: len(old)] = old
        self.columns = grown  # one assignment: readers see the old arrays or the new ones


def quantize(vectors: NDArray[np.float32]) -> Vectors:
    """Round ranking vectors, (n, vector_size), to int8; what is too large is cut."""
    rounded: Vectors = np.clip(np.rint(vectors), -LARGEST, LARGEST).astype(np.int8)
    return rounded


def _empty(capacity: int, words_per_code: int, vector_size: int) -> Columns:
    return Columns(
        np.zeros((capacity, words_per_code), np.uint64),
        np.zeros(capacity, np.bool_),
        np.zeros(capacity, np.int32),
        np.zeros((capacity, vector_size), np.int8),
    )
