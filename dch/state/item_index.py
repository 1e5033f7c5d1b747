"""The items as a search sees them: codes, which of them may be recommended, and what breaks ties."""

import zlib
from collections.abc import Set
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dch.data.ids import UNKNOWN, IdTable
from dch.state.code_store import CodeStore


class Catalogue(NamedTuple):
    """Arrays over item rows. The owner writes single elements in place; readers take views of one length."""

    words: NDArray[np.uint64]  # (n, n_words) codes
    allowed: NDArray[np.uint8]  # (n,) 1 where the item has a code and is available
    precedence: NDArray[np.int64]  # (n,) breaks ties, larger first: see ``precedence_of``
    is_new: NDArray[np.uint8]  # (n,) 1 where the fit never saw the item
    vectors: NDArray[np.int8]  # (n, vector_size) what candidates are reranked by


def precedence_of(id_: str, popularity: int) -> int:
    """Return what orders items at equal distance and score: popularity, then id.

    Ids are compared by checksum, not by row or alphabet: rows depend on which item came first, and an order
    of the alphabet would have to be made anew with every new item. So all workers break ties alike.
    """
    return (popularity << 32) | (0xFFFFFFFF - zlib.crc32(id_.encode()))


class CatalogueKeeper:
    """Keeps the columns in step with a code store, and with which items the fit saw. One writer."""

    def __init__(self, store: CodeStore, fitted: IdTable) -> None:
        self._store, self._fitted = store, fitted
        self._allowed, self._precedence = np.zeros(0, np.uint8), np.zeros(0, np.int64)
        self._is_new = np.zeros(0, np.uint8)
        columns = (self._allowed, self._precedence, self._is_new)
        self._catalogue = Catalogue(store.words[:0], *columns, store.vectors[:0])

    def view(self) -> Catalogue:
        """Return the catalogue as it is now; elements may change under a reader, lengths do not."""
        return self._catalogue

    def update(self, rows: NDArray[np.int32], unavailable: Set[int]) -> None:
        """Take over the store's presence and popularity of these rows, less those that are unavailable."""
        self._grow()
        store, ids = self._store, self._store.ids
        allowed = store.present[rows].astype(np.uint8)
        if unavailable:
            allowed[[row in unavailable for row in rows.tolist()]] = 0
        self._precedence[rows] = [
            precedence_of(ids[row], count)
            for row, count in zip(rows.tolist(), store.popularity[rows].tolist(), strict=True)
        ]
        self._allowed[rows] = allowed  # in one go: a reader never meets an item that is not to be shown

    def _grow(self) -> None:
        store, n = self._store, len(self._store.ids)
        store.reserve(n)
        if missing := len(store.present) - len(self._allowed):
            self._allowed = np.concatenate([self._allowed, np.zeros(missing, np.uint8)])
            self._precedence = np.concatenate([self._precedence, np.zeros(missing, np.int64)])
            self._is_new = np.concatenate([self._is_new, np.zeros(missing, np.uint8)])
        if n > (known := len(self._catalogue.is_new)):
            self._is_new[known:n] = self._fitted.rows(store.ids.ids()[known:n]) == UNKNOWN
        # One assignment, last: a reader has the old arrays or the new ones, and always of one length.
        columns = (self._allowed[:n], self._precedence[:n], self._is_new[:n])
        self._catalogue = Catalogue(store.words[:n], *columns, store.vectors[:n])
