"""Everything that `ratings`, `users` and `items` say, in columns: 32 bytes a rating, no object each."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dch.data.features import Features
from dch.data.ids import IdTable
from dch.data.ratings import Ratings, latest
from streams.errors import BadRecord
from streams.kafka.records import Record
from streams.messages import FeatureRecord, RatingEvent, decode_ratings

FIRST_CAPACITY = 1024
NEVER = np.iinfo(np.int64).min
Watermarks = Mapping[int, int]
"""By partition of `ratings`: the first offset that was not seen."""


class RatingLog:
    """What there is to train on. Bad records are passed over: the worker makes dead letters of them."""

    def __init__(self) -> None:
        self._n = 0
        self._columns = np.zeros(
            FIRST_CAPACITY,
            [
                ("user", np.int32),
                ("item", np.int32),
                ("rating", np.float32),
                ("timestamp", np.int64),
                ("partition", np.int32),
                ("offset", np.int64),
            ],
        )
        self._user_ids, self._item_ids = IdTable(), IdTable()
        self._user_features: dict[str, Features] = {}
        self._item_features: dict[str, Features] = {}
        self._forgotten_users: dict[str, int] = {}
        self._removed_items: dict[str, int] = {}
        self._described: dict[tuple[str, str], tuple[int, int]] = {}

    def __len__(self) -> int:
        """Return how many rating events were read, withdrawn and repeated ones among them."""
        return self._n

    def add_ratings(self, records: Sequence[Record]) -> None:
        """Add records of `ratings`.

        One that lies away from home is read as it is: its copy at home is the same event.
        """
        decoded = decode_ratings(records)
        pairs = [
            (record, event)
            for record, event in zip(records, decoded, strict=True)
            if not isinstance(event, BadRecord)
        ]
        if not pairs:
            return
        events: list[RatingEvent] = [event for _, event in pairs]
        rows = self._room_for(len(pairs))
        rows["user"] = self._user_ids.intern_many([event.user for event in events])
        rows["item"] = self._item_ids.intern_many([event.item for event in events])
        rows["rating"] = [np.nan if event.rating is None else event.rating for event in events]
        rows["timestamp"] = [event.timestamp for event in events]
        rows["partition"] = [record.partition for record, _ in pairs]
        rows["offset"] = [record.offset for record, _ in pairs]

    def add_user(self, found: FeatureRecord, timestamp_ms: int, offset: int = 0) -> None:
        """Add a record of `users`; a tombstone takes back the ratings up to its time.

        Of one user's records the newest counts, in whatever order partitions are read.
        """
        _take_back(self._forgotten_users, found, timestamp_ms)
        if self._is_newest("user", found.id, (timestamp_ms, offset)):
            _describe(self._user_features, found)

    def add_item(self, found: FeatureRecord, timestamp_ms: int, offset: int = 0) -> None:
        """Add a record of `items`, as ``add_user``."""
        _take_back(self._removed_items, found, timestamp_ms)
        if self._is_newest("item", found.id, (timestamp_ms, offset)):
            _describe(self._item_features, found)

    def n_beyond(self, watermarks: Watermarks) -> int:
        """Count the rating events that lie beyond the watermarks."""
        return int(np.count_nonzero(self._is_beyond(slice(0, self._n), watermarks)))

    def ratings(self, watermarks: Watermarks) -> tuple[Ratings, NDArray[np.bool_]]:
        """Return the live ratings, oldest first, and which of them lie beyond the watermarks, (n,).

        Ids of whom nothing is left are not among them: a model must not remember who was forgotten.
        """
        columns = self._columns[: self._n]
        kept = latest(columns["user"], columns["item"], columns["timestamp"])
        rows = columns[kept]
        dead = np.isnan(rows["rating"])
        dead |= rows["timestamp"] <= _forgotten_before(self._user_ids, self._forgotten_users)[rows["user"]]
        dead |= rows["timestamp"] <= _forgotten_before(self._item_ids, self._removed_items)[rows["item"]]
        kept, rows = kept[~dead], rows[~dead]
        users, user_ids = _compact(rows["user"], self._user_ids, self._user_features)
        items, item_ids = _compact(rows["item"], self._item_ids, self._item_features)
        live = Ratings(
            users=users,
            items=items,
            values=rows["rating"].copy(),
            timestamps=rows["timestamp"].copy(),
            user_ids=user_ids,
            item_ids=item_ids,
            user_features=dict(self._user_features),
            item_features=dict(self._item_features),
        )
        return live, self._is_beyond(kept, watermarks)

    def _is_newest(self, side: str, id_: str, at: tuple[int, int]) -> bool:
        """Say whether no later record of an id was read; ``at`` is (timestamp, offset)."""
        newest = self._described[side, id_] = max(at, self._described.get((side, id_), at))
        return newest == at

    def _is_beyond(self, which: slice | NDArray[np.int64], watermarks: Watermarks) -> NDArray[np.bool_]:
        rows = self._columns[which]
        bounds = np.zeros(max([*watermarks, int(rows["partition"].max(initial=0))]) + 1, np.int64)
        for partition, offset in watermarks.items():
            bounds[partition] = offset
        beyond: NDArray[np.bool_] = rows["offset"] >= bounds[rows["partition"]]
        return beyond

    def _room_for(self, n: int) -> NDArray[np.void]:
        if self._n + n > len(self._columns):
            larger = np.zeros(max(self._n + n, 2 * len(self._columns)), self._columns.dtype)
            larger[: self._n] = self._columns[: self._n]
            self._columns = larger
        self._n += n
        return self._columns[self._n - n : self._n]


def _take_back(gone: dict[str, int], found: FeatureRecord, timestamp_ms: int) -> None:
    if found.features is None:
        gone[found.id] = max(gone.get(found.id, 0), timestamp_ms)


def _describe(known: dict[str, Features], found: FeatureRecord) -> None:
    if found.features is None:
        known.pop(found.id, None)
    else:
        known[found.id] = found.features


def _forgotten_before(ids: IdTable, gone: Mapping[str, int]) -> NDArray[np.int64]:
    """Return the time by row up to which ratings are taken back, (at least 1,)."""
    forgotten_before = np.full(len(ids) + 1, NEVER, np.int64)
    for id_, timestamp_ms in gone.items():
        if (row := ids.row(id_)) >= 0:
            forgotten_before[row] = timestamp_ms
    return forgotten_before


def _compact(
    rows: NDArray[np.int32], ids: IdTable, features: Mapping[str, Features]
) -> tuple[NDArray[np.int32], IdTable]:
    """Return rows over a new table that holds only the ids in use."""
    used, new_rows = np.unique(rows, return_inverse=True)
    table = IdTable(ids[row] for row in used.tolist())
    table.intern_many(list(features))
    return new_rows.astype(np.int32), table
