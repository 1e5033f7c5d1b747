"""The item index: what a search reads of the items of one generation.

It is the only place that holds served item codes, their popularity, and which items may be recommended.

A search sees the items as they are at one moment, is never repeated, and waits for no writer. There are two
copies of all that changes (left-right): searches read one, and the writer changes the other, then has new
searches read that one, and makes the same change to the first once the last search has left it. So a writer
waits for a search that lasts from one ``publish`` to the change after the next.
"""

import threading
from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ids import UNKNOWN, IdTable
from dch.models.growing_array import GrowingArray
from dch.state.code_store import CodeStore, has_code
from dch.state.item_columns import ItemCodes, ItemColumns, popularity_of, precedence_of, with_popularity
from dch.state.popular_items import NOTHING, PopularItems, updated

Rows = NDArray[np.int32]

NO_ROWS = np.empty(0, np.int32)


class Served(NamedTuple):
    """The items as they are at one moment. The arrays hold it until ``ItemIndex.reading`` ends."""

    columns: ItemColumns
    present: NDArray[np.bool_]  # (n,) whether the item has a code, available or not
    popular: PopularItems
    popular_new: PopularItems  # the same of new items alone
    new_rows: Rows  # the rows of new items, with or without a code, ascending

    def has_code(self, row: int) -> bool:
        """Return whether a row has a code; rows past the end, and UNKNOWN, have none."""
        return bool(has_code(self.present, np.array([row], np.int32))[0])


class _Copy:
    """One of the two copies of the columns whose elements change."""

    def __init__(self, bits: int, generation: int, vector_size: int) -> None:
        self.store = CodeStore(bits, generation, vector_size)
        self._allowed, self._precedence = GrowingArray(np.uint8), GrowingArray(np.int64)
        self.n_readers = 0
        self.reserve(0)

    @property
    def nbytes(self) -> int:
        return self.store.nbytes + self.allowed.nbytes + self.precedence.nbytes

    def reserve(self, n_rows: int) -> None:
        self.store.reserve(n_rows)
        self.allowed: NDArray[np.uint8] = self._allowed.first(n_rows)
        self.precedence: NDArray[np.int64] = self._precedence.first(n_rows)

    def put(
        self, rows: Rows, codes: ItemCodes, precedence: NDArray[np.int64], allowed: NDArray[np.uint8]
    ) -> None:
        """Write the columns of distinct rows, (n,) each."""
        present = codes.present
        self.store.remove(rows[~present])
        self.store.put(rows[present], codes.words[present], codes.vectors[present])
        self.precedence[rows], self.allowed[rows] = precedence, allowed

    def take(self, rows: Rows, other: "_Copy") -> None:
        """Make these rows equal to those of the other copy, and all rows as many."""
        self.reserve(len(other.allowed))
        columns = other.store.columns
        codes = ItemCodes(columns.words[rows], columns.vectors[rows], NO_ROWS, columns.present[rows])
        self.put(rows, codes, other.precedence[rows], other.allowed[rows])


