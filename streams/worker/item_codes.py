"""The item codes of a worker: encoded here for the items it owns, read from `item-codes` for all others.

The codes on the topic are kept here for each generation, so that only codes that differ are published, even
after a restart in which every history was read again. Codes of another shape than those of the model, such as
codes without ranking vectors from an earlier version of the worker, do not count as codes of its generation.
"""

from collections.abc import Iterable
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from dch.models.codes import from_words, to_words
from dch.models.model import Model
from dch.state.item_index import ItemCodes, ItemIndex
from dch.state.snapshot import Snapshot
from dch.state.state import State
from streams import topics
from streams.kafka.partitioner import partition_for
from streams.kafka.records import Output
from streams.messages import ItemCode, encode_item_code
from streams.settings import WorkerSettings

Rows = NDArray[np.int32]
CodeRecords = Iterable[tuple[str, int, ItemCode | None]]
"""Item id, partition and item code; None removes the code."""

Shape = tuple[int, int, int]
"""Generation, bits and ranking vector size. Codes can be compared and served together if these are equal."""

MAX_POPULARITY = 2**31 - 1


class ItemCodeTable:
    """The item codes on the topic, by generation, and those to publish. Only the ingest thread uses it."""

    def __init__(self, settings: WorkerSettings, state: State) -> None:
        self.owned: frozenset[int] = frozenset()
        """The partitions of items that this worker encodes."""

        self._settings = settings
        self._state = state
        self._ids = state.history.item_ids
        self._published: dict[Shape, ItemIndex] = {}  # the codes on the topic
        self._owners = np.empty(0, np.int32)  # (n_items,) partition of each item, as far as computed

    def update(self, records: CodeRecords) -> None:
        """Take codes read from the topic, and serve those of other workers. Past generations are ignored."""
        current = self._state.snapshot.model.generation
        for shape, group in groupby(records, lambda found: _shape_of(found[2]) if found[2] else None):
            if shape is None:
                self._remove([id_ for id_, _, _ in group])
            elif shape[0] >= current:
                self._put(shape, {id_: code for id_, _, code in group if code is not None})

    def refresh(self) -> list[Output]:
        """Encode the items that changed; return records of the owned codes that differ from the topic."""
        rows = self._state.refresh_items()
        owned = self._is_owned(rows)
        snapshot = self._state.snapshot
        self._serve_published(snapshot, rows[~owned])
        return self._changed_records(snapshot, rows[owned])

    def changes(self, snapshot: Snapshot) -> list[Output]:
        """Return records of all owned codes in a snapshot that differ from the topic."""
        rows = np.arange(len(self._ids), dtype=np.int32)
        return self._changed_records(snapshot, rows[self._is_owned(rows)])

    def n_missing(self, model: Model) -> int:
        """Count the items of other workers that have a code in service and none of this model yet."""
        rows = self._state.snapshot.item_index.rows_with_code()
        others = rows[~self._is_owned(rows)]
        return len(others) - int(np.count_nonzero(self._index(_shape_of_model(model)).has_code(others)))

    def complete(self, snapshot: Snapshot) -> None:
        """Put the codes of other workers into a prepared snapshot; drop the generations before it."""
        self._published = {
            shape: index for shape, index in self._published.items() if shape[0] >= snapshot.model.generation
        }
        rows = np.arange(len(self._ids), dtype=np.int32)
        self._serve_published(snapshot, rows[~self._is_owned(rows)])

    def items_of(self, partitions: frozenset[int]) -> list[str]:
        """Return the ids of the items that belong to these partitions."""
        rows = np.flatnonzero(np.isin(self._owner_partitions(), list(partitions)))
        return [self._ids[row] for row in rows.tolist()]

    def _put(self, shape: Shape, found: dict[str, ItemCode]) -> None:
        index = self._index(shape)
        rows = self._ids.intern_many(list(found))
        for other, outdated in self._published.items():
            if other[0] == shape[0] and other != shape:  # the topic holds one code per item
                outdated.remove(rows)
        index.put(rows, _columns_of(found.values(), index))
        snapshot = self._state.snapshot
        if shape == _shape_of_model(snapshot.model):
            self._serve_published(snapshot, rows[~self._is_owned(rows)])

    def _remove(self, ids: list[str]) -> None:
        rows = self._ids.rows(ids)
        rows = rows[rows >= 0]
        for index in self._published.values():
            index.remove(rows)
        self._state.remove_item_codes(rows[~self._is_owned(rows)])

    def _serve_published(self, snapshot: Snapshot, rows: Rows) -> None:
        """Copy the published codes of these rows into a snapshot; rows without one stay as they are."""
        published = self._published.get(_shape_of_model(snapshot.model))
        if published is not None and len(rows):
            known = rows[published.has_code(rows)]
            self._state.put_item_codes(known, published.codes(known), snapshot)

    def _changed_records(self, snapshot: Snapshot, rows: Rows) -> list[Output]:
        """Return records of the codes that differ from the topic, which from now on count as published."""
        published = self._index(_shape_of_model(snapshot.model))
        served, known = snapshot.item_index.codes(rows), published.codes(rows)
        is_changed = served.present != known.present
        is_changed |= (served.words != known.words).any(axis=1)
        is_changed |= (served.vectors != known.vectors).any(axis=1)
        is_changed |= served.popularity != known.popularity
        changed = rows[is_changed]
        codes = snapshot.item_index.codes(changed)
        published.put(changed, codes)
        return [
            self._record(snapshot.item_index, row, codes.part(at, at + 1))
            for at, row in enumerate(changed.tolist())
        ]

    def _record(self, index: ItemIndex, row: int, code: ItemCodes) -> Output:
        value = None
        if code.present[0]:
            value = encode_item_code(
                ItemCode(
                    generation=index.generation,
                    code=from_words(code.words, index.bits).tobytes().hex(),
                    ratings=self._state.n_raters(row),
                    positives=int(code.popularity[0]),
                    vector=code.vectors.tobytes().hex(),
                )
            )
        topic, owner = self._settings.topic(topics.ITEM_CODES.name), int(self._owner_partitions()[row])
        return Output(topic, self._ids[row].encode(), value, owner)

    def _index(self, shape: Shape) -> ItemIndex:
        """Return the published codes of one shape."""
        index = self._published.get(shape)
        if index is None:
            generation, bits, vector_size = shape
            index = ItemIndex(self._ids, generation=generation, bits=bits, vector_size=vector_size)
            self._published[shape] = index
        return index

    def _is_owned(self, rows: Rows) -> NDArray[np.bool_]:
        return np.isin(self._owner_partitions()[rows], list(self.owned))

    def _owner_partitions(self) -> NDArray[np.int32]:
        """Return the partition that each item belongs to, (n_items,)."""
        new = self._ids.ids()[len(self._owners) :]
        if new:
            count = self._settings.partitions
            owners = np.array([partition_for(id_.encode(), count) for id_ in new], np.int32)
            self._owners = np.concatenate([self._owners, owners])
        return self._owners


def _columns_of(codes: Iterable[ItemCode], index: ItemIndex) -> ItemCodes:
    """Return decoded item codes as the columns of an index of their shape."""
    codes = list(codes)
    n = len(codes)
    packed = bytes.fromhex("".join(code.code for code in codes))
    vectors = bytes.fromhex("".join(code.vector for code in codes))
    return ItemCodes(
        words=to_words(np.frombuffer(packed, np.uint8).reshape(n, index.bits // 8)),
        vectors=np.frombuffer(vectors, np.int8).reshape(n, index.vector_size),
        popularity=np.array([min(code.positives, MAX_POPULARITY) for code in codes], np.int32),
        present=np.ones(n, np.bool_),
    )


def _shape_of(code: ItemCode) -> Shape:
    return code.generation, 4 * len(code.code), len(code.vector) // 2


def _shape_of_model(model: Model) -> Shape:
    return model.generation, model.bits, model.item_tower.vector_size
