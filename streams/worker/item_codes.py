"""Item codes: made here for the items this worker owns, taken from `item-codes` for all others.

What the topic says is kept for every item and generation, so that only what differs is published: after a
restart, too, when every history was read again. Codes of another shape than a model makes are none of its
generation: a worker of an earlier version publishes codes without ranking vectors.
"""

from collections.abc import Iterable
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from dch.models.codes import from_words, to_words
from dch.models.model import Model
from dch.state.code_store import CodeStore
from dch.state.histories import slots_of
from dch.state.snapshot import Snapshot
from dch.state.state import State
from streams import topics
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Output
from streams.messages import ItemCode, encode_item_code
from streams.settings import WorkerSettings

Rows = NDArray[np.int32]
Codes = Iterable[tuple[str, int, ItemCode | None]]
"""Item id, partition, code."""

Shape = tuple[int, int, int]
"""Generation, bits, and length of a ranking vector: what codes must have in common."""


class ItemCodes:
    """The item codes of one worker. Only the ingest thread uses it."""

    def __init__(self, settings: WorkerSettings, state: State) -> None:
        self.owned: frozenset[int] = frozenset()
        self._settings = settings
        self._state = state
        self._ids = state.history.item_ids
        self._published: dict[Shape, CodeStore] = {}  # what the topic says
        self._homes = np.empty(0, np.int32)

    def learn(self, codes: Codes) -> None:
        """Take over what was read from the topic; codes of past generations are no use to anybody."""
        current = self._state.snapshot.model.generation
        for shape, group in groupby(codes, lambda found: _shape_of(found[2]) if found[2] else None):
            if shape is None:
                self._remove([id_ for id_, _, _ in group])
            elif shape[0] >= current:
                self._put(shape, {id_: code for id_, _, code in group if code is not None})

    def refresh(self) -> list[Output]:
        """Encode the items that changed; return the codes that the topic does not know yet."""
        rows = self._state.refresh_items()
        owned = self._is_owned(rows)
        snapshot = self._state.snapshot
        self._take_published(snapshot, rows[~owned])
        return self._news(snapshot, rows[owned])

    def changes(self, snapshot: Snapshot) -> list[Output]:
        """Return all codes of ours in a snapshot that the topic does not know yet."""
        rows = np.arange(len(self._ids), dtype=np.int32)
        return self._news(snapshot, rows[self._is_owned(rows)])

    def n_missing(self, model: Model) -> int:
        """Count the items of other workers that have a code now, and none of that model yet."""
        rows = np.flatnonzero(self._state.snapshot.items.store.present).astype(np.int32)
        others = rows[~self._is_owned(rows)]
        return len(others) - int(np.count_nonzero(_present(self._store(_shape_of_model(model)), others)))

    def complete(self, snapshot: Snapshot) -> None:
        """Put the codes of others into a snapshot that is to be swapped in; forget generations before it."""
        self._published = {
            shape: store for shape, store in self._published.items() if shape[0] >= snapshot.model.generation
        }
        rows = np.arange(len(self._ids), dtype=np.int32)
        self._take_published(snapshot, rows[~self._is_owned(rows)])

    def items_of(self, partitions: frozenset[int]) -> list[str]:
        """Return the ids of the items whose home is one of these partitions."""
        homes = self._homes_of(len(self._ids))
        return [self._ids[row] for row in np.flatnonzero(np.isin(homes, list(partitions))).tolist()]

    def _put(self, shape: Shape, codes: dict[str, ItemCode]) -> None:
        store = self._store(shape)
        rows = self._ids.intern_many(list(codes))
        for other, outdated in self._published.items():
            if other[0] == shape[0] and other != shape:  # the topic has one code of an item
                outdated.remove(rows)
        packed = bytes.fromhex("".join(code.code for code in codes.values()))
        vectors = bytes.fromhex("".join(code.vector for code in codes.values()))
        store.put(
            rows,
            to_words(np.frombuffer(packed, np.uint8).reshape(len(rows), store.bits // 8)),
            np.frombuffer(vectors, np.int8).reshape(len(rows), store.vector_size),
        )
        store.popularity[rows] = [min(code.positives, 2**31 - 1) for code in codes.values()]
        snapshot = self._state.snapshot
        if shape == _shape_of_model(snapshot.model):
            self._take_published(snapshot, rows[~self._is_owned(rows)])

    def _remove(self, ids: list[str]) -> None:
        rows = self._ids.rows(ids)
        rows = rows[rows >= 0]
        for store in self._published.values():
            store.remove(rows)
        others = rows[~self._is_owned(rows)]
        state = self._state
        with state.lock:
            state.snapshot.items.store.remove(others)
            state.snapshot.catalogue.update(others, state.history.unavailable)

    def _take_published(self, snapshot: Snapshot, rows: Rows) -> None:
        """Give these rows of a snapshot the codes that the topic has; the others stay as they are."""
        published = self._published.get(_shape_of_model(snapshot.model))
        store = snapshot.items.store
        if published is None or not len(rows):
            return
        known = rows[_present(published, rows)]
        with self._state.lock:
            store.put(known, published.words[known], published.vectors[known])
            store.popularity[known] = published.popularity[known]
            snapshot.catalogue.update(known, self._state.history.unavailable)

    def _news(self, snapshot: Snapshot, rows: Rows) -> list[Output]:
        store = snapshot.items.store
        published = self._store(_shape_of_model(snapshot.model))
        published.reserve(len(self._ids))
        store.reserve(len(self._ids))
        is_new = store.present[rows] != published.present[rows]
        is_new |= (store.words[rows] != published.words[rows]).any(axis=1)
        is_new |= (store.vectors[rows] != published.vectors[rows]).any(axis=1)
        is_new |= store.popularity[rows] != published.popularity[rows]
        news = rows[is_new]
        present = store.present[news]
        published.remove(news[~present])
        published.put(news[present], store.words[news[present]], store.vectors[news[present]])
        published.popularity[news] = store.popularity[news]
        codes = from_words(store.words[news], store.bits)
        return [self._output(snapshot, row, codes[at].tobytes()) for at, row in enumerate(news.tolist())]

    def _output(self, snapshot: Snapshot, row: int, code: bytes) -> Output:
        store, key = snapshot.items.store, self._ids[row].encode()
        value = None
        if store.present[row]:
            pairs = self._state.history.item_histories.pairs
            raters = len(slots_of(pairs, row)) if row < len(pairs.newest) else 0
            positives = int(store.popularity[row])
            vector = store.vectors[row].tobytes().hex()
            value = encode_item_code(ItemCode(store.generation, code.hex(), raters, positives, vector))
        home = int(self._homes_of(row + 1)[row])
        return Output(self._settings.topic(topics.ITEM_CODES.name), key, value, home)

    def _store(self, shape: Shape) -> CodeStore:
        """Return what the topic says of codes of one shape."""
        store = self._published.get(shape)
        if store is None:
            generation, bits, vector_size = shape
            store = self._published[shape] = CodeStore(self._ids, bits, generation, vector_size)
        return store

    def _is_owned(self, rows: Rows) -> NDArray[np.bool_]:
        return np.isin(self._homes_of(len(self._ids))[rows], list(self.owned))

    def _homes_of(self, n: int) -> NDArray[np.int32]:
        """Return the home partition of the first n items, (at least n,)."""
        new = self._ids.ids()[len(self._homes) : max(n, len(self._homes))]
        if new:
            count = self._settings.partitions
            homes = np.array([partition_for(id_.encode(), count) for id_ in new], np.int32)
            self._homes = np.concatenate([self._homes, homes])
        return self._homes


def _shape_of(code: ItemCode) -> Shape:
    return code.generation, 4 * len(code.code), len(code.vector) // 2


def _shape_of_model(model: Model) -> Shape:
    return model.generation, model.bits, model.item_tower.vector_size


def _present(store: CodeStore, rows: Rows) -> NDArray[np.bool_]:
    store.reserve(len(store.ids))
    present: NDArray[np.bool_] = store.present[rows]
    return present