class ItemIndex:
    """The served items of one generation. Only one thread may write; others read within ``reading``."""

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
        self.generation, self.bits, self.vector_size = generation, bits, vector_size
        self._current, self._other = (_Copy(bits, generation, vector_size) for _ in range(2))
        self._is_new, self._fitted_rows = GrowingArray(np.uint8), GrowingArray(np.int32)
        self.rows_of_fitted = np.full(len(self._fitted), UNKNOWN, np.int32)
        """(n_fitted,) row of each item of the training data, UNKNOWN where it was not met yet. A search may
        see rows past the end of its columns."""
        self._new_rows, self._n_new, self._n_known = GrowingArray(np.int32), 0, 0
        self._changed: list[Rows] = []  # rows that only the other copy has as they shall be
        self._stale: Rows | None = None  # rows that only the current copy has as they are, if any
        self._switch = threading.Condition()  # guards which copy is current, and the numbers of readers
        self.served = self._all_served(NOTHING, NOTHING)
        """The items as they are now. Of elements that change, only the writing thread sees one moment."""
        self.publish()

    def __len__(self) -> int:
        """Return the number of items that have a code."""
        return len(self._current.store)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        columns = self.served.columns
        of_both = self._current.nbytes + self._other.nbytes
        return of_both + columns.is_new.nbytes + columns.fitted.nbytes + self.rows_of_fitted.nbytes

    def view(self) -> ItemColumns:
        """Return the columns as they are now; see ``served``."""
        return self.served.columns

    @contextmanager
    def reading(self) -> Iterator[Served]:
        """Hold the items as they are at this moment, for a search. Any thread may call this.

        The thread that writes must not write meanwhile: it would wait for itself.
        """
        with self._switch:
            copy, served = self._current, self.served
            copy.n_readers += 1
        try:
            yield served
        finally:
            with self._switch:
                copy.n_readers -= 1
                self._switch.notify_all()

    def has_code(self, rows: Rows) -> NDArray[np.bool_]:
        """Return whether each row has a code, (n,); rows past the end have none."""
        return has_code(self.served.present, rows)

    def rows_with_code(self) -> Rows:
        """Return the rows that have a code, (n,) ascending."""
        return np.flatnonzero(self.served.present).astype(np.int32)

    def codes(self, rows: Rows) -> ItemCodes:
        """Return a copy of what is served of these rows. For the writing thread."""
        if len(self._ids) > self._n_known:
            self.publish()
        columns = self.served.columns
        popularity = popularity_of(columns.precedence[rows])
        return ItemCodes(columns.words[rows], columns.vectors[rows], popularity, self.served.present[rows])

    def no_codes(self, n: int) -> ItemCodes:
        """Return the codes of n items without a code."""
        words, vectors = self.served.columns.words, self.served.columns.vectors
        return ItemCodes(
            np.zeros((n, words.shape[1]), words.dtype),
            np.zeros((n, vectors.shape[1]), vectors.dtype),
            np.zeros(n, np.int32),
            np.zeros(n, np.bool_),
        )

    def put(self, rows: Rows, codes: ItemCodes, unavailable: Set[int] = frozenset()) -> None:
        """Serve these codes; a row whose code is not present loses the code it had.

        Args:
            rows: (n,) distinct rows of the id table.
            codes: one per row.
            unavailable: the rows that may not be recommended, code or not.
        """
        self.change(rows, codes, unavailable)
        self.publish()

    def remove(self, rows: Rows) -> None:
        """Stop serving these rows."""
        self.put(rows, self.no_codes(len(rows)))

    def change(self, rows: Rows, codes: ItemCodes, unavailable: Set[int] = frozenset()) -> None:
        """Do what ``put`` does, but serve it only after ``publish``."""
        if not len(rows):
            return
        self._catch_up()
        self._add_new_items()
        popularity = np.where(codes.present, codes.popularity, 0)
        allowed = codes.present.astype(np.uint8)
        if unavailable:
            allowed[[row in unavailable for row in rows.tolist()]] = 0
        self._other.put(rows, codes, with_popularity(self._other.precedence[rows], popularity), allowed)
        self._changed.append(rows)

    @property
    def has_changes(self) -> bool:
        """Whether something was changed and not published since."""
        return bool(self._changed)

    def publish(self) -> None:
        """Have searches read what was changed, from the next one on. O(what was changed), mostly."""
        self._catch_up()
        self._add_new_items()
        changed = np.unique(np.concatenate([NO_ROWS, *self._changed]))
        other, is_new = self._other, self._is_new.first(self._n_known)
        columns = (other.allowed, other.precedence)
        popular = updated(self.served.popular, changed, *columns)
        changed_new = changed[is_new[changed] > 0]
        popular_new = updated(self.served.popular_new, changed_new, *columns, among=is_new)
        with self._switch:
            self._current, self._other = self._other, self._current
            self.served = self._all_served(popular, popular_new)
        self._changed.clear()
        self._stale = changed
        if not self._other.n_readers:
            self._catch_up()

    def _catch_up(self) -> None:
        """Make the other copy equal to the current one, once the last search has left it."""
        if self._stale is None:
            return
        with self._switch:
            self._switch.wait_for(lambda: not self._other.n_readers)
        self._other.take(self._stale, self._current)
        self._stale = None

    def _add_new_items(self) -> None:
        """Give every interned item a row in all columns of the other copy."""
        known, n = self._n_known, len(self._ids)
        if n == known:
            return
        new_ids, rows = self._ids.ids()[known:n], np.arange(known, n, dtype=np.int32)
        fitted = self._fitted.rows(new_ids)
        is_new = fitted == UNKNOWN
        self._is_new.first(n)[known:], self._fitted_rows.first(n)[known:] = is_new, fitted
        self.rows_of_fitted[fitted[~is_new]] = rows[~is_new]
        n_new = self._n_new + int(is_new.sum())
        self._new_rows.first(n_new)[self._n_new :] = rows[is_new]
        self._other.reserve(n)
        self._other.precedence[known:] = [precedence_of(id_, 0) for id_ in new_ids]
        self._n_known, self._n_new = n, n_new
        self._changed.append(rows)

    def _all_served(self, popular: PopularItems, popular_new: PopularItems) -> Served:
        copy, n = self._current, self._n_known
        words, present, vectors = copy.store.columns
        is_new, fitted = self._is_new.first(n), self._fitted_rows.first(n)
        columns = ItemColumns(words, copy.allowed, copy.precedence, is_new, vectors, fitted)
        return Served(columns, present, popular, popular_new, self._new_rows.first(self._n_new))
