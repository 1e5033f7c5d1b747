"""The item index: what a search reads of the items of one generation.

It is the only place that holds served item codes, their popularity, and which items may be recommended.

Elements change in place while searches read them. A search that saw a change is repeated, so it never mixes
the old code of an item with its new one, or with none. This is a seqlock: the writer counts up before and
after each change, and a reader compares the counts.
"""

import threading
import zlib
from collections.abc import Callable, Set
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dch.data.ids import UNKNOWN, IdTable
from dch.models.codes import Vectors, Words
from dch.state.code_store import CodeStore
from dch.state.popular_items import NOTHING, PopularItems, updated

T = TypeVar("T")
MAX_REPEATS = 3
"""Searches that may be repeated because of a change. After that, changes wait for the search."""


class ItemColumns(NamedTuple):
    """The arrays of an index over item rows. The writer changes elements in place; lengths stay."""

    words: Words  # (n, n_words) codes
    allowed: NDArray[np.uint8]  # (n,) 1 where the item has a code and is available
    precedence: NDArray[np.int64]  # (n,) breaks ties, larger first: see ``precedence_of``
    is_new: NDArray[np.uint8]  # (n,) 1 where the item is not in the training data of the generation
    vectors: Vectors  # (n, vector_size) ranking vectors, by which candidates are reranked
    fitted: NDArray[np.int32]  # (n,) row of the item in the training data, UNKNOWN where the item is new


class ItemCodes(NamedTuple):
    """The codes of some items, one element of each array per item."""

    words: Words  # (n, n_words); arbitrary where the item has no code
    vectors: Vectors  # (n, vector_size)
    popularity: NDArray[np.int32]  # (n,) number of positive ratings
    present: NDArray[np.bool_]  # (n,) whether the item has a code

    def part(self, start: int, stop: int) -> "ItemCodes":
        """Return the codes from start up to stop, as views."""
        cut = slice(start, stop)
        return ItemCodes(self.words[cut], self.vectors[cut], self.popularity[cut], self.present[cut])


def precedence_of(id_: str, popularity: int) -> int:
    """Return the number that orders items of equal distance and score: by popularity, then by id.

    Ids are compared by their CRC-32, which is the same on every worker and never changes. Rows would depend
    on the order in which a worker saw the items, and alphabetical ranks would shift with every new item.
    """
    return (popularity << 32) | (0xFFFFFFFF - zlib.crc32(id_.encode()))


