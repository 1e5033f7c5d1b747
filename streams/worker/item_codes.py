"""The item codes of a worker: encoded here for the items it owns, read from `item-codes` for all others.

The codes on the topic are kept here for the model in service and for the next one, so that only codes that
differ are published, even after a restart in which every history was read again. Codes of all other models
are ignored, however many there are: of other generations, of another model of the same generation, without a
hash, or of another shape. The owner of an item whose code was replaced on the topic publishes it again,
whatever replaced it: see ``foreign_codes``.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from dch.models.codes import from_words
from dch.models.model import Model
from dch.state.item_code_store import ItemCodeStore
from dch.state.item_columns import ItemCodes, chosen
from dch.state.snapshot import Snapshot
from dch.state.state import State
from streams import topics
from streams.kafka.records import Output
from streams.messages import ItemCode, encode_item_code
from streams.settings import WorkerSettings
from streams.worker.code_columns import Shape, columns_of, hexadecimal, shape_of, shape_of_model
from streams.worker.foreign_codes import ForeignCodes
from streams.worker.owners import Owners

Rows = NDArray[np.int32]
CodeRecords = Iterable[tuple[str, int, ItemCode | None]]
"""Item id, partition and item code; None removes the code."""

ITEMS_PER_REFRESH = 2000
"""Items that are encoded and published at once: about a twentieth of a second. Ratings are applied, and the
wish to stop is noticed, before the next ones."""


class ItemCodeTable:
    """The item codes on the topic, by generation, and those to publish. Only the ingest thread uses it."""

    def __init__(self, settings: WorkerSettings, state: State) -> None:
        self._owned: frozenset[int] = frozenset()
        self._settings = settings
        self._state = state
        self._next: Shape | None = None  # of the model that is to be served next
        self._published: dict[Shape, ItemCodeStore] = {}  # the codes on the topic, of known models
        self.owners = Owners(state.known_items, settings.partitions)
        """The owner partition of each item."""

        self._foreign = ForeignCodes()

    @property
    def owned(self) -> frozenset[int]:
        """The partitions of items that this worker encodes."""
        return self._owned

    @owned.setter
    def owned(self, partitions: frozenset[int]) -> None:
        self._foreign.forget(self._rows_of(self._owned ^ partitions))
        self._foreign.suspect(self._rows_of(partitions - self._owned))
        self._owned = partitions

    def expect(self, model: Model) -> None:
        """Keep the codes of this model from now on, too, and no longer those of an earlier next one."""
        self._next = shape_of_model(model)
        self._forget_unknown()

    def update(self, records: CodeRecords, *, are_repeated: bool = False) -> None:
        """Take codes read from the topic, and serve those of other workers, all from one moment on.

        Unknown models are ignored.

        Records that are read once more are said to be repeated. They count for the next model alone, which
        was unknown before: served codes would go through all that they once were.
        """
        for shape, group in groupby(records, lambda found: shape_of(found[2]) if found[2] else None):
            codes = [(id_, code) for id_, _, code in group]
            if are_repeated and self._next != shape_of_model(self._state.model):
                self._take_again(shape, codes)
            elif shape is None or shape not in self._known():
                self._take_removal(shape, self._state.item_rows([id_ for id_, _ in codes]), are_repeated)
            else:
                self._take_codes(shape, codes, are_repeated)
        self._state.publish_item_codes()

    def _take_again(self, shape: Shape | None, found: list[tuple[str, ItemCode | None]]) -> None:
        """Take repeated records for the next model, which is not in service yet."""
        if self._next is None:
            return
        if shape == self._next:
            rows, codes = self._newest_codes(found, are_repeated=True)
            self._store(shape).put(rows, columns_of(codes, shape))
            return
        rows = self._state.item_rows([id_ for id_, _ in found])
        rows = rows[self._note_read(rows, are_repeated=True, is_code=shape is None)]
        if shape is None:
            self._store(self._next).remove(rows)
        else:
            self._note_replaced(shape, rows, [self._next])

    def _take_codes(self, shape: Shape, found: list[tuple[str, ItemCode | None]], are_repeated: bool) -> None:
        """Take codes of a known model; ``update`` has searches read them."""
        rows, codes = self._newest_codes(found, are_repeated)
        self._note_replaced(shape, rows)
        self._store(shape).put(rows, columns_of(codes, shape))
        if shape == shape_of_model(self._state.model):
            self._change_to_published(rows[~self._is_owned(rows)])

    def _newest_codes(
        self, found: list[tuple[str, ItemCode | None]], are_repeated: bool
    ) -> tuple[Rows, list[ItemCode]]:
        """Return the distinct rows of codes that are newer than all that this worker sent, and the codes."""
        rows = self._state.intern_items([id_ for id_, _ in found])
        is_newest = self._note_read(rows, are_repeated, is_code=True)
        codes = {id_: code for (id_, code), counts in zip(found, is_newest, strict=True) if counts and code}
        return self._state.item_rows(list(codes)), list(codes.values())

    def _take_removal(self, shape: Shape | None, rows: Rows, are_repeated: bool) -> None:
        """Take records that replaced codes on the topic by none, or by those of an unknown model.

        ``update`` has searches read what is served now.
        """
        is_newest = self._note_read(rows, are_repeated, is_code=shape is None)
        if shape is None:
            self._remove(rows[is_newest])
        else:
            self._note_replaced(shape, rows[is_newest])

    def _note_read(self, rows: Rows, are_repeated: bool, *, is_code: bool) -> NDArray[np.bool_]:
        """Return which records are newer than all that this worker sent, (n,), and suspect foreign ones.

        Whether repeated ones are foreign, and which is the newest, was seen when they were read first.
        """
        if are_repeated:
            return self._foreign.n_to_come(rows) <= 0
        n_to_come = self._foreign.note_read(rows)
        self._foreign.suspect(rows[(n_to_come < 0) & self._is_owned(rows)])
        is_newest = n_to_come <= 0
        self._foreign.note_newest(rows[is_newest], is_code=is_code)
        return is_newest

    @property
    def n_waiting(self) -> int:
        """Number of items that changed and were not encoded since."""
        return self._state.n_changed_items

    def recheck(self) -> None:
        """Have owned items encoded again whose code on the topic may be foreign. They must be complete."""
        self._state.mark_items_changed(self._foreign.suspected())

    def refresh(self) -> list[Output]:
        """Encode some of the items that changed; return records of owned codes that differ from the topic.

        Items of other workers are encoded without their ratings, so the published code counts, if there is
        one. No search may read the other: both are put at once.
        """
        rows, codes = self._state.encode_changed_items(ITEMS_PER_REFRESH)
        self._foreign.clear(rows)
        owned = self._is_owned(rows)
        published = self._store(shape_of_model(self._state.model)).codes(rows)
        self._state.put_item_codes(rows, chosen(codes, published, published.present & ~owned))
        return self._changed_records(rows[owned])

    def changes(self, snapshot: Snapshot) -> Iterator[list[Output]]:
        """Yield records of all owned codes in a snapshot that differ from the topic, in parts."""
        rows = self._all_rows()
        owned = rows[self._is_owned(rows)]
        for start in range(0, len(owned), ITEMS_PER_REFRESH):
            yield self._changed_records(owned[start : start + ITEMS_PER_REFRESH], snapshot)

    def n_missing(self, model: Model) -> int:
        """Count the items of other workers that have a code in service and none of this model yet."""
        rows = self._state.items_with_code()
        others = rows[~self._is_owned(rows)]
        published = self._published.get(shape_of_model(model))
        return len(others) - (0 if published is None else int(np.count_nonzero(published.has_code(others))))

    def complete(self, snapshot: Snapshot) -> None:
        """Put the codes of other workers into a prepared snapshot, and forget those of all other models."""
        self._published = {
            shape: store
            for shape, store in self._published.items()
            if shape == shape_of_model(snapshot.model)
        }
        rows = self._all_rows()
        self._change_to_published(rows[~self._is_owned(rows)], snapshot)
        self._state.publish_item_codes(snapshot)

    def serve_published_of(self, partitions: frozenset[int]) -> None:
        """Serve what the topic holds of items that this worker no longer owns.

        Codes of their new owner may have been read while they still counted as owned.
        """
        self._change_to_published(self._rows_of(partitions))
        self._state.publish_item_codes()

    def items_of(self, partitions: frozenset[int]) -> list[str]:
        """Return the ids of the items that belong to these partitions."""
        return self.owners.ids_of(partitions)

    @property
    def nbytes(self) -> int:
        """Memory of the codes that are known to be on the topic, in bytes."""
        return sum(store.nbytes for store in self._published.values())

    def _known(self) -> set[Shape | None]:
        return {shape_of_model(self._state.model), self._next}

    def _forget_unknown(self) -> None:
        self._published = {
            shape: self._published[shape] for shape in self._published if shape in self._known()
        }

    def _note_replaced(self, shape: Shape, rows: Rows, shapes: Collection[Shape] | None = None) -> None:
        """Note that the topic holds codes of this shape for some items: it holds one code per item.

        Only codes of the given other shapes are affected; None takes all that are known.

        Codes of the next model stay known where another worker replaces its own by one of the model in
        service: they will be there again once it swaps, and the swap of this worker must not wait until then.
        """
        owned = rows[self._is_owned(rows)]
        for other, store in self._published.items():
            is_meant = shapes is None or other in shapes
            if is_meant and other != shape and other[0] >= shape[0]:
                store.remove(rows if other[0] == shape[0] else owned)

    def _remove(self, rows: Rows) -> None:
        for store in self._published.values():
            store.remove(rows)
        self._state.change_item_codes(rows[~self._is_owned(rows)], None)

    def _change_to_published(self, rows: Rows, snapshot: Snapshot | None = None) -> None:
        """Change the codes of these rows, in service or in a prepared snapshot, to the published ones.

        Rows without a published code stay as they are.
        """
        published = self._published.get(shape_of_model((snapshot or self._state).model))
        if published is not None:
            known = rows[published.has_code(rows)]
            self._state.change_item_codes(known, published.codes(known), snapshot)

    def _changed_records(self, rows: Rows, snapshot: Snapshot | None = None) -> list[Output]:
        """Return records of the codes that differ from the topic, which from now on count as published."""
        model = (snapshot or self._state).model
        published = self._store(shape_of_model(model))
        served, known = self._state.item_codes(rows, snapshot), published.codes(rows)
        is_changed = served.present != known.present
        is_changed |= (served.words != known.words).any(axis=1)
        is_changed |= (served.vectors != known.vectors).any(axis=1)
        is_changed |= served.popularity != known.popularity
        is_changed |= self._foreign.is_replaced(rows)
        if snapshot is not None:  # tell the others not to wait for a code that the next model does not have
            is_changed |= ~served.present & self._have_code(rows)
        changed = rows[is_changed]
        codes = self._state.item_codes(changed, snapshot)
        self._note_replaced(shape_of_model(model), changed)
        published.put(changed, codes)
        self._foreign.note_sent(changed)
        return self._records(model, changed, codes)

    def _have_code(self, rows: Rows) -> NDArray[np.bool_]:
        """Return whether the topic holds a code of any known model, (n,)."""
        found = np.zeros(len(rows), np.bool_)
        for store in self._published.values():
            found |= store.has_code(rows)
        return found

    def _records(self, model: Model, rows: Rows, codes: ItemCodes) -> list[Output]:
        """Return the records of codes; the columns are converted at once, not row by row."""
        topic, ids = self._settings.topic(topics.ITEM_CODES.name), self._state.known_items()
        digits = hexadecimal(from_words(codes.words, model.bits)), hexadecimal(codes.vectors)
        columns = (
            rows.tolist(),
            self.owners.all()[rows].tolist(),
            codes.present.tolist(),
            self._state.n_raters(rows).tolist(),
            codes.popularity.tolist(),
            *digits,
        )
        generation, hash_ = model.generation, model.generation_hash
        return [
            Output(
                topic,
                ids[row].encode(),
                encode_item_code(ItemCode(generation, code, n_raters, n_positive, vector, hash_))
                if is_present
                else None,
                owner,
            )
            for row, owner, is_present, n_raters, n_positive, code, vector in zip(*columns, strict=True)
        ]

    def _store(self, shape: Shape) -> ItemCodeStore:
        """Return the published codes of one shape."""
        store = self._published.get(shape)
        if store is None:
            generation, _, bits, vector_size = shape
            store = ItemCodeStore(generation=generation, bits=bits, vector_size=vector_size)
            self._published[shape] = store
        return store

    def _all_rows(self) -> Rows:
        return np.arange(len(self._state.known_items()), dtype=np.int32)

    def _rows_of(self, partitions: frozenset[int]) -> Rows:
        return np.flatnonzero(np.isin(self.owners.all(), list(partitions))).astype(np.int32)

    def _is_owned(self, rows: Rows) -> NDArray[np.bool_]:
        return np.isin(self.owners.all()[rows], list(self._owned))