def popularity_of(precedence: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the popularity in each precedence, (n,)."""
    return (precedence >> 32).astype(np.int32)


def with_popularity(precedence: NDArray[np.int64], popularity: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the precedences of the same ids with another popularity, (n,). Needs no checksum."""
    return (popularity.astype(np.int64) << 32) | (precedence & 0xFFFFFFFF)


class ItemIndex:
    """The served items of one generation. Only one thread may write; other threads read by ``read``."""

    def __init__(
        self, ids: IdTable, *, generation: int, bits: int, vector_size: int, fitted: IdTable | None = None
    ) -> None:
        """Create an index without codes.

        Args:
            ids: the item ids; the table may grow later.
            generation: number of the model that makes the codes.
            bits: length of a code.
            vector_size: length of a ranking vector; 0 where the model makes none.
            fitted: the items in the training data of the generation; all others count as new.
        """
        self._ids, self._fitted = ids, fitted or IdTable()
        self._store = CodeStore(bits, generation, vector_size)
        self._allowed, self._precedence = np.zeros(0, np.uint8), np.zeros(0, np.int64)
        self._is_new, self._fitted_rows = np.zeros(0, np.uint8), np.zeros(0, np.int32)
        self.rows_of_fitted = np.full(len(self._fitted), UNKNOWN, np.int32)
        """(n_fitted,) row of each item of the training data, UNKNOWN where it was not met yet."""
        self._n_known = 0
        self.popular: PopularItems = NOTHING
        """The most popular items as of the last ``refresh_popular``."""
        self.new_rows: NDArray[np.int32] = np.empty(0, np.int32)
        """The rows of new items, with or without a code, ascending."""
        self._changed: list[NDArray[np.int32]] = []
        self._lock = threading.Lock()  # held while elements change
        self._n_changes = 0  # odd while elements change
        self._grow()

    def __len__(self) -> int:
        """Return the number of items that have a code."""
        return len(self._store)

    @property
    def generation(self) -> int:
        """Number of the model that makes the codes."""
        return self._store.generation

    @property
    def bits(self) -> int:
        """Length of a code, in bits."""
        return self._store.bits

    @property
    def vector_size(self) -> int:
        """Length of a ranking vector; 0 where the model makes none."""
        return self._store.vector_size

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        return self._store.nbytes + sum(
            column.nbytes for column in (self._allowed, self._precedence, self._is_new, self._fitted_rows)
        )

    def view(self) -> ItemColumns:
        """Return the current columns; elements may change while they are read, lengths do not."""
        return self._view

    def read(self, search: Callable[[], T]) -> T:
        """Return what a search finds in ``view`` as it is at one moment. Any thread may call this."""
        for _ in range(MAX_REPEATS):
            before = self._n_changes
            if before % 2 == 0:
                found = search()
                if self._n_changes == before:
                    return found
        with self._lock:
            return search()

    def has_code(self, rows: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return whether each row has a code, (n,); rows past the end have none."""
        return self._store.has_code(rows)

    def rows_with_code(self) -> NDArray[np.int32]:
        """Return the rows that have a code, (n,) ascending."""
        return self._store.rows_with_code()

    def codes(self, rows: NDArray[np.int32]) -> ItemCodes:
        """Return a copy of what is served of these rows. For the writing thread."""
        self._grow()
        columns = self._store.columns
        popularity = popularity_of(self._precedence[rows])
        return ItemCodes(columns.words[rows], columns.vectors[rows], popularity, columns.present[rows])

    def put(self, rows: NDArray[np.int32], codes: ItemCodes, unavailable: Set[int] = frozenset()) -> None:
        """Serve these codes; a row whose code is not present loses the code it had.

        Args:
            rows: (n,) distinct rows of the id table.
            codes: one per row.
            unavailable: the rows that may not be recommended, code or not.
        """
        self._grow()
        present = codes.present
        popularity = np.where(present, codes.popularity, 0)
        allowed = present.astype(np.uint8)
        if unavailable:
            allowed[[row in unavailable for row in rows.tolist()]] = 0
        with self._lock:
            self._n_changes += 1
            self._store.remove(rows[~present])
            self._store.put(rows[present], codes.words[present], codes.vectors[present])
            self._precedence[rows] = with_popularity(self._precedence[rows], popularity)
            self._allowed[rows] = allowed
            self._n_changes += 1
        self._changed.append(rows)

    def remove(self, rows: NDArray[np.int32]) -> None:
        """Stop serving these rows."""
        self.put(rows, self.codes(rows)._replace(present=np.zeros(len(rows), np.bool_)))

    def refresh_popular(self) -> None:
        """Bring the popular items up to date. For the writing thread, which needs no lock for this."""
        if self._changed:
            changed = np.unique(np.concatenate(self._changed))
            self._changed.clear()
            self.popular = updated(self.popular, changed, self._allowed, self._precedence)

    def _grow(self) -> None:
        """Give every interned item a row in all columns."""
        n = len(self._ids)
        self._store.reserve(n)
        columns = self._store.columns
        if missing := len(columns.present) - len(self._allowed):
            self._allowed = np.concatenate([self._allowed, np.zeros(missing, np.uint8)])
            self._precedence = np.concatenate([self._precedence, np.zeros(missing, np.int64)])
            self._is_new = np.concatenate([self._is_new, np.zeros(missing, np.uint8)])
            self._fitted_rows = np.concatenate([self._fitted_rows, np.full(missing, UNKNOWN, np.int32)])
        if n > self._n_known:
            new_ids = self._ids.ids()[self._n_known : n]
            fitted = self._fitted.rows(new_ids)
            is_new = fitted == UNKNOWN
            self._is_new[self._n_known : n], self._fitted_rows[self._n_known : n] = is_new, fitted
            known_rows = self._n_known + np.flatnonzero(~is_new).astype(np.int32)
            self.rows_of_fitted[fitted[~is_new]] = known_rows
            new_rows = self._n_known + np.flatnonzero(is_new).astype(np.int32)
            self.new_rows = np.concatenate([self.new_rows, new_rows])
            self._precedence[self._n_known : n] = [precedence_of(id_, 0) for id_ in new_ids]
            self._n_known = n
        # One assignment, last: a reader gets the old arrays or the new ones, always all of one length.
        self._view = ItemColumns(
            columns.words[:n],
            self._allowed[:n],
            self._precedence[:n],
            self._is_new[:n],
            columns.vectors[:n],
            self._fitted_rows[:n],
        )
